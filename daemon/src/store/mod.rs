//! The ledger: workspaces, ports, jobs with their journal, what is owed, and who did what. SQLite
//! with one writer; WAL with `synchronous=FULL`, because NORMAL loses acknowledged commits at a power
//! cut.

mod about;
mod artifacts;
mod audit;
mod builds;
mod db;
mod deliveries;
mod deployments;
mod jobs;
mod journal;
mod kept_builds;
mod notices;
mod owed;
mod people;
mod quota;
mod remotes;
mod rights;
mod rows;
mod templates;
mod work_dirs;
mod workspaces;

pub use artifacts::Artifact;
pub use audit::{AuditLine, Verdict};
pub use builds::{AppendedBuild, NewBuild};
pub use db::{Store, StoreError};
pub use deployments::Keeps;
pub use jobs::{Appended, JobFilter, JobRow, NewJob, Subject};
pub use kept_builds::KeptBy;
pub use notices::{News, NoticeTrouble, WaitingNotice};
pub use owed::{Debt, OwedRow};
pub use people::{Hash, NewLink, NewSession, Proof, Purpose, Refused, Sessions};
pub use quota::{Bound, Quota, Reached};
pub use remotes::{Followed, Silent};
pub use work_dirs::WorkDir;
