//! `cictl version`

use super::{Cx, Outcome};
use crate::ui::table;
use cid_client::Exit;
use clap::Args;
use serde_json::json;

/// Show the versions of cictl and of the daemon, and where its front is
#[derive(Debug, Args)]
pub(super) struct Version {}

impl Version {
    pub(super) async fn run(self, cx: &Cx) -> Outcome {
        let own = env!("CARGO_PKG_VERSION");
        let asked = async { cx.connect().await?.version().await.map_err(Into::into) }.await;
        let daemon = asked.as_ref().ok();
        cx.print(&json!({ "cictl": own, "daemon": daemon }), || {
            let mut rows = vec![("cictl", own.to_owned())];
            if let Some(daemon) = daemon {
                rows.push(("cid", daemon.version.clone()));
                rows.push(("mode", daemon.mode.clone()));
                rows.push(("socket", cx.socket().display().to_string()));
                rows.extend(daemon.front_url.clone().map(|url| ("front", url)));
            }
            table::pairs(rows)
        })?;
        asked.map(|_| Exit::Done)
    }
}
