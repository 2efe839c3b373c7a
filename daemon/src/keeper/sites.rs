//! What projects have in nginx: a certificate, a site for all names below their domain, and a vhost for each workspace
//! and stage that needs one. All follow the project files. No project gets in another's way.

use super::{front::keep_front, vhosts};
use crate::{
    cid::Cid,
    config::{Project, Shelf},
    domain::{CertificateName, Name, ProjectName, UnitName},
    store::Artifact,
    system::nginx::{aside, project_site::project_site},
};
use cid_protocol::fault::Fault;
use futures::future::join_all;
use std::{collections::BTreeSet, time::Duration};
use tokio::time::{sleep, timeout};

/// How often cid looks for renewed certificates, and for what a job kept it from the last time.
const PAUSE: Duration = Duration::from_mins(5);
/// The pause before a retry after a failure: nginx may have been down.
const SHORT_PAUSE: Duration = Duration::from_secs(30);

/// Brings all projects' certificates, sites and vhosts up to date, and removes those of
/// projects that are gone. An error in one project is logged and does not stop the others. Returns what went
/// wrong, with the project's name; that is tried again soon.
pub async fn keep_sites(cid: &Cid) -> Vec<String> {
    let failed = keep(cid).await;
    if !failed.is_empty() {
        cid.turns.sites_owed.notify_one();
    }
    failed
}

async fn keep(cid: &Cid) -> Vec<String> {
    let shelf = cid.projects.all();
    let mut failed = Vec::new();
    // A project whose file is currently bad keeps what it has.
    for project in shelf.values().flatten() {
        for fault in keep_site(cid, project).await {
            tracing::error!(PROJECT = project.name.as_str(), "{fault}");
            failed.push(format!("{}: {fault}", project.name));
        }
    }
    if let Err(fault) = remove_strays(cid, &shelf).await {
        tracing::error!("{fault}");
        failed.push(fault.to_string());
    }
    failed
}

/// Repeats this until the daemon stops.
pub async fn keep_sites_forever(cid: Cid) {
    let mut seen = None;
    loop {
        let failed = keep(&cid).await;
        let front = keep_front(&cid, &mut seen).await;
        if let Err(fault) = &front {
            tracing::error!("{fault}");
        }
        let pause = match failed.is_empty() && front.is_ok() {
            true => PAUSE,
            false => SHORT_PAUSE,
        };
        tokio::select! {
            () = pause_or_owed(&cid, pause) => {}
            () = cid.stopping.cancelled() => return,
        }
    }
}

/// Waits that long; shorter, if somebody else's attempt fails meanwhile.
async fn pause_or_owed(cid: &Cid, pause: Duration) {
    let owed = cid.turns.sites_owed.notified();
    if timeout(pause, owed).await.is_ok() {
        sleep(SHORT_PAUSE).await;
    }
}

/// What went wrong with one project. A bad certificate harms what answers with it alone.
async fn keep_site(cid: &Cid, project: &Project) -> Vec<Fault> {
    let (mut bad, mut failed) = (BTreeSet::new(), Vec::new());
    for given in project.certificates() {
        if let Err(fault) = cid.sys.certificates.refresh(&given).await {
            bad.insert(given.name);
            failed.push(fault);
        }
    }
    failed.extend(put_back(cid, project, &bad).await.err());
    failed.extend(keep_vhosts(cid, project, &bad).await.err());
    failed
}

/// The site of a project, and the vhosts of its workspaces and stages.
async fn keep_vhosts(
    cid: &Cid,
    project: &Project,
    bad: &BTreeSet<CertificateName>,
) -> Result<(), Fault> {
    // Before the project's site stops leading to them, and after it does so again.
    let (stale, looked) = match vhosts::stale(cid, project).await {
        Ok(stale) => (stale, Ok(())),
        Err(fault) => (Vec::new(), Err(fault)),
    };
    let written = vhosts::write(cid, &stale).await;
    let unit = UnitName::catch_all(&project.name);
    let found = cid.sys.nginx.read(&unit)?;
    let waits = bad.contains(&CertificateName::of_project(&project.name))
        && found
            .as_deref()
            .is_some_and(|text| aside::reason(text).is_some());
    let wanted = project_site(&cid.sys, project)?;
    if found.as_ref() != Some(&wanted) && !waits {
        cid.sys.nginx.put(&unit, &wanted).await?;
    }
    let removed = match written {
        Ok(()) => vhosts::remove(cid, &stale).await,
        failed => failed,
    };
    looked.and(removed)
}

