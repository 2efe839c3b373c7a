//! git over the network, and what servers do.

use crate::stage::{ANNA, SOON, Stage, Workspace};
use cid_testkit::{Process, SilentServer, Tree, end, git, helpers, wait_until};
use std::{fs, time::Instant};

#[test]
fn a_workspace_through_ssh_with_keys_of_its_own() {
    let stage = Stage::ssh();
    let before = stage.snapshot();
    let anna = stage.create(ANNA);
    assert_eq!(
        anna.git(&["remote", "get-url", "origin"]).trim(),
        stage.server.url
    );
    assert_eq!(
        stage.server.branch(&anna.name()).unwrap(),
        Some(anna.text("commit"))
    );
    stage.delete(ANNA);
    stage.assert_same(&before);
}

#[test]
fn an_unknown_host_key_is_refused() {
    let stage = Stage::ssh();
    stage.server.keys().unwrap().forget_host().unwrap();
    let said = stage.create_is_taken_back(ANNA);
    assert!(said.contains("ost key"), "{said}");
    assert!(said.contains("known_hosts"), "{said}");
}

#[test]
fn a_missing_base_branch_is_named() {
    let stage = Stage::prepared(&Tree::hello(), |stage| {
        write(stage, &stage.server.url, "git.base = \"develop\"");
    });
    let said = stage.create_is_taken_back(ANNA);
    assert!(said.contains("develop"), "{said}");
}

#[test]
fn a_missing_repository_is_named() {
    let url = "/nonexistent/repository.git";
    let stage = Stage::prepared(&Tree::hello(), |stage| write(stage, url, ""));
    let said = stage.create_is_taken_back(ANNA);
    assert!(said.contains(url), "{said}");
}

#[test]
fn a_rejected_push_takes_all_back_and_passes_the_reason_on() {
    let stage = Stage::hello();
    stage.server.reject_pushes("only on Mondays").unwrap();
    let said = stage.create_is_taken_back(ANNA);
    assert!(
        said.contains("push") && said.contains("only on Mondays"),
        "{said}"
    );
}

#[test]
fn a_silent_server_is_given_up() {
    let mut silent = None;
    let stage = Stage::prepared(&Tree::hello(), |stage| {
        let server = SilentServer::start(stage.sandbox.ports().other()).unwrap();
        let url = format!("ssh://git@127.0.0.1:{}/nothing.git", server.port);
        write(stage, &url, "");
        let limits = "[limits]\ngit = \"3s\"\n";
        stage.sandbox.configure(limits).unwrap();
        silent = Some(server);
    });
    let start = Instant::now();
    let said = stage.create_is_taken_back(ANNA);
    assert!(start.elapsed() < SOON, "{} s", start.elapsed().as_secs());
    assert!(said.contains("fetch"), "{said}");
    assert_eq!(named(&stage, "ssh"), []);
}

#[test]
fn somebody_elses_branch_of_that_name_is_used_and_not_deleted() {
    let stage = Stage::of(&Tree::hello(), "[app]\nhealth.timeout = \"4s\"\n");
    let branch = "anna---example-com";
    git(stage.server.path(), &["branch", branch, "main"])
        .unwrap()
        .ok()
        .unwrap();
    stage
        .server
        .commit_file(branch, "mine.txt", "mine\n")
        .unwrap();
    let before = stage.snapshot();
    let anna = stage.create(ANNA);
    assert!(anna.tree().join("mine.txt").exists());
    stage.cictl_ends(0, &["delete", ANNA, "--yes"]);
    stage.assert_same(&before);

    // A create that fails late leaves it as well.
    stage
        .server
        .commit_file(branch, "Procfile", "web: exit 1\n")
        .unwrap();
    stage.create_is_taken_back(ANNA);
}

/// The project's app begins to listen when there is a file `go` beside it.
fn slow() -> Tree {
    let procfile = "web: while [ ! -e go ]; do sleep 0.05; done; exec python3 app.py\n";
    Tree::hello().with("Procfile", procfile)
}

/// Begins to create a workspace and waits until its push is open.
fn with_open_push(stage: &Stage) -> (Workspace, Process) {
    stage.cictl_ends(0, &["create", ANNA, "--no-wait"]);
    let open = || named(stage, "pre-push").pop();
    let hook = wait_until("the push to be open", SOON, open).unwrap();
    (stage.show(ANNA), hook)
}

/// Processes of this name that cid's helpers started.
fn named(stage: &Stage, name: &str) -> Vec<Process> {
    let mut found = helpers(stage.sandbox.dir());
    found.retain(|process| process.name == name);
    found
}

/// The app may begin to listen; the workspace is ready and its branch pushed.
fn goes_on(stage: &Stage, anna: &Workspace) {
    fs::write(anna.tree().join("go"), "").unwrap();
    stage.jobs_are_over();
    let anna = stage.show(ANNA);
    assert_eq!(anna.text("state"), "ready");
    let pushed = stage.server.branch(&anna.name()).unwrap();
    assert_eq!(pushed, Some(anna.text("commit")));
}

#[test]
fn a_push_is_open_while_the_app_starts_and_goes_on_when_it_answers() {
    for stage in [Stage::ssh_of(&slow()), Stage::of(&slow(), "")] {
        let (anna, hook) = with_open_push(&stage);
        assert_eq!(stage.server.branch(&anna.name()).unwrap(), None);
        goes_on(&stage, &anna);
        assert!(!hook.is_alive());
    }
}

#[test]
fn a_server_that_does_not_wait_is_pushed_to_all_the_same() {
    let stage = Stage::ssh_of(&slow());
    let (anna, hook) = with_open_push(&stage);
    for connection in named(&stage, "ssh") {
        end(&connection, SOON).unwrap();
    }
    end(&hook, SOON).unwrap();
    goes_on(&stage, &anna);
}

#[test]
fn an_open_push_comes_to_nothing_with_the_daemon_and_with_its_job() {
    let mut stage = Stage::ssh_of(&slow());
    let before = stage.snapshot();
    let (_, hook) = with_open_push(&stage);
    stage.sandbox.kill_9().unwrap();
    let ended = || (!hook.is_alive()).then_some(());
    wait_until("the push to end", SOON, ended).unwrap();
    stage.sandbox.start().unwrap();
    let open = || named(&stage, "pre-push").pop();
    wait_until("the push to be open again", SOON, open).unwrap();
    let job = stage.newest_job()["id"].as_str().unwrap().to_owned();
    stage.cictl(&["jobs", "cancel", &job]);
    stage.jobs_are_over();
    assert_eq!(named(&stage, "pre-push"), []);
    stage.assert_same(&before);
}

fn write(stage: &Stage, url: &str, keys: &str) {
    let text = format!("domain = \"hello.localhost\"\ngit.url = \"{url}\"\n{keys}\n");
    stage.sandbox.write_project("hello", &text).unwrap();
}
