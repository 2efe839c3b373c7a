//! Builds go on to stages by themselves: what a push made to the stages of its branch, and from stage to stage where
//! `promote` is automatic.

use super::audit;
use crate::{
    authz::{Action, Claim},
    cid::Cid,
    config::Project,
    error::Error,
    operation,
};
use std::time::Duration;
use tokio::time::sleep;

/// How long a build may wait for its next stage.
const PAUSE: Duration = Duration::from_secs(2);

/// Carries builds onward until the daemon stops.
pub async fn carry_forever(cid: Cid) {
    loop {
        tokio::select! {
            () = sleep(PAUSE) => {}
            () = cid.stopping.cancelled() => return,
        }
        let shelf = cid.projects.all();
        let projects = shelf.values().flatten();
        for project in projects.filter(|project| !project.stages.is_empty()) {
            if let Err(error) = carry(&cid, project).await {
                tracing::warn!(
                    PROJECT = project.name.as_str(),
                    "cannot carry builds onward: {error}"
                );
            }
        }
    }
}

/// Each build is tried once in a stage; after a failure a person decides.
async fn carry(cid: &Cid, project: &Project) -> Result<(), Error> {
    for (stage, number) in operation::onward(cid, project).await? {
        let claim = Claim::of_trigger(project.name.clone(), Action::Promote);
        let name = project.name.as_str();
        let number = Some(number);
        match operation::promote(cid, claim, name, stage.as_str(), number, false).await {
            Ok(begun) => {
                let (workspace, job) = (&begun.begun.workspace, begun.begun.job);
                audit::began(cid, &project.name, Action::Promote, Some(workspace), job).await;
            }
            // A person was quicker, or the state is another by now.
            Err(Error::JobInTheWay { .. } | Error::Conflict { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