/// Restores the set-aside vhosts of a project's workspaces and stages whose certificates are good again.
async fn put_back(
    cid: &Cid,
    project: &Project,
    bad: &BTreeSet<CertificateName>,
) -> Result<(), Fault> {
    let mut aside = cid.sys.nginx.list()?;
    aside.retain(|unit| unit.project() == project.name && !unit.is_catch_all());
    let stands_in = |unit: &UnitName| {
        let text = cid.sys.nginx.read(unit)?;
        Ok::<_, Fault>(text.is_some_and(|text| aside::reason(&text).is_some()))
    };
    let mut units = Vec::new();
    for unit in aside {
        if stands_in(&unit)? {
            units.push(unit);
        }
    }
    if units.is_empty() {
        return Ok(());
    }
    let mut puts = Vec::new();
    for workspace in cid.store.workspaces(None, 0, usize::MAX >> 1).await? {
        let unit = workspace.unit();
        if !workspace.state.is_whole() || !units.contains(&unit) {
            continue;
        }
        let given = project.certificate_of(&workspace.name);
        if given.is_some_and(|given| bad.contains(&given.name)) {
            continue;
        }
        if cid.store.live_job(workspace.id).await?.is_some() {
            continue;
        }
        let wanted = cid.store.artifact(workspace.id, Artifact::Vhost).await?;
        if let Some(wanted) = wanted {
            puts.push((unit, wanted));
        }
    }
    // One reload for all of them.
    let puts = puts
        .iter()
        .map(|(unit, wanted)| cid.sys.nginx.put(unit, wanted));
    join_all(puts).await.into_iter().collect()
}

/// A vhost that names a missing certificate would keep nginx from starting, for everybody: nginx's test
/// sets such vhosts aside.
async fn take_down(cid: &Cid) -> Result<(), Fault> {
    let mut names = BTreeSet::new();
    for unit in cid.sys.nginx.list()? {
        let project = unit.project();
        names.insert(CertificateName::of_project(&project));
        let stage = Name::of_stage(unit.name());
        names.extend(stage.map(|stage| CertificateName::of_stage(&project, &stage)));
    }
    for name in &names {
        if cid.sys.certificates.copy(name).is_none() && !naming(cid, name)?.is_empty() {
            return cid.sys.nginx.settle().await;
        }
    }
    Ok(())
}

/// The vhosts that name a certificate.
fn naming(cid: &Cid, name: &CertificateName) -> Result<Vec<UnitName>, Fault> {
    let path = cid.layout.certificate(name).display().to_string();
    let mut units = cid.sys.nginx.list()?;
    units.retain(|unit| unit.project() == *name.project());
    let mut naming = Vec::new();
    for unit in units {
        let text = cid.sys.nginx.read(&unit)?;
        if text.is_some_and(|text| text.contains(&path) && aside::reason(&text).is_none()) {
            naming.push(unit);
        }
    }
    Ok(naming)
}

/// Whether a project's site belongs to one that has a file, or workspaces.
pub(crate) fn is_wanted(shelf: &Shelf, used: &BTreeSet<ProjectName>, unit: &UnitName) -> bool {
    let project = unit.project();
    unit.is_catch_all() && (shelf.contains_key(project.as_str()) || used.contains(&project))
}

async fn remove_strays(cid: &Cid, shelf: &Shelf) -> Result<(), Fault> {
    take_down(cid).await?;
    let workspaces = cid.store.workspaces(None, 0, usize::MAX >> 1).await?;
    let used = workspaces.into_iter().map(|workspace| workspace.project);
    let used: BTreeSet<ProjectName> = used.collect();
    let catch_alls = cid.sys.nginx.list()?;
    for unit in catch_alls.iter().filter(|unit| unit.is_catch_all()) {
        if !is_wanted(shelf, &used, unit) {
            cid.sys.nginx.remove(unit).await?;
        }
    }
    for name in cid.sys.certificates.list()? {
        let is_given = match shelf.get(name.project().as_str()) {
            Some(Ok(project)) => project.certificates().iter().any(|one| one.name == name),
            Some(Err(_)) => true,
            None => false,
        };
        // Existing workspaces keep using it.
        if !is_given && naming(cid, &name)?.is_empty() {
            cid.sys.certificates.remove(&name).await?;
        }
    }
    Ok(())
}

/// Whether a project has anything in nginx besides its workspaces.
///
/// # Errors
/// The vhost cannot be read.
pub(crate) fn has_site(cid: &Cid, project: &ProjectName) -> Result<bool, Fault> {
    let vhost = cid.sys.nginx.read(&UnitName::catch_all(project))?;
    Ok(vhost.is_some() || !cid.sys.certificates.of_project(project)?.is_empty())
}

/// Removes the certificates and vhost of a project that has no workspaces.
///
/// # Errors
/// A file cannot be removed.
pub(crate) async fn remove_site(cid: &Cid, project: &ProjectName) -> Result<(), Fault> {
    // If nginx cannot be reloaded, it forgets them at its next start.
    let unit = UnitName::catch_all(project);
    cid.sys.nginx.remove(&unit).await?;
    for name in cid.sys.certificates.of_project(project)? {
        cid.sys.certificates.remove(&name).await?;
    }
    Ok(())
}
