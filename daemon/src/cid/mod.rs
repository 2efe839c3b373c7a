//! What everything is answered with: engine, ledger, projects, the outside.

pub mod streams;

pub use streams::Streams;

use crate::{
    config::{Projects, Settings, Shelf},
    engine::Engine,
    health::Looker,
    layout::Layout,
    store::Store,
    system::System,
};
use futures::future::BoxFuture;
use std::sync::Arc;
use tokio::sync::{Mutex, RwLock};
use tokio_util::sync::CancellationToken;

/// What all services share. Cheap to clone.
#[derive(Clone)]
pub struct Cid {
    /// Carries jobs.
    pub engine: Engine,
    /// The ledger.
    pub store: Store,
    /// The outside.
    pub sys: System,
    /// How workspaces are.
    pub health: Arc<Looker>,
    /// Where things are.
    pub layout: Arc<Layout>,
    /// The daemon's settings.
    pub settings: Arc<Settings>,
    /// The projects.
    pub projects: Arc<Projects>,
    /// `sandbox` or `host`.
    pub mode: &'static str,
    /// Where the front answers.
    pub front_url: String,
    /// Makes what projects need before their first workspace.
    pub prepare: Prepare,
    /// Keeps creates and removals of projects apart.
    pub turns: Arc<Turns>,
    /// Which calls and long answers are open.
    pub streams: Streams,
    /// Fired when the daemon goes down: long answers end.
    pub stopping: CancellationToken,
}

/// Prepares all projects of a shelf; says what is wrong with some.
pub type Prepare = for<'a> fn(&'a Cid, &'a Shelf) -> BoxFuture<'a, Vec<String>>;

/// Who waits for whom where a project is read or taken away.
#[derive(Debug, Default)]
pub struct Turns {
    /// Read by a create from where it looks its project up until its workspace is in the ledger.
    pub(crate) creating: RwLock<()>,
    /// One project is taken away at a time.
    pub(crate) removing: Mutex<()>,
    /// The files are read by one at a time.
    pub(crate) reading: Mutex<()>,
}
