//! All that a build's commands printed, in a file beside its files.

use cid_protocol::{budget::BUILD_OUTPUT, fault::Fault};
use std::{
    fs::File,
    io::Write as _,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// A file that takes lines as long as there is room. Cheap to clone.
#[derive(Clone)]
pub(super) struct KeptOutput(Arc<(File, AtomicUsize)>);

impl KeptOutput {
    /// Begins a new one at this path.
    ///
    /// # Errors
    /// The file cannot be made.
    pub(super) fn create(path: &Path) -> Result<Self, Fault> {
        let file = File::create(path).map_err(|error| Fault::io("write", path, error))?;
        Ok(Self(Arc::new((file, AtomicUsize::new(BUILD_OUTPUT.most)))))
    }

    /// Adds a line. The journal has its own copy, so a full disk loses no verdict.
    pub(super) fn line(&self, line: &str) {
        let (file, left) = &*self.0;
        let takes = |left: usize| left.checked_sub(line.len() + 1);
        if left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, takes)
            .is_ok()
        {
            let mut file = file;
            let _ = file.write_all(format!("{line}\n").as_bytes());
        }
    }
}
