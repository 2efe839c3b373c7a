//! `cictl prune`

use super::{Cx, Outcome};
use crate::ui::{left, table};
use cid_client::Exit;
use clap::Args;

/// Remove what is kept and nobody uses: packages, builds, templates, versions of Node
///
/// A project keeps its ten newest builds, those that its stages run or can go back to, its newest template, and the
/// packages of its workspaces, stages and builds. Packages and templates of a project with a running job stay. What
/// is removed is made again when it is wanted.
#[derive(Debug, Args)]
pub(super) struct Prune {
    /// Which project's; without it all projects', and versions of Node
    #[arg(short, long)]
    project: Option<String>,
    /// Say what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,
}

impl Prune {
    pub(super) async fn run(self, cx: &Cx) -> Outcome {
        let client = cx.connect().await?;
        let unused = client.prune(self.project.as_deref(), self.dry_run).await?;
        cx.print(&unused, || table::unused(&unused))?;
        let (kept, gone): (Vec<_>, Vec<_>) = unused.iter().partition(|one| one.kept.is_some());
        let bytes = gone.iter().map(|one| one.bytes).sum();
        let what = if self.dry_run { "would free" } else { "freed" };
        cx.say(&format!("{what} {}", left::size(bytes)));
        Ok(match kept.is_empty() {
            true => Exit::Done,
            false => Exit::Failed,
        })
    }
}
