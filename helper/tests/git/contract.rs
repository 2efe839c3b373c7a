//! What holds for every remote.

use crate::{
    origin::{BRANCH, Origin, commit, git},
    sshd::Sshd,
};
use cid_protocol::request::{BranchDeletion, ListBranches};
use std::fs;

#[test]
fn on_a_local_repository() {
    holds(Origin::new());
}

#[test]
fn over_ssh() {
    let mut origin = Origin::new();
    let server = Sshd::start(origin.dir.path());
    origin.remote = server.remote(&origin.bare());
    holds(origin);
}

fn holds(mut origin: Origin) {
    listing(&mut origin);
    fetching(&mut origin);
    pushing(&mut origin);
    deleting(&mut origin);
    refusing(&mut origin);
    clashing(&mut origin);
    many(&mut origin);
    shallow(&mut origin);
    empty(&mut origin);
    damaged(&mut origin);
}

/// A repository without a branch has none to put into the project file.
fn empty(origin: &mut Origin) {
    let bare = origin.bare();
    let whole = bare.with_extension("whole");
    fs::rename(&bare, &whole).unwrap();
    let (parent, to) = (bare.parent().unwrap(), bare.to_str().unwrap());
    git(parent, &["init", "--quiet", "--bare", to]);
    let (message, hint) = origin.fetch("main").unwrap_err();
    assert!(message.ends_with("has no branches yet"), "{message}");
    assert!(hint.contains("push its first commits"), "{hint}");
    fs::remove_dir_all(&bare).unwrap();
    fs::rename(&whole, &bare).unwrap();
    origin.fetch("main").unwrap();
}

/// git leaves out what a shallow repository has, and calls that a success.
fn shallow(origin: &mut Origin) {
    let bare = origin.bare();
    let known = origin.fetch("main").unwrap().base;
    origin.somebody_pushes("main", "newer");
    let (whole, newest) = (bare.with_extension("whole"), origin.branch("main"));
    fs::rename(&bare, &whole).unwrap();
    let url = format!("file://{}", whole.display());
    let to = bare.to_str().unwrap();
    git(
        bare.parent().unwrap(),
        &["clone", "--quiet", "--bare", "--depth", "1", &url, to],
    );
    // The mirror has an older base, which must not pass for the newest.
    let (message, hint) = origin.fetch("main").unwrap_err();
    assert!(message.contains("is shallow"), "{message}");
    assert!(hint.contains("--unshallow"), "{hint}");
    git(&bare, &["fetch", "--quiet", "--unshallow", &url]);
    let fetched = origin.fetch("main").unwrap();
    assert!(fetched.base == newest && newest != known);
    fs::remove_dir_all(&bare).unwrap();
    fs::rename(&whole, &bare).unwrap();
}

/// A repository that lacks an object is no broken connection.
fn damaged(origin: &mut Origin) {
    let (bare, work) = (origin.bare(), origin.dir.path().join("work"));
    fs::write(work.join("lost.txt"), "lost").unwrap();
    git(&work, &["add", "--all"]);
    commit(&work, "lost");
    let branch = "HEAD:refs/heads/lost";
    git(&work, &["push", "--quiet", bare.to_str().unwrap(), branch]);
    let blob = git(&work, &["rev-parse", "HEAD:lost.txt"]);
    fs::remove_file(bare.join("objects").join(&blob[..2]).join(&blob[2..])).unwrap();
    let (message, hint) = origin.fetch("main").unwrap_err();
    assert!(
        message.contains(": the repository there is damaged (the server says: "),
        "{message}"
    );
    assert!(hint.contains("fsck --full"), "{hint}");
}

/// git keeps branches as files and folders.
fn clashing(origin: &mut Origin) {
    for (theirs, ours, named) in [
        ("team", "team/anna", "team"),
        ("team/a", "team/a/b/anna", "team/a"),
        ("lead/anna/x", "lead/anna", "lead/anna/x"),
    ] {
        origin.somebody_pushes(theirs, "theirs");
        let (message, hint) = origin.fetch_for("main", ours).unwrap_err();
        let expected =
            format!("cannot make the branch {ours}: the server has the branch {named}, and git");
        assert!(message.starts_with(&expected), "{message}");
        assert!(hint.contains("`branch` under [git]"), "{hint}");
        git(&origin.bare(), &["branch", "-D", theirs]);
        origin.fetch_for("main", ours).unwrap();
    }
    origin.somebody_pushes("teams", "beside");
    origin.fetch_for("main", "team/anna").unwrap();
}

