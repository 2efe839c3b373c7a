use super::{assert_nothing, own, world};
use crate::origin::{BRANCH, Origin, git};
use std::fs;

/// Subjects of unpushed commits, sorted.
fn subjects(origin: &mut Origin) -> Vec<String> {
    let mut lines = origin.work("src").unpushed.items;
    for line in &mut lines {
        *line = line[8..].to_owned();
    }
    lines.sort();
    lines
}

fn commit(origin: &Origin, subject: &str) -> String {
    let clone = origin.target();
    own(
        &clone,
        &["commit", "--quiet", "--allow-empty", "-m", subject],
    );
    git(&clone, &["rev-parse", "HEAD"])
}

#[test]
fn on_any_branch_tag_or_detached_head() {
    let mut origin = world();
    let clone = origin.target();
    commit(&origin, "mine");
    git(&clone, &["switch", "--quiet", "--create", "side"]);
    commit(&origin, "on the side");
    git(&clone, &["switch", "--quiet", "--detach"]);
    commit(&origin, "tagged");
    own(&clone, &["tag", "--annotate", "-m", "x", "kept"]);
    git(&clone, &["checkout", "--quiet", BRANCH]);
    git(&clone, &["switch", "--quiet", "--detach"]);
    commit(&origin, "detached");
    let all = ["detached", "mine", "on the side", "tagged"];
    assert_eq!(subjects(&mut origin), all);
    git(
        &clone,
        &["push", "--quiet", "origin", "kept^{}:refs/heads/elsewhere"],
    );
    // The mirror has not been told yet, and what the clone knows does not count.
    let work = origin.work("src");
    assert!(work.remarks[0].starts_with("3 commits "), "{work:?}");
    origin.fetch("main").unwrap();
    assert_eq!(subjects(&mut origin), ["detached"]);
}

#[test]
fn what_was_fetched_from_a_branch_that_is_gone_is_held_no_more() {
    let mut origin = world();
    let clone = origin.target();
    commit(&origin, "pushed once");
    git(&clone, &["push", "--quiet", "origin", BRANCH]);
    assert_nothing(&mut origin);
    git(&origin.bare(), &["branch", "-D", BRANCH]);
    let work = origin.look().repositories.remove(0);
    assert!(
        work.unpushed.is_empty() && work.remarks[0].starts_with("1 commit "),
        "{work:?}"
    );
    git(&clone, &["fetch", "--quiet", "--prune"]);
    assert_eq!(subjects(&mut origin), ["pushed once"]);
}

#[test]
fn a_remote_that_cannot_be_asked_holds_nothing() {
    let mut origin = world();
    assert_nothing(&mut origin);
    // What the mirror had does not count then; the clone's own origin is asked, and it is there.
    let report = origin.status_unless(Some("no answer"));
    assert!(!report.loses_work(), "{report:?}");
    fs::rename(origin.bare(), origin.dir.path().join("away")).unwrap();
    let report = origin.status_unless(Some("no answer"));
    let remarks = report.repositories[0].remarks.join("\n");
    assert!(
        remarks.contains("no answer") && remarks.contains("cannot ask "),
        "{remarks}"
    );
    assert!(remarks.contains("counts as not held"), "{remarks}");
}

#[test]
fn a_fork_that_has_them_holds_them() {
    let mut origin = world();
    let clone = origin.target();
    let fork = origin.dir.path().join("fork.git");
    git(
        &clone,
        &["clone", "--quiet", "--bare", ".", fork.to_str().unwrap()],
    );
    git(&clone, &["remote", "add", "fork", fork.to_str().unwrap()]);
    commit(&origin, "mine");
    assert_eq!(subjects(&mut origin), ["mine"]);
    git(&clone, &["push", "--quiet", "fork", BRANCH]);
    assert_nothing(&mut origin);
    // One that is in the workspace goes with it.
    let inside = origin.workspace().join("home/fork.git");
    fs::rename(&fork, &inside).unwrap();
    git(
        &clone,
        &["remote", "set-url", "fork", inside.to_str().unwrap()],
    );
    let work = origin.work("src");
    assert!(work.remarks[0].starts_with("1 commit "), "{work:?}");
    git(
        &clone,
        &["update-ref", "-d", &format!("refs/remotes/fork/{BRANCH}")],
    );
    assert_eq!(subjects(&mut origin), ["mine"]);
    assert_eq!(origin.work("home/fork.git").unpushed.len(), 1);
}

#[test]
fn nothing_that_a_repository_says_is_run() {
    let mut origin = world();
    let (clone, ran) = (origin.target(), origin.dir.path().join("ran"));
    let touch = format!("touch {}", ran.display());
    let evil = origin.dir.path().join("evil.sh");
    fs::write(&evil, format!("#!/bin/sh\n{touch}\n")).unwrap();
    fs::set_permissions(&evil, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let evil = evil.to_str().unwrap();
    commit(&origin, "mine");
    fs::write(clone.join(".gitattributes"), "* filter=evil diff=evil\n").unwrap();
    fs::write(clone.join("manage.py"), "changed").unwrap();
    for (key, value) in [
        ("core.fsmonitor", evil),
        ("core.hooksPath", clone.to_str().unwrap()),
        ("core.sshCommand", evil),
        ("core.pager", evil),
        ("core.alternateRefsCommand", evil),
        ("credential.helper", evil),
        ("diff.external", evil),
        ("filter.evil.clean", evil),
        ("filter.evil.process", evil),
        ("remote.one.url", &format!("ext::{evil}")),
        ("remote.two.url", "ssh://git@127.0.0.1:1/x"),
        ("remote.three.url", "--upload-pack=/bin/true"),
        ("remote.four.url", origin.bare().to_str().unwrap()),
        ("remote.four.uploadpack", evil),
        ("remote.five.url", "https://127.0.0.1:1/x"),
        ("remote.six.vcs", "evil"),
        (&format!("url.ext::{evil}.insteadOf"), "https://127.0.0.1"),
        ("uploadpack.packObjectsHook", evil),
    ] {
        git(&clone, &["config", "--add", key, value]);
    }
    let work = origin.look().repositories.remove(0);
    assert!(
        work.uncommitted.items.contains(&"manage.py".to_owned()),
        "{work:?}"
    );
    assert_eq!(work.unpushed.len(), 1, "{work:?}");
    let remarks = work.remarks.join("\n");
    assert!(remarks.contains("its kind is not supported"), "{remarks}");
    assert!(
        remarks.contains("cannot ask ssh://git@127.0.0.1:1/x"),
        "{remarks}"
    );
    assert!(
        remarks.contains("cannot ask https://127.0.0.1:1/x"),
        "{remarks}"
    );
    assert!(!ran.exists());
}
