//! Which Python an environment is made of: the machine's, or one that is fetched where the operator lets cid.

use super::Inspect;
use crate::{
    engine::Cx,
    system::{helpers::Identity, queue::Resource},
};
use cid_protocol::{
    environment::network,
    fault::Fault,
    request::{BringPython, FindPython, PythonFound},
};

/// Brings in the Python that the app wants, where the machine does not have it.
///
/// # Errors
/// It cannot be fetched, or no version is what the app wants.
pub(super) async fn bring(cx: &Cx) -> Result<(), Fault> {
    if !cx.may_fetch_python() {
        return Ok(());
    }
    let found = find(cx).await?;
    let Some(minor) = found.bring else {
        return Ok(());
    };
    cx.line(found.told).await;
    fetch(minor, cx).await
}

/// Brings one in.
///
/// # Errors
/// It cannot be fetched.
pub(super) async fn fetch(minor: u32, cx: &Cx) -> Result<(), Fault> {
    let _turn = cx.turn(Resource::Tools).await?;
    let bring = BringPython {
        minor,
        tools_dir: cx.sys().layout.tools_dir(),
        // Shared by all projects, so no project's settings apply.
        env: network(),
    };
    cx.ask(Identity::Tools, bring).await
}

async fn find(cx: &Cx) -> Result<PythonFound, Fault> {
    let find = FindPython {
        wanted: cx.output::<Inspect>()?.python,
        may_bring: true,
        tools_dir: cx.sys().layout.tools_dir(),
        env: network(),
    };
    cx.ask(Identity::Tools, find).await
}
