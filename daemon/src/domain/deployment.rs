//! A deployment: a build that came to run in a stage.

use std::path::PathBuf;
use uuid::Uuid;

/// A build that came to run in a stage. The newest of a stage is what runs there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// The stage's number in the ledger.
    pub workspace: i64,
    /// The build's number in its project.
    pub build: u32,
    /// Its commit.
    pub commit: String,
    /// Its job.
    pub job: Uuid,
    /// On whose behalf it was deployed, in words.
    pub by: String,
    /// When it came to run.
    pub at: jiff::Timestamp,
    /// Release commands ran for it, and may have changed the database.
    pub released: bool,
    /// The copy of the database that was made before.
    pub backup: Option<PathBuf>,
    /// It ran, and others were told that it does not run well any more.
    pub fell: bool,
}
