//! Deployments, and the sockets by which instances follow each other.

use crate::stage::{ANNA, SOON, Stage, Workspace};
use crate::visitors::under_load;
use cid_testkit::{Tree, wait_until};

const BRANCH: &str = "anna---example-com";

fn web_pid(stage: &Stage, workspace: &Workspace) -> Option<i32> {
    let answer = stage.sandbox.get(&workspace.host(), "/pid").ok()?;
    answer.body.trim().parse().ok()
}

#[test]
fn an_app_on_a_socket_is_found_again_without_the_daemon() {
    let mut stage = Stage::of(&Tree::on_socket(), "");
    let anna = stage.create(ANNA);
    let first = web_pid(&stage, &anna).unwrap();
    stage.cictl_ends(0, &["restart", ANNA]);
    let second = web_pid(&stage, &anna).unwrap();
    assert_ne!(first, second);
    assert!(!stage.cictl_ends(0, &["doctor"]).text().contains("drift"));
    // Only supervisord is left to start it, and nobody to look.
    stage.sandbox.kill_9().unwrap();
    let second = nix::unistd::Pid::from_raw(second);
    nix::sys::signal::kill(second, nix::sys::signal::Signal::SIGKILL).unwrap();
    wait_until("the page of another process", SOON, || {
        web_pid(&stage, &anna).filter(|pid| *pid != second.as_raw())
    })
    .unwrap();
    stage.sandbox.start().unwrap();
    stage.delete(ANNA);
}

/// Deletes the workspace with the commits that were pushed to its branch.
fn gone(stage: &Stage) {
    stage.cictl_ends(0, &["delete", ANNA, "--yes", "--with-branch", "--force"]);
}

/// A page of the workspace.
fn page(stage: &Stage, workspace: &Workspace) -> String {
    stage.get(workspace, "/").body
}

#[test]
fn what_was_pushed_is_deployed_and_what_is_no_change_is_left_alone() {
    let stage = Stage::of(&Tree::on_socket(), "[env]\nMODE = \"old\"\n");
    let anna = stage.create(ANNA);
    assert!(page(&stage, &anna).starts_with("one from "));
    let first = web_pid(&stage, &anna);
    let told = stage.cictl_ends(0, &["deploy", ANNA]).text();
    // One line, and the address.
    assert!(told.contains("nothing has changed"), "{told}");
    assert_eq!(told.lines().count(), 2, "{told}");
    assert_eq!(web_pid(&stage, &anna), first);

    stage.server.commit_file(BRANCH, "version", "two").unwrap();
    stage.cictl_ends(0, &["deploy", ANNA]);
    assert!(page(&stage, &anna).starts_with("two from "));
    assert_ne!(web_pid(&stage, &anna), first);
    assert_eq!(anna.git(&["status", "--porcelain"]), "");
    assert_eq!(stage.newest_job()["kind"], "deploy");
    assert!(!stage.cictl_ends(0, &["doctor"]).text().contains("drift"));
    // One log goes on.
    let logs = stage.cictl_ends(0, &["logs", ANNA]).stdout;
    assert!(
        logs.contains("one starts") && logs.contains("two starts"),
        "{logs}"
    );

    // Work in the tree is deployed as it is, and stays.
    std::fs::write(anna.tree().join("version"), "mine").unwrap();
    stage
        .server
        .commit_file(BRANCH, "version", "three")
        .unwrap();
    let told = stage.cictl_ends(0, &["deploy", ANNA]).text();
    assert!(told.contains("uncommitted changes (version)"), "{told}");
    assert!(page(&stage, &anna).starts_with("mine from "));

    // What the project file says by now too, and nothing else says that it does not.
    let toml = stage
        .server
        .project_toml("hello", "[env]\nMODE = \"new\"\n");
    stage.sandbox.write_project("hello", &toml).unwrap();
    stage.sandbox.hup().unwrap();
    let told = stage.cictl_ends(0, &["restart", ANNA]).text();
    assert!(told.contains("cictl deploy"), "{told}");
    stage.cictl_ends(0, &["deploy", ANNA]);
    let mode = stage.cictl_ends(0, &["run", ANNA, "--", "sh", "-c", "echo $MODE"]);
    assert_eq!(mode.stdout.trim(), "new");
    let told = stage.cictl_ends(0, &["restart", ANNA]).text();
    assert!(!told.contains("cictl deploy"), "{told}");

    anna.git(&["checkout", "version"]);
    gone(&stage);
}

#[test]
fn what_fails_leaves_visitors_what_they_have() {
    let tables = "[app]\nhealth.timeout = \"4s\"\n";
    let stage = Stage::of(&Tree::on_socket(), tables);
    let anna = stage.create(ANNA);
    let (first, commit) = (web_pid(&stage, &anna), anna.git(&["rev-parse", "HEAD"]));
    let procfile = "release: exit 3\nweb: exec python3 app.py $SOCKET\n";
    for (file, content) in [("version", "bad"), ("Procfile", procfile)] {
        stage.server.commit_file(BRANCH, file, content).unwrap();
        let told = stage.cictl_ends(1, &["deploy", ANNA]).text();
        assert!(told.contains("what they had before"), "{told}");
        assert!(page(&stage, &anna).starts_with("one from "));
        assert_eq!(web_pid(&stage, &anna), first);
        assert_eq!(anna.git(&["rev-parse", "HEAD"]), commit);
        assert_eq!(anna.git(&["status", "--porcelain"]), "");
        assert!(!stage.cictl_ends(0, &["doctor"]).text().contains("drift"));
    }
    stage.cictl_ends(3, &["deploy", "nobody@example.com"]);
    gone(&stage);
}

/// A worker that writes when it begins and ends, so that two at once are seen.
const WORKER: &str = "import os, signal, sys, time\nlog = open('../tmp/worker', 'a', buffering=1)\n\
signal.signal(signal.SIGTERM, lambda *_: sys.exit(log.write('end\\n') and 0))\nlog.write('begin\\n')\n\
while True:\n    time.sleep(1)\n";

#[test]
fn an_app_on_a_port_moves_to_another_and_its_worker_never_runs_twice() {
    let procfile = "web: exec python3 app.py $PORT\nworker: exec python3 worker.py\n";
    let tree = Tree::on_socket()
        .with("Procfile", procfile)
        .with("worker.py", WORKER);
    let stage = Stage::of(&tree, "");
    let anna = stage.create(ANNA);
    stage.server.commit_file(BRANCH, "version", "two").unwrap();
    stage.cictl_ends(0, &["deploy", ANNA]);
    assert!(page(&stage, &anna).starts_with("two from "));
    assert_ne!(stage.show(ANNA).port(), anna.port());
    assert!(!stage.cictl_ends(0, &["doctor"]).text().contains("drift"));
    let worker = std::fs::read_to_string(anna.directory().join("tmp/worker")).unwrap();
    assert_eq!(worker, "begin\nend\nbegin\n");
    gone(&stage);
}

#[test]
fn no_request_is_lost_over_a_dozen_deployments_on_a_socket() {
    let stage = Stage::of(&Tree::on_socket(), "");
    let anna = stage.create(ANNA);
    let asked = under_load(stage.sandbox.http_port(), &anna.host(), |is_well| {
        for number in 1..=12 {
            let version = format!("number-{number}");
            stage
                .server
                .commit_file(BRANCH, "version", &version)
                .unwrap();
            let deployed = stage.cictl(&["deploy", ANNA]);
            assert!(deployed.status == 0 && is_well(), "{deployed}");
            assert!(page(&stage, &anna).starts_with(&version));
        }
    });
    assert!(asked > 100, "{asked}");
    gone(&stage);
}
