//! Deployments, and the sockets by which instances follow each other.

use crate::stage::{ANNA, SOON, Stage, Workspace};
use cid_testkit::{Tree, wait_until};

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
