//! Finds out what the commit needs: dependencies, release commands, processes.

use super::{Fetch, TREE, UpdateTree};
use crate::{
    config::{NodeRange, Project, Projects, PythonVersion},
    domain::UnitName,
    engine::{Cx, Step},
    recipe::{self, Over, Recipe, SETTINGS, near_misses},
    system::{
        nginx::project_site,
        probe::{App, is_served},
        supervisor::Process,
        view,
    },
};
use cid_kernel::fs;
use cid_protocol::{
    fault::{Fault, FaultContext},
    request::{self, SUBMODULES, WantedPython},
    run_file::{MadeFrom, RunFile, WEB},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{path::PathBuf, sync::Arc};
use tokio::task::spawn_blocking;

/// Finds out what the commit needs.
#[derive(Serialize, Deserialize)]
pub struct Inspect {
    /// The bare mirror.
    pub mirror: PathBuf,
    /// The commit to look at; `None`: the one that [`Fetch`] found.
    #[serde(default)]
    pub commit: Option<String>,
    /// For a deployment: the clone's files as they are count, not a commit.
    #[serde(default)]
    pub clone: Option<Deployed>,
}

/// The workspace that is deployed.
#[derive(Serialize, Deserialize)]
pub struct Deployed {
    /// `WORK_DIR/NAME`.
    pub directory: PathBuf,
    /// The instance that answers now.
    pub present: UnitName,
}

/// What was found.
#[derive(Serialize, Deserialize)]
pub struct Inspected {
    /// The commit that was looked at and will be checked out.
    pub commit: String,
    /// The base branch's commit.
    pub base: String,
    /// What to install, release and run.
    pub recipe: Recipe,
    /// Which Python it asks for.
    #[serde(default)]
    pub python: WantedPython,
    /// What the instance is made from.
    pub made_from: MadeFrom,
    /// The instance that answers is made from the same and runs: there is nothing to do.
    pub unchanged: bool,
    /// What is likely to keep it from answering, and what to write.
    #[serde(default)]
    pub near: Vec<String>,
}

/// A fault in what is run, with what the repository's texts say of its likely cause.
pub(super) fn with_likely_causes(fault: Fault, cx: &Cx) -> Fault {
    let near = cx.output::<Inspect>().map(|found| found.near);
    let near = near.unwrap_or_default();
    if fault.cancelled || near.is_empty() {
        return fault;
    }
    let hint = fault
        .hint
        .map(|hint| format!("{hint}\n"))
        .unwrap_or_default();
    Fault {
        hint: Some(format!("{hint}likely: {}", near.join("\nlikely: "))),
        ..fault
    }
}

/// Whether this job is a deployment that has nothing to do.
pub(super) fn is_unchanged(cx: &Cx) -> bool {
    let unchanged = cx.output::<Inspect>().is_ok_and(|found| found.unchanged);
    if unchanged {
        cx.idle();
    }
    unchanged
}

impl Step for Inspect {
    const KIND: &'static str = "inspect.v2";
    const HAS_UNDO: bool = false;
    type Before = ();
    type Output = Inspected;

    fn label(&self) -> String {
        "find out what it needs".into()
    }

    async fn observe(&self, _: &Cx) -> Result<(), Fault> {
        Ok(())
    }

    async fn apply(&self, (): &(), cx: &Cx) -> Result<Inspected, Fault> {
        let project = cx.project()?;
        let (commit, base) = match &self.commit {
            // Its packages are what it declares itself.
            Some(commit) => (commit.clone(), commit.clone()),
            None => {
                let fetched = cx.output::<Fetch>()?;
                let branch = fetched.branch.unwrap_or_else(|| fetched.base.clone());
                (branch, fetched.base)
            }
        };
        let request = |mirror, commit| request::Inspect {
            mirror,
            commit,
            base: base.clone(),
            trunk: self.commit.is_some().then(|| project.git.base.to_string()),
            app_dir: project.app.dir().to_owned(),
            given: recipe::given(&project),
            install: recipe::install(&project),
            python: project.app.python.as_ref().map(PythonVersion::text),
            settings: recipe::settings(&project),
            node: project.app.node.as_ref().map(NodeRange::text),
        };
        let (commit, fingerprint, snapshot, inspection) = match &self.clone {
            None => {
                let request = request(self.mirror.clone(), commit.clone());
                let inspection = cx.ask(cx.git(), request).await?;
                (commit.clone(), commit, None, inspection)
            }
            Some(deployed) => {
                let state = cx.output::<UpdateTree>()?;
                let git = deployed.directory.join(TREE).join(".git");
                let request = request(git, state.snapshot.clone());
                let inspection = cx.ask(cx.user(), request).await?;
                let snapshot = Some(state.snapshot);
                (state.commit, state.fingerprint, snapshot, inspection)
            }
        };
        if !inspection.found.is_empty() {
            cx.line(format!("found {}", inspection.found.join(", ")))
                .await;
        }
        if !Projects::is_as_on_disk(&project) {
            cx.note(format!(
                "{} has changed since it was read: `cictl project check {}` reads it",
                project.file.display(),
                project.name
            ));
        }
        for note in &inspection.notes {
            cx.note(note);
        }
        if !inspection.submodules.is_empty() {
            let all = inspection.submodules.join(", ");
            cx.note(format!("{SUBMODULES}{all} stays empty"));
        }
        let recipe = Recipe::new(&project, &inspection)?;
        let recipe = match project_site::workspaces(cx.sys(), &project) {
            Some(_) => recipe,
            None => recipe.on_port(&project, &inspection),
        };
        if !recipe.own.is_empty() {
            let own = recipe.own.iter();
            let own: Vec<String> = own
                .map(|(name, value)| format!("{name} ({})", value.told()))
                .collect();
            cx.line(format!("sets by itself {}", own.join(", "))).await;
        }
        if let Some(over) = &recipe.over {
            cx.note(format!(
                "the settings {} refuse the workspaces' visitors: {}.py lies over them, with {}",
                over.module,
                Over::MODULE,
                over.lines.join(", ")
            ));
        }
        let near = near_misses(&project, &inspection, &recipe).into_iter();
        let near = near
            .filter(|near| near.is_fatal)
            .map(|near| format!("{}; {}", near.message, near.mend))
            .collect();
        let in_folders = recipe.web_on_socket || project.nginx.collected.is_some();
        if in_folders && cx.sys().is_host() {
            // Early: nothing has been installed yet.
            let layout = &cx.sys().layout;
            view::of(layout, &Projects::work_dir(&project, &layout.work_root))?;
        }
        let made_from = MadeFrom {
            digest: digest(&fingerprint, &recipe, &project)?,
            snapshot,
            packages: recipe::packages(&project, &inspection),
            keys: project.keys.clone(),
            own: recipe
                .own
                .keys()
                .cloned()
                .chain(recipe.over.iter().map(|_| SETTINGS.to_owned()))
                .collect(),
        };
        let unchanged = match &self.clone {
            None => false,
            Some(deployed) => is_running(&deployed.present, &made_from, cx).await,
        };
        if unchanged {
            cx.idle();
            cx.note("nothing has changed since the last deployment: the processes run on");
        }
        Ok(Inspected {
            commit,
            base,
            recipe,
            python: inspection.python,
            made_from,
            unchanged,
            near,
        })
    }

    async fn undo(&self, (): &(), _: &Cx) -> Result<(), Fault> {
        Ok(())
    }
}

/// A hash over all that an instance is made from.
fn digest(fingerprint: &str, recipe: &Recipe, project: &Project) -> Result<String, Fault> {
    let mut hash = Sha256::new();
    let recipe = serde_json::to_string(recipe).cannot("note what was found")?;
    for text in [fingerprint, &recipe, &project.digest] {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    }
    // The others are in the tree.
    let templates = project
        .files
        .iter()
        .filter_map(|file| file.template.as_ref());
    for template in templates.filter(|template| template.is_absolute()) {
        let text = fs::read_optional(template)?.unwrap_or_default();
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    }
    Ok(data_encoding::HEXLOWER.encode(&hash.finalize()))
}

/// Whether an instance is made from the same, all its processes run, and nobody else has its port.
async fn is_running(instance: &UnitName, made_from: &MadeFrom, cx: &Cx) -> bool {
    let Ok(run_file) = RunFile::read(&cx.sys().layout.run_file(instance)) else {
        return false;
    };
    let Ok(processes) = cx.sys().supervisor.processes(instance).await else {
        return false;
    };
    let is_up = !processes.is_empty() && processes.iter().all(Process::is_up);
    if run_file.made_from.digest != made_from.digest || !is_up {
        return false;
    }
    let App::Port(port) = App::of(&run_file) else {
        return true;
    };
    let Some(web) = processes.iter().find(|process| process.name == WEB) else {
        return true;
    };
    let pids: Vec<u32> = web.pid.into_iter().collect();
    let probe = Arc::clone(&cx.sys().probe);
    // An app that still starts listens nowhere.
    let is_its_own =
        move || probe.port_is_free(port) || is_served(probe.as_ref(), &run_file, &pids, port);
    spawn_blocking(is_its_own).await.unwrap_or(true)
}
