//! Installs dependencies, or takes an environment that has them.

use super::{
    Inspect,
    inspect::{Inspected, is_unchanged},
    installed::Installed,
    make_directory::{TREE, purge},
    network::{for_installers, settings_of_person},
    node, python,
    shared::{Condition, Shared},
};
use crate::{
    config::{Limits, PythonVersion, Values},
    domain::UnitName,
    engine::{Cx, Step},
    recipe::Environment,
    system::{
        helpers::Identity,
        queue::{Resource, Turn},
    },
};
use cid_kernel::fs;
use cid_protocol::{
    environment::network,
    fault::Fault,
    request::{BringUv, BuildPackages, Built, Dependencies, PlacePackages, Placed, SealPackages},
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
    /// For a deployment: the instance that keeps its own environment until it is stopped.
    #[serde(default)]
    pub follows: Option<UnitName>,
}

impl Step for InstallDependencies {
    const KIND: &'static str = "install.v2";
    const FILLS_DISK: bool = true;
    const HAS_UNDO: bool = false;
    const HAS_FINISH: bool = true;
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
        if inspected.unchanged {
            cx.idle();
            return Ok(Installed::default());
        }
        let node = node::of(&inspected.recipe, cx).await?;
        let installed = self.install(cx, inspected, node.as_deref()).await?;
        Ok(Installed { node, ..installed })
    }

    async fn undo(&self, (): &(), _: &Cx) -> Result<(), Fault> {
        Ok(())
    }

    /// What a deployment made goes here, for its job is taken back without the workspace. Half a shared environment is
    /// useless. If this fails, the next build removes it.
    async fn finish(&self, (): &(), cx: &Cx) -> Result<(), Fault> {
        if cx.is_taken_back()
            && self.follows.is_some()
            && !is_unchanged(cx)
            && let Ok(inspected) = cx.output::<Inspect>()
            && inspected.recipe.environment.is_in_workspace()
        {
            purge(&self.venv(cx), cx).await?;
        }
        if cx.is_taken_back()
            && let Ok(inspected) = cx.output::<Inspect>()
            && let Environment::Shared { key, .. } = inspected.recipe.environment
            && let Some(_turn) = cx.try_turn(builds(cx))
        {
            Shared::of(cx, key).discard_half(cx).await;
        }
        Ok(())
    }
}

impl InstallDependencies {
    /// Installs with this folder of Node's programs, where it is not the system's.
    async fn install(
        &self,
        cx: &Cx,
        inspected: Inspected,
        node: Option<&Path>,
    ) -> Result<Installed, Fault> {
        let project = cx.project()?;
        let app = project.app.dir();
        Ok(match inspected.recipe.environment.clone() {
            Environment::None => Installed::default(),
            Environment::Ready(path) => Installed {
                path: Some(ready(path)?),
                ..Installed::default()
            },
            Environment::Shared {
                key,
                dependencies,
                local,
                install,
            } => {
                let shared = Shared::of(cx, key);
                let is_sound = shared.look(cx).await? == Condition::Sound;
                if !is_sound
                    && !self
                        .share(cx, &shared, (&dependencies, &install), node)
                        .await?
                {
                    cx.note(
                        "what app.install makes in the tree works nowhere else: it is not shared",
                    );
                    return self
                        .own(cx, inspected, (dependencies, local, install), node)
                        .await;
                }
                self.use_shared(cx, shared, (&dependencies, local), app)
                    .await?
            }
            Environment::Own {
                key,
                dependencies,
                local,
                install,
            } => {
                // Base may have gone on since, or have gone back.
                let shared = key.map(|key| Shared::of(cx, key));
                if let Some(shared) = shared.filter(Shared::is_complete)
                    && shared.look(cx).await? == Condition::Sound
                {
                    return self
                        .use_shared(cx, shared, (&dependencies, local), app)
                        .await;
                }
                self.own(cx, inspected, (dependencies, local, install), node)
                    .await?
            }
        })
    }
}

