//! Workspaces that nobody has visited for a while fall asleep, where the project's file says so.

use super::{ByItself, Named, away::stop};
use crate::{
    authz::{Action, Claim},
    cid::Cid,
    config::Project,
    domain::{Workspace, WorkspaceState},
    error::Error,
    system::{probe::App, visits},
};
use cid_protocol::run_file::RunFile;
use jiff::{SignedDuration, Timestamp};
use std::{sync::Arc, time::Duration};
use tokio::task::spawn_blocking;

/// The pause between two looks. Where workspaces sleep sooner than within four of these, it is shorter.
const PAUSE: Duration = Duration::from_secs(60);
const SHORTEST: Duration = Duration::from_millis(500);

/// Notes who was visited, and puts to sleep who was not, until the daemon stops.
pub async fn sleep_forever(cid: Cid) {
    loop {
        let projects = cid.projects.all();
        let idle = projects.values().flatten();
        let idle = idle.filter_map(|project| project.sleep.after.as_deref());
        let pause = idle.min().map_or(PAUSE, |after| *after / 4);
        tokio::select! {
            () = tokio::time::sleep(pause.clamp(SHORTEST, PAUSE)) => {}
            () = cid.stopping.cancelled() => return,
        }
        if let Err(error) = look(&cid).await {
            tracing::warn!("nobody is put to sleep: {error}");
        }
    }
}

async fn look(cid: &Cid) -> Result<(), Error> {
    let file = cid.layout.visits_file();
    let visited = spawn_blocking(move || visits::take(&file)).await;
    let visited = visited.unwrap_or_else(|_| Ok(Default::default()))?;
    if !visited.is_empty() {
        cid.store.note_visits(visited, Timestamp::now()).await?;
    }
    let shelf = cid.projects.all();
    if !shelf
        .values()
        .flatten()
        .any(|project| project.sleep.after.is_some())
    {
        return Ok(());
    }
    let used = cid.store.used().await?;
    for project in shelf.values().flatten() {
        let Some(after) = project.sleep.after.as_deref() else {
            continue;
        };
        let after = SignedDuration::try_from(*after).unwrap_or(SignedDuration::MAX);
        let of_project = Some(project.name.clone());
        let all = cid
            .store
            .workspaces_of_people(of_project, 0, usize::MAX >> 1);
        for workspace in all.await? {
            let since = used.get(&workspace.id).unwrap_or(&workspace.created_at);
            let is_idle = Timestamp::now().duration_since(*since) > after;
            if workspace.state == WorkspaceState::Ready && is_idle {
                put_to_sleep(cid, project, &workspace).await?;
            }
        }
    }
    Ok(())
}

async fn put_to_sleep(cid: &Cid, project: &Project, workspace: &Workspace) -> Result<(), Error> {
    let is_in_use = cid.sys.sessions.has_any(&workspace.unit())
        || cid.store.live_job(workspace.id).await?.is_some()
        || is_connected(cid, workspace).await;
    if is_in_use {
        return Ok(());
    }
    let named = Named {
        owner: workspace.owner.clone(),
        project: project.name.to_string(),
    };
    let claim = Claim::of_trigger(project.name.clone(), Action::Restart);
    match stop(cid, claim, &named, true).await {
        Ok(Some(begun)) => {
            let began = ByItself {
                by: "idle",
                rpc: "/cid.v1.Workspaces/Stop",
                action: Action::Restart,
                project: &project.name,
                workspace: Some(workspace),
                build: None,
                job: begun.job,
            };
            began.record(cid).await;
        }
        Ok(None) => {}
        // Tried again at the next look.
        Err(error) => tracing::debug!("{} does not sleep: {error}", workspace.unit()),
    }
    Ok(())
}

/// Whether anybody has a connection to its app, such as a WebSocket, whose request is told of at its end only.
async fn is_connected(cid: &Cid, workspace: &Workspace) -> bool {
    let Ok(run_file) = RunFile::read(&cid.layout.run_file(&workspace.instance())) else {
        return false;
    };
    let (probe, app) = (Arc::clone(&cid.sys.probe), App::of(&run_file));
    let connections = spawn_blocking(move || probe.connections(&app)).await;
    connections.unwrap_or_default() > 0
}
