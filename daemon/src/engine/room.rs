//! Disk space while a job runs: a step that would use up the reserved free space is stopped, and the way
//! back gets the reserve.

use super::{Cx, work::Work};
use crate::domain::JobKind;
use cid_kernel::room::{self, Shortage};
use cid_protocol::fault::Fault;
use std::{path::PathBuf, pin::pin, time::Duration};
use tokio::task::spawn_blocking;

/// How often it is looked at.
const PAUSE: Duration = Duration::from_millis(250);

impl Work {
    /// Does a part of a step that may fill a disk, and stops it before one is full.
    pub(super) async fn watched<T>(
        &self,
        index: usize,
        cx: &Cx,
        part: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        let least = self.inner.settings.min_free_mib;
        if !self.steps[index].fills_disk() || least == 0 {
            return part.await;
        }
        let mut part = pin!(part);
        let shortage = tokio::select! {
            biased;
            done = &mut part => return match done {
                Err(fault) if !fault.cancelled => Err(self.or_shortage(least, fault).await),
                done => done,
            },
            shortage = self.shortage(least) => shortage,
        };
        // Cancels only this step: it ends the processes that write.
        cx.cancel.cancel();
        let _ = part.await;
        Err(Fault::new(format!("cannot go on: {shortage}")).hint(Shortage::HINT))
    }

    /// A fault, or what it comes from where there is too little room: a disk may be full sooner than that is seen.
    async fn or_shortage(&self, least: u64, fault: Fault) -> Fault {
        match self.look_for_room(least).await {
            Some(shortage) => Fault::new(format!("cannot go on: {shortage}")).hint(Shortage::HINT),
            None => fault,
        }
    }

    async fn look_for_room(&self, least: u64) -> Option<Shortage> {
        let layout = &self.inner.sys.layout;
        let places = layout.places(&self.row.project, &self.work_dir());
        let looked = spawn_blocking(move || room::shortage(&places, least)).await;
        looked.ok().flatten()
    }

    /// Waits until one of the file systems that the job writes to has too little room.
    async fn shortage(&self, least: u64) -> Shortage {
        loop {
            tokio::time::sleep(PAUSE).await;
            if let Some(shortage) = self.look_for_room(least).await {
                return shortage;
            }
        }
    }

    fn work_dir(&self) -> PathBuf {
        let directory = self.row.about.directory();
        directory.parent().unwrap_or(directory).to_owned()
    }

    /// Releases the reserve if there is no room left for the journal; for a job that deletes things.
    pub(super) fn ensure_room(&self) {
        self.inner.store.ensure_room();
        room::of_units(&self.inner.sys.layout.run_dir).ensure_room();
    }

    /// Takes the reserve again, now that the job has ended.
    pub(super) fn renew_reserve(&self) {
        self.inner.store.renew_reserve();
        if self.inner.sys.is_host() {
            room::of_units(&self.inner.sys.layout.run_dir).renew();
        }
    }

    /// Whether the job takes a workspace away.
    pub(super) fn is_delete(&self) -> bool {
        self.row.kind == JobKind::Delete
    }
}
