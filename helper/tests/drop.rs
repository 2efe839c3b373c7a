//! Helpers as other users than root, in a root-owned world: what they have become, what they reach,
//! and that they still do their work. Only root can set this scene; for others these tests say that
//! they are skipped.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here is a failed test"
)]

#[path = "helper/rig.rs"]
#[expect(dead_code, reason = "shared with other tests, which use more of it")]
mod rig;

mod attack;

#[path = "../../tests/src/skip.rs"]
mod skip;

#[path = "drop/app.rs"]
mod app;
#[path = "drop/build.rs"]
mod build;
#[path = "drop/calls.rs"]
mod calls;
#[path = "drop/end.rs"]
mod end;
#[path = "drop/run.rs"]
mod run;
#[path = "drop/scene.rs"]
mod scene;
#[path = "drop/serve.rs"]
mod serve;
#[path = "drop/work.rs"]
mod work;
