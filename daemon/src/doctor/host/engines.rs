//! The services that run workspaces and route visitors to them.

use super::{Trouble, Troubles};
use crate::{cid::Cid, system::exec};
use cid_kernel::fs;
use std::{path::Path, time::Duration};

/// Where Debian's own supervisord reads its programs from.
const OTHERS_PROGRAMS: &str = "/etc/supervisor/conf.d";
const ASK_LIMIT: Duration = Duration::from_secs(10);

/// Whether supervisord answers.
pub(super) async fn supervisord(cid: Cid) -> Troubles {
    let answer = cid.sys.supervisor.tells().await;
    Ok(answer
        .err()
        .map(|fault| Trouble::new("", fault.message))
        .into_iter()
        .collect())
}

/// Whether anything accepts connections where workspaces answer.
pub(super) async fn nginx(cid: Cid) -> Troubles {
    let port = cid.sys.site.http_port;
    if cid.sys.probe.is_open(port).await {
        return Ok(Vec::new());
    }
    Ok(vec![Trouble::new(
        "",
        format!("nobody listens on port {port}"),
    )])
}

/// Whether polkit runs, or would when it is asked; nothing is started. Without it nobody but root can use cid.
pub(super) async fn polkit() -> Troubles {
    let args = ["show", "--property=LoadState,ActiveState", "polkit.service"];
    let asked = exec::output("systemctl", args, ASK_LIMIT).await?;
    let bad = ["masked", "not-found", "bad-setting", "error", "failed"];
    let states = asked.stdout.lines().filter_map(|line| line.split_once('='));
    let trouble = states
        .map(|(_, state)| state.trim())
        .find(|state| bad.contains(state));
    let trouble = trouble.map(|state| {
        let message = format!("only root can use cictl: polkit.service is {state}");
        Trouble::new("", message)
    });
    Ok(trouble.into_iter().collect())
}

/// Whether Debian's own supervisord runs and has no program. If that cannot be determined, the answer is no.
pub(super) async fn unused_supervisord() -> bool {
    let args = ["is-active", "--quiet", "supervisor.service"];
    let asked = exec::output("systemctl", args, ASK_LIMIT).await;
    let is_active = asked.is_ok_and(|output| output.status == Some(0));
    let programs = fs::names(Path::new(OTHERS_PROGRAMS));
    is_active && programs.is_ok_and(|names| !names.iter().any(|name| name.ends_with(".conf")))
}
