//! Waiting for a turn: nobody waits for what hangs elsewhere, and who waits is told for whom.

use crate::stage::{SOON, Stage};
use cid_testkit::{Tree, wait_until};
use serde_json::Value;

/// Two cores, a project whose release commands hang, and one that is as it should be.
fn hanging() -> Stage {
    hanging_with("heavy_steps = 2\n")
}

fn hanging_with(settings: &str) -> Stage {
    Stage::prepared(&Tree::hello(), |stage| {
        stage.sandbox.configure(settings).unwrap();
        for (name, command) in [("hang", "sleep 600"), ("hello", "true")] {
            let command = format!("[app]\nrelease = [[\"sh\", \"-c\", \"{command}\"]]\n");
            let toml = stage.server.project_toml(name, &command);
            stage.sandbox.write_project(name, &toml).unwrap();
        }
    })
}

fn begin(stage: &Stage, email: &str, project: &str) {
    stage.cictl_ends(0, &["create", email, "-p", project, "--no-wait"]);
}

fn job_of(stage: &Stage, email: &str) -> Value {
    let jobs = stage.json(&["jobs", "list", "--email", email]);
    jobs[0].clone()
}

fn id_of(job: &Value) -> String {
    job["id"].as_str().unwrap_or_default().to_owned()
}

/// Waits until a job of this address is at work in a step.
#[track_caller]
fn hangs_in(stage: &Stage, email: &str, kind: &str) {
    let hangs = || {
        let job = stage.json(&["jobs", "show", &id_of(&job_of(stage, email))]);
        let is_at_work = job["waiting"].is_null();
        let mut steps = job["steps"].as_array()?.iter();
        let step =
            steps.find(|step| step["kind"].as_str().unwrap_or_default().starts_with(kind))?;
        (is_at_work && step["state"] == "observed").then_some(())
    };
    wait_until(&format!("{kind} of {email} to hang"), SOON, hangs).unwrap();
}

#[test]
fn who_may_begin_no_further_job_is_told_whose_are_at_work() {
    let stage = hanging_with("max_jobs = 1\n");
    begin(&stage, "anna@example.com", "hang");
    let refused = stage.cictl_ends(5, &["create", "ben@example.com", "-p", "hello"]);
    let said = refused.text();
    let holder =
        "1 are at work, and there may be no more: create of anna@example.com in hang, 0 min";
    assert!(said.contains(holder), "{said}");
    assert!(said.contains("max_jobs in cid.toml"), "{said}");
    let job = id_of(&job_of(&stage, "anna@example.com"));
    stage.cictl_ends(0, &["jobs", "cancel", &job]);
    stage.jobs_are_over();
    stage.cictl_ends(0, &["create", "ben@example.com", "-p", "hello"]);
}

#[test]
fn two_hanging_releases_stop_no_other_project_and_who_waits_is_told() {
    let stage = hanging();
    let before = stage.snapshot();
    for email in ["anna@example.com", "ben@example.com"] {
        begin(&stage, email, "hang");
        hangs_in(&stage, email, "release.");
    }
    begin(&stage, "carl@example.com", "hang");
    let waits = || {
        let job = job_of(&stage, "carl@example.com");
        let text = job["waiting"]["text"].as_str()?.to_owned();
        (job["waiting"]["ahead"] == 2).then_some(text)
    };
    let text = wait_until("a third release to wait", SOON, waits).unwrap();
    assert!(
        text.starts_with("waiting for a turn: 2 ahead (release of anna@example.com in hang"),
        "{text}"
    );
    let carl = id_of(&job_of(&stage, "carl@example.com"));
    // What another job is in the way of ends alike, whatever it is.
    for args in [&["restart"][..], &["run"], &["delete", "--yes"]] {
        let command: &[&str] = if args == ["run"] {
            &["--", "true"]
        } else {
            &[]
        };
        stage.cictl_ends(5, &[args, &["carl@example.com"], command].concat());
    }
    let anna = id_of(&job_of(&stage, "anna@example.com"));
    let shown = stage.cictl_ends(0, &["jobs", "show", &anna]).text();
    assert!(
        shown.contains("running") && !shown.contains("observed"),
        "{shown}"
    );
    let shown = stage.cictl_ends(0, &["jobs", "show", &carl]).text();
    assert!(shown.contains("waiting for a turn: 2 ahead"), "{shown}");
    let listed = stage.cictl_ends(0, &["jobs"]).text();
    let line = format!("{carl}: waiting for a turn: 2 ahead");
    assert!(listed.contains(&line), "{listed}");
    // The page says it as well.
    let page = stage
        .sandbox
        .get("localhost", &format!("/jobs/{carl}"))
        .unwrap();
    assert!(
        page.body.contains("Waiting for a turn: 2 ahead"),
        "{}",
        page.body
    );

    // Meanwhile the other project's people get what they ask for.
    stage.cictl_ends(0, &["create", "dora@example.com", "-p", "hello"]);
    stage.cictl_ends(0, &["create", "emil@example.com", "-p", "hello"]);
    stage.cictl_ends(
        0,
        &[
            "delete",
            "dora@example.com",
            "-p",
            "hello",
            "--yes",
            "--with-branch",
        ],
    );
    stage.cictl_ends(
        0,
        &[
            "delete",
            "emil@example.com",
            "-p",
            "hello",
            "--yes",
            "--with-branch",
        ],
    );

    // A job that waits can be cancelled, and its turn goes to the next.
    stage.cictl_ends(
        0,
        &[
            "jobs",
            "cancel",
            &id_of(&job_of(&stage, "anna@example.com")),
        ],
    );
    let goes_on = || {
        let job = job_of(&stage, "carl@example.com");
        job["waiting"].is_null().then_some(())
    };
    wait_until("the third install to begin", SOON, goes_on).unwrap();
    for email in ["ben@example.com", "carl@example.com"] {
        stage.cictl_ends(0, &["jobs", "cancel", &id_of(&job_of(&stage, email))]);
    }
    stage.assert_same(&before);
}

