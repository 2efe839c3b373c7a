//! The git server as the deploy user meets it.

use super::{Trouble, Troubles};
use crate::cid::Cid;
use cid_protocol::fault::Fault;
use std::time::Duration;
use tokio::time::timeout;

/// A server that does not answer within this time counts as down.
const LIMIT: Duration = Duration::from_secs(30);
/// The fetch's own words, with the cause, come before.
const GRACE: Duration = Duration::from_secs(5);

/// Projects whose repository the deploy user cannot read: keys, host keys, address.
pub(super) async fn remotes(cid: Cid) -> Troubles {
    let limit = LIMIT.min(*cid.settings.limits.git);
    let shelf = cid.projects.all();
    let asking = shelf.values().flatten().map(|project| {
        let (cid, project) = (cid.clone(), project.clone());
        tokio::spawn(async move {
            // Waiting for a turn counts too: one server that hangs must not hide what the others say.
            let fetched = cid.engine.fetch(&project, &project.git.base, limit);
            let fault = match timeout(limit + GRACE, fetched).await {
                Ok(fetched) => fetched.err()?,
                Err(_) => {
                    let seconds = limit.as_secs();
                    Fault::new(format!("the git server gives no answer within {seconds} s"))
                        .hint(format!("cictl project check {} tells more", project.name))
                }
            };
            Some(Trouble::from_fault(format!("of {}", project.name), fault))
        })
    });
    let mut troubles = Vec::new();
    for asked in asking.collect::<Vec<_>>() {
        troubles.extend(asked.await.ok().flatten());
    }
    Ok(troubles)
}
