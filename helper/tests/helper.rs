//! The real `cid-helper`: its life and death, and what it does in
//! trees that somebody made to be hard to work in.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here is a failed test"
)]

mod attack;
#[path = "helper/rig.rs"]
mod rig;

#[path = "../../tests/src/skip.rs"]
mod skip;

#[path = "helper/access.rs"]
mod access;
#[path = "helper/app.rs"]
mod app;
#[path = "helper/calls.rs"]
mod calls;
#[path = "helper/deps.rs"]
mod deps;
#[path = "helper/life.rs"]
mod life;
#[path = "helper/narrow.rs"]
mod narrow;
#[path = "helper/purge.rs"]
mod purge;
#[path = "helper/settle.rs"]
mod settle;
#[path = "helper/terminal.rs"]
mod terminal;
