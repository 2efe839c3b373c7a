//! What keeps workspaces up and brings visitors to them.

use super::{Trouble, Troubles};
use crate::rpc::Api;

/// Whether supervisord answers.
pub(super) async fn supervisord(api: Api) -> Troubles {
    let answer = api.sys.supervisor.groups().await;
    Ok(answer
        .err()
        .map(|fault| Trouble::new("", fault.message))
        .into_iter()
        .collect())
}

/// Whether somebody takes connections where workspaces answer.
pub(super) async fn nginx(api: Api) -> Troubles {
    let port = api.sys.site.http_port;
    if api.sys.probe.is_open(port).await {
        return Ok(Vec::new());
    }
    Ok(vec![Trouble::new(
        "",
        format!("nobody listens on port {port}"),
    )])
}
