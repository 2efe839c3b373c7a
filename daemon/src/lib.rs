//! The daemon `cid`. `docs/architecture.md` describes it; each folder holds one idea:

#![cfg_attr(
    test,
    expect(clippy::disallowed_methods, reason = "tests set their own scene")
)]

/// Configuration, ledger, sockets, jobs: the daemon's life from start to end.
pub mod app;
/// Who may do what: one table, one gate, a permit.
pub mod authz;
/// The state that services share to answer calls.
pub mod cid;
/// The command line of `cid`.
pub mod cli;
/// The operator's files, strict.
pub mod config;
/// Compares the ledger with the machine, both ways.
pub mod doctor;
/// Names and values that cannot hold anything bad.
pub mod domain;
/// Carries plans out, or back.
pub mod engine;
/// What callers are told.
pub mod error;
/// Whether workspaces work for their visitors.
pub mod health;
/// An installed host: units, accounts, polkit.
pub mod host;
/// What cid keeps up by itself.
pub mod keeper;
/// Where things are on disk.
pub mod layout;
/// Others are told of builds and deployments.
pub mod notify;
/// What is decided before a job begins: checks, permission, submission.
pub mod operation;
/// What each kind of job does.
pub mod plan;
/// What to install, release and run.
pub mod recipe;
/// Makes the daemon read the projects again, and waits.
mod reload;
/// Translates between proto and domain, a few lines per method.
pub mod rpc;
/// A whole cid in one folder, without root.
pub mod sandbox;
/// Links and sessions of people who use the front.
pub mod sign_in;
/// What systemd is told while the daemon runs.
mod status;
/// One reversible change each.
pub mod step;
/// The ledger.
pub mod store;
/// The only door to the machine.
pub mod system;
/// What follows from a push.
pub mod trigger;
