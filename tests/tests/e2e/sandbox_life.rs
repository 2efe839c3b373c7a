//! Starting, stopping and killing the daemon itself.

use crate::stage::{ANNA, BERT, SOON, Stage};
use cid_testkit::{GitServer, Sandbox, Tree, processes, run, wait_until};
use std::process::Command;

#[test]
fn a_stopped_one_leaves_nothing_running_and_comes_back_whole() {
    let mut stage = Stage::hello();
    let anna = stage.create(ANNA);
    let status = stage.sandbox.terminate().unwrap();
    assert!(status.success(), "{status}");
    assert_eq!(processes(stage.sandbox.dir()), []);
    assert!(stage.sandbox.get(&anna.host(), "/").is_err());

    stage.sandbox.start().unwrap();
    stage.answers_soon(&anna);
    assert_eq!(stage.show(ANNA).json["port"], anna.json["port"]);
    stage.create(BERT);
    stage.delete(ANNA);
}

#[test]
fn a_killed_one_leaves_all_running_and_adopts_it() {
    let mut stage = Stage::hello();
    let anna = stage.create(ANNA);
    stage.sandbox.kill_9().unwrap();
    let others = || {
        let mut all = processes(stage.sandbox.dir());
        all.retain(|process| process.command.contains("app.py") || process.name == "supervisord");
        all
    };
    let before = others();
    assert!(before.len() >= 2, "{before:?}");
    stage.answers(&anna);
    stage.sandbox.start().unwrap();
    stage.answers(&anna);
    let mut after = processes(stage.sandbox.dir());
    after.retain(|process| process.command.contains("app.py") || process.name == "supervisord");
    assert_eq!(after, before);
    stage.create(BERT);
    stage.delete(ANNA);
    let status = stage.sandbox.terminate().unwrap();
    assert!(status.success(), "{status}");
    assert_eq!(processes(stage.sandbox.dir()), []);
}

#[test]
fn a_folder_in_use_is_refused() {
    let stage = Stage::hello();
    let program = stage.sandbox.cictl_command().get_program().to_owned();
    let cid = std::path::Path::new(&program).with_file_name("cid");
    let mut second = Command::new(cid);
    second.arg("sandbox").arg("--dir").arg(stage.sandbox.dir());
    second.args(["--http-port", &stage.sandbox.ports().other().to_string()]);
    let refused = run(&mut second, SOON).unwrap();
    assert_ne!(refused.status, 0, "{refused}");
    assert!(refused.text().contains("use"), "{refused}");
    // A socket's path is short, and that is said before anything is made.
    let long = stage.sandbox.dir().join("x".repeat(100));
    second = Command::new(second.get_program());
    let refused = run(second.arg("sandbox").arg("--dir").arg(&long), SOON).unwrap();
    assert!(
        refused
            .text()
            .contains("choose a folder with a shorter path"),
        "{refused}"
    );
    assert!(!long.exists());
    stage.create(ANNA);
}

#[test]
fn the_front_answers_as_soon_as_the_daemon_does() {
    for _ in 0..3 {
        let mut sandbox = Sandbox::prepare().unwrap();
        sandbox.start().unwrap();
        let front = sandbox.get("localhost", "/").unwrap();
        assert_eq!(front.status, 200, "{}", front.body);
    }
}

#[test]
fn unknown_hosts_get_cids_own_404() {
    let stage = Stage::hello();
    stage.create(ANNA);
    for host in [
        "nobody.hello.localhost",
        "example.com",
        "anna---example-com.other.localhost",
    ] {
        assert_eq!(stage.sandbox.get(host, "/").unwrap().status, 404, "{host}");
    }
    let front = stage.sandbox.get("localhost", "/").unwrap();
    assert_eq!(front.status, 200);
    assert!(front.body.contains("id=\"email\""), "{}", front.body);
}

#[test]
fn project_files_are_read_at_the_start_and_at_a_hup() {
    let mut sandbox = Sandbox::prepare().unwrap();
    let home = sandbox.home().unwrap().to_owned();
    let first = GitServer::local_tree(&home, "first", &Tree::hello()).unwrap();
    sandbox
        .write_project("first", &first.project_toml("first", ""))
        .unwrap();
    sandbox.start().unwrap();
    let second = GitServer::local_tree(&home, "second", &Tree::hello()).unwrap();
    sandbox
        .write_project("second", &second.project_toml("second", ""))
        .unwrap();
    sandbox.hup().unwrap();
    wait_until("the second project", SOON, || {
        sandbox
            .cictl(&["create", ANNA, "-p", "second"])
            .ok()?
            .ok()
            .ok()
    })
    .unwrap();
    sandbox
        .cictl(&["create", ANNA, "-p", "first"])
        .unwrap()
        .ok()
        .unwrap();
    assert_eq!(
        sandbox.json(&["list"]).unwrap().as_array().unwrap().len(),
        2
    );
}
