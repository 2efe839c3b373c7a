//! Visitors get the front in the place of the app.

use crate::{
    domain::UnitName,
    engine::{Cx, Step},
    layout::Layout,
};
use cid_kernel::fs;
use cid_protocol::fault::Fault;
use serde::{Deserialize, Serialize};

/// From now on nginx asks the front instead of the app.
#[derive(Serialize, Deserialize)]
pub struct TurnAway {}

impl Step for TurnAway {
    const KIND: &'static str = "turn-away.v1";
    /// They were turned away before.
    type Before = bool;
    type Output = ();

    fn label(&self) -> String {
        "hold visitors back".into()
    }

    async fn observe(&self, cx: &Cx) -> Result<bool, Fault> {
        Ok(is_away(&cx.sys().layout, cx.unit()))
    }

    async fn apply(&self, _: &bool, cx: &Cx) -> Result<(), Fault> {
        turn_away(&cx.sys().layout, cx.unit())
    }

    async fn undo(&self, before: &bool, cx: &Cx) -> Result<(), Fault> {
        match before {
            true => Ok(()),
            false => let_in(&cx.sys().layout, cx.unit()),
        }
    }
}

/// Whether nginx asks the front in the place of a workspace's app.
pub(crate) fn is_away(layout: &Layout, unit: &UnitName) -> bool {
    fs::exists(&layout.away_flag(unit))
}

/// Has nginx ask the front in the place of a workspace's app.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn turn_away(layout: &Layout, unit: &UnitName) -> Result<(), Fault> {
    fs::write_changed(&layout.away_flag(unit), b"", 0o644)
}

/// Has nginx ask the app again.
///
/// # Errors
/// The file cannot be removed.
pub(crate) fn let_in(layout: &Layout, unit: &UnitName) -> Result<(), Fault> {
    fs::remove_file(&layout.away_flag(unit)).map(drop)
}
