//! A workspace for an address.

use super::{Begun, Named, subject, submit};
use crate::{
    authz::Claim,
    cid::Cid,
    config::{Project, Projects, RefName},
    domain::{Creator, Email, EmailError, Name, Owner, Workspace, WorkspaceState},
    error::Error,
    plan::Order,
    store::{Quota, Subject},
    system::tls::Certificates,
};
use cid_kernel::room::{self, Shortage};
use std::sync::Arc;
use uuid::Uuid;

/// Begins to make a workspace. Its branch begins from `base`, or (empty) from the project's own.
///
/// # Errors
/// There is one, there can be none now, or the actor may not.
pub async fn create(cid: &Cid, claim: Claim, named: &Named, base: &str) -> Result<Begun, Error> {
    let Named { owner, project } = named;
    let base = match base {
        "" => None,
        name => {
            Some(RefName::try_from(name.to_owned()).map_err(|why| Error::invalid("base", why))?)
        }
    };
    let Owner::Person(email) = owner else {
        let message = EmailError::At.to_string();
        return Err(Error::invalid("workspace.email", message));
    };
    let of = cid.projects.named_or_only(project)?;
    let permit = claim
        .bind(subject(cid, &of.name, owner, None, None))
        .await?;
    // It may have been removed while a person typed a password.
    let _turn = cid.turns.creating.read().await;
    let project = cid.projects.named_or_only(project)?;
    refuse_bad_certificate(&project).await?;
    refuse_full_disk(cid, &project, "a workspace")?;
    let limits = project.limits.over(&cid.settings.limits);
    let subject = Subject::New {
        candidates: candidates(cid, &project, email, &permit.creator(email)),
        quota: Quota {
            in_all: limits.workspaces.get(),
            per_project: limits.workspaces_per_project.get(),
            per_creator: limits.workspaces_per_creator.get(),
        },
    };
    let project = match base {
        None => project,
        Some(base) => {
            let mut own = (*project).clone();
            own.git.base = base;
            Arc::new(own)
        }
    };
    submit(cid, permit, subject, Order::Create { project }).await
}

/// The workspace under each name that it may get, best first.
fn candidates(
    cid: &Cid,
    project: &Arc<Project>,
    email: &Email,
    creator: &Creator,
) -> Vec<Workspace> {
    let work_dir = Projects::work_dir(project, &cid.layout.work_root);
    let created_at = jiff::Timestamp::now();
    let under = |name: Name| Workspace {
        id: 0,
        owner: email.clone().into(),
        project: project.name.clone(),
        state: WorkspaceState::Creating,
        port: None,
        directory: work_dir.join(name.as_str()),
        branch: project.branch_for(&name),
        url: cid
            .sys
            .site
            .url(&project.host_for(&name), project.tls.is_some()),
        commit: None,
        deployment: 0,
        created_at,
        job: Uuid::nil(),
        branch_gone_at: None,
        creator: creator.clone(),
        name,
    };
    Name::candidates(email).map(under).collect()
}

/// Reports a bad certificate before anything is begun.
async fn refuse_bad_certificate(project: &Project) -> Result<(), Error> {
    let Some(given) = project.certificate_for_domain() else {
        return Ok(());
    };
    match Certificates::read(&given).await {
        Ok(_) => Ok(()),
        Err(fault) => Err(Error::Precondition {
            message: format!("the project {} cannot be used: {fault}", project.name),
            hint: fault.hint,
        }),
    }
}

/// A job begun on a full disk would only have to be undone.
pub(super) fn refuse_full_disk(cid: &Cid, project: &Project, what: &str) -> Result<(), Error> {
    let work_dir = Projects::work_dir(project, &cid.layout.work_root);
    let places = cid.layout.places(&project.name, &work_dir);
    let why = match room::shortage(&places, cid.settings.min_free_mib) {
        Some(shortage) => shortage.to_string(),
        // Without it a job that fills the disk could not even be undone.
        None if !cid.store.renew_reserve() => format!(
            "the disk of {} is full: there is no space to keep aside for taking it back",
            cid.layout.state_dir.display()
        ),
        None if cid.sys.is_host() && !has_units(cid) => format!(
            "the disk of {} is full: systemd could start no helper",
            cid.layout.run_dir.display()
        ),
        None => return Ok(()),
    };
    Err(Error::Exhausted {
        message: format!("cannot make {what}: {why}"),
        hint: Some(Shortage::HINT.into()),
    })
}

/// Whether helpers can be started now, and later to undo everything.
fn has_units(cid: &Cid) -> bool {
    room::of_units(&cid.layout.run_dir).renew() && room::has_room(&cid.layout.run_dir)
}