impl InstallDependencies {
    /// Takes packages that lie ready for all workspaces.
    async fn use_shared(
        &self,
        cx: &Cx,
        shared: Shared,
        (dependencies, local): (&[Dependencies], bool),
        app: &Path,
    ) -> Result<Installed, Fault> {
        self.place_in_tree(cx, &shared.target, false).await?;
        let installed = Installed::of(shared.target.clone(), dependencies, app);
        Ok(match local || shared.is_without_local()? {
            false => installed,
            true => Installed {
                path: Some(self.install_local(cx, Some(&shared.target)).await?),
                shared: Some(shared.target),
                ..installed
            },
        })
    }
}

/// The project's turn to build. All its builds run as one user, and processes of one user can signal each
/// other and, on a kernel without Landlock, change each other.
pub(super) fn builds(cx: &Cx) -> Resource {
    Resource::Builds(cx.project_name().clone())
}

/// Builds, bringing in uv or a Python if they are missing, and returns the core that it used. No core is held while
/// they are brought in.
pub(super) async fn build(
    cx: &Cx,
    identity: Identity,
    mut request: BuildPackages,
) -> Result<(Turn, Built), Fault> {
    let has_python = |kind: &Dependencies| kind.is_python();
    if request.dependencies.is_empty() || request.dependencies.iter().any(has_python) {
        python::bring(cx).await?;
    }
    let core = cx.turn(Resource::Core).await?;
    let mut built = cx.ask(identity.clone(), request.clone()).await?;
    let mut core = Some(core);
    // Each is wanted once at most.
    for _ in 0..2 {
        match built {
            Built::WantsUv => {
                drop(core.take());
                if let Err(fault) = bring_uv(cx, &request.tools_dir).await {
                    if fault.cancelled {
                        return Err(fault);
                    }
                    cx.line(format!("{fault}; going on with pip")).await;
                }
                request.or_pip = true;
            }
            Built::WantsPython(minor) => {
                drop(core.take());
                python::fetch(minor, cx).await?;
                request.python = Some(format!("3.{minor}"));
            }
            Built::Complete | Built::NotShared => break,
        }
        let again = cx.turn(Resource::Core).await?;
        core = Some(again);
        built = cx.ask(identity.clone(), request.clone()).await?;
    }
    match core {
        Some(core) => Ok((core, built)),
        None => Ok((cx.turn(Resource::Core).await?, built)),
    }
}

/// In a sandbox: where that person has settings of installers.
pub(super) fn add_settings_of_person(cx: &Cx, env: &mut BTreeMap<String, String>) {
    if let Some(folder) = settings_of_person(cx) {
        env.entry("XDG_CONFIG_HOME".to_owned())
            .or_insert_with(|| folder.to_string_lossy().into_owned());
    }
}

/// Runs as an account that runs no repository's code: a builder could leave a different uv for the next
/// build.
async fn bring_uv(cx: &Cx, tools_dir: &Path) -> Result<(), Fault> {
    let _turn = cx.turn(Resource::Tools).await?;
    let tools_dir = tools_dir.to_owned();
    // Shared by all projects, so no project's settings apply.
    let env = network();
    cx.ask(Identity::Tools, BringUv { tools_dir, env }).await
}

