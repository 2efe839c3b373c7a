//! Makes what new workspaces begin with.

use super::{
    Inspect, InstallDependencies,
    ended::judge,
    install::builds,
    make_build_folder::make_for_builder,
    make_directory::{HOME, TMP, TREE, VENV, purge},
    run_build::surroundings,
    variables::{filled_in, own_variables},
};
use crate::{
    config::{Limits, Project, Values},
    domain::{Packages, Verdict},
    engine::{Cx, Step},
    recipe::{OwnValue, Recipe, Templated, templated},
    system::queue::Resource,
};
use cid_kernel::fs;
use cid_protocol::{
    environment::network,
    fault::Fault,
    request::{self, RunCommand, TakeMade, TakenMade},
    run_file::ProcessCommand,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::PathBuf, time::Duration};

/// Runs the commands that come before a workspace's first start, in a tree that nobody uses, and keeps what they
/// made. That workspaces cannot share it is no failure of the job: it is the verdict.
#[derive(Serialize, Deserialize)]
pub struct MakeTemplate {
    /// The bare mirror.
    pub mirror: PathBuf,
    /// The base branch's.
    pub commit: String,
    /// The template's folder, with the commit's files.
    pub directory: PathBuf,
}

/// In a template's folder: what the commands made.
pub const MADE: &str = "made";
/// The same until it is whole.
const PART: &str = "made.part";
/// Says that commands have begun: what an attempt that was killed left is thrown away.
const BEGUN: &str = "begun";
/// Nothing is served from a template.
const NO_PORT: u16 = 9;

impl Step for MakeTemplate {
    const KIND: &'static str = "make-template.v1";
    const FILLS_DISK: bool = true;
    const HAS_UNDO: bool = false;
    type Before = ();
    type Output = ();

    fn label(&self) -> String {
        "make the template".into()
    }

    fn limit(&self, limits: &Limits) -> Duration {
        *limits.install + *limits.release
    }

    async fn observe(&self, _: &Cx) -> Result<(), Fault> {
        Ok(())
    }

    async fn apply(&self, (): &(), cx: &Cx) -> Result<(), Fault> {
        let kept = self.directory.join(MADE);
        let refusal = match fs::exists(&kept) {
            // An earlier attempt's.
            true => None,
            false => self.make(cx).await?,
        };
        let template = cx.build().await?;
        let message = match &refusal {
            None => "new workspaces begin with it".to_owned(),
            Some(why) => format!("new workspaces run the commands themselves: {why}"),
        };
        cx.note(&message);
        if refusal.is_none() {
            let made_from = cx.output::<Inspect>()?.made_from.digest;
            let store = cx.store();
            store
                .set_sealed(template.id, made_from, Packages::default())
                .await?;
        }
        let verdict = Verdict {
            passed: refusal.is_none(),
            message,
            ..Verdict::default()
        };
        cx.store().set_verdict(template.id, verdict).await?;
        for name in [TREE, VENV, HOME, TMP, PART] {
            purge(&self.directory.join(name), cx).await?;
        }
        Ok(())
    }

    async fn undo(&self, (): &(), _: &Cx) -> Result<(), Fault> {
        Ok(())
    }
}

impl MakeTemplate {
    /// Why workspaces cannot share what the commands made; `None`: it is kept.
    async fn make(&self, cx: &Cx) -> Result<Option<String>, Fault> {
        let (project, recipe) = (cx.project()?, cx.output::<Inspect>()?.recipe);
        let Some(why) = templated(&project, &recipe) else {
            return Ok(Some(
                "the project file does not ask for a template any more".into(),
            ));
        };
        // All its builds run as one user, and one template's commands are no business of another's.
        let _turn = cx.turn(builds(cx)).await?;
        self.begin(cx).await?;
        let (env, own) = self.environment(&project, &recipe, cx)?;
        self.run(&project, recipe, &env, cx).await?;
        let part = self.directory.join(PART);
        purge(&part, cx).await?;
        make_for_builder(&part, 0o755, cx)?;
        let take = TakeMade {
            mirror: self.mirror.clone(),
            commit: self.commit.clone(),
            tree: self.directory.join(TREE),
            home: self.directory.join(HOME),
            target: part.clone(),
            own,
            careful: why == Templated::ByItself,
        };
        let TakenMade {
            files,
            bytes,
            refusal,
        } = cx.ask(cx.user(), take).await?;
        if refusal.is_none() {
            fs::rename_new(&part, &self.directory.join(MADE))?;
            cx.line(format!("{files} files, {bytes} bytes")).await;
        }
        Ok(refusal)
    }