#[test]
fn a_step_with_nothing_to_do_needs_no_turn() {
    const HANGING: usize = 5;
    let stage = Stage::prepared(&Tree::hello(), |stage| {
        stage.sandbox.configure("heavy_steps = 1\n").unwrap();
        let sleep = "[app]\ninstall = [[\"sleep\", \"600\"]]\n";
        for at in 0..HANGING {
            let toml = stage.server.project_toml(&format!("hang{at}"), sleep);
            stage
                .sandbox
                .write_project(&format!("hang{at}"), &toml)
                .unwrap();
        }
        for (name, app) in [("plain", ""), ("waits", "[app]\nrelease = [[\"true\"]]\n")] {
            let toml = stage.server.project_toml(name, app);
            stage.sandbox.write_project(name, &toml).unwrap();
        }
    });
    for at in 0..HANGING {
        begin(&stage, &format!("p{at}@example.com"), &format!("hang{at}"));
    }
    for at in 0..HANGING {
        hangs_in(&stage, &format!("p{at}@example.com"), "install.");
    }
    // Each project has a place, and there is no more: who needs a turn waits.
    begin(&stage, "anna@example.com", "waits");
    let waits = || {
        let job = job_of(&stage, "anna@example.com");
        (job["waiting"]["ahead"] == HANGING).then_some(())
    };
    wait_until("the release to wait", SOON, waits).unwrap();
    stage.cictl_ends(0, &["create", "ben@example.com", "-p", "plain"]);
    for job in stage.json(&["jobs"]).as_array().unwrap() {
        stage.cictl(&["jobs", "cancel", &id_of(job)]);
    }
}

#[test]
fn a_watcher_is_told_and_can_come_back() {
    let stage = hanging();
    for email in ["anna@example.com", "ben@example.com", "carl@example.com"] {
        begin(&stage, email, "hang");
    }
    let waits = || {
        let jobs = stage.json(&["jobs"]);
        // One may wait for the mirror first.
        let is_waiting = |job: &&Value| job["waiting"].to_string().contains("release of");
        jobs.as_array()?.iter().find(is_waiting).map(id_of)
    };
    let id = wait_until("a release to wait", SOON, waits).unwrap();
    let said = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| stage.cictl(&["jobs", "watch", &id]).text());
        let is_over = || {
            let jobs = stage.json(&["jobs"]);
            for job in jobs.as_array().into_iter().flatten() {
                let _ = stage.cictl(&["jobs", "cancel", &id_of(job)]);
            }
            watcher.is_finished().then_some(())
        };
        std::thread::sleep(std::time::Duration::from_secs(2));
        wait_until("the watcher to end", SOON, is_over).unwrap();
        watcher.join().unwrap()
    });
    assert!(
        said.contains("[note] waiting for a turn: 2 ahead (release"),
        "{said}"
    );
}
