//! The contract of `system::nginx`, `system::supervisor` and `sandbox`, held against a real nginx
//! and a real supervisord, each test with its own in a folder of its own.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

#[path = "engines/contract.rs"]
mod contract;
#[path = "engines/rig.rs"]
mod rig;

#[path = "engines/nginx.rs"]
mod nginx;
#[path = "engines/sandbox.rs"]
mod sandbox;
#[path = "engines/supervisor.rs"]
mod supervisor;
