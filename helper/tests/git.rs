//! The contract of git over each way of transport: the same assertions on a local repository and on
//! a real SSH server with keys and known hosts of its own.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here is a failed test"
)]

#[path = "helper/rig.rs"]
#[expect(dead_code, reason = "shared with other tests, which use more of it")]
mod rig;
#[path = "../../tests/src/skip.rs"]
mod skip;

#[path = "git/clone.rs"]
mod clone;
#[path = "git/contract.rs"]
mod contract;
#[path = "git/origin.rs"]
mod origin;
#[path = "git/ssh.rs"]
mod ssh;
#[path = "git/sshd.rs"]
mod sshd;
#[path = "git/work/mod.rs"]
mod work;
