//! Jobs that somebody stops, that take too long, and that outlive their daemon.

use crate::stage::{ANNA, SOON, Stage};
use cid_testkit::{Tree, wait_until};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{fs, thread, time::Duration};

/// How many processes have this in their arguments.
fn running(mark: &str) -> usize {
    let pids = fs::read_dir("/proc").unwrap().flatten();
    pids.filter(|entry| {
        let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&command).contains(mark)
    })
    .count()
}

/// Commands of this kind that leave their session, fork twice and sleep under a mark of their own.
fn runaway(kind: &str, mark: &str) -> String {
    let sleeper = format!("exec -a {mark} sleep 600");
    format!(
        "[app]\n{kind} = [[\"bash\", \"-c\", \"setsid bash -c '({sleeper}) & ({sleeper}) & exit' & {sleeper}\"]]\n"
    )
}

#[test]
fn a_cancelled_install_is_gone_with_all_it_started() {
    let mark = format!("cid-runaway-{}", std::process::id());
    let stage = Stage::of(&Tree::hello(), &runaway("install", &mark));
    let before = stage.snapshot();
    stage.cictl_ends(0, &["create", ANNA, "--no-wait"]);
    wait_until("the install to run away", Duration::from_secs(60), || {
        (running(&mark) == 3).then_some(())
    })
    .unwrap();
    let id = stage.newest_job()["id"].as_str().unwrap().to_owned();
    stage.cictl_ends(0, &["jobs", "cancel", &id, "--no-wait"]);
    wait_until("all of it to be gone", SOON, || {
        (running(&mark) == 0).then_some(())
    })
    .unwrap();
    stage.jobs_are_over();
    assert_eq!(stage.newest_job()["state"], "cancelled");
    stage.assert_same(&before);
}

#[test]
fn what_a_killed_helper_started_is_found_and_ended() {
    let mark = format!("cid-orphan-{}", std::process::id());
    let stage = Stage::of(&Tree::hello(), &runaway("install", &mark));
    let before = stage.snapshot();
    stage.cictl_ends(0, &["create", ANNA, "--no-wait"]);
    wait_until("the install to run away", Duration::from_secs(60), || {
        (running(&mark) == 3).then_some(())
    })
    .unwrap();
    let helpers = stage.sandbox.dir().join("run/helpers");
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).into_owned();
        let pid = entry.file_name().to_string_lossy().parse::<i32>();
        if command.contains(&helpers.display().to_string())
            && let Ok(pid) = pid
        {
            kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
        }
    }
    stage.jobs_are_over();
    assert_eq!(stage.newest_job()["state"], "undone");
    assert_eq!(running(&mark), 0);
    stage.assert_same(&before);
}

#[test]
fn a_step_that_takes_too_long_is_taken_back_and_the_setting_named() {
    let mark = format!("cid-toolong-{}", std::process::id());
    let mut stage = Stage::of(&Tree::hello(), &runaway("release", &mark));
    stage.sandbox.terminate().unwrap();
    stage
        .sandbox
        .configure("[limits]\nrelease = \"2s\"\n")
        .unwrap();
    stage.sandbox.start().unwrap();
    let said = stage.create_is_taken_back(ANNA);
    assert!(
        said.contains("longer than 2s") && said.contains("[limits]"),
        "{said}"
    );
    assert_eq!(running(&mark), 0);
}

#[test]
fn a_create_that_waits_goes_on_waiting_over_a_restart() {
    let procfile = "release: sleep 2\nweb: python3 app.py\n";
    let mut stage = Stage::of(&Tree::hello().with("Procfile", procfile), "");
    let mut waiting = stage.sandbox.cictl_command();
    let waiting = thread::spawn(move || waiting.args(["create", ANNA]).output().unwrap());
    thread::sleep(Duration::from_millis(1200));
    stage.sandbox.kill_9().unwrap();
    thread::sleep(Duration::from_millis(500));
    stage.sandbox.start().unwrap();
    let output = waiting.join().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}{errors}");
    let anna = stage.show(ANNA);
    assert_eq!(said.trim(), anna.text("url"));
    stage.answers(&anna);
}
