//! A booted Debian, each test on one of its own. They are left out where none can be booted.
//!
//! One program for all of them, because linking takes longer than most of the tests.

#![expect(
    clippy::unwrap_used,
    reason = "a test says what is wrong by failing where it is"
)]

mod access;
mod attacks;
mod authorisation;
mod builds;
mod checks;
mod delivery;
mod deployments;
mod doctor;
mod engines;
mod front;
mod full;
mod git_server;
mod gone;
mod half_made;
mod hostile;
mod kills;
mod limits;
mod logins;
mod power;
mod races;
mod repositories;
mod rig;
mod secrets;
mod sessions;
mod shell;
mod sockets;
mod stage;
mod standing;
mod templates;
mod tls;
mod upgrade;
mod workspaces;
