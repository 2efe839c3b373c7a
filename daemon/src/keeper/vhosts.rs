//! Vhosts of workspaces and stages follow their project's file: its `[nginx]`, its certificate, its `media.scripts`.
//! The settings that the processes were started with stay. A workspace gets a vhost of its own when its address is no
//! longer what the file gives, and loses it when it is again.

use crate::{
    cid::Cid,
    config::{Project, Values},
    domain::Workspace,
    step::Published,
    store::Artifact,
    system::Effect,
};
use cid_protocol::{fault::Fault, run_file::RunFile};
use futures::future::join_all;

/// What a workspace should have in nginx, besides its project's site.
pub(super) struct Stale {
    workspace: Workspace,
    /// `None`: no vhost.
    wanted: Option<String>,
}

/// The workspaces whose vhosts differ from what the project's file asks for.
///
/// # Errors
/// The ledger cannot be read, or a vhost cannot be written down.
pub(super) async fn stale(cid: &Cid, project: &Project) -> Result<Vec<Stale>, Fault> {
    let of = Some(project.name.clone());
    let mut stale = Vec::new();
    for workspace in cid.store.workspaces(of, 0, usize::MAX >> 1).await? {
        if !workspace.state.is_whole() || cid.store.live_job(workspace.id).await?.is_some() {
            continue;
        }
        let number = cid.store.number_of(workspace.id).await?;
        let project = &project.clone().for_environment(&workspace.name);
        let values = Values::of(project, &workspace, number);
        let present = cid.store.artifact(workspace.id, Artifact::Vhost).await?;
        let is_own = present.is_some();
        match vhost(cid, project, &workspace, &values, is_own)? {
            Some(wanted) if wanted != present => stale.push(Stale { workspace, wanted }),
            _ => {}
        }
    }
    Ok(stale)
}

/// Writes those that are to have a vhost.
///
/// # Errors
/// nginx rejects one; the others are written all the same.
pub(super) async fn write(cid: &Cid, stale: &[Stale]) -> Result<(), Fault> {
    // One reload for all of them.
    let puts = stale
        .iter()
        .map(async |Stale { workspace, wanted }| match wanted {
            None => Ok(()),
            Some(_) if !is_at_rest(cid, workspace).await? => Ok(()),
            // Noted first, as a doctor who looks meanwhile compares the two.
            Some(vhost) => {
                note(cid, workspace, wanted).await?;
                cid.sys.nginx.put(&workspace.unit(), vhost).await
            }
        });
    join_all(puts).await.into_iter().collect()
}

/// Removes the vhosts of those that their project's site leads to by now.
///
/// # Errors
/// A file cannot be removed, or nginx does not forget it.
pub(super) async fn remove(cid: &Cid, stale: &[Stale]) -> Result<(), Fault> {
    let gone = stale.iter().filter(|stale| stale.wanted.is_none());
    let removals = gone.map(async |Stale { workspace, wanted }| {
        if !is_at_rest(cid, workspace).await? {
            return Ok(());
        }
        match cid.sys.nginx.remove(&workspace.unit()).await? {
            Effect::Done => note(cid, workspace, wanted).await,
            Effect::Owed(reason) => Err(Fault::new(reason)),
        }
    });
    join_all(removals).await.into_iter().collect()
}

/// Whether nothing has happened to it since the list was made.
async fn is_at_rest(cid: &Cid, workspace: &Workspace) -> Result<bool, Fault> {
    let is_busy = cid.store.live_job(workspace.id).await?.is_some();
    let now = cid.store.workspace(workspace.id).await?;
    let is_same = now
        .is_some_and(|now| (now.state, now.deployment) == (workspace.state, workspace.deployment));
    Ok(is_same && !is_busy)
}

async fn note(cid: &Cid, workspace: &Workspace, wanted: &Option<String>) -> Result<(), Fault> {
    let noted = cid
        .store
        .set_artifact(workspace.id, Artifact::Vhost, wanted.clone());
    Ok(noted.await?)
}

/// The vhost for the project's file and the workspace's processes, if it needs one; `None` where the two do not fit
/// together, and one that has its own (`is_own`) keeps it as it was made.
fn vhost(
    cid: &Cid,
    project: &Project,
    workspace: &Workspace,
    values: &Values,
    is_own: bool,
) -> Result<Option<Option<String>>, Fault> {
    let unit = workspace.unit();
    // Another check reports a missing run file.
    let Ok(run_file) = RunFile::read(&cid.layout.run_file(&workspace.instance())) else {
        return Ok(None);
    };
    let (Some(host), Some(port)) = (workspace.host(), workspace.port) else {
        return Ok(None);
    };
    let given = ["MEDIA_ROOT", "MEDIA_URL"].map(|name| run_file.env.get(name).cloned());
    let is_as_made =
        host == project.host_for(&workspace.name) && given == project.media_env(values);
    if is_own && !is_as_made {
        return Ok(None);
    }
    let https = workspace.is_https();
    let tls = match (
        https,
        cid.sys.certificates.serving(project, &workspace.name),
    ) {
        (true, None) => return Ok(None),
        (true, Some((copy, tls))) => Some(cid.sys.site.tls(copy, tls.as_ref())),
        // Its address stays; browsers must not be told to come by HTTPS alone.
        (false, Some((copy, Some(_)))) => Some(cid.sys.site.tls(copy, None)),
        (false, _) => None,
    };
    let published = Published {
        unit: &unit,
        host,
        directory: &workspace.directory,
        port: run_file.web_socket.is_none().then_some(port),
        plain_too: !https && tls.is_some(),
        tls,
    };
    published.vhost(&cid.sys, project).map(Some)
}
