//! What only a remote over SSH can do: not be known, not let one in, not answer.

use crate::{
    origin::{BRANCH, Origin, commit, git, try_git},
    sshd::Sshd,
};
use std::fs;

fn world() -> (Origin, Sshd) {
    let mut origin = Origin::new();
    let server = Sshd::start(origin.dir.path());
    origin.remote = server.remote(&origin.bare());
    (origin, server)
}

#[test]
fn an_unknown_host_is_refused() {
    let (mut origin, server) = world();
    fs::write(server.known_hosts(), "").unwrap();
    let (message, hint) = origin.fetch("main").unwrap_err();
    assert!(
        message.ends_with("the host key of 127.0.0.1 is not known"),
        "{message}"
    );
    assert!(
        hint.contains("ssh-keyscan -p ") && hint.ends_with(server.known_hosts().to_str().unwrap()),
        "{hint}"
    );
    assert_eq!(
        fs::read_to_string(server.known_hosts()).unwrap(),
        "",
        "and not made known"
    );
}

#[test]
fn a_host_with_another_key_is_refused() {
    let (mut origin, server) = world();
    fs::write(server.known_hosts(), server.known("other-host")).unwrap();
    let (message, hint) = origin.fetch("main").unwrap_err();
    assert!(
        message.contains("is not the one that is known"),
        "{message}"
    );
    assert!(hint.contains("known_hosts"), "{hint}");
}

#[test]
fn a_wrong_key_is_named() {
    let (mut origin, server) = world();
    origin.remote.identity_file = Some(server.key("stranger"));
    let (message, hint) = origin.fetch("main").unwrap_err();
    assert!(
        message.ends_with("the server does not accept the key"),
        "{message}"
    );
    assert!(hint.contains("stranger"), "{hint}");
}

#[test]
fn a_server_that_is_down_is_said_to_be() {
    let (mut origin, server) = world();
    drop(server);
    let (message, _) = origin.fetch("main").unwrap_err();
    assert!(
        message.ends_with("127.0.0.1 cannot be reached or does not answer"),
        "{message}"
    );
}

#[test]
fn a_developer_pushes_from_the_clone_at_once() {
    let (mut origin, server) = world();
    let base = origin.fetch("main").unwrap().base;
    origin.clone_at(&base, &base).unwrap();
    origin.push(&base, None).unwrap();
    let clone = origin.target();
    let id = commit(&clone, "mine");
    let ssh = format!(
        "ssh -F /dev/null -i {} -o UserKnownHostsFile={}",
        server.key("client").display(),
        server.known_hosts().display()
    );
    let pushed = try_git(&clone, &["-c", &format!("core.sshCommand={ssh}"), "push"]);
    assert!(pushed.status.success(), "{pushed:?}");
    assert_eq!(origin.branch(BRANCH), id);
    assert_eq!(
        git(&clone, &["status", "--short", "--branch"]),
        format!("## {BRANCH}...origin/{BRANCH}")
    );
}