    /// What an attempt that was killed left would be taken for the commands' own.
    async fn begin(&self, cx: &Cx) -> Result<(), Fault> {
        let begun = self.directory.join(BEGUN);
        if !fs::exists(&begun) {
            return fs::write_atomic(&begun, b"", 0o644);
        }
        for (name, mode) in [(HOME, 0o700), (TMP, 0o700), (TREE, 0o755)] {
            let folder = self.directory.join(name);
            purge(&folder, cx).await?;
            make_for_builder(&folder, mode, cx)?;
        }
        let export = request::ExportCommit {
            mirror: self.mirror.clone(),
            commit: self.commit.clone(),
            target: self.directory.join(TREE),
        };
        cx.ask(cx.user(), export).await?;
        let installed = cx.output::<InstallDependencies>()?;
        let place = InstallDependencies {
            mirror: self.mirror.clone(),
            directory: self.directory.clone(),
            follows: None,
        };
        match installed.packages {
            Some(packages) => place.place_in_tree(cx, &packages, false).await,
            None => Ok(()),
        }
    }

    async fn run(
        &self,
        project: &Project,
        recipe: Recipe,
        env: &BTreeMap<String, String>,
        cx: &Cx,
    ) -> Result<(), Fault> {
        let values = self.values(project, cx);
        let build = recipe.build.into_iter().map(ProcessCommand::Arguments);
        let seed = project.app.seed.iter();
        let seed = seed.map(|command| ProcessCommand::Arguments(command.words().to_vec()));
        let _core = cx.turn(Resource::Core).await?;
        for command in build.chain(recipe.release).chain(seed) {
            let (shown, command) = shown(filled_in(command, &values));
            cx.line(format!("$ {shown}")).await;
            let request = RunCommand {
                command,
                dir: project.app.inside(&self.directory.join(TREE)),
                env: env.clone(),
                alone: true,
            };
            let hint = "see its last lines of output; workspaces run it themselves meanwhile; what needs one is for `personal` \
                 in [app] of the project file, and template = false there makes no template";
            judge(
                cx.ask(cx.user(), request).await?,
                "make the template",
                &shown,
                hint,
            )?;
        }
        Ok(())
    }

    /// The commands' variables, and those of their values that no workspace may get.
    fn environment(
        &self,
        project: &Project,
        recipe: &Recipe,
        cx: &Cx,
    ) -> Result<(BTreeMap<String, String>, Vec<String>), Fault> {
        let values = self.values(project, cx);
        // It only lets visitors in, and a template has no visitors.
        let recipe = Recipe {
            over: None,
            ..recipe.clone()
        };
        let own = own_variables(project, &values, &recipe, None)?;
        let made_up = recipe
            .own
            .iter()
            .filter(|(_, value)| **value == OwnValue::Secret);
        let made_up = made_up.filter_map(|(name, _)| own.get(name).cloned());
        let alone = made_up.chain([values.name, values.directory]).collect();
        let mut env = network();
        env.extend(surroundings(&self.directory, cx)?);
        env.extend(own);
        Ok((env, alone))
    }

    /// Those of a workspace that nobody has.
    fn values(&self, project: &Project, cx: &Cx) -> Values {
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        let job = cx.job().simple().to_string();
        let name = format!("template---{}", &job[job.len() - 12..]);
        let host = format!("{name}.{}", &*project.domain);
        Values {
            url: cx.sys().site.url(&host, project.tls.is_some()),
            host,
            email: format!("{name}@template.invalid"),
            name,
            port: Some(NO_PORT),
            socket: text(self.directory.join(TMP).join("web.sock")),
            number: None,
            directory: text(self.directory.clone()),
        }
    }
}

fn shown(command: ProcessCommand) -> (String, Vec<String>) {
    match command {
        ProcessCommand::Arguments(words) => (words.join(" "), words),
        // A Procfile's line is shell by convention.
        ProcessCommand::Shell(line) => (line.clone(), vec!["/bin/sh".into(), "-c".into(), line]),
    }
}
