//! The [`Launcher`] of both modes: one helper per job and identity, started when it is first
//! needed and kept until the job ends. What a helper is differs: see [`starter`].

mod earlier;
mod helper;
mod keeper;
mod starter;

pub(super) use keeper::stop as stop_unit;
pub use starter::{Place, Units, session_name};

use super::{
    credential,
    helpers::{Call, Identity, Launcher},
    standing::STANDING,
};
use crate::{domain::ProjectName, layout::Layout};
use async_trait::async_trait;
use cid_protocol::{
    fault::Fault,
    request::{HangUp, Request},
};
use futures::future::join_all;
use helper::{Helper, Outcome};
use starter::{Children, Starter, Transient};
use std::{
    collections::{BTreeSet, HashMap},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::{
    sync::{self, mpsc},
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How long a helper may take to kill what it started and exit, before it is killed itself.
const END_LIMIT: Duration = Duration::from_secs(5);

/// Starts helpers, keeps them, and ends them with all that they started.
pub struct HelperLauncher {
    starter: Box<dyn Starter>,
    slots: Mutex<Slots>,
}

type Slots = HashMap<(Uuid, Identity), Arc<Slot>>;

/// A job's place for its helper of one identity.
#[derive(Default)]
struct Slot {
    /// Held during a call: requests are served in turn.
    helper: sync::Mutex<Option<Helper>>,
    /// Fired when the job ends under a call.
    ended: CancellationToken,
}

impl HelperLauncher {
    /// The sandbox's: helpers are children of the daemon, all under its own identity. Starts nothing
    /// yet. `binary` is `cid-helper`.
    pub fn local(layout: Arc<Layout>, binary: PathBuf) -> Self {
        Self::of(Box::new(Children { layout, binary }))
    }

    /// A host's: each helper is a transient unit of systemd's, as `units` says for its identity.
    ///
    /// # Errors
    /// systemd does not tell which units there are.
    pub async fn host(binary: PathBuf, units: Arc<Units>) -> Result<Self, Fault> {
        let starter = Transient::new(binary, units).await?;
        Ok(Self::of(Box::new(starter)))
    }

    fn of(starter: Box<dyn Starter>) -> Self {
        Self {
            starter,
            slots: Mutex::default(),
        }
    }

    /// The helper that stands ready, if it would be started the same way now; otherwise a new one.
    async fn start(&self, job: Uuid, identity: &Identity) -> Result<Helper, Fault> {
        if job != STANDING
            && identity.may_wait()
            && let Some(helper) = self.waiting(job, identity).await
        {
            return Ok(helper);
        }
        Helper::start(self.starter.start(job, identity)?, job)
    }

    async fn waiting(&self, job: Uuid, identity: &Identity) -> Option<Helper> {
        // The project's file may have changed.
        let now = self.starter.ready(identity)?;
        let mut helper = self.take(identity).await?;
        if helper.is_alive() && helper.is_like(&now) {
            self.starter.give(&helper.keeper(), job);
            return Some(helper);
        }
        self.discard(helper).await;
        None
    }

    async fn discard(&self, helper: Helper) {
        if let Err(fault) = self.finish(helper).await {
            tracing::warn!("{fault}");
        }
    }

    /// Takes the helper that stands ready under this identity; nobody else gets it.
    async fn take(&self, identity: &Identity) -> Option<Helper> {
        self.slot(STANDING, identity).helper.lock().await.take()
    }

    /// This helper, or another one if it was ended from outside since its last call, or stands ready and
    /// would be started differently now.
    async fn living(&self, mut helper: Helper, call: &Call) -> Result<Helper, Fault> {
        let now = match call.job {
            STANDING => self.starter.ready(&call.identity),
            _ => None,
        };
        if helper.is_alive() && now.is_none_or(|now| helper.is_like(&now)) {
            return Ok(helper);
        }
        self.finish(helper).await?;
        self.start(call.job, &call.identity).await
    }

    /// Prepares a helper for the next job as well.
    async fn renew(&self, ended: Identity) {
        if ended.may_wait() && self.starter.ready(&ended).is_some() {
            self.prepare(STANDING, ended).await;
        }
    }

    /// Those under which a helper may wait for a job now.
    fn waiting_identities(&self) -> Vec<Identity> {
        let slots = self.slots();
        let standing = slots.keys().filter(|(job, _)| *job == STANDING);
        let identities = standing.map(|(_, identity)| identity);
        identities
            .filter(|identity| identity.may_wait())
            .cloned()
            .collect()
    }

    async fn finish(&self, helper: Helper) -> Result<(), Fault> {
        let keeper = helper.keeper();
        let status = helper.end(END_LIMIT).await?;
        self.starter.ended(&keeper, status.success());
        Ok(())
    }

    /// Whether a helper that would be started the same way now stands ready under an identity; any other is
    /// ended.
    async fn stands(&self, identity: &Identity) -> bool {
        let Some(now) = self.starter.ready(identity) else {
            return false;
        };
        let slot = self.slot(STANDING, identity);
        let mut place = slot.helper.lock().await;
        let Some(mut helper) = place.take() else {
            return false;
        };
        if helper.is_alive() && helper.is_like(&now) {
            *place = Some(helper);
            return true;
        }
        self.discard(helper).await;
        false
    }

    fn slot(&self, job: Uuid, identity: &Identity) -> Arc<Slot> {
        Arc::clone(self.slots().entry((job, identity.clone())).or_default())
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Launcher for HelperLauncher {
    async fn call(&self, call: &Call, request: Request) -> Result<serde_json::Value, Fault> {
        let slot = self.slot(call.job, &call.identity);
        let begin = Instant::now();
        let credential = credential_for(&request)?;
        let work = async {
            let mut place = slot.helper.lock().await;
            // The helper is taken out, so that a dropped call leaves no helper in an unknown state: dropping
            // it closes its input, and it exits.
            let mut helper = match place.take() {
                Some(helper) => self.living(helper, call).await?,
                None => self.start(call.job, &call.identity).await?,
            };
            let stopped = async {
                tokio::select! {
                    () = call.cancel.cancelled() => Outcome::Cancelled,
                    () = slot.ended.cancelled() => Outcome::Cancelled,
                    () = tokio::time::sleep(call.limit) => Outcome::TooLong,
                }
            };
            let outcome = tokio::select! {
                biased;
                outcome = stopped => outcome,
                outcome = ask(&mut helper, credential, &request, &call.lines) => outcome,
            };
            tracing::debug!(job = %call.job, helper = ?call.identity, took = ?begin.elapsed(), "helper answered");
            match outcome {
                Outcome::Answered(answer) => {
                    *place = Some(helper);
                    answer
                }
                Outcome::Cancelled => {
                    self.finish(helper).await?;
                    Err(Fault::cancelled())
                }
                Outcome::TooLong => {
                    self.finish(helper).await?;
                    Err(too_long(&request, call.limit))
                }
                Outcome::Lost => Err(helper.lost(END_LIMIT).await),
            }
        };
        work.await
    }

    async fn prepare(&self, job: Uuid, identity: Identity) {
        let slot = self.slot(job, &identity);
        let mut place = slot.helper.lock().await;
        if place.is_none() {
            *place = self.start(job, &identity).await.ok();
        }
    }

    async fn hang_up(&self, job: Uuid, identity: &Identity) {
        let slot = self.slots().get(&(job, identity.clone())).map(Arc::clone);
        let Some(slot) = slot else { return };
        let mut place = slot.helper.lock().await;
        let Some(mut helper) = place.take() else {
            return;
        };
        let (lines, _nobody) = mpsc::channel(1);
        let asked = helper.ask(&Request::HangUp(HangUp {}), &lines);
        match timeout(END_LIMIT, asked).await {
            Ok(Outcome::Answered(_)) => *place = Some(helper),
            _ => self.discard(helper).await,
        }
    }

    async fn look_over(&self, projects: &BTreeSet<ProjectName>) {
        for identity in self.waiting_identities() {
            let Identity::Git(project) = &identity else {
                continue;
            };
            let slot = self.slot(STANDING, &identity);
            if slot.helper.lock().await.is_none() {
                continue;
            }
            if !projects.contains(project) {
                if let Some(helper) = self.take(&identity).await {
                    self.discard(helper).await;
                }
            } else if !self.stands(&identity).await {
                self.renew(identity).await;
            }
        }
    }

    fn strays(&self) -> BTreeSet<Uuid> {
        self.starter.strays()
    }

    async fn end_builds(&self, project: &ProjectName) -> Result<(), Fault> {
        // What they are called does not depend on the environment's key.
        let identity = Identity::Build(project.clone(), String::new());
        self.starter.end_all_of(&identity, END_LIMIT).await
    }

    async fn stop(&self) {
        let slots: Vec<_> = self.slots().drain().map(|(_, slot)| slot).collect();
        let ending = slots.iter().map(|slot| async {
            let helper = slot.helper.try_lock().ok()?.take()?;
            self.finish(helper).await.err()
        });
        for fault in join_all(ending).await.into_iter().flatten() {
            tracing::warn!("{fault}");
        }
    }

    async fn end(&self, job: Uuid) -> Result<(), Fault> {
        let slots: Vec<_> = {
            let mut slots = self.slots();
            slots.extract_if(|(of, _), _| *of == job).collect()
        };
        for (_, slot) in &slots {
            slot.ended.cancel();
        }
        let mut ended = Ok(());
        for ((_, identity), slot) in slots {
            if let Some(helper) = slot.helper.lock().await.take() {
                ended = ended.and(self.finish(helper).await);
            }
            self.renew(identity).await;
        }
        // Also those of an earlier daemon, and of calls that were dropped.
        ended.and(self.starter.end_stray(job, END_LIMIT).await)
    }
}

/// The credential for the git server of a request. It is read each time: the operator may have changed it.
fn credential_for(request: &Request) -> Result<Option<Request>, Fault> {
    let file = request
        .remote()
        .and_then(|remote| remote.credential_file.as_ref());
    let read = file.map(|file| credential::read(file)).transpose()?;
    Ok(read.map(Request::UseCredential))
}

/// Has a request done, after the request that makes it possible.
async fn ask(
    helper: &mut Helper,
    before: Option<Request>,
    request: &Request,
    lines: &mpsc::Sender<String>,
) -> Outcome {
    if let Some(before) = before {
        match helper.ask(&before, lines).await {
            Outcome::Answered(Ok(_)) => {}
            other => return other,
        }
    }
    helper.ask(request, lines).await
}

fn too_long(request: &Request, limit: Duration) -> Fault {
    let (work, setting) = match request {
        Request::UseCredential(_) => ("hand the token over", "git"),
        Request::Fetch(_) => ("fetch from", "git"),
        Request::ListBranches(_) => ("ask for the branches of", "git"),
        Request::Push(_) => ("push to", "git"),
        Request::HangUp(_) => ("hang up", "git"),
        Request::DeleteBranch(_) => ("delete the branch on", "git"),
        Request::CloneTree(_) => ("make the clone", "clone"),
        Request::UpdateTree(_) | Request::TakeBackTree(_) => ("bring the tree up to date", "clone"),
        Request::BuildPackages(_) => ("install the dependencies", "install"),
        Request::InstallLocal(_) => ("install the tree's own packages", "install"),
        Request::PlacePackages(_) => ("put the packages into the tree", "install"),
        Request::BringUv(_) => ("bring uv in", "install"),
        Request::BringNode(_) => ("bring Node in", "install"),
        Request::BringPython(_) => ("bring Python in", "install"),
        Request::FindNode(_) => ("find a Node", "step"),
        Request::FindPython(_) => ("find a Python", "step"),
        Request::SealPackages(_) => ("seal the packages", "install"),
        Request::CheckPackages(_) => ("look at the packages", "step"),
        Request::DiscardPackages(_) => ("remove the packages", "install"),
        Request::RunCommand(_) => ("run the command", "install or release"),
        Request::CompareCommits(_) => ("compare the commits", "step"),
        Request::KeepFile(_) => ("keep the copy of the database", "step"),
        Request::KeepOnly(_) => ("remove old copies of the database", "purge"),
        Request::FindCommit(_) | Request::IsAncestor(_) => ("look for the commit", "step"),
        Request::ExportCommit(_) => ("write the commit's files", "clone"),
        Request::SealBuild(_) | Request::TakeOver(_) => ("seal the build", "install"),
        Request::CopyBuild(_) => ("copy the build for its tests", "install"),
        Request::TakeMade(_) => ("keep what the commands made", "install"),
        Request::PlaceMade(_) => ("take over what the template holds", "clone"),
        Request::ReadReports(_) => ("read the tests' reports", "step"),
        Request::RunTool(_) => ("run a tool of the machine's", "step"),
        Request::FindAccountFiles(_) => ("look for what is left of tools in /etc", "step"),
        Request::Purge(_) => ("throw the tree away", "purge"),
        Request::Inspect(_) => ("look at the repository", "step"),
        Request::Configure(_) => ("write the tree's configuration", "step"),
        Request::ShowStatic(_) => ("show the static files", "step"),
        Request::CollectStatic(_) => ("copy the static files", "clone"),
        Request::GrantAccess(_) => ("give access to the tree", "step"),
        Request::OpenSockets(_) => ("give access to the app's socket", "step"),
        Request::AnswerBy(_) => ("have nginx reach the app's socket", "step"),
        Request::RemoveSocket(_) => ("remove the app's socket", "step"),
        Request::LookAtAccess(_) => ("look at the access to the tree", "step"),
        Request::LookAtPaths(_) => ("look at what workspaces share", "step"),
        Request::Resolve(_) => ("look names up", "step"),
        Request::SendMail(_) => ("send a mail", "step"),
        Request::Post(_) => ("tell another server", "step"),
        Request::WorkStatus(_) => ("look for work in the workspace", "step"),
        Request::UnfinishedWork(_) => ("look for work that was made meanwhile", "purge"),
        Request::LookAtTree(_) => ("look at the clone", "step"),
        Request::RecordMade(_) => ("write down what was made", "step"),
        Request::EndProcesses(_) => ("end the processes of the workspace", "step"),
    };
    let file = match request {
        Request::BuildPackages(_)
        | Request::InstallLocal(_)
        | Request::BringUv(_)
        | Request::BringNode(_)
        | Request::BringPython(_)
        | Request::RunCommand(_) => "the project file or cid.toml",
        _ => "cid.toml",
    };
    let more = format!("{setting} under [limits] in {file} allows more time");
    let Some(remote) = request.remote() else {
        return Fault::new(format!("cannot {work}: it took longer than {limit:?}")).hint(more);
    };
    // No credentials are in it.
    let url = &remote.url;
    Fault::new(format!(
        "cannot {work} {url}: it took longer than {limit:?}"
    ))
    .hint(format!(
        "look whether its server answers, and is not slow; {more}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cid_protocol::request::{DeleteBranch, Remote};

    #[test]
    fn what_took_too_long_is_named() {
        let remote = Remote {
            url: "https://git.example.org/x.git".into(),
            identity_file: None,
            known_hosts: None,
            credential_file: None,
        };
        let request = Request::DeleteBranch(DeleteBranch {
            mirror: "/m".into(),
            remote,
            branch: "x".into(),
            expected: "0".into(),
        });
        let fault = too_long(&request, Duration::from_secs(120));
        let told =
            "cannot delete the branch on https://git.example.org/x.git: it took longer than 120s";
        assert_eq!(fault.message, told);
        let purge = Request::Purge(cid_protocol::request::Purge { path: "/x".into() });
        let fault = too_long(&purge, Duration::from_secs(2));
        assert_eq!(
            fault.message,
            "cannot throw the tree away: it took longer than 2s"
        );
    }
}
