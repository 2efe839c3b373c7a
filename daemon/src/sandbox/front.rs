//! The web front in a sandbox: one more program of supervisord's.

use crate::{
    layout::Layout,
    system::{procs, supervisor::rpc::Rpc},
};
use dxr::{TryFromValue, Value};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{
    net::UnixStream,
    time::{Instant, sleep},
};

/// The front starts in a few milliseconds; on a busy machine it may take longer.
const LIMIT: Duration = Duration::from_secs(10);

/// What the front's program and group are called. Workspaces' groups have a dot in their names.
pub(super) const GROUP: &str = "cid-web";

/// Where the front listens and nginx reaches it.
pub fn socket(layout: &Layout) -> PathBuf {
    layout.run_dir.join("front.sock")
}

/// The front's program, if it was built.
pub(super) fn program(bin_dir: &Path) -> Option<PathBuf> {
    Some(bin_dir.join("cid-web")).filter(|path| path.is_file())
}

/// Waits, but not for ever, until the front takes connections: when the daemon is ready, so is the front.
pub(super) async fn wait_until_up(layout: &Layout, bin_dir: &Path) {
    if program(bin_dir).is_none() {
        return;
    }
    let began = Instant::now();
    #[expect(clippy::disallowed_methods, reason = "the front's own socket")]
    while UnixStream::connect(socket(layout)).await.is_err() {
        if began.elapsed() > LIMIT {
            tracing::warn!("the front does not answer yet; see log/cid-web.log");
            return;
        }
        sleep(Duration::from_millis(10)).await;
    }
}

/// Has an adopted supervisord run the front as it is now: its program may have been replaced since supervisord
/// started it, and its settings too, where the configuration `has_changed`. Tells whether that went well.
pub(super) async fn refresh(rpc: &Rpc, has_changed: bool) -> bool {
    let mut differences = Default::default();
    if has_changed {
        differences = match rpc.reread().await {
            Ok(differences) => differences,
            Err(error) => {
                tracing::warn!(%error, "the running supervisord cannot read its files");
                return false;
            }
        };
    }
    let (added, changed, removed) = differences;
    let is_front = |names: &[String]| names.iter().any(|name| name == GROUP);
    let result = if is_front(&removed) {
        rpc.remove_group(GROUP)
            .await
            .map_err(|error| error.fault("stop the front"))
    } else if is_front(&added) || is_front(&changed) || program_was_replaced(rpc).await {
        rpc.replace_group(GROUP).await
    } else {
        Ok(())
    };
    if let Err(fault) = &result {
        tracing::warn!(%fault, "the front could not be brought up to date");
    }
    result.is_ok()
}

async fn program_was_replaced(rpc: &Rpc) -> bool {
    let Ok(Value::Struct(info)) = rpc.call::<Value>("getProcessInfo", GROUP).await else {
        return false;
    };
    let pid = info
        .get("pid")
        .and_then(|pid| i32::try_from_value(pid).ok())
        .and_then(|pid| u32::try_from(pid).ok());
    pid.is_some_and(procs::program_is_gone)
}
