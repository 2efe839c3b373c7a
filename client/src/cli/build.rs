//! `cictl build`

use super::{Cx, Outcome, follow};
use crate::ui::table;
use cid_client::{BuildState, Exit};
use clap::Args;

/// Build and test a commit
///
/// A commit that has been built by the same commands is not built again. Exit status 1 says that its tests
/// failed, or that it could not be built.
#[derive(Debug, Args)]
pub(super) struct Build {
    /// A branch, a tag or the beginning of a commit's name; by default the base branch
    revision: Option<String>,
    /// Which project's; may be left out where there is only one it can be
    #[arg(short, long)]
    project: Option<String>,
    /// Build although there is a build of the same commit
    #[arg(long)]
    again: bool,
    /// Start the job and do not wait for its end
    #[arg(long)]
    no_wait: bool,
}

impl Build {
    pub(super) async fn run(self, cx: &Cx) -> Outcome {
        let client = cx.connect().await?;
        let (build, is_new) = client
            .build(
                self.project.as_deref(),
                self.revision.as_deref(),
                self.again,
            )
            .await?;
        if !is_new {
            cx.say(&format!(
                "build {} is of the same commit; --again builds it anew",
                build.id
            ));
        }
        if self.no_wait {
            cx.print(&build, || match is_new {
                true => follow::started(&build.job),
                false => table::build(&build),
            })?;
            return Ok(Exit::Done);
        }
        if matches!(
            build.state,
            BuildState::Queued | BuildState::Building | BuildState::Testing
        ) {
            follow::to_success(cx, &client, &build.job).await?;
        }
        let build = client.show_build(Some(&build.project), build.id).await?;
        cx.print(&build, || table::build(&build))?;
        Ok(match build.state {
            BuildState::Passed => Exit::Done,
            _ => Exit::Failed,
        })
    }
}