/// The mirror has many branches in one file, whatever then becomes of them on the server.
fn many(origin: &mut Origin) {
    let (bare, mirror) = (origin.bare(), origin.mirror());
    let base = origin.branch("main");
    for number in 0..40 {
        git(&bare, &["branch", &format!("many/{number}"), &base]);
    }
    origin.fetch("main").unwrap();
    assert!(!mirror.join("refs/heads/many").exists());
    let clash = origin.fetch_for("main", "many/7/anna").unwrap_err().0;
    assert!(clash.contains("has the branch many/7,"), "{clash}");
    let moved = origin.somebody_pushes("many/7", "moved");
    git(&bare, &["branch", "-D", "many/8"]);
    // What a killed fetch or packing leaves.
    for left in ["packed-refs.lock", "packed-refs.new"] {
        fs::write(mirror.join(left), "").unwrap();
    }
    let fetched = origin.fetch_for("main", "many/7").unwrap();
    assert_eq!(fetched.branch, Some(moved));
    assert_eq!(origin.fetch_for("main", "many/8").unwrap().branch, None);
    assert_eq!(
        git(&mirror, &["for-each-ref", "refs/heads"]),
        git(&bare, &["for-each-ref", "refs/heads"])
    );
    let listed = git(
        &bare,
        &[
            "for-each-ref",
            "--format=%(refname:short)",
            "refs/heads/many",
        ],
    );
    let all: Vec<&str> = listed.lines().collect();
    git(&bare, &[&["branch", "-D"][..], &all].concat());
    origin.fetch("main").unwrap();
}

fn fetching(origin: &mut Origin) {
    let first = origin.branch("main");
    let fetched = origin.fetch("main").unwrap();
    assert_eq!((&fetched.base, &fetched.branch), (&first, &None));
    let (message, hint) = origin.fetch("mian").unwrap_err();
    assert!(
        message.starts_with("cannot find the base branch mian on "),
        "{message}"
    );
    assert!(
        message.ends_with("branches there: main") && hint.contains("base"),
        "{message} {hint}"
    );

    let second = origin.somebody_pushes("main", "second");
    origin.somebody_pushes("other", "other");
    // A killed fetch leaves its locks behind.
    fs::write(origin.mirror().join("refs/heads/main.lock"), "").unwrap();
    fs::write(origin.mirror().join("packed-refs.lock"), "").unwrap();
    assert_eq!(origin.fetch("main").unwrap().base, second);
    git(&origin.bare(), &["branch", "-D", "other"]);
    let fetched = origin.fetch("main").unwrap();
    assert_eq!(fetched.branch, None);
    assert_eq!(
        git(&origin.mirror(), &["branch", "--format=%(refname:short)"]),
        "main",
        "as on the remote"
    );
}

fn pushing(origin: &mut Origin) {
    let base = origin.branch("main");
    origin.try_push(&base, None).unwrap();
    assert_eq!(origin.branch(BRANCH), "", "only asked");
    origin.push(&base, None).unwrap();
    assert_eq!(origin.branch(BRANCH), base);
    origin.push(&base, None).unwrap();
    let fetched = origin.fetch("main").unwrap();
    assert_eq!((fetched.branch.as_ref(), fetched.ahead), (Some(&base), 0));

    let theirs = origin.somebody_pushes(BRANCH, "theirs");
    assert_eq!(origin.fetch("main").unwrap().branch.as_ref(), Some(&theirs));
    for expected in [None, Some(base.as_str())] {
        let older = git(&origin.mirror(), &["rev-parse", "main~1"]);
        let (message, hint) = origin.push(&older, expected).unwrap_err();
        assert!(
            message.starts_with(&format!("cannot push {BRANCH} to ")),
            "{message}"
        );
        assert!(
            message.contains("not where cid last saw it") && !hint.is_empty(),
            "{message}"
        );
    }
    assert_eq!(
        origin.branch(BRANCH),
        theirs,
        "never over what somebody else put there"
    );
    origin.push(&base, Some(&theirs)).unwrap();
    assert_eq!(origin.branch(BRANCH), base);
    assert_eq!(
        origin.branch("main"),
        base,
        "and no other branch was touched"
    );
}

