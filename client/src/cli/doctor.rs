//! `cictl doctor`

use super::{Cx, Outcome};
use crate::ui::table;
use cid_client::{Exit, Finding, FindingKind};
use clap::Args;

/// Compare what cid believes with what is there, both ways
///
/// The exit status is 1 when something is left to mend: drift that is not
/// repaired, something still owed, or something that this machine lacks. Notes do not count.
#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// Repair what can be repaired without losing anything
    #[arg(long)]
    repair: bool,
    /// Leave notes out: what is worth knowing and asks for nothing
    #[arg(long)]
    no_notes: bool,
}

impl Doctor {
    pub(super) async fn run(self, cx: &Cx) -> Outcome {
        let mut findings = cx.connect().await?.doctor(self.repair).await?;
        if self.no_notes {
            findings.retain(|finding| finding.kind != FindingKind::Note);
        }
        cx.print(&findings, || table::findings(&findings))?;
        if findings.iter().any(Finding::is_open) {
            // What the host lacks an administrator mends; the finding says how.
            let is_ours =
                |finding: &Finding| finding.is_open() && finding.kind != FindingKind::Broken;
            if !self.repair && findings.iter().any(is_ours) {
                cx.say("hint: `cictl doctor --repair` mends what can be mended without losing anything");
            }
            return Ok(Exit::Failed);
        }
        cx.say("all is well");
        Ok(Exit::Done)
    }
}
