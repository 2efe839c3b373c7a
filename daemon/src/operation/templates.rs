//! Templates: made when there is time, for those who come next.

use super::{create::refuse_full_disk, project};
use crate::{
    authz::{Action, Claim, Subject},
    cid::Cid,
    config::Project,
    domain::{Build, BuildState, Creator, JobKind, ProjectName, Source},
    error::Error,
    plan,
    recipe::templated,
    system::{
        helpers::{Identity, ask_once},
        templates::WantedTemplate,
    },
};
use cid_protocol::request::{FindCommit, FoundCommit};
use std::{sync::Arc, time::Duration};
use uuid::Uuid;

/// How long before a template is begun: those who created something may create more at once.
const PAUSE: Duration = Duration::from_secs(1);

/// Makes the templates that are wanted, until the daemon stops.
pub async fn make_templates_forever(cid: Cid) {
    loop {
        let (project, wanted) = tokio::select! {
            next = cid.sys.templates.next() => next,
            () = cid.stopping.cancelled() => return,
        };
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = cid.stopping.cancelled() => return,
        }
        if let Err(error) = make_template(&cid, &project, &wanted).await {
            tracing::warn!(
                PROJECT = project.as_str(),
                "cannot make a template: {error}"
            );
        }
    }
}

/// Begins to make a template, unless there is one; `None`: none is made.
///
/// # Errors
/// The repository cannot be reached, the disk is full, or the ledger fails.
pub(crate) async fn make_template(
    cid: &Cid,
    name: &ProjectName,
    wanted: &WantedTemplate,
) -> Result<Option<Uuid>, Error> {
    // It has been removed meanwhile, or its file is bad.
    let Ok(project) = cid.projects.get(name.as_str()) else {
        return Ok(None);
    };
    if project.app.template == Some(false) {
        return Ok(None);
    }
    refuse_full_disk(cid, &project, "a template")?;
    let Some(found) = find(cid, &project, &wanted.commit).await? else {
        // It has been pushed away by now.
        return Ok(None);
    };
    let (recipe, _) = project::look_at(cid, &project, found.commit.clone()).await?;
    // A creation says what is wrong with a commit that has nothing to run.
    if !recipe.is_ok_and(|recipe| templated(&project, &recipe).is_some()) {
        return Ok(None);
    }
    // It may have been removed while its server was asked, which no other project waits for.
    let _turn = cid.turns.creating.read().await;
    let project = cid.projects.get(name.as_str())?;
    let claim = Claim::of_trigger(name.clone(), Action::Build);
    let permit = claim.bind(Subject::of_project(name)).await?;
    let draft = Build {
        id: 0,
        project: name.clone(),
        number: 0,
        source: Source {
            commit: found.commit,
            reference: project.git.base.to_string(),
            subject: found.subject,
            author: found.author,
        },
        recipe: project.digest.clone(),
        state: BuildState::Queued,
        verdict: None,
        digest: None,
        packages: None,
        directory: cid.layout.templates(name),
        created_at: jiff::Timestamp::now(),
        took_ms: None,
        job: Uuid::now_v7(),
        superseded_by: None,
    };
    let layout = Arc::clone(&cid.layout);
    let plan = move |template: &Build| plan::template(&layout, &project, template);
    let (kind, by) = (JobKind::Template, Creator::Trigger);
    let submitted = cid
        .engine
        .submit_build(permit, kind, draft, wanted.again, by, plan);
    let (template, is_new) = submitted.await?;
    Ok(is_new.then_some(template.job))
}

/// The mirror has what a creation began at, and not what was pushed a moment ago.
async fn find(cid: &Cid, project: &Project, commit: &str) -> Result<Option<FoundCommit>, Error> {
    let find = || {
        let request = FindCommit {
            mirror: cid.layout.mirror(&project.name),
            revision: commit.to_owned(),
        };
        let identity = Identity::Git(project.name.clone());
        let (helpers, stopping) = (cid.sys.helpers.as_ref(), cid.stopping.clone());
        ask_once(
            helpers,
            identity,
            *cid.settings.limits.step,
            stopping,
            request,
        )
    };
    // Without a mirror it fails.
    if let Ok(Some(found)) = find().await {
        return Ok(Some(found));
    }
    let base = project.git.base.as_str();
    let limits = &cid.settings.limits;
    cid.engine.fetch(project, base, *limits.git).await?;
    Ok(find().await?)
}
