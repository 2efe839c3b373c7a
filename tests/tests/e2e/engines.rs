//! What becomes of the workspaces when nginx, supervisord or the ledger have a bad day.

use crate::stage::{ANNA, BERT, SOON, Stage};
use cid_testkit::{Process, Tree, processes, run, wait_until};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{fs, net::TcpListener, process::Command};

fn engine(stage: &Stage, pid_file: &str) -> Process {
    let path = stage.sandbox.dir().join("run").join(pid_file);
    let pid = fs::read_to_string(path).unwrap().trim().parse().unwrap();
    Process::look(pid).unwrap()
}

fn kill_9(process: &Process) {
    kill(Pid::from_raw(process.pid), Signal::SIGKILL).unwrap();
}

#[test]
fn supervisord_is_killed_and_comes_back_without_twins() {
    let stage = Stage::hello();
    let anna = stage.create(ANNA);
    let twins = |count: usize| {
        let apps = processes(stage.sandbox.dir());
        let apps = apps
            .iter()
            .filter(|process| process.command.ends_with("python3 app.py"));
        (apps.count() <= count).then_some(())
    };
    let count = processes(stage.sandbox.dir())
        .iter()
        .filter(|process| process.command.ends_with("python3 app.py"))
        .count();
    kill_9(&engine(&stage, "supervisord.pid"));
    let bert = stage.create(BERT);
    stage.answers_soon(&anna);
    stage.answers(&bert);
    wait_until("the orphan to be gone", SOON, || twins(2 * count)).unwrap();
    stage.delete(BERT);
    stage.delete(ANNA);
}

/// supervisord knows the shell and not what the shell has started.
#[test]
fn what_a_killed_shell_has_left_does_not_keep_the_port() {
    let app = "[app]\nrun.web = [\"sh\", \"-c\", \"python3 app.py; true\"]\n\
               run.beat = [\"sh\", \"-c\", \"sleep 781; true\"]\n";
    let stage = Stage::of(&Tree::hello(), app);
    let anna = stage.create(ANNA);
    let running = |what: &str| {
        let all = processes(stage.sandbox.dir());
        let found = all.into_iter().filter(|process| process.command == what);
        found.collect::<Vec<_>>()
    };
    let (shell, left) = (
        running("sh -c python3 app.py; true"),
        running("python3 app.py"),
    );
    let beat = running("sleep 781");
    assert_eq!((shell.len(), left.len(), beat.len()), (1, 1, 1));
    kill_9(&shell[0]);
    wait_until(
        "what was left to be gone and another to serve",
        SOON,
        || {
            let now = running("python3 app.py");
            (now.len() == 1 && now[0].pid != left[0].pid).then_some(())
        },
    )
    .unwrap();
    stage.answers_soon(&anna);
    assert_eq!(running("sleep 781"), beat, "another process type goes on");
    stage.delete(ANNA);
}

#[test]
fn nginx_is_killed_and_comes_back() {
    let stage = Stage::hello();
    let anna = stage.create(ANNA);
    kill_9(&engine(&stage, "nginx.pid"));
    stage.answers_soon(&anna);
    let bert = stage.create(BERT);
    stage.answers(&bert);
}

#[test]
fn a_foreign_broken_file_is_named_and_harms_nobody() {
    let stage = Stage::hello();
    let anna = stage.create(ANNA);
    let foreign = stage.sandbox.dir().join("etc/nginx.d");
    fs::create_dir_all(&foreign).unwrap();
    let before = stage.snapshot();
    fs::write(foreign.join("theirs.conf"), "server { nonsense on; }\n").unwrap();
    let said = stage.cictl_ends(1, &["create", BERT]).text();
    assert!(said.contains("theirs.conf"), "{said}");
    stage.answers(&anna);
    fs::remove_file(foreign.join("theirs.conf")).unwrap();
    stage.assert_same(&before);

    fs::write(foreign.join("theirs.conf"), "server { nonsense on; }\n").unwrap();
    stage.delete(ANNA);
    fs::remove_file(foreign.join("theirs.conf")).unwrap();
    stage.create(BERT);
    wait_until("the old name to be gone", SOON, || {
        (stage.sandbox.get(&anna.host(), "/").ok()?.status == 404).then_some(())
    })
    .unwrap();
}

#[test]
fn a_taken_port_is_passed_over() {
    let stage = Stage::hello();
    let first = *stage.sandbox.ports().apps().start();
    let taken: Vec<TcpListener> = (first..first + 3)
        .map(|port| TcpListener::bind(("127.0.0.1", port)).unwrap())
        .collect();
    let anna = stage.create(ANNA);
    assert!(
        taken
            .iter()
            .all(|listener| listener.local_addr().unwrap().port() != anna.port())
    );
}

#[test]
fn a_locked_ledger_is_waited_for() {
    let stage = Stage::hello();
    let before = stage.snapshot();
    let lock = "import sqlite3, sys, time\n\
                c = sqlite3.connect(sys.argv[1], isolation_level=None)\n\
                c.execute('BEGIN IMMEDIATE')\nprint('locked', flush=True)\ntime.sleep(2)\nc.execute('ROLLBACK')";
    let database = stage.sandbox.dir().join("state/cid.db");
    let locker = std::thread::spawn(move || {
        run(
            Command::new("python3").args(["-c", lock]).arg(database),
            SOON,
        )
        .unwrap()
        .ok()
        .unwrap()
    });
    std::thread::sleep(std::time::Duration::from_millis(500));
    stage.create(ANNA);
    locker.join().unwrap();
    stage.delete(ANNA);
    stage.assert_same(&before);
}

#[test]
fn an_app_that_dies_is_down_and_started_again() {
    let stage = Stage::hello();
    let anna = stage.create(ANNA);
    let mut apps = processes(stage.sandbox.dir());
    apps.retain(|process| process.command.ends_with("python3 app.py"));
    assert!(!apps.is_empty());
    apps.iter().for_each(kill_9);
    stage.answers_soon(&anna);
}
