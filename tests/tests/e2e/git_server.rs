//! git over the network, and what servers do.

use crate::stage::{ANNA, Stage};
use cid_testkit::{SilentServer, Tree, git, helpers};
use std::os::unix::fs::PermissionsExt;

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
    stage
        .server
        .reject_pushes("only on Mondays: issue X does not exist")
        .unwrap();
    let said = stage.create_is_taken_back(ANNA);
    assert!(
        said.contains("the server rejected it") && said.contains("only on Mondays"),
        "{said}"
    );
}

#[test]
fn what_would_fail_at_the_push_is_told_by_the_check() {
    let stage = Stage::ssh();
    stage.cictl_ends(0, &["project", "check", "hello"]);
    assert_eq!(stage.server.refs().unwrap().len(), 1, "nothing is made");

    // As a server does with a key that may only read.
    let guard = stage.sandbox.home().unwrap().join("guard");
    let script = "#!/bin/sh\ncase $SSH_ORIGINAL_COMMAND in git-receive-pack*)\n\
                  echo 'ERROR: The key you are authenticating with has been marked as read only.' >&2; exit 1;;\n\
                  esac\neval exec \"$SSH_ORIGINAL_COMMAND\"\n";
    std::fs::write(&guard, script).unwrap();
    std::fs::set_permissions(&guard, PermissionsExt::from_mode(0o755)).unwrap();
    let keys = stage.server.keys().unwrap();
    keys.force(&guard.display().to_string()).unwrap();
    let said = stage.cictl_ends(1, &["project", "check", "hello"]).text();
    assert!(said.contains("the key may only read"), "{said}");
}

#[test]
fn branches_that_git_cannot_have_side_by_side_are_named() {
    let stage = Stage::of(&Tree::hello(), "branch = \"devel/{name}\"\n");
    stage.cictl_ends(0, &["project", "check", "hello"]);
    let branch = ["branch", "devel", "main"];
    git(stage.server.path(), &branch).unwrap().ok().unwrap();
    let named = "the server has the branch devel, and git cannot keep both";
    let checked = stage.cictl_ends(1, &["project", "check", "hello"]).text();
    assert!(checked.contains(named), "{checked}");
    let said = stage.create_is_taken_back(ANNA);
    assert!(said.contains(named), "{said}");
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
    let said = stage.create_is_taken_back(ANNA);
    assert!(
        said.contains("fetch") && said.contains("longer than 3s"),
        "{said}"
    );
    let left = helpers(stage.sandbox.dir());
    assert!(left.iter().all(|process| process.name != "ssh"), "{left:?}");
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

fn write(stage: &Stage, url: &str, keys: &str) {
    let text = format!("domain = \"hello.localhost\"\ngit.url = \"{url}\"\n{keys}\n");
    stage.sandbox.write_project("hello", &text).unwrap();
}
