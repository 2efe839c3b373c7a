//! Packages of one workspace alone, in its own folder.

use super::{
    InstallDependencies,
    ended::judge,
    inspect::Inspected,
    install::{add_settings_of_person, build, is_of_build, mentions_uv},
    installed::{Installed, joined},
    make_account::made,
    make_directory::{HOME, OTHER_VENV, TMP, TREE, VENV},
    network::for_installers,
    variables::values,
};
use crate::{config::Values, engine::Cx, system::queue::Resource};
use cid_kernel::fs;
use cid_protocol::{
    fault::Fault,
    request::{BuildPackages, Dependencies, InstallLocal, RunCommand},
    run_file::RunFile,
};
use std::path::{Path, PathBuf};

impl InstallDependencies {
    /// Installs for this workspace alone.
    pub(super) async fn own(
        &self,
        cx: &Cx,
        inspected: Inspected,
        (dependencies, local, install): (Vec<Dependencies>, bool, Vec<Vec<String>>),
        node: Option<&Path>,
    ) -> Result<Installed, Fault> {
        let project = cx.project()?;
        let app = project.app.dir();

        let packages = inspected.made_from.packages.as_deref();
        if let Some(same) = self.same(packages, &dependencies, cx) {
            return Ok(Installed::of(same, &dependencies, app));
        }
        let target = self.place(cx)?;
        let values = of_workspace(cx).await?;
        let of = values.as_ref();
        let request = BuildPackages {
            or_pip: dependencies.is_empty() && !mentions_uv(&install),
            node: node.map(Path::to_owned),
            ..self.request(cx, &dependencies, &target, of)?
        };
        // The clone's files as they are, which the mirror does not have.
        let request = match inspected.made_from.snapshot {
            None => BuildPackages {
                commit: inspected.commit,
                ..request
            },
            Some(commit) => BuildPackages {
                mirror: self.directory.join(TREE).join(".git"),
                commit,
                ..request
            },
        };
        let (core, _) = build(cx, cx.user(), request).await?;
        for command in install {
            self.run(cx, command, (&target, node)).await?;
        }
        drop(core);
        if local {
            self.install_local(cx, None).await?;
        }
        self.place_in_tree(cx, &target, true).await?;
        Ok(Installed::of(target, &dependencies, app))
    }

    /// An environment of the workspace's own: another one than that of the instance that serves.
    pub(super) fn venv(&self, cx: &Cx) -> PathBuf {
        let present = self.follows.as_ref().and_then(|present| {
            let run_file = RunFile::read(&cx.sys().layout.run_file(present)).ok()?;
            run_file.own_environment(&self.directory)
        });
        let venv = self.directory.join(VENV);
        match present == Some(venv.clone()) {
            true => self.directory.join(OTHER_VENV),
            false => venv,
        }
    }

    /// The same, with a folder that its user can write to.
    fn place(&self, cx: &Cx) -> Result<PathBuf, Fault> {
        let venv = self.venv(cx);
        if let (Some(_), Some(made)) = (&self.follows, made(cx)) {
            fs::make_dir(&venv, 0o770)?;
            fs::give_to(&venv, made.account.uid, made.account.uid)?;
        }
        Ok(venv)
    }

    /// The environment of the instance that serves, if the same is installed there.
    fn same(&self, packages: Option<&str>, kinds: &[Dependencies], cx: &Cx) -> Option<PathBuf> {
        let run_file = RunFile::read(&cx.sys().layout.run_file(self.follows.as_ref()?)).ok()?;
        let is_same = packages.is_some() && run_file.made_from.packages.as_deref() == packages;
        // All of them are in the tree.
        let has_none = || {
            let lies_in_tree = |kind: &Dependencies| !kind.is_python() && kind.beside().is_none();
            kinds.iter().all(lies_in_tree).then(|| self.venv(cx))
        };
        run_file
            .own_environment(&self.directory)
            .or_else(has_none)
            .filter(|_| is_same)
    }

    /// Installs packages of the repository from the workspace's tree, into an environment of its own.
    pub(super) async fn install_local(
        &self,
        cx: &Cx,
        shared: Option<&Path>,
    ) -> Result<PathBuf, Fault> {
        let environment = self.place(cx)?;
        let request = InstallLocal {
            environment: environment.clone(),
            shared: shared.map(Path::to_owned),
            tree: self.directory.join(TREE),
            app_dir: cx.project()?.app.dir().to_owned(),
            tools_dir: cx.sys().layout.tools_dir(),
            own_home: cx.sys().is_host(),
            env: for_installers(&*cx.project()?, of_workspace(cx).await?.as_ref()),
        };
        let _core = cx.turn(Resource::Core).await?;
        for note in cx.ask(cx.user(), request).await?.notes {
            cx.note(note);
        }
        Ok(environment)
    }

    /// One of the operator's own install commands.
    async fn run(
        &self,
        cx: &Cx,
        command: Vec<String>,
        (environment, node): (&Path, Option<&Path>),
    ) -> Result<(), Fault> {
        let project = cx.project()?;
        let mut env = for_installers(&project, of_workspace(cx).await?.as_ref());
        add_settings_of_person(cx, &mut env);
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let bins = [environment.join("bin")].into_iter();
        let bins = bins.chain(node.map(Path::to_owned));
        env.extend([
            ("PATH".to_owned(), joined(bins)),
            ("HOME".to_owned(), text(&self.directory.join(HOME))),
            ("TMPDIR".to_owned(), text(&self.directory.join(TMP))),
            ("VIRTUAL_ENV".to_owned(), text(environment)),
            ("UV_PROJECT_ENVIRONMENT".to_owned(), text(environment)),
            // Hard links into a cache would let everyone who may write here reach other people's files.
            ("UV_LINK_MODE".to_owned(), "copy".to_owned()),
        ]);
        let shown = command.join(" ");
        cx.line(format!("$ {shown}")).await;
        let dir = self.directory.join(TREE).join(project.app.dir());
        let request = RunCommand {
            command,
            dir,
            env,
            alone: is_of_build(cx),
        };
        let exited = cx.ask(cx.user(), request).await?;
        let hint =
            "see its last lines of output; mend the repository or app.install in the project file";
        judge(exited, "install dependencies", &shown, hint)
    }
}

/// What differs from workspace to workspace; `None`: there is none, a build or a template is made.
async fn of_workspace(cx: &Cx) -> Result<Option<Values>, Fault> {
    match is_of_build(cx) {
        true => Ok(None),
        false => values(None, cx).await.map(Some),
    }
}
