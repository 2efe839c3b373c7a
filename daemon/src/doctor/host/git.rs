//! The git server as the deploy user meets it.

use super::{Trouble, Troubles};
use crate::rpc::Api;
use std::time::Duration;

/// A server that does not answer by then is as good as down.
const LIMIT: Duration = Duration::from_secs(30);

/// Projects whose repository the deploy user cannot read: keys, host keys, address.
pub(super) async fn remotes(api: Api) -> Troubles {
    let limit = LIMIT.min(*api.settings.limits.git);
    let shelf = api.projects.all();
    let asking = shelf.values().flatten().map(|project| {
        let (api, project) = (api.clone(), project.clone());
        tokio::spawn(async move {
            let fetched = api.engine.fetch(&project, &project.git.base, limit).await;
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
