//! Projects, and what is known of their remotes.

use super::{Narrow, clean, list, marked, pairs, table, time};
use cid_client::{CheckItem, FollowUp, HookDelivery, Project};

/// Projects, one a line; nothing when there are none.
pub(crate) fn projects(projects: &[Project]) -> String {
    table(
        ["NAME", "DOMAIN", "BASE", "WORKSPACES", "STATUS"],
        projects.iter().map(|project| {
            [
                project.name.clone(),
                project.domain.clone(),
                project.base_branch.clone(),
                project.workspaces.to_string(),
                in_a_line(&status(project)),
            ]
        }),
    )
}

/// The first and the last line of a text of several: between them an error shows the place in the file.
fn in_a_line(text: &str) -> String {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    match (lines.next(), lines.next_back()) {
        (Some(first), Some(last)) => format!("{first}: {last}"),
        (first, _) => first.unwrap_or_default().to_owned(),
    }
}

/// One project, a member a line.
pub(crate) fn project(project: &Project) -> String {
    pairs(vec![
        ("name", project.name.clone()),
        ("domain", project.domain.clone()),
        ("repository", project.git_url.clone()),
        ("base", project.base_branch.clone()),
        ("work_dir", project.work_dir.clone()),
        ("deploy_user", project.deploy_user.clone()),
        ("file", project.file.clone()),
        ("workspaces", project.workspaces.to_string()),
        ("status", status(project)),
    ])
}

fn status(project: &Project) -> String {
    match (&project.error, project.remote_silent_since) {
        (Some(error), _) => format!("error: {error}"),
        (None, Some(since)) => format!(
            "remote silent since {}: {}",
            time(since),
            clean(project.remote_error.as_deref().unwrap_or_default())
        ),
        (None, None) => "ok".to_owned(),
    }
}

/// What `project check` looked at, one a line, with how to mend it below.
pub(crate) fn checks(items: &[CheckItem]) -> String {
    marked(items.iter().map(|item| {
        (
            item.severity.as_str(),
            &item.subject,
            &item.message,
            item.hint.as_ref(),
        )
    }))
}

/// What followed from a look at a remote, one branch a line.
pub(crate) fn follow_ups(followed: &[FollowUp]) -> String {
    let lines = followed.iter().map(|one| {
        let commit = one
            .commit
            .as_deref()
            .map_or("gone", |commit| commit.get(..10).unwrap_or(commit));
        format!(
            "{} ({}): {}",
            clean(&one.branch),
            clean(commit),
            clean(&one.message)
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Webhooks, one a line; nothing when there are none.
pub(crate) fn hooks(deliveries: &[HookDelivery], width: Option<usize>) -> String {
    list(
        width,
        Narrow {
            drop: &["ID"],
            cut: Some("CAME OF IT"),
        },
        ["AT", "SIGNED", "EVENT", "ID", "TAKEN", "CAME OF IT"],
        deliveries.iter().map(|one| {
            let word = |text: &Option<String>| clean(text.as_deref().unwrap_or("-"));
            [
                time(one.at),
                word(&one.scheme),
                word(&one.event),
                word(&one.id),
                if one.accepted { "yes" } else { "no" }.to_owned(),
                word(&one.outcome),
            ]
        }),
    )
}
