//! The contract of `system::nginx`, `system::supervisor` and `sandbox`, held against a real nginx
//! and a real supervisord, each test with its own in a folder of its own, and, as far as it goes,
//! against the made-up ones that the engine is tested on.

#![expect(clippy::disallowed_methods, reason = "tests set their own scene")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

#[path = "engines/contract.rs"]
mod contract;
#[path = "engines/rig.rs"]
mod rig;

#[path = "engines/bounds.rs"]
mod bounds;
#[path = "engines/fakes.rs"]
mod fakes;
#[path = "engines/files.rs"]
mod files;
#[path = "engines/guarded.rs"]
mod guarded;
#[path = "engines/nginx.rs"]
mod nginx;
#[path = "engines/sandbox.rs"]
mod sandbox;
#[path = "engines/supervisor.rs"]
mod supervisor;
#[path = "engines/workspaces.rs"]
mod workspaces;
