//! The ledger: workspaces, ports, jobs with their journal, and what is owed. SQLite with one
//! writer; WAL with `synchronous=FULL`, because NORMAL loses acknowledged commits at a power cut.

mod artifacts;
mod db;
mod jobs;
mod owed;
mod rows;
mod workspaces;

pub use artifacts::Artifact;
pub use db::{Store, StoreError};
pub use jobs::{Appended, JobFilter, JobRow, NewJob, Subject};
pub use owed::{Debt, OwedRow};
