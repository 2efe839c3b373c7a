//! Workspaces' vhosts follow their project's file: its `[nginx]`, its certificate, its `media.scripts`.
//! The settings that the processes were started with stay.

use crate::{
    cid::Cid,
    config::{Project, Values},
    domain::{Workspace, WorkspaceState},
    step::Published,
    store::Artifact,
};
use cid_protocol::{fault::Fault, run_file::RunFile};
use futures::future::join_all;

/// Rewrites the vhosts that differ from what the project's file asks for.
///
/// # Errors
/// The ledger cannot be read, or nginx rejects a vhost; the others are written all the same.
pub(super) async fn keep_vhosts(cid: &Cid, project: &Project) -> Result<(), Fault> {
    let of = Some(project.name.clone());
    let mut stale = Vec::new();
    for workspace in cid.store.workspaces(of, 0, usize::MAX >> 1).await? {
        if let Some(wanted) = wanted(cid, project, &workspace).await? {
            stale.push((workspace, wanted));
        }
    }
    // One reload for all of them.
    let puts = stale.into_iter().map(async |(workspace, wanted)| {
        cid.sys.nginx.put(&workspace.unit(), &wanted).await?;
        let noted = cid
            .store
            .set_artifact(workspace.id, Artifact::Vhost, Some(wanted));
        Ok(noted.await?)
    });
    join_all(puts).await.into_iter().collect()
}

/// The wanted vhost of a workspace whose present one differs.
async fn wanted(
    cid: &Cid,
    project: &Project,
    workspace: &Workspace,
) -> Result<Option<String>, Fault> {
    if workspace.state != WorkspaceState::Ready {
        return Ok(None);
    }
    let Some(present) = cid.store.artifact(workspace.id, Artifact::Vhost).await? else {
        return Ok(None);
    };
    if cid.store.live_job(workspace.id).await?.is_some() {
        return Ok(None);
    }
    let number = cid.store.number_of(workspace.id).await?;
    let project = &project.clone().for_environment(&workspace.name);
    let values = Values::of(project, workspace, number);
    let Some(wanted) = vhost(cid, project, workspace, &values)? else {
        return Ok(None);
    };
    Ok((wanted != present).then_some(wanted))
}

/// The vhost for the project's file and the workspace's processes; `None` if the two do not fit together,
/// and the workspace keeps the vhost that it was made with.
fn vhost(
    cid: &Cid,
    project: &Project,
    workspace: &Workspace,
    values: &Values,
) -> Result<Option<String>, Fault> {
    let unit = workspace.unit();
    // Another check reports a missing run file.
    let Ok(run_file) = RunFile::read(&cid.layout.run_file(&workspace.instance())) else {
        return Ok(None);
    };
    let (Some(host), Some(port)) = (workspace.host(), workspace.port) else {
        return Ok(None);
    };
    let given = ["MEDIA_ROOT", "MEDIA_URL"].map(|name| run_file.env.get(name).cloned());
    if host != project.host_for(&workspace.name) || given != project.media_env(values) {
        return Ok(None);
    }
    let https = workspace.is_https();
    let copy = cid.sys.certificates.copy(&project.name);
    let tls = match (https, copy) {
        (true, None) => return Ok(None),
        (true, Some(copy)) => Some(cid.sys.site.tls(copy, project.tls.as_ref())),
        // Its address stays; browsers must not be told to come by HTTPS alone.
        (false, Some(copy)) if project.tls.is_some() => Some(cid.sys.site.tls(copy, None)),
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