/// Whether the operator's commands name uv, on their own or in a line for a shell.
pub(super) fn mentions_uv(commands: &[Vec<String>]) -> bool {
    let names = |word: &String| {
        word.split(|c: char| !c.is_ascii_alphanumeric())
            .any(|part| ["uv", "uvx"].contains(&part))
    };
    commands.iter().flatten().any(names)
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
    /// Builds an environment for all, unless another job has built it meanwhile; `false`: it cannot be for all.
    async fn share(
        &self,
        cx: &Cx,
        shared: &Shared,
        (dependencies, install): (&[Dependencies], &[Vec<String>]),
        node: Option<&Path>,
    ) -> Result<bool, Fault> {
        if shared.cannot_be() {
            return Ok(false);
        }
        let _turn = cx.turn(builds(cx)).await?;
        match shared.look(cx).await? {
            Condition::Sound => return Ok(true),
            Condition::Incomplete => {}
            Condition::Damaged(damage) => cx.note(format!(
                "the packages in {} are not as they were installed ({damage}): they were installed again",
                shared.target.display()
            )),
        }
        fs::remove_file(&shared.mark)?;
        // Ends what an earlier build left running, if its job has not ended yet or its daemon was killed.
        cx.sys().helpers.end_builds(cx.project_name()).await?;
        shared.make_place(cx)?;
        let mut request = self.request(cx, dependencies, &shared.target, None)?;
        if dependencies.is_empty() {
            request.or_pip = !mentions_uv(install);
            request.own_home = true;
            add_settings_of_person(cx, &mut request.env);
        }
        request.install = install.to_owned();
        request.node = node.map(Path::to_owned);
        let builder = cx.builder(&shared.key);
        let (_core, built) = build(cx, builder.clone(), request).await?;
        let marks = cx.sys().layout.package_marks(cx.project_name());
        fs::make_dir(&marks, 0o755)?;
        if built == Built::NotShared {
            shared.note_that_it_cannot_be()?;
            return Ok(false);
        }
        let target = shared.target.clone();
        cx.ask(builder, SealPackages { target }).await?;
        fs::write_atomic(&shared.mark, b"", 0o644)?;
        Ok(true)
    }

    /// From the base branch, which declares the same as any that shares its environment.
    pub(super) fn request(
        &self,
        cx: &Cx,
        dependencies: &[Dependencies],
        target: &Path,
        values: Option<&Values>,
    ) -> Result<BuildPackages, Fault> {
        Ok(BuildPackages {
            mirror: self.mirror.clone(),
            commit: cx.output::<Inspect>()?.base,
            app_dir: cx.project()?.app.dir().to_owned(),
            dependencies: dependencies.to_owned(),
            install: Vec::new(),
            node: None,
            python: cx.project()?.app.python.as_ref().map(PythonVersion::text),
            target: target.to_owned(),
            tools_dir: cx.sys().layout.tools_dir(),
            or_pip: false,
            may_bring_python: cx.may_fetch_python(),
            own_home: cx.sys().is_host(),
            env: for_installers(&*cx.project()?, values),
        })
    }

    /// Puts into the tree what belongs there. Where files are linked, they are those of all workspaces.
    pub(super) async fn place_in_tree(
        &self,
        cx: &Cx,
        environment: &Path,
        moves: bool,
    ) -> Result<(), Fault> {
        let request = PlacePackages {
            environment: environment.to_owned(),
            tree: self.directory.join(TREE),
            moves,
            alone: is_of_build(cx),
        };
        let placed = cx.ask(cx.user(), request).await?;
        if placed.linked + placed.copied > 0 {
            let Placed { linked, copied, .. } = placed;
            cx.line(format!(
                "packages in the tree: {linked} files linked, {copied} copied"
            ))
            .await;
        }
        for path in placed.left {
            cx.note(format!(
                "{} in the tree is not cid's and stays as it is: what is declared may not be installed there",
                path.display()
            ));
        }
        Ok(())
    }
}

pub(super) fn is_of_build(cx: &Cx) -> bool {
    matches!(cx.user(), Identity::Builder(..))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uv_is_wanted_by_commands_that_name_it() {
        let mentions = |words: &[&str]| {
            let words = words.iter().map(|&word| word.to_owned()).collect();
            mentions_uv(&[vec!["true".to_owned()], words])
        };
        for words in [
            &["uv", "sync"][..],
            &["sh", "-c", "cd a && uv sync"],
            &["./bin/uvx", "x"],
        ] {
            assert!(mentions(words), "{words:?}");
        }
        for words in [
            &["npm", "ci"][..],
            &["pip", "install", "uvicorn"],
            &["./uvloop.sh"],
        ] {
            assert!(!mentions(words), "{words:?}");
        }
    }
}
