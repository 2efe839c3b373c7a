//! Builds: each that was made has its folder, and each folder is a build's.

use super::Finding;
use crate::{cid::Cid, error::Error, keeper};
use cid_kernel::fs;

/// Compares the ledger's builds with the folders.
pub(super) async fn builds(
    cid: &Cid,
    repair: bool,
    findings: &mut Vec<Finding>,
) -> Result<(), Error> {
    for project in cid.projects.all().values().flatten() {
        let name = &project.name;
        let builds = cid.store.builds(Some(name.clone()), None, usize::MAX >> 1);
        for build in builds.await? {
            if !build.state.is_made() || fs::exists(&build.directory) {
                continue;
            }
            let finding = Finding::drift(
                format!("build {} of {name}", build.number),
                format!("its files are gone from {}", build.directory.display()),
                "cictl doctor --repair forgets it; then: cictl build",
            );
            findings.push(match repair {
                true => {
                    let forgotten = cid.store.forget_build(build.id, None).await;
                    finding.repaired_if(forgotten.map(drop).map_err(Into::into))
                }
                false => finding,
            });
        }
        for number in keeper::forgotten_builds(cid, name).await? {
            let path = cid.layout.builds(name).join(number.to_string());
            let finding = Finding::drift(
                path.display().to_string(),
                "it is the folder of a build that is not there any more",
                "cictl doctor --repair removes it; so does cid, within an hour",
            );
            findings.push(match repair {
                true => finding.repaired_if(keeper::purge_build(cid, name, number).await),
                false => finding,
            });
        }
    }
    Ok(())
}
