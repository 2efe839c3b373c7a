//! What goes when it is old, and what is kept aside for a full disk.

use super::packages::{days_ago, forget_packages};
use crate::{cid::Cid, error::Error};
use cid_kernel::{fs, room};
use std::time::Duration;

/// One day: the pause between two removals of what is old.
const FORGET_PAUSE: Duration = Duration::from_hours(24);

/// Removes old jobs and packages until the daemon stops.
pub async fn forget_forever(cid: Cid) {
    loop {
        let days = i64::from(cid.settings.keep_jobs_days);
        let before = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(24 * days);
        match cid.store.forget_jobs(before).await {
            Ok(0) => {}
            Ok(count) => tracing::info!("{count} old jobs forgotten"),
            Err(error) => tracing::warn!("old jobs are kept: {error}"),
        }
        if let Err(error) = forget_outputs(&cid).await {
            tracing::warn!("output of old jobs is kept: {error}");
        }
        let before = days_ago(cid.settings.keep_packages_days);
        match forget_packages(&cid, before).await {
            Ok(0) => {}
            Ok(count) => tracing::info!("packages removed that nobody used: {count}"),
            Err(fault) => tracing::warn!("old packages are kept: {fault}"),
        }
        cid.store.renew_reserve();
        if let Err(error) = cid.store.keep_room().await {
            tracing::warn!("the ledger has no room of its own: {error}");
        }
        renew_room_for_units(&cid);
        tokio::select! {
            () = tokio::time::sleep(FORGET_PAUSE) => {}
            () = cid.stopping.cancelled() => return,
        }
    }
}

/// Removes the output of jobs that the ledger has forgotten.
async fn forget_outputs(cid: &Cid) -> Result<(), Error> {
    let folder = cid.layout.job_outputs_dir();
    for name in fs::names(&folder)? {
        let job = name.split_once('.').and_then(|(job, _)| job.parse().ok());
        if let Some(job) = job
            && cid.store.job(job).await?.is_none()
        {
            fs::remove_file(&folder.join(&name))?;
        }
    }
    Ok(())
}

/// For a host only: a sandbox does not start helpers through systemd.
pub fn renew_room_for_units(cid: &Cid) {
    if cid.sys.is_host() {
        room::of_units(&cid.layout.run_dir).renew();
    }
}
