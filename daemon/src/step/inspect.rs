//! Finds out what the commit needs: dependencies, release commands, processes.

use super::Fetch;
use crate::{
    config::Projects,
    engine::{Cx, Step},
    recipe::{self, Recipe},
    system::view,
};
use cid_protocol::{fault::Fault, request};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Finds out what the commit needs.
#[derive(Serialize, Deserialize)]
pub struct Inspect {
    /// The bare mirror.
    pub mirror: PathBuf,
    /// The commit to look at; `None`: the one that [`Fetch`] found.
    #[serde(default)]
    pub commit: Option<String>,
}

/// What was found.
#[derive(Serialize, Deserialize)]
pub struct Inspected {
    /// The commit that was looked at and will be checked out.
    pub commit: String,
    /// What to install, release and run.
    pub recipe: Recipe,
}

impl Step for Inspect {
    const KIND: &'static str = "inspect.v1";
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
        let request = request::Inspect {
            mirror: self.mirror.clone(),
            commit: commit.clone(),
            base,
            app_dir: project.app.dir().to_owned(),
            given: recipe::given(&project),
        };
        let inspection = cx.ask(cx.deploy(), request).await?;
        if !inspection.found.is_empty() {
            cx.line(format!("found {}", inspection.found.join(", ")))
                .await;
        }
        for note in &inspection.notes {
            cx.note(note);
        }
        let recipe = Recipe::new(&project, &inspection)?;
        let in_folders = recipe.web_on_socket || project.nginx.collected.is_some();
        if in_folders && cx.sys().accounts.is_some() {
            // Early: nothing has been installed yet.
            let layout = &cx.sys().layout;
            view::of(layout, &Projects::work_dir(&project, &layout.work_root))?;
        }
        Ok(Inspected { commit, recipe })
    }

    async fn undo(&self, (): &(), _: &Cx) -> Result<(), Fault> {
        Ok(())
    }
}
