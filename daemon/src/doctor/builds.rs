//! Builds: each that was made has its folder, and each folder is a build's.

use super::Finding;
use crate::{
    cid::Cid,
    domain::Build,
    error::Error,
    keeper,
    step::look_at_build,
    system::helpers::{Identity, ask_once},
};
use cid_kernel::fs;
use std::time::{Duration, Instant};

/// How long the files of one build may take to read.
const LIMIT: Duration = Duration::from_secs(20);
/// After so long no further one is read, because the caller waits.
const TOTAL: Duration = Duration::from_secs(60);

/// Compares the files of builds that run in stages with what was tested.
pub(super) async fn changed(cid: &Cid, findings: &mut Vec<Finding>) -> Result<(), Error> {
    let begin = Instant::now();
    for project in cid.projects.all().values().flatten() {
        let running = cid.store.running_builds(project.name.clone()).await?;
        for (number, stage) in running {
            let build = cid.store.build(project.name.clone(), number).await?;
            let Some(build) = build.filter(|build| fs::exists(&build.directory)) else {
                continue;
            };
            let subject = format!("build {number} of {}", project.name);
            if begin.elapsed() > TOTAL {
                findings.push(Finding::note(subject, "not read: it takes too long"));
                continue;
            }
            if is_changed(cid, &build).await {
                findings.push(Finding::drift(
                    subject,
                    format!("its files are not those that were tested, and {stage} runs it"),
                    format!(
                        "cictl rollback {stage} -p {0}, or build the commit again: cictl build {1} -p {0} --again",
                        project.name, build.source.commit
                    ),
                ));
            }
        }
    }
    Ok(())
}

/// Whether a build's files are others than were tested. What cannot be read is not judged.
pub(crate) async fn is_changed(cid: &Cid, build: &Build) -> bool {
    let (Some(packages), Some(digest)) = (&build.packages, &build.digest) else {
        return false;
    };
    let ask = look_at_build(&build.directory, packages, &cid.layout);
    let identity = Identity::Builder(build.project.clone(), build.directory.clone());
    let (helpers, stopping) = (cid.sys.helpers.as_ref(), cid.stopping.clone());
    let read = ask_once(helpers, identity, LIMIT, stopping, ask).await;
    read.is_ok_and(|read| read.digest != *digest)
}

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
