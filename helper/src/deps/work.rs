//! What a build needs for itself, inside the environment: nothing of it reaches another build, and when
//! the build is killed it goes with the environment.

use crate::tree::purge;
use cid_protocol::fault::Fault;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The folder that all of it is in.
const FOLDER: &str = ".cid-build";

/// A build's own files.
pub(super) struct Work {
    folder: PathBuf,
    has_home: bool,
}

impl Work {
    /// Makes the folder in the environment's.
    pub(super) fn begin(target: &Path, has_home: bool) -> Result<Self, Fault> {
        let work = Self {
            folder: target.join(FOLDER),
            has_home,
        };
        fs::create_dir_all(work.home_folder())
            .map_err(|error| Fault::io("make", &work.folder, error))?;
        Ok(work)
    }

    /// HOME of installers and of what they run; `None`: the helper's own.
    pub(super) fn home(&self) -> Option<PathBuf> {
        self.has_home.then(|| self.home_folder())
    }

    fn home_folder(&self) -> PathBuf {
        self.folder.join("home")
    }

    /// What uv downloads and builds. On the environment's file system, so that files are linked from it
    /// and not copied.
    pub(super) fn cache(&self) -> PathBuf {
        self.folder.join("cache")
    }

    /// Where the declaring files lie.
    pub(super) fn sources(&self) -> PathBuf {
        self.folder.join("sources")
    }

    /// Removes all of it.
    pub(super) fn end(self) -> Result<(), Fault> {
        purge::purge(&self.folder).map(drop)
    }
}