fn deleting(origin: &mut Origin) {
    let base = origin.branch("main");
    let theirs = origin.somebody_pushes(BRANCH, "more of theirs");
    assert_eq!(origin.delete(&base).unwrap(), BranchDeletion::Moved);
    assert_eq!(origin.branch(BRANCH), theirs);
    assert_eq!(origin.delete(&theirs).unwrap(), BranchDeletion::Deleted);
    assert_eq!(origin.branch(BRANCH), "");
    assert_eq!(origin.delete(&theirs).unwrap(), BranchDeletion::Absent);
}

/// The server has the last word, and people get to read it.
fn refusing(origin: &mut Origin) {
    let hook = origin.bare().join("hooks/pre-receive");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::write(
        &hook,
        "#!/bin/sh\necho 'issue X does not exist, deploy key' >&2\nexit 1\n",
    )
    .unwrap();
    fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let base = origin.branch("main");
    let (message, hint) = origin.push(&base, None).unwrap_err();
    assert!(
        message.contains("the server rejected it (the server says: issue X does not exist, deploy"),
        "{message}"
    );
    assert!(!hint.is_empty());
    fs::remove_file(hook).unwrap();
    let mirror = origin.mirror();
    fs::create_dir_all(mirror.join("hooks")).unwrap();
    for name in ["pre-push", "reference-transaction", "post-checkout"] {
        let hook = mirror.join("hooks").join(name);
        fs::write(
            &hook,
            format!("#!/bin/sh\ntouch {}/ran\n", mirror.display()),
        )
        .unwrap();
        fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    origin.push(&base, None).unwrap();
    origin.fetch("main").unwrap();
    assert!(
        !mirror.join("ran").exists(),
        "hooks of the mirror are never run"
    );
    // Nor is anything that its configuration names.
    git(
        &mirror,
        &[
            "config",
            "core.fsmonitor",
            &format!("touch {}/ran", mirror.display()),
        ],
    );
    git(
        &mirror,
        &[
            "config",
            "credential.helper",
            &format!("!touch {}/ran", mirror.display()),
        ],
    );
    origin.fetch("main").unwrap();
    assert!(!mirror.join("ran").exists());
    let (message, hint) = {
        let mut elsewhere = origin.remote.clone();
        elsewhere.url = elsewhere.url.replace("pressa.git", "none.git");
        std::mem::swap(&mut origin.remote, &mut elsewhere);
        let told = origin.fetch("main").unwrap_err();
        std::mem::swap(&mut origin.remote, &mut elsewhere);
        told
    };
    assert!(
        message.contains("there is no repository, or this user may not see it"),
        "{message}"
    );
    assert!(hint.contains("check the URL"), "{hint}");
}

/// Before the first fetch, as after it.
fn listing(origin: &mut Origin) {
    let anna = origin.somebody_pushes(BRANCH, "listed");
    git(&origin.bare(), &["tag", "listed", "main"]);
    let ask = |origin: &Origin, wanted: &[&str]| ListBranches {
        mirror: origin.mirror(),
        remote: origin.remote.clone(),
        base: "main".into(),
        wanted: wanted.iter().map(ToString::to_string).collect(),
    };
    let request = ask(origin, &["main", BRANCH, "nobody", "listed"]);
    let found = origin.helper.ask(request).unwrap().commits;
    let main = origin.branch("main");
    let expected = [("main".to_owned(), main), (BRANCH.to_owned(), anna)];
    assert_eq!(found, expected.into());
    let none = ask(origin, &[]);
    assert!(origin.helper.ask(none).unwrap().commits.is_empty());
    git(&origin.bare(), &["branch", "-D", BRANCH]);
    let mut elsewhere = ask(origin, &["main"]);
    elsewhere.remote.url = format!("{}-not-there", elsewhere.remote.url);
    let (message, _) = origin.helper.ask(elsewhere).unwrap_err();
    assert!(message.starts_with("cannot ask"), "{message}");
}
