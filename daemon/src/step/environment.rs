//! Installs dependencies, or takes an environment that has them.

use super::{
    Inspect,
    ended::judge,
    make_directory::{HOME, TMP, TREE, VENV},
};
use crate::{
    config::Limits,
    domain::{builder, project_group},
    engine::{Cx, Step},
    helper::request::{BuildEnvironment, Dependencies, ENVIRONMENT_MARK, RunCommand},
    recipe::Environment,
    system::{Fault, fs},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

/// Installs dependencies, or takes an environment that has them.
#[derive(Serialize, Deserialize)]
pub struct InstallDependencies {
    /// The bare mirror.
    pub mirror: PathBuf,
    /// `WORK_DIR/NAME`; an environment of the workspace's own is in it and taken back with it.
    pub directory: PathBuf,
}

/// The environment.
#[derive(Serialize, Deserialize)]
pub struct Installed {
    /// Its folder; `None`: the app has none.
    pub path: Option<PathBuf>,
}

impl Step for InstallDependencies {
    const KIND: &'static str = "install.v1";
    const HEAVY: bool = true;
    const HAS_UNDO: bool = false;
    type Before = ();
    type Output = Installed;

    fn label(&self) -> String {
        "install dependencies".into()
    }

    fn limit(&self, limits: &Limits) -> Duration {
        *limits.install
    }

    async fn observe(&self, _: &Cx) -> Result<(), Fault> {
        Ok(())
    }

    async fn apply(&self, (): &(), cx: &Cx) -> Result<Installed, Fault> {
        let inspected = cx.output::<Inspect>()?;
        let path = match inspected.recipe.environment {
            Environment::None => None,
            Environment::Ready(path) => Some(ready(path)?),
            Environment::Shared { key, dependencies } => {
                let layout = &cx.sys().layout;
                let target = layout.environments(cx.project_name()).join(&key);
                let mark = layout.environment_mark(cx.project_name(), &key);
                // A complete one is never changed again: nobody need be asked to look.
                if is_complete(cx, &target, &mark) {
                    return Ok(Installed { path: Some(target) });
                }
                // Those who need the same one wait for whoever builds it.
                let _turn = cx.lock(&format!("environment {}", target.display())).await;
                make_place(cx, &target)?;
                self.build(
                    cx,
                    cx.builder(&key),
                    &inspected.commit,
                    Some(dependencies),
                    &target,
                )
                .await?;
                if cx.sys().accounts.is_some() {
                    fs::write_atomic(&mark, b"", 0o644)?;
                }
                Some(target)
            }
            Environment::Own {
                dependencies,
                install,
            } => {
                let target = self.directory.join(VENV);
                self.build(cx, cx.user(), &inspected.commit, dependencies, &target)
                    .await?;
                for command in install {
                    self.run(cx, command, &target).await?;
                }
                Some(target)
            }
        };
        Ok(Installed { path })
    }

    async fn undo(&self, (): &(), _: &Cx) -> Result<(), Fault> {
        Ok(())
    }
}

/// Whether a shared environment is complete. On a host it is the builder's, and cid cannot look inside.
fn is_complete(cx: &Cx, target: &Path, mark: &Path) -> bool {
    match cx.sys().accounts {
        Some(_) => fs::exists(mark),
        None => fs::exists(&target.join(ENVIRONMENT_MARK)),
    }
}

/// On a host the folder of all environments is root's, so that a build reaches no other one.
fn make_place(cx: &Cx, target: &Path) -> Result<(), Fault> {
    let Some(accounts) = &cx.sys().accounts else {
        return Ok(());
    };
    let project = cx.project_name();
    let (uid, gid) = accounts.numbers(&builder(project), &project_group(project))?;
    fs::make_dir(target, 0o750)?;
    fs::give_to(target, uid, gid)
}

fn ready(path: PathBuf) -> Result<PathBuf, Fault> {
    if fs::exists(&path.join("bin")) {
        return Ok(path);
    }
    Err(Fault::new(format!(
        "cannot use the environment {}: it has no bin folder",
        path.display()
    ))
    .hint("make it (python3 -m venv) or mend app.env in the project file"))
}

impl InstallDependencies {
    async fn build(
        &self,
        cx: &Cx,
        identity: crate::system::helpers::Identity,
        commit: &str,
        dependencies: Option<Dependencies>,
        target: &Path,
    ) -> Result<(), Fault> {
        let request = BuildEnvironment {
            mirror: self.mirror.clone(),
            commit: commit.to_owned(),
            app_dir: cx.project()?.app.dir().to_owned(),
            dependencies,
            target: target.to_owned(),
            tools_dir: cx.sys().layout.tools_dir(cx.project_name()),
        };
        cx.ask(identity, request).await
    }

    /// One of the operator's own install commands.
    async fn run(&self, cx: &Cx, command: Vec<String>, environment: &Path) -> Result<(), Fault> {
        let project = cx.project()?;
        let mut env: BTreeMap<String, String> = project
            .env
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), value.clone()))
            .collect();
        let text = |path: &Path| path.to_string_lossy().into_owned();
        env.extend([
            ("PATH".to_owned(), search_path(Some(environment))),
            ("HOME".to_owned(), text(&self.directory.join(HOME))),
            ("TMPDIR".to_owned(), text(&self.directory.join(TMP))),
            ("VIRTUAL_ENV".to_owned(), text(environment)),
            ("UV_PROJECT_ENVIRONMENT".to_owned(), text(environment)),
            // Hard links into a cache would give whoever may write here a way into others' files.
            ("UV_LINK_MODE".to_owned(), "copy".to_owned()),
        ]);
        let shown = command.join(" ");
        cx.line(format!("$ {shown}")).await;
        let dir = self.directory.join(TREE).join(project.app.dir());
        let exited = cx.ask(cx.user(), RunCommand { command, dir, env }).await?;
        let hint =
            "see its last lines of output; mend the repository or app.install in the project file";
        judge(exited, "install dependencies", &shown, hint)
    }
}

/// PATH of commands and processes.
pub(super) fn search_path(environment: Option<&Path>) -> String {
    const SYSTEM: &str = "/usr/local/bin:/usr/bin:/bin";
    environment.map_or_else(
        || SYSTEM.to_owned(),
        |path| format!("{}:{SYSTEM}", path.join("bin").display()),
    )
}
