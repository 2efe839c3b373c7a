//! Builds, and the stages that run them.

use super::{Narrow, clean, list, not_deployed, pairs, time, took, with_processes};
use cid_client::{Build, ShownStage, Stage};
use std::time::Duration;

/// Builds, one a line; nothing when there are none.
pub(crate) fn builds(builds: &[Build], width: Option<usize>) -> String {
    list(
        width,
        Narrow {
            drop: &["CREATED", "AUTHOR", "TOOK", "STAGES"],
            cut: Some("SUBJECT"),
        },
        [
            "BUILD", "PROJECT", "COMMIT", "STATE", "STAGES", "CREATED", "TOOK", "AUTHOR", "SUBJECT",
        ],
        builds.iter().map(|build| {
            [
                build.id.to_string(),
                build.project.clone(),
                build.commit.chars().take(10).collect(),
                build.state.to_string(),
                build.stages.join(","),
                time(build.created_at),
                build_took(build),
                clean(&build.author),
                clean(&build.subject),
            ]
        }),
    )
}

/// Stages, with what runs there, then what was not deployed; nothing when there are none.
pub(crate) fn stages(stages: &[Stage], width: Option<usize>) -> String {
    let mut text = stage_lines(stages, width);
    let mut notes = Vec::new();
    for stage in stages {
        let failed = stage.failed_deployment.as_ref().map(not_deployed);
        let all = failed.into_iter().chain(stage.held.as_deref().map(clean));
        notes.extend(all.map(|note| format!("{} of {}: {note}", stage.name, stage.project)));
    }
    for (at, note) in notes.iter().enumerate() {
        text.push_str(if at == 0 { "\n\n" } else { "\n" });
        text.push_str(note);
    }
    text
}

fn stage_lines(stages: &[Stage], width: Option<usize>) -> String {
    let number = |number: Option<u32>| number.map(|number| number.to_string()).unwrap_or_default();
    list(
        width,
        Narrow {
            drop: &["DEPLOYED", "COMMIT", "PREVIOUS"],
            cut: Some("URL"),
        },
        [
            "STAGE",
            "PROJECT",
            "STATE",
            "HEALTH",
            "BUILD",
            "COMMIT",
            "PREVIOUS",
            "PROMOTABLE",
            "DEPLOYED",
            "URL",
        ],
        stages.iter().map(|stage| {
            let commit = stage.commit.as_deref().unwrap_or_default();
            [
                stage.name.clone(),
                stage.project.clone(),
                stage
                    .state
                    .map(|state| state.to_string())
                    .unwrap_or_default(),
                stage.health.to_string(),
                number(stage.build),
                commit.chars().take(10).collect(),
                number(stage.previous),
                number(stage.promotable),
                stage.deployed_at.map(time).unwrap_or_default(),
                stage.url.clone(),
            ]
        }),
    )
}

/// One stage: a member a line, then the processes of its build.
pub(crate) fn stage(shown: &ShownStage) -> String {
    let stage = &shown.stage;
    let number = |number: Option<u32>| number.map(|number| number.to_string()).unwrap_or_default();
    let mut members = vec![
        ("stage", stage.name.clone()),
        ("project", stage.project.clone()),
        (
            "state",
            stage.state.map_or_else(
                || "nothing was deployed yet".to_owned(),
                |state| state.to_string(),
            ),
        ),
        (
            "health",
            match &stage.health_message {
                Some(message) => format!("{}: {}", stage.health, clean(message)),
                None => stage.health.to_string(),
            },
        ),
        ("url", stage.url.clone()),
        ("build", number(stage.build)),
        ("commit", stage.commit.clone().unwrap_or_default()),
        ("deployed", stage.deployed_at.map(time).unwrap_or_default()),
        ("by", stage.by.clone().unwrap_or_default()),
        ("previous", number(stage.previous)),
        ("promotable", number(stage.promotable)),
    ];
    if let Some(held) = &stage.held {
        members.push(("held", clean(held)));
    }
    if let Some(failed) = &stage.failed_deployment {
        members.push(("failed", not_deployed(failed)));
    }
    members.push(("job", stage.job.clone().unwrap_or_default()));
    with_processes(pairs(members), &shown.processes)
}

/// One build: a member a line, then the tests that failed.
pub(crate) fn build(build: &Build) -> String {
    let mut text = pairs(vec![
        ("build", build.id.to_string()),
        ("project", build.project.clone()),
        ("commit", build.commit.clone()),
        ("ref", clean(&build.reference)),
        ("subject", clean(&build.subject)),
        ("author", clean(&build.author)),
        ("state", build.state.to_string()),
        ("stages", build.stages.join(", ")),
        (
            "verdict",
            clean(build.verdict.as_deref().unwrap_or_default()),
        ),
        ("digest", build.digest.clone().unwrap_or_default()),
        ("created", time(build.created_at)),
        ("took", build_took(build)),
        ("job", build.job.clone()),
    ]);
    for name in &build.failed_tests {
        text.push_str(&format!("\nfailed: {}", clean(name)));
    }
    text
}

fn build_took(build: &Build) -> String {
    let took_ms = build.took_ms.map(Duration::from_millis);
    took_ms.map(took).unwrap_or_default()
}
