//! Finds shared packages that are not as they were built.

use super::Finding;
use crate::{
    cid::Cid,
    system::helpers::{Call, Identity, ask},
};
use cid_kernel::fs;
use cid_protocol::{fault::Fault, request::CheckPackages};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::mpsc;
use uuid::Uuid;

/// Time limit for looking through one.
const LIMIT: Duration = Duration::from_secs(20);
/// After this time no further one is looked through, because the caller waits.
const TOTAL: Duration = Duration::from_secs(60);

/// Looks closely at all that are complete. With `repair`, those that were changed count as complete no more.
pub(super) async fn changed(
    cid: &Cid,
    repair: bool,
    findings: &mut Vec<Finding>,
) -> Result<(), Fault> {
    let mut complete = Vec::new();
    for project in cid.projects.all().values().flatten() {
        let folder = cid.layout.packages(&project.name);
        for key in fs::names(&cid.layout.package_marks(&project.name))? {
            // Such a mark says that packages cannot be shared: there is no folder.
            if key.contains('.') {
                continue;
            }
            let mark = cid.layout.package_mark(&project.name, &key);
            complete.push((folder.join(key), mark));
        }
    }
    if complete.is_empty() {
        return Ok(());
    }
    let (lines, _nobody) = mpsc::channel(1);
    let call = Call {
        job: Uuid::now_v7(),
        identity: Identity::Look,
        limit: LIMIT,
        lines,
        cancel: cid.stopping.clone(),
        who: Arc::default(),
    };
    let begin = Instant::now();
    for (target, mark) in complete {
        let subject = format!("packages in {}", target.display());
        if begin.elapsed() > TOTAL {
            findings.push(Finding::note(
                subject,
                "not looked through: it takes too long",
            ));
            continue;
        }
        let check = CheckPackages {
            target,
            closely: true,
        };
        match ask(cid.sys.helpers.as_ref(), &call, check).await {
            Ok(checked) => findings.extend(checked.damage.map(|damage| {
                let finding = Finding::drift(
                    subject,
                    format!("{damage}; workspaces that use them may not work"),
                    "cictl doctor --repair, then create a workspace with the same packages: that installs them again",
                );
                match repair {
                    true => finding.repaired_if(fs::remove_file(&mark).map(drop)),
                    false => finding,
                }
            })),
            Err(fault) => findings.push(Finding::note(subject, fault.to_string())),
        }
    }
    if let Err(fault) = cid.sys.helpers.end(call.job).await {
        tracing::warn!("{fault}");
    }
    Ok(())
}
