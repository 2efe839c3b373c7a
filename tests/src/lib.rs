//! What the end-to-end tests, the demo and the benchmark are made of: the built programs in a
//! sandbox of their own, git servers to point them at, and snapshots to compare.
//!
//! Everything here talks to cid the way a person does - `cictl`, HTTP, git, signals - so that what
//! a test proves is what a person gets. Whatever is started is ended by its process id.

mod binaries;
mod command;
mod git;
pub mod host;
mod http;
mod https;
mod ports;
mod process;
mod project;
mod proxy;
mod sandbox;
mod skip;
mod snapshot;
mod sshd;
mod terminal;
#[cfg(feature = "tls")]
mod tls;
mod wait;

pub use binaries::binaries;
pub use command::{Output, run};
pub use git::{GitServer, git};
pub use http::{Answer, Request, http_get};
pub use https::HttpsGit;
pub use ports::Block;
pub use process::{Process, end, helpers, processes};
pub use project::{Tree, copy_tree, examples_dir, guestbook_toml};
pub use proxy::{Fate, Proxy};
pub use sandbox::{Options, Sandbox};
pub use skip::{SKIPPED, skip};
pub use snapshot::{Snapshot, assert_same};
pub use sshd::{Keys, SilentServer, Sshd};
pub use terminal::Dialogue;
#[cfg(feature = "tls")]
pub use tls::Certificate;
pub use wait::wait_until;
