//! What a change leads to.

use super::{audit, changes::Change};
use crate::{
    authz::{Action, Claim},
    cid::{Cid, FollowUp},
    config::{OnBranchDeleted, Project},
    domain::{Build, Notice, Workspace},
    error::Error,
    operation::{self, Deleted, Deletion, Named, Staying},
    system::templates::WantedTemplate,
};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;
use uuid::Uuid;

/// How long a workspace with work is left alone before it is looked at again.
const NEXT_TRY: Duration = Duration::from_hours(1);

/// Begins what follows from a change; `None`: nothing, and nobody needs to hear of it.
pub(super) async fn act(cid: &Cid, project: &Project, change: &Change<'_>) -> Option<FollowUp> {
    if let Change::Base { branch, commit } = change
        && *branch == project.git.base.as_str()
        && has_templates(cid, project).await
    {
        // For those who create a workspace next.
        let commit = (*commit).to_owned();
        let again = false;
        cid.sys
            .templates
            .want(&project.name, WantedTemplate { commit, again });
    }
    let (message, job, later) = match change {
        Change::Base { .. } if !project.builds_pushes() => (
            "it has moved; [app] has no build or test commands, so there is nothing to do".into(),
            None,
            false,
        ),
        Change::Base { branch, .. } => match build(cid, project, branch).await {
            Ok(built) => built,
            Err(error) => told("build", Err(error)),
        },
        Change::Moved { .. } if !project.git.deploy_workspaces => (
            "it has moved; deploy_workspaces under [git] is off, so its workspace stays as it is"
                .into(),
            None,
            false,
        ),
        Change::Moved { workspace, .. } => told("deploy", deploy(cid, project, workspace).await),
        Change::Gone { workspace, since } => gone(cid, project, workspace, *since).await?,
    };
    Some(FollowUp {
        branch: change.branch().to_owned(),
        commit: change.commit().map(str::to_owned),
        message,
        job,
        later,
    })
}

/// Whether a creation found that its new workspaces begin with templates, or the operator says so.
async fn has_templates(cid: &Cid, project: &Project) -> bool {
    let made = cid.store.templates(project.name.clone()).await;
    let is_known = made.is_ok_and(|made| !made.is_empty());
    project.app.template.unwrap_or(is_known)
}

type Told = (String, Option<Uuid>, bool);

/// What an attempt came to. Where something else is in the way it is made again.
fn told(what: &str, began: Result<(String, Option<Uuid>), Error>) -> Told {
    match began {
        Ok((message, job)) => (message, job, false),
        Err(error) => {
            let later = matches!(
                error,
                Error::JobInTheWay { .. }
                    | Error::Exhausted { .. }
                    | Error::Fault(_)
                    | Error::Store(_)
            );
            let again = if later { "; cid tries again" } else { "" };
            (format!("cannot {what}: {error}{again}"), None, later)
        }
    }
}

async fn build(cid: &Cid, project: &Project, branch: &str) -> Result<Told, Error> {
    let claim = Claim::of_trigger(project.name.clone(), Action::Build);
    let name = project.name.as_str();
    let (build, is_new) = operation::build(cid, claim, name, branch, false).await?;
    let number = build.number;
    if !is_new && build.state.is_made() {
        let mut message = format!("it has been built: build {number}");
        // A branch that went back takes no stage with it.
        for one in operation::running_builds(cid, std::slice::from_ref(&build)).await? {
            if one.build > number {
                let stage = one.stage;
                message.push_str(&format!(
                    "; {stage} runs build {}, which is newer: cictl rollback {stage} {number} takes it back",
                    one.build
                ));
            }
        }
        return Ok((message, None, false));
    }
    if !is_new {
        let pushed = cid.store.pushed_builds(project.name.clone()).await?;
        // A person may cancel a build of their own: then it is for the push to make another.
        let later = !pushed.contains(&number);
        let again = if later { "; cid looks again" } else { "" };
        return Ok((format!("build {number} is being made{again}"), None, later));
    }
    audit::began(
        cid,
        &project.name,
        Action::Build,
        None,
        Some(build.number),
        build.job,
    )
    .await;
    let replaced = replace_waiting(cid, &build).await?;
    let instead = match replaced {
        0 => String::new(),
        _ => " in place of one that waited".to_owned(),
    };
    let message = format!("build {} begins{instead}", build.number);
    Ok((message, Some(build.job), false))
}

