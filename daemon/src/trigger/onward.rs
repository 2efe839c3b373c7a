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
use std::{collections::BTreeSet, time::Duration};
use tokio::time::sleep;

/// How long a build may wait for its next stage.
const PAUSE: Duration = Duration::from_secs(2);

/// Carries builds onward until the daemon stops.
pub async fn carry_forever(cid: Cid) {
    let mut told = BTreeSet::new();
    loop {
        tokio::select! {
            () = sleep(PAUSE) => {}
            () = cid.stopping.cancelled() => return,
        }
        let shelf = cid.projects.all();
        let mut now = BTreeSet::new();
        let projects = shelf.values().flatten();
        for project in projects.filter(|project| !project.stages.is_empty()) {
            for error in carry(&cid, project).await {
                let known = (project.name.clone(), without_numbers(&error.to_string()));
                if !told.contains(&known) {
                    tracing::warn!(
                        PROJECT = project.name.as_str(),
                        "cannot carry builds onward: {error}"
                    );
                }
                now.insert(known);
            }
        }
        told = now;
    }
}

/// What stays the same when the same thing is in the way again.
fn without_numbers(message: &str) -> String {
    message.chars().filter(|c| !c.is_ascii_digit()).collect()
}

/// Each build is tried once in a stage; after a failure a person decides. What keeps one stage keeps no other.
pub(crate) async fn carry(cid: &Cid, project: &Project) -> Vec<Error> {
    let ready = match operation::onward(cid, project).await {
        Ok(ready) => ready,
        Err(error) => return vec![error],
    };
    let mut errors = Vec::new();
    errors.extend(operation::note_fallen(cid, project).await.err());
    for (stage, number) in ready {
        let claim = Claim::of_trigger(project.name.clone(), Action::Promote);
        let name = project.name.as_str();
        let number = Some(number);
        match operation::promote(cid, claim, name, stage.as_str(), number, false).await {
            Ok(begun) => {
                let (workspace, job) = (&begun.begun.workspace, begun.begun.job);
                let build = Some(begun.build);
                let action = Action::Promote;
                audit::began(cid, &project.name, action, Some(workspace), build, job).await;
            }
            // A person was quicker, or the state is another by now.
            Err(Error::JobInTheWay { .. } | Error::Conflict { .. }) => {}
            Err(error) => errors.push(error),
        }
    }
    errors
}
