//! The git server as the deploy user meets it.

use super::{Trouble, Troubles};
use crate::cid::Cid;
use std::time::Duration;

/// A server that does not answer within this time counts as down.
const LIMIT: Duration = Duration::from_secs(30);

/// Projects whose repository the deploy user cannot read: keys, host keys, address.
pub(super) async fn remotes(cid: Cid) -> Troubles {
    let limit = LIMIT.min(*cid.settings.limits.git);
    let shelf = cid.projects.all();
    let asking = shelf.values().flatten().map(|project| {
        let (cid, project) = (cid.clone(), project.clone());
        tokio::spawn(async move {
            let fetched = cid.engine.fetch(&project, &project.git.base, limit).await;
            let about = format!("of {}", project.name);
            fetched.err().map(|fault| Trouble::from_fault(about, fault))
        })
    });
    let mut troubles = Vec::new();
    for asked in asking.collect::<Vec<_>>() {
        troubles.extend(asked.await.ok().flatten());
    }
    Ok(troubles)
}
