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
    println!("sign in with the cookie cid=anna, or cid=root for an administrator");
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
        left_alone: "the tree was not brought up to date, for it has uncommitted changes: it is deployed as it is"
            .to_owned(),
        left_alone_at: Some(fake::pb_time(1_700_000_000)),
    });
    world.log = (0..60).map(line).collect();
    world.projects = vec![fake::project("pressa"), fake::project("atlas")];
    people(world);
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
    delivery(world);
    advance(world, "running", 4);
    advance(world, "building", 3);
    advance(world, "ready", 9);
    finish(world, "ready");
    for id in ["failed", "stuck"] {
        advance(world, id, 5);
        fail(world, id);
        take_back(world, id, if id == "stuck" { 3 } else { 0 });
    }
}

/// Who has the cookie `cid=anna` is anna; `cid=root` is an administrator.
fn people(world: &mut World) {
    for (name, is_administrator) in [("anna", false), ("root", true)] {
        let person = pb::Person {
            email: format!("{name}@example.com"),
            is_administrator,
            may_create_for_others: is_administrator,
        };
        world.people.push((name.to_owned(), person));
    }
    world.signed_in = ["anna@example.com", "root@example.com"]
        .map(|email| pb::SignedIn {
            email: email.to_owned(),
            sessions: 2,
            since: Some(fake::pb_time(1_700_000_000)),
            used_at: Some(fake::pb_time(1_700_060_000)),
        })
        .into();
    world.findings = vec![
        pb::Finding {
            kind: pb::FindingKind::Drift.into(),
            subject: "vhost pressa.anna---example-com".to_owned(),
            message: "it is on disk, and no workspace has it".to_owned(),
            repair: "cictl doctor --repair removes it".to_owned(),
            repaired: false,
        },
        pb::Finding {
            kind: pb::FindingKind::Note.into(),
            subject: "packages".to_owned(),
            message: "2 folders of packages are used by no workspace".to_owned(),
            ..pb::Finding::default()
        },
    ];
    world.audit = (0..30).map(audited).collect();
}

fn audited(number: i64) -> pb::AuditLine {
    let is_denied = number % 5 == 4;
    let decision = match is_denied {
        true => pb::Decision::Denied,
        false => pb::Decision::Allowed,
    };
    pb::AuditLine {
        at: Some(fake::pb_time(1_700_060_000 - number * 700)),
        uid: 997,
        account: ["anna@example.com", "root@example.com", "boris"][number as usize % 3].to_owned(),
        pid: 4711,
        door: ["front", "people"][usize::from(number % 3 == 2)].to_owned(),
        rpc: "/cid.v1.Workspaces/Restart".to_owned(),
        action: "org.cid.restart".to_owned(),
        email: "anna@example.com".to_owned(),
        project: "pressa".to_owned(),
        workspace: "anna---example-com".to_owned(),
        decision: decision.into(),
        reason: ["", "this is not yours, or does not exist"][usize::from(is_denied)].to_owned(),
        outcome: ["OK", "PERMISSION_DENIED"][usize::from(is_denied)].to_owned(),
        ..pb::AuditLine::default()
    }
}

fn delivery(world: &mut World) {
    let stage = |name: &str, build, promotable, health: pb::Health| pb::Stage {
        name: name.to_owned(),
        project: "pressa".to_owned(),
        state: WorkspaceState::Ready.into(),
        health: health.into(),
        url: format!("https://{name}.pressa.example.org/"),
        build,
        commit: format!("{build}9abcdef0123456789abcdef0123456789abcdef"),
        previous: build - 1,
        promotable,
        deployed_at: Some(fake::pb_time(1_700_000_000)),
        by: "root@example.com".to_owned(),
        job: "ready".to_owned(),
        ..pb::Stage::default()
    };
    let never = pb::Stage {
        state: WorkspaceState::Unspecified.into(),
        build: 0,
        commit: String::new(),
        previous: 0,
        deployed_at: None,
        by: String::new(),
        job: String::new(),
        ..stage("demo", 1, 8, pb::Health::Unknown)
    };
    world.stages = vec![
        stage("test", 9, 0, pb::Health::Up),
        pb::Stage {
            failed_deployment: Some(pb::FailedDeployment {
                job: "sad".to_owned(),
                at: Some(fake::pb_time(1_700_000_000)),
                build: 9,
                message: "web ended with status 7".to_owned(),
            }),
            health_message: "the page answers 502".to_owned(),
            ..stage("production", 7, 9, pb::Health::Failing)
        },
        never,
    ];
    let states = [
        (
            11,
            pb::BuildState::Testing,
            "",
            "Count visits without cookies",
        ),
        (
            10,
            pb::BuildState::Failed,
            "1 of 8 tests failed",
            "Show <b>where</b> a guest comes from",
        ),
        (
            9,
            pb::BuildState::Passed,
            "8 tests passed",
            "Greet guests by name",
        ),
        (
            8,
            pb::BuildState::Error,
            "cannot install the dependencies: pip ended with status 1",
            "Try another library, whose name is so long that it hardly fits into one line of any table",
        ),
        (7, pb::BuildState::Passed, "7 tests passed", "First version"),
    ];
    world.builds = states
        .into_iter()
        .map(|(number, state, verdict, subject)| pb::Build {
            number,
            project: "pressa".to_owned(),
            commit: format!("{number:x}9abcdef0123456789abcdef0123456789abcdef"),
            r#ref: "main".to_owned(),
            subject: subject.to_owned(),
            author: "anna@example.com".to_owned(),
            state: state.into(),
            created_at: Some(fake::pb_time(1_700_000_000 + i64::from(number) * 4000)),
            took: (number < 11).then_some(prost_types::Duration {
                seconds: 48,
                nanos: 0,
            }),
            job: "building".to_owned(),
            verdict: verdict.to_owned(),
            tests: 8,
            failed: u64::from(number == 10),
            failed_tests: match number {
                10 => vec!["tests.test_guests.NamesTest.test_names_of_guests_who_left".to_owned()],
                _ => Vec::new(),
            },
            stages: match number {
                9 => vec!["test".to_owned()],
                7 => vec!["production".to_owned()],
                _ => Vec::new(),
            },
            ..pb::Build::default()
        })
        .collect();
    let building = pb::Job {
        kind: pb::JobKind::Build.into(),
        name: "build-11".to_owned(),
        ..fake::job("building", "", "pressa", JobState::Running)
    };
    world.jobs.push(building);
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
