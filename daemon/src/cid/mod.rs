//! What everything is answered with: engine, ledger, projects, the outside.

mod deliveries;
mod looks;
mod rights;
pub mod streams;

pub use deliveries::Deliveries;
pub use looks::{FollowUp, Looked, Looks};
pub use streams::Streams;

use crate::{
    config::{Project, Projects, Settings, Shelf},
    domain::AccountRange,
    engine::Engine,
    health::Looker,
    layout::Layout,
    sign_in::SignIn,
    store::Store,
    system::System,
};
use cid_kernel::fs;
use cid_protocol::fault::Fault;
use futures::future::BoxFuture;
use std::sync::Arc;
use tokio::sync::{Mutex, Notify, RwLock};
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
    /// Who is signed in at the front.
    pub sign_in: SignIn,
    /// `sandbox` or `host`.
    pub mode: &'static str,
    /// Where the front answers.
    pub front_url: String,
    /// Makes what projects need before their first workspace.
    pub prepare: Prepare,
    /// Keeps creates and removals of projects apart.
    pub turns: Arc<Turns>,
    /// Which remotes are to be looked at, and what came of it.
    pub looks: Arc<Looks>,
    /// Webhooks that came.
    pub deliveries: Arc<Deliveries>,
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
    /// A project's site, vhosts or certificates could not be brought up to date.
    pub(crate) sites_owed: Notify,
}

impl Cid {
    /// The accounts of all workspaces.
    pub(crate) fn account_range(&self) -> AccountRange {
        let uids = self.settings.workspace_uids.0.clone();
        AccountRange::new(self.sys.is_host().then_some(uids))
    }

    /// Sends links to sign in, until the daemon stops.
    pub(crate) fn deliver_mail(&self) -> impl Future<Output = ()> + use<> {
        let (helpers, stopping) = (Arc::clone(&self.sys.helpers), self.stopping.clone());
        self.sign_in.clone().deliver_forever(helpers, stopping)
    }

    /// Reads the project files again. What a project needs is made before the project can be used. Returns
    /// what is wrong with projects; the other projects are not affected.
    ///
    /// # Errors
    /// The folder cannot be read; the projects stay as they were.
    pub(crate) async fn read_projects(&self) -> Result<Vec<String>, Fault> {
        let _turn = self.turns.reading.lock().await;
        let shelf = self.projects.read()?;
        let unusable = shelf.values().filter_map(|entry| entry.as_ref().err());
        let mut problems: Vec<String> = unusable.map(ToString::to_string).collect();
        problems.extend((self.prepare)(self, &shelf).await);
        self.take_up(shelf).await?;
        self.sys.helpers.look_over(&self.projects.usable()).await;
        Ok(problems)
    }

    /// Records where a project's workspaces live, before cid makes the folder.
    ///
    /// # Errors
    /// The ledger fails.
    pub(crate) async fn note_work_dir(&self, project: &Project) -> Result<(), Fault> {
        let work_dir = Projects::work_dir(project, &self.layout.work_root);
        let (name, is_new) = (project.name.clone(), !fs::exists(&work_dir));
        Ok(self.store.note_work_dir(name, &work_dir, is_new).await?)
    }
}
