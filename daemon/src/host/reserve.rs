//! The helper of a project's next workspace stands ready, as the user that the workspace will have:
//! systemd takes longer to start that unit than all else takes before the clone.
//!
//! systemd 252 starts nothing for a user that is not there. So the account is made, the unit is started,
//! and the account is taken away again: like everything else it comes and goes with its workspace. What
//! is kept until then is the number, in the ledger.

use crate::{
    config::{IsolationKind, Settings},
    domain::{Account, ProjectName, project_group},
    helper::request::Resolve,
    rpc::Api,
    store::Reserved,
    system::{
        Fault,
        accounts::Accounts,
        helpers::{Call, Identity, ask},
        standing::STANDING,
    },
};
use std::{path::Path, time::Duration};
use tokio::sync::mpsc;

/// For the unit's start.
const LIMIT: Duration = Duration::from_secs(30);
/// Nobody lives there until the workspace does.
const HOME: &str = "/nonexistent";

/// Takes away what an earlier daemon could not: accounts under kept numbers. To be called before any job
/// goes on.
///
/// # Errors
/// The ledger's. An account that stays is told, and its number not given.
pub(crate) async fn tidy(api: &Api) -> Result<(), Fault> {
    for Reserved { number, ready, .. } in reserved(api).await? {
        if ready {
            continue;
        }
        if let Err(fault) = release(api, number).await {
            tracing::warn!("{fault}");
        }
    }
    Ok(())
}

/// Keeps a helper ready for each project that has had workspaces, until the daemon stops. `used` tells
/// of those whose helper may be gone.
pub(crate) async fn keep_forever(api: Api, mut used: mpsc::Receiver<ProjectName>) {
    let known = reserved(&api).await.unwrap_or_default();
    for Reserved { project, .. } in known {
        let git = Identity::Deploy(project.clone());
        if !api.stopping.is_cancelled() && api.projects.get(project.as_str()).is_ok() {
            api.sys.helpers.prepare(STANDING, git).await;
            tell(&project, renew(&api, &project).await);
        }
    }
    loop {
        let project = tokio::select! {
            project = used.recv() => project,
            () = api.stopping.cancelled() => None,
        };
        let Some(project) = project else { return };
        tell(&project, renew(&api, &project).await);
    }
}

fn tell(project: &ProjectName, renewed: Result<(), Fault>) {
    if let Err(fault) = renewed {
        tracing::warn!(
            PROJECT = project.as_str(),
            "the next workspace will wait for its helper: {fault}"
        );
    }
}

/// Has a helper stand ready for the project's next workspace, if none does.
async fn renew(api: &Api, project: &ProjectName) -> Result<(), Fault> {
    let found = api.projects.get(project.as_str());
    let found = found.map_err(|error| Fault::new(error.to_string()))?;
    if found.isolation != IsolationKind::Workspace || stands(api, project).await? {
        return Ok(());
    }
    let number = api.store.reserve(project.clone()).await.map_err(ledger)?;
    let account = account(&api.settings, number)?;
    let group = project_group(project);
    accounts(api)?
        .make(&account, Path::new(HOME), &group)
        .await?;
    let started = start(api, Identity::Next(project.clone(), number)).await;
    release(api, number).await.and(started)
}

async fn stands(api: &Api, project: &ProjectName) -> Result<bool, Fault> {
    for kept in reserved(api).await? {
        if kept.project == *project && kept.ready {
            let identity = Identity::Next(kept.project, kept.number);
            return Ok(api.sys.helpers.stands(&identity).await);
        }
    }
    Ok(false)
}

/// Starts it, and waits until it has looked at itself: it looks its user up.
async fn start(api: &Api, identity: Identity) -> Result<(), Fault> {
    let (lines, _) = mpsc::channel(1);
    let call = Call {
        job: STANDING,
        identity,
        limit: LIMIT,
        lines,
        cancel: api.stopping.clone(),
    };
    let nothing = Resolve { names: Vec::new() };
    ask(api.sys.helpers.as_ref(), &call, nothing)
        .await
        .map(drop)
}

/// Takes a kept number's account away; from then on a workspace may get the number.
async fn release(api: &Api, number: i64) -> Result<(), Fault> {
    let account = account(&api.settings, number)?;
    accounts(api)?.withdraw(&account).await?;
    api.store.set_ready(number).await.map_err(ledger)
}

fn account(settings: &Settings, number: i64) -> Result<Account, Fault> {
    Account::of(number, &settings.workspace_uids.0)
        .ok_or_else(|| Fault::new("there is no number left in workspace_uids"))
}

fn accounts(api: &Api) -> Result<&dyn Accounts, Fault> {
    let accounts = api.sys.accounts.as_deref();
    accounts.ok_or_else(|| Fault::new("cannot change accounts: this is a sandbox"))
}

async fn reserved(api: &Api) -> Result<Vec<Reserved>, Fault> {
    api.store.reserved().await.map_err(ledger)
}

fn ledger(error: impl std::fmt::Display) -> Fault {
    Fault::new(error.to_string())
}
