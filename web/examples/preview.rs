//! Shows every page without a daemon, for work on how they look:
//! `cargo run -p cid-web --example preview -- 127.0.0.1:8099`.
//!
//! A workspace asked for in the form is made in about ten seconds; one for an address that
//! begins with `fail` is taken back.

#[path = "../tests/it/fake.rs"]
mod fake;

use cid_proto::v1::{
    self as pb, Failure, JobState, NoteEvent, StepState, WorkspaceState, event::What,
};
use cid_web::{args::Listen, serve};
use fake::{Fake, World};
use std::{fs, process, time::Duration};
use tokio::time::sleep;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let listen: Listen = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:8099".to_owned())
        .parse()
        .map_err(anyhow::Error::msg)?;
    let socket = std::env::temp_dir().join(format!("cid-preview-{}.sock", process::id()));
    let fake = Fake::start(&socket)?;
    fake.change(furnish);
    tokio::spawn(work(fake));

    println!("{listen}");
    println!("also: /jobs/running /jobs/ready /jobs/failed /jobs/stuck");
    serve::serve(serve::Bound::bind(&listen)?, &socket, 1000).await?;
    fs::remove_file(socket)?;
    Ok(())
}

fn furnish(world: &mut World) {
    world.can_mail = true;
    world.standing = Some(pb::Standing {
        head: "89abcdef0123456789abcdef0123456789abcdef".to_owned(),
        branch: "anna---example-com".to_owned(),
        ahead: Some(2),
        behind: Some(1),
        subject: "Show the guests' names in the order they came".to_owned(),
        uncommitted: Some(3),
        stale: vec!["Procfile".to_owned()],
    });
    world.log = (0..60).map(line).collect();
    world.projects = vec![fake::project("pressa"), fake::project("atlas")];
    for (email, project, state) in [
        ("anna@example.com", "pressa", WorkspaceState::Ready),
        (
            "boris.sidorov@example.com",
            "pressa",
            WorkspaceState::Creating,
        ),
        ("clara@example.com", "atlas", WorkspaceState::Failed),
        (
            "a.rather.long.name.of.somebody@department.example.com",
            "atlas",
            WorkspaceState::Deleting,
        ),
    ] {
        let mut workspace = fake::workspace(email, project, state);
        if state == WorkspaceState::Ready {
            workspace.processes = ["web", "worker"].map(process).into();
            workspace.job = "ready".to_owned();
        }
        if state == WorkspaceState::Creating {
            workspace.url.clear();
            workspace.port = 0;
            workspace.job = "running".to_owned();
        }
        world.workspaces.push(workspace);
    }
    world.jobs = vec![
        fake::job(
            "running",
            "boris.sidorov@example.com",
            "pressa",
            JobState::Running,
        ),
        fake::job("ready", "anna@example.com", "pressa", JobState::Running),
        fake::job("failed", "dora@example.com", "pressa", JobState::Running),
        fake::job("stuck", "clara@example.com", "atlas", JobState::Running),
    ];
    advance(world, "running", 4);
    advance(world, "ready", 9);
    finish(world, "ready");
    for id in ["failed", "stuck"] {
        advance(world, id, 5);
        fail(world, id);
        take_back(world, id, if id == "stuck" { 3 } else { 0 });
    }
}

fn line(number: u32) -> String {
    match number % 4 {
        0 => {
            format!("\u{1b}[32mINFO\u{1b}[0m 127.0.0.1 GET /guests/{number} \u{1b}[1m200\u{1b}[0m")
        }
        1 => format!("\u{1b}[33mWARN\u{1b}[0m the page took {number}0 ms"),
        2 => format!("\u{1b}[31mERROR\u{1b}[0m no guest of the number {number}"),
        _ => format!("DEBUG {} {}", number, "a longer line ".repeat(12)),
    }
}

fn process(name: &str) -> pb::Process {
    pb::Process {
        name: name.to_owned(),
        state: pb::ProcessState::Running.into(),
        since: Some(fake::pb_time(1_700_000_000)),
        restarts: 1,
        memory: 48 << 20,
        last_end: "exit status 1".to_owned(),
        ..pb::Process::default()
    }
}

fn advance(world: &mut World, id: &str, steps: u32) {
    for index in 0..steps {
        let took = 180 + i64::from(index) * 310;
        world.journal(id, fake::step(index, StepState::Applied, Some(took)));
    }
    if steps < 9 {
        world.journal(id, fake::step(steps, StepState::Observed, None));
    }
}

fn finish(world: &mut World, id: &str) {
    for job in world.jobs.iter_mut().filter(|job| job.id == id) {
        job.ended_at = Some(fake::pb_time(1_700_000_007));
        for workspace in &mut world.workspaces {
            if workspace.email == job.email {
                workspace.state = WorkspaceState::Ready.into();
            }
        }
    }
    world.journal(id, fake::job_state(JobState::Done));
}

fn fail(world: &mut World, id: &str) {
    for job in world.jobs.iter_mut().filter(|job| job.id == id) {
        job.failure = Some(Failure {
            step_kind: "step5.v1".to_owned(),
            step_label: "run the release commands".to_owned(),
            message: "cannot run `python manage.py migrate --noinput`: it ended with status 1"
                .to_owned(),
            hint: "the lines above are the command's own; mend the branch and try again".to_owned(),
            output: Vec::new(),
            output_withheld: "not shown: the web front shows no output".to_owned(),
        });
    }
    world.journal(id, fake::job_state(JobState::Undoing));
}

fn take_back(world: &mut World, id: &str, down_to: u32) {
    for index in (down_to..=5).rev() {
        world.journal(id, fake::step(index, StepState::Undone, Some(40)));
    }
    let end = if down_to == 0 {
        JobState::Undone
    } else {
        world.journal(id, fake::step(down_to - 1, StepState::Stuck, None));
        JobState::Stuck
    };
    for job in world.jobs.iter_mut().filter(|job| job.id == id) {
        job.ended_at = Some(fake::pb_time(1_700_000_004));
        if end == JobState::Undone {
            let email = &job.email;
            world.workspaces.retain(|w| w.email != *email);
        } else {
            job.owed = vec!["delete the branch clara---example-com on git.example.org".to_owned()];
        }
    }
    world.journal(id, fake::job_state(end));
}

/// Carries out what was asked for in the form, a step at a time.
async fn work(fake: Fake) {
    let mut at = 0;
    loop {
        sleep(Duration::from_millis(500)).await;
        fake.change(|world| {
            let live = |job: &&pb::Job| job.id.starts_with("job-") && job.state == 2;
            let Some((id, email)) = world
                .jobs
                .iter()
                .find(live)
                .map(|j| (j.id.clone(), j.email.clone()))
            else {
                at = 0;
                return;
            };
            let index = at / 2;
            if index == 9 {
                finish(world, &id);
            } else if index == 6 && email.starts_with("fail") {
                fail(world, &id);
                take_back(world, &id, 0);
            } else if at % 2 == 0 {
                world.journal(&id, fake::step(index, StepState::Observed, None));
                let text = "the branch exists on the remote already and is used".to_owned();
                if index == 2 {
                    world.journal(&id, What::Note(NoteEvent { index, text }));
                }
            } else {
                world.journal(&id, fake::step(index, StepState::Applied, Some(500)));
            }
            at += 1;
        });
    }
}
