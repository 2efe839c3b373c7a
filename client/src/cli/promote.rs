//! `cictl promote`

use super::{Cx, Failure, Outcome, follow};
use crate::ui::text;
use cid_client::{Client, Deploying, Exit};
use clap::Args;

/// Deploy a build to a stage
///
/// A build is taken that passed its tests and, where the stage has `after`, ran in that stage. The very files that were
/// tested run. Visitors have what ran before until the build answers. Exit status 5 says that the build may not, and
/// why, or that another deployment is under way.
#[derive(Debug, Args)]
pub(super) struct Promote {
    /// The stage
    stage: String,
    /// The build's number; by default the newest that may
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    build: Option<u32>,
    /// Which project's; may be left out where there is only one it can be
    #[arg(short, long)]
    project: Option<String>,
    /// Also where the build is older than the one that runs
    #[arg(long)]
    older: bool,
    /// Start the job and do not wait for its end
    #[arg(long)]
    no_wait: bool,
}

impl Promote {
    pub(super) async fn run(self, cx: &Cx) -> Outcome {
        let client = cx.connect().await?;
        let project = self.project.as_deref();
        let begun = client
            .promote(project, &self.stage, self.build, self.older)
            .await?;
        finish(cx, &client, project, &self.stage, begun, self.no_wait).await
    }
}

/// Follows the deployment, and prints the stage as it is then.
pub(super) async fn finish(
    cx: &Cx,
    client: &Client,
    project: Option<&str>,
    stage: &str,
    begun: Deploying,
    no_wait: bool,
) -> Outcome {
    for note in &begun.notes {
        cx.say(&text::clean(note));
    }
    if no_wait {
        cx.print(&client.job(&begun.job).await?, || {
            follow::started(&begun.job)
        })?;
        return Ok(Exit::Done);
    }
    let job = follow::to_success(cx, client, &begun.job).await?;
    cx.say(&format!(
        "build {} runs in {stage} after {}",
        begun.build,
        text::took_by(&job)
    ));
    let stages = client.stages(project).await?;
    let mut found = stages.iter().filter(|one| one.name == stage);
    let shown = found.find(|one| one.project == job.project);
    let shown = shown
        .ok_or_else(|| Failure::Io("cannot show the stage", std::io::ErrorKind::NotFound.into()))?;
    cx.print(shown, || shown.url.clone())?;
    Ok(Exit::Done)
}
