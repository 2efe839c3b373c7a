//! Values for tests.

use cid_client::{
    Failure, Finding, FindingKind, Health, Job, JobKind, JobState, Step, StepState, Workspace,
    WorkspaceState,
};
use jiff::Timestamp;
use std::time::Duration;

pub(crate) fn workspace() -> Workspace {
    Workspace {
        email: "anna@example.com".into(),
        project: "pressa".into(),
        name: "anna---example-com".into(),
        state: WorkspaceState::Ready,
        health: Health::Up,
        url: Some("http://anna---example-com.pressa.localhost".into()),
        port: Some(20_001),
        directory: "/srv/cid/pressa/anna---example-com".into(),
        branch: "anna---example-com".into(),
        commit: None,
        created_at: Timestamp::UNIX_EPOCH,
        branch_gone_at: None,
        used_at: None,
        memory: None,
        job: Some("0190".into()),
        creator: Some("anna".into()),
        health_message: None,
        health_since: None,
        processes: Vec::new(),
        standing: None,
        failed_deployment: None,
    }
}

pub(crate) fn failed_job() -> Job {
    let step = |index, kind: &str, label: &str, millis| Step {
        index,
        kind: kind.into(),
        label: label.into(),
        state: StepState::Undone,
        took: Some(Duration::from_millis(millis)),
        idle: false,
        stays: false,
    };
    Job {
        id: "0190".into(),
        kind: JobKind::Create,
        state: JobState::Undone,
        email: "anna@example.com".into(),
        project: "pressa".into(),
        name: "anna---example-com".into(),
        steps: vec![
            step(0, "clone.v1", "clone the repository", 120),
            step(1, "install.v1", "install dependencies", 1500),
        ],
        failure: Some(Failure {
            step_kind: Some("install.v1".into()),
            step_label: Some("install dependencies".into()),
            message: "cannot install: no such package".into(),
            hint: Some("look at requirements.txt".into()),
            output: vec![
                "Collecting nonsense".into(),
                "\x1b[31mERROR\x1b[0m: not found".into(),
            ],
            output_withheld: None,
        }),
        created_at: Timestamp::UNIX_EPOCH,
        ended_at: Some(Timestamp::UNIX_EPOCH),
        owed: vec!["delete the branch anna---example-com".into()],
        notes: Vec::new(),
        waiting: None,
    }
}

pub(crate) fn finding() -> Finding {
    Finding {
        kind: FindingKind::Drift,
        subject: "vhost pressa.anna".into(),
        message: "the file is missing".into(),
        repair: Some("write it again".into()),
        repaired: false,
    }
}
