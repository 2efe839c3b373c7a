use super::{assert_nothing, own, world};
use crate::origin::{BRANCH, Origin, git};
use std::{
    fs,
    sync::atomic::{AtomicU32, Ordering},
};

/// Subjects of unpushed commits, sorted.
fn subjects(origin: &mut Origin) -> Vec<String> {
    let mut lines = origin.work("src").unpushed.items;
    for line in &mut lines {
        *line = line[8..].to_owned();
    }
    lines.sort();
    lines
}

/// Each at a time of its own, as a person's are.
fn commit(origin: &Origin, subject: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let time = 1_700_000_000 + 60 * NEXT.fetch_add(1, Ordering::Relaxed);
    let (clone, date) = (origin.target(), format!("--date=@{time}"));
    let arguments = ["commit", "--quiet", "--allow-empty", &date, "-m", subject];
    own(&clone, &arguments);
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
fn a_tag_there_holds_as_a_branch_does() {
    let mut origin = world();
    let clone = origin.target();
    commit(&origin, "released");
    git(&clone, &["tag", "light"]);
    commit(&origin, "released again");
    own(&clone, &["tag", "--annotate", "-m", "x", "full"]);
    assert_eq!(subjects(&mut origin), ["released", "released again"]);
    git(&clone, &["push", "--quiet", "origin", "light"]);
    origin.look();
    assert_eq!(subjects(&mut origin), ["released again"]);
    git(&clone, &["push", "--quiet", "origin", "full"]);
    assert_nothing(&mut origin);
    // As it is there now, not as it once was.
    git(&origin.bare(), &["tag", "--delete", "full"]);
    origin.look();
    assert_eq!(subjects(&mut origin), ["released again"]);
}

/// What a reflog alone holds, by subject.
fn forgotten(origin: &mut Origin) -> Vec<String> {
    let report = origin.look();
    assert!(!report.loses_work(), "{report:#?}");
    let lines = report.files.forgotten.iter();
    lines
        .map(|line| line.strip_prefix("src: ").unwrap()[8..].to_owned())
        .collect()
}

#[test]
fn what_a_reflog_alone_holds_is_named_and_does_not_keep() {
    let mut origin = world();
    let clone = origin.target();
    assert!(forgotten(&mut origin).is_empty());
    // Left by a reset, with a branch that was deleted, and detached.
    commit(&origin, "reset");
    git(&clone, &["reset", "--quiet", "--hard", "HEAD~1"]);
    git(&clone, &["switch", "--quiet", "--create", "side"]);
    commit(&origin, "below");
    commit(&origin, "on the side");
    git(&clone, &["switch", "--quiet", BRANCH]);
    git(&clone, &["branch", "--quiet", "-D", "side"]);
    git(&clone, &["switch", "--quiet", "--detach"]);
    commit(&origin, "detached");
    git(&clone, &["switch", "--quiet", BRANCH]);
    let mut all = forgotten(&mut origin);
    all.sort();
    assert_eq!(all, ["below", "detached", "on the side", "reset"]);
    // A remote that has it holds it, and so does one that once had it: somebody took it away there.
    for subject in ["reset", "detached"] {
        let id = git(
            &clone,
            &[
                "log",
                "--walk-reflogs",
                "--format=%H",
                "-1",
                &format!("--grep={subject}"),
            ],
        );
        git(
            &clone,
            &[
                "push",
                "--quiet",
                "origin",
                &format!("{id}:refs/heads/{subject}"),
            ],
        );
    }
    git(&origin.bare(), &["branch", "-D", "detached"]);
    let mut all = forgotten(&mut origin);
    all.sort();
    assert_eq!(all, ["below", "on the side"]);
    for number in 0..12 {
        commit(&origin, &format!("commit {number}"));
    }
    git(&clone, &["reset", "--quiet", "--hard", "HEAD~12"]);
    let files = origin.look().files;
    assert_eq!((files.forgotten.len(), files.more_forgotten), (10, 4));
}

#[test]
fn what_was_made_anew_and_what_others_rewrote_is_not_named() {
    let mut origin = world();
    let clone = origin.target();
    fs::write(clone.join("mine.py"), "").unwrap();
    own(&clone, &["add", "--all"]);
    commit(&origin, "drafted");
    own(&clone, &["commit", "--quiet", "--amend", "-m", "amended"]);
    origin.somebody_pushes("main", "theirs");
    own(&clone, &["fetch", "--quiet"]);
    own(&clone, &["rebase", "--quiet", "origin/main"]);
    own(&clone, &["push", "--quiet", "origin", "HEAD"]);
    assert!(forgotten(&mut origin).is_empty());
    // A colleague rewrites main, and one goes along.
    own(&clone, &["reset", "--quiet", "--hard", "origin/main"]);
    let work = origin.dir.path().join("work");
    git(&work, &["reset", "--quiet", "--hard", "HEAD~1"]);
    origin.somebody_pushes("main", "theirs, otherwise");
    own(&clone, &["fetch", "--quiet", "--prune"]);
    own(&clone, &["reset", "--quiet", "--hard", "origin/main"]);
    assert!(forgotten(&mut origin).is_empty());
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