/// Cancels builds of older pushes to the same branch that have not begun.
async fn replace_waiting(cid: &Cid, build: &Build) -> Result<usize, Error> {
    let waiting = cid.store.replaced_by(build).await?;
    let mut replaced = 0;
    for job in waiting {
        let claim = Claim::of_trigger(build.project.clone(), Action::ManageJobs);
        // First, for the cancelled job's end reads it.
        cid.store.supersede(job, Some(build.number)).await?;
        match operation::cancel_job(cid, claim, job).await {
            Ok(_) => replaced += 1,
            // It has ended by now.
            Err(error) => {
                cid.store.supersede(job, None).await?;
                tracing::debug!("{error}");
            }
        }
    }
    Ok(replaced)
}

async fn deploy(
    cid: &Cid,
    project: &Project,
    workspace: &Workspace,
) -> Result<(String, Option<Uuid>), Error> {
    let claim = Claim::of_trigger(project.name.clone(), Action::Deploy);
    let begun = operation::stay(cid, claim, &named(workspace), &Staying::DEPLOY).await?;
    let (action, workspace) = (Action::Deploy, Some(&begun.workspace));
    audit::began(cid, &project.name, action, workspace, None, begun.job).await;
    let message = format!("the workspace of {} is deployed", begun.workspace.owner);
    Ok((message, Some(begun.job)))
}

/// A branch that is gone is told once; its workspace goes after the grace, if the file says so.
async fn gone(
    cid: &Cid,
    project: &Project,
    workspace: &Workspace,
    since: Option<Timestamp>,
) -> Option<Told> {
    let owner = &workspace.owner;
    let deletes = project.git.on_branch_deleted == OnBranchDeleted::Delete;
    let Some(since) = since else {
        let then = match deletes {
            true => "is deleted after the grace, unless it holds work",
            false => "stays",
        };
        tell_owner(cid, project, workspace, then).await;
        return Some((
            format!("it is gone; the workspace of {owner} {then}"),
            None,
            false,
        ));
    };
    let grace = SignedDuration::try_from(*project.git.grace).unwrap_or(SignedDuration::MAX);
    let is_over = Timestamp::now().duration_since(since) >= grace;
    if !deletes || !is_over || !cid.looks.may_try(workspace.id, NEXT_TRY) {
        return None;
    }
    let deleted = match delete(cid, project, workspace).await {
        Ok(Some(deleted)) => Ok(deleted),
        Ok(None) => {
            let message = format!("it is back; the workspace of {owner} stays");
            return Some((message, None, false));
        }
        Err(error) => Err(error),
    };
    if let Ok(deleted) = &deleted
        && let Some(job) = deleted.job
    {
        let action = Action::DeleteAny;
        audit::began(cid, &project.name, action, Some(workspace), None, job).await;
    }
    let what = format!("delete the workspace of {owner}");
    let began = deleted.map(|deleted| {
        let message = format!("it is gone, and the workspace of {owner} is deleted");
        (message, deleted.job)
    });
    let (message, job, _) = told(&what, began);
    Some((message, job, false))
}

/// Begins a delete, unless the branch is back: looking for work may have taken minutes.
async fn delete(
    cid: &Cid,
    project: &Project,
    workspace: &Workspace,
) -> Result<Option<Deleted>, Error> {
    let claim = || Claim::of_trigger(project.name.clone(), Action::DeleteAny);
    let named = named(workspace);
    let look = Deletion {
        look: true,
        ..Deletion::default()
    };
    let looked = operation::delete(cid, claim(), &named, &look).await?.looked;
    let wanted = [workspace.branch.clone()].into();
    let now = super::ask(cid, project, wanted).await?;
    if now.commits.contains_key(&workspace.branch) {
        return Ok(None);
    }
    let delete = Deletion {
        looked,
        ..Deletion::default()
    };
    operation::delete(cid, claim(), &named, &delete)
        .await
        .map(Some)
}

/// By mail, where cid sends any.
async fn tell_owner(cid: &Cid, project: &Project, workspace: &Workspace, then: &str) {
    if cid.settings.mail.is_none() {
        return;
    }
    let branch = &workspace.branch;
    let Some(email) = workspace.owner.person() else {
        return;
    };
    let notice = Notice::Mail {
        to: email.clone(),
        subject: format!("{}: the branch {branch} is gone", project.name),
        text: format!(
            "The branch {branch} of your workspace in {} is not on the remote any more.\n\n\
             The workspace {then}.\n\n\
             {}\n\n\
             To keep on working, push the branch again. If you are done:\n\n    \
             cictl delete {email} -p {}\n",
            project.name, workspace.url, project.name
        ),
    };
    if let Err(error) = cid.store.add_notice(project.name.clone(), notice).await {
        tracing::warn!("{email} is not told that the branch is gone: {error}");
    }
}

fn named(workspace: &Workspace) -> Named {
    Named {
        owner: workspace.owner.clone(),
        project: workspace.project.to_string(),
    }
}
