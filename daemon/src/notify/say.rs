//! How a story is told to each place.

use super::story::{Outcome, Story, Subject};
use crate::domain::{Build, CommitStatus, Email, StatusState};
use serde_json::{Value, json};

/// Forges cut or refuse a longer description.
const DESCRIPTION: usize = 140;

/// The status beside the commit.
pub(super) fn status(story: &Story) -> CommitStatus {
    let (commit, reference, context) = match &story.subject {
        Subject::Build(build) => (
            &build.source.commit,
            &build.source.reference,
            "build".into(),
        ),
        Subject::Stage { name, build, .. } => (
            &build.source.commit,
            &build.source.reference,
            name.to_string(),
        ),
        Subject::Workspace { commit, branch, .. } => (commit, branch, "workspace".into()),
    };
    CommitStatus {
        commit: commit.clone(),
        reference: reference.clone(),
        context: format!("cid/{context}"),
        state: match story.outcome() {
            Outcome::Begun => StatusState::Pending,
            Outcome::Good => StatusState::Success,
            Outcome::Bad => StatusState::Failure,
            Outcome::Broken => StatusState::Error,
            Outcome::Dropped => StatusState::Cancelled,
        },
        description: cut(&one_line(&story.told()), DESCRIPTION),
        link: story.link.clone(),
    }
}

/// The document for the webhook; `None`: it is about nothing that ended, or about a workspace.
pub(super) fn document(story: &Story) -> Option<String> {
    let outcome = match story.outcome() {
        Outcome::Begun => return None,
        Outcome::Good => "good",
        Outcome::Bad => "bad",
        Outcome::Broken => "error",
        Outcome::Dropped => "cancelled",
    };
    let (kind, mut data) = match &story.subject {
        Subject::Build(build) => ("build.ended", of_build(build)),
        Subject::Stage {
            name,
            build,
            url,
            by,
        } => {
            let mut data = of_build(build);
            data["stage"] = json!(name.to_string());
            data["url"] = json!(url);
            data["by"] = json!(by);
            match story.fell {
                Some(_) => ("stage.failing", data),
                None => ("deployment.ended", data),
            }
        }
        Subject::Workspace { .. } => return None,
    };
    data["project"] = json!(story.project.as_str());
    data["job"] = json!(story.job.to_string());
    data["outcome"] = json!(outcome);
    data["message"] = json!(one_line(&story.told()));
    data["link"] = json!(story.link);
    let document = json!({ "type": kind, "timestamp": story.at.to_string(), "data": data });
    Some(document.to_string())
}

fn of_build(build: &Build) -> Value {
    json!({
        "build": build.number,
        "commit": build.source.commit,
        "ref": build.source.reference,
        "subject": build.source.subject,
        "author": build.source.author,
        "digest": build.digest,
    })
}

/// Subject and text of the mail; `None`: nobody needs to read of it.
pub(super) fn letter(story: &Story) -> Option<(String, String)> {
    let project = &story.project;
    let is_bad = match story.outcome() {
        Outcome::Bad | Outcome::Broken => true,
        Outcome::Good if story.was_bad => false,
        Outcome::Good | Outcome::Begun | Outcome::Dropped => return None,
    };
    let (subject, build) = match (&story.subject, is_bad) {
        (Subject::Stage { name, build, .. }, _) if story.fell.is_some() => (
            format!(
                "{name} is failing: build {} came there by itself",
                build.number
            ),
            build,
        ),
        (Subject::Build(build), true) => (
            format!(
                "build {} of {} failed",
                build.number, build.source.reference
            ),
            build,
        ),
        (Subject::Build(build), false) => (
            format!(
                "build {} of {} is good again",
                build.number, build.source.reference
            ),
            build,
        ),
        (Subject::Stage { name, build, .. }, true) => (
            format!("build {} could not be deployed to {name}", build.number),
            build,
        ),
        (Subject::Stage { name, build, .. }, false) => (
            format!("{name} is good again: build {} runs", build.number),
            build,
        ),
        (Subject::Workspace { .. }, _) => return None,
    };
    let mut text = format!("{}\n\n", story.told());
    for (name, value) in [
        ("project", project.as_str()),
        ("commit", &build.source.commit),
        ("branch", &build.source.reference),
        ("subject", &build.source.subject),
        ("author", &build.source.author),
    ] {
        text.push_str(&format!("{name:<8} {}\n", one_line(value)));
    }
    let failed = build.verdict.as_ref().map(|verdict| &verdict.names);
    for (at, name) in failed.into_iter().flatten().enumerate() {
        text.push_str(if at == 0 {
            "\nTests that failed:\n"
        } else {
            ""
        });
        text.push_str(&format!("    {}\n", one_line(name)));
    }
    text.push_str(&match &story.subject {
        Subject::Build(build) => format!("\ncictl builds logs {} -p {project}\n", build.number),
        Subject::Stage { name, .. } if story.fell.is_some() => format!(
            "\ncictl logs {name} -p {project} says why; cictl rollback {name} -p {project} runs the build before\n"
        ),
        _ => format!("\ncictl jobs show {}\n", story.job),
    });
    if !story.link.is_empty() {
        text.push_str(&format!("{}\n", story.link));
    }
    Some((one_line(&format!("{project}: {subject}")), text))
}

/// Subject and text of the mail to a workspace's owner, of a push to its branch; `None`: there is nothing to tell.
pub(super) fn letter_to_owner(story: &Story) -> Option<(&Email, String, String)> {
    let Subject::Workspace {
        owner,
        commit,
        branch,
        left_alone,
    } = &story.subject
    else {
        return None;
    };
    let (subject, then) = match story.outcome() {
        Outcome::Bad if left_alone.is_some() => (
            "is not in its workspace",
            "Commit and push what is there, or undo it; then: cictl deploy",
        ),
        Outcome::Bad | Outcome::Broken => (
            "was not deployed",
            "The workspace runs as it did before the push.",
        ),
        Outcome::Good if story.was_bad => ("is deployed again", ""),
        Outcome::Good | Outcome::Begun | Outcome::Dropped => return None,
    };
    let (project, job) = (&story.project, story.job);
    let mut text = format!("{}\n\n", story.told());
    if !then.is_empty() {
        text.push_str(&format!("{then}\n\n"));
    }
    for (name, value) in [
        ("project", project.as_str()),
        ("branch", branch),
        ("commit", commit),
    ] {
        text.push_str(&format!("{name:<8} {}\n", one_line(value)));
    }
    text.push_str(&format!("\ncictl jobs show {job}\n"));
    if !story.link.is_empty() {
        text.push_str(&format!("{}\n", story.link));
    }
    let subject = format!("{project}: the push to {branch} {subject}");
    Some((owner, one_line(&subject), text))
}

/// Commands and people wrote it.
fn one_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_control() || c == ' ');
    words
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

fn cut(text: &str, most: usize) -> String {
    match text.chars().count() > most {
        true => text.chars().take(most - 1).chain(['…']).collect(),
        false => text.to_owned(),
    }
}
