//! Which Node runs an app and builds what it serves.

use crate::{
    engine::Cx,
    recipe::Recipe,
    system::{helpers::Identity, queue::Resource},
};
use cid_protocol::{
    environment::network,
    fault::Fault,
    request::{BringNode, FindNode, NodeFound, WantedNode},
};
use std::path::PathBuf;

/// The folder of its programs, which is brought in where the machine has none that fits; `None`: the system's own, or
/// the app has nothing to do with Node.
///
/// # Errors
/// No Node is found, or not the version that the operator wants.
pub(super) async fn of(recipe: &Recipe, cx: &Cx) -> Result<Option<PathBuf>, Fault> {
    let Some(wanted) = &recipe.node else {
        return Ok(None);
    };
    let mut found = find(wanted, cx).await?;
    if let Some(line) = found.bring {
        let _turn = cx.turn(Resource::Tools).await?;
        let bring = BringNode {
            line,
            tools_dir: cx.sys().layout.tools_dir(),
            // Shared by all projects, so no project's settings apply.
            env: network(),
        };
        match cx.ask(Identity::Tools, bring).await {
            Ok(()) => found = find(wanted, cx).await?,
            Err(fault) if fault.cancelled || wanted.is_given => return Err(fault),
            // Most apps run with another one as well.
            Err(fault) => {
                cx.note(format!(
                    "{}: {fault}; going on with the machine's",
                    found.told
                ));
                return Ok(None);
            }
        }
    }
    cx.line(found.told).await;
    Ok(found.bin)
}

async fn find(wanted: &WantedNode, cx: &Cx) -> Result<NodeFound, Fault> {
    let find = FindNode {
        wanted: wanted.clone(),
        tools_dir: cx.sys().layout.tools_dir(),
        env: network(),
    };
    cx.ask(Identity::Tools, find).await
}
