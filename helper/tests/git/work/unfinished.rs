use super::{own, world};
use crate::{
    origin::{Origin, git},
    skip::skip,
};
use cid_protocol::request::{RecordMade, RepositoryWork, UnfinishedWork, WorkReport};
use std::fs;

/// What keeps the folder of a creation that is taken back.
fn look(origin: &mut Origin, own_account: bool) -> WorkReport {
    let ask = UnfinishedWork {
        directory: origin.workspace(),
        mirror: origin.mirror(),
        own_account,
    };
    origin.helper.ask(ask).unwrap()
}

fn work(origin: &mut Origin) -> Vec<RepositoryWork> {
    look(origin, false).repositories
}

#[track_caller]
fn assert_nothing(origin: &mut Origin) {
    let report = look(origin, false);
    assert!(!report.loses_work(), "{report:#?}");
}

/// As after a release command.
fn commands_made(origin: &Origin) {
    let clone = origin.target();
    fs::create_dir_all(clone.join("static")).unwrap();
    fs::write(clone.join("static/a.css"), "a").unwrap();
    fs::write(clone.join("db.sqlite3"), "SQLite format 3\0").unwrap();
    fs::write(clone.join("uv.lock"), "locked").unwrap();
}

fn end_commands(origin: &mut Origin) {
    let directory = origin.workspace();
    origin
        .helper
        .ask(RecordMade {
            directory,
            own_account: false,
        })
        .unwrap();
}

#[test]
fn what_commands_and_processes_made_is_nobodys_work() {
    let mut origin = world();
    assert_nothing(&mut origin);
    let clone = origin.target();
    fs::write(clone.join("uv.lock"), "").unwrap();
    own(&clone, &["add", "uv.lock"]);
    own(&clone, &["commit", "--quiet", "--message", "Lock"]);
    own(
        &clone,
        &["push", "--quiet", "origin", "HEAD:refs/heads/main"],
    );
    commands_made(&origin);
    // Killed on the way, and then at their end.
    assert_nothing(&mut origin);
    fs::write(clone.join("manage.py"), "compiled").unwrap();
    end_commands(&mut origin);
    assert_nothing(&mut origin);
    fs::write(clone.join("db.sqlite3"), "SQLite format 3\0 and rows").unwrap();
    fs::create_dir(clone.join("pressa/__pycache__")).unwrap();
    fs::write(clone.join("pressa/__pycache__/x.pyc"), "").unwrap();
    // An installer's checkout at a tag.
    let library = origin.workspace().join("home/library");
    let bare = origin.bare();
    git(&bare, &["tag", "v1", "main"]);
    let url = format!("file://{}", bare.display());
    let args = ["clone", "--quiet", "--depth=1", "--branch=v1", &url];
    own(
        &origin.workspace(),
        &[&args[..], &[library.to_str().unwrap()]].concat(),
    );
    fs::write(library.join("built"), "").unwrap();
    assert_nothing(&mut origin);
}

#[test]
fn commits_and_stashes_are_work_while_commands_run() {
    let mut origin = world();
    commands_made(&origin);
    let clone = origin.target();
    own(
        &clone,
        &[
            "commit",
            "--quiet",
            "--allow-empty",
            "--message",
            "Look why",
        ],
    );
    let found = work(&mut origin);
    assert_eq!(found.len(), 1);
    assert!(
        found[0].unpushed.items[0].ends_with(" Look why"),
        "{found:?}"
    );
    assert!(found[0].uncommitted.is_empty(), "{found:?}");
    // Also one that is on no branch any more than a stash's.
    own(&clone, &["reset", "--quiet", "--hard", "HEAD~1"]);
    assert_nothing(&mut origin);
    fs::write(clone.join("manage.py"), "by hand").unwrap();
    assert_eq!(work(&mut origin)[0].uncommitted.items, ["manage.py"]);
    own(&clone, &["stash", "--quiet"]);
    assert_eq!(work(&mut origin)[0].unpushed.len(), 1);
}

#[test]
fn files_that_people_added_and_changed_are_work_once_commands_have_ended() {
    let mut origin = world();
    commands_made(&origin);
    end_commands(&mut origin);
    let clone = origin.target();
    fs::write(clone.join("why.txt"), "notes").unwrap();
    fs::write(clone.join("static/a.css"), "by hand").unwrap();
    fs::write(clone.join("manage.py"), "by hand").unwrap();
    let found = work(&mut origin);
    let named = ["manage.py", "static/", "why.txt"];
    assert_eq!(found[0].uncommitted.items, named);
}

#[test]
fn half_a_clone_holds_nothing() {
    let mut origin = world();
    let clone = origin.target();
    fs::write(clone.join("manage.py"), "half").unwrap();
    fs::remove_file(clone.join(".git/cid-complete")).unwrap();
    assert_nothing(&mut origin);
    fs::remove_dir_all(clone.join(".git")).unwrap();
    assert_nothing(&mut origin);
    fs::remove_dir_all(origin.workspace()).unwrap();
    assert_nothing(&mut origin);
}

#[test]
fn on_a_host_the_owner_of_a_file_tells() {
    let mut origin = world();
    let clone = origin.target();
    for ended in [false, true] {
        if ended {
            end_commands(&mut origin);
        }
        fs::write(clone.join("made"), "by the app").unwrap();
        let report = look(&mut origin, true);
        assert!(!report.loses_work(), "{ended}: {report:#?}");
    }
    if !nix::unistd::geteuid().is_root() {
        return skip("giving files away takes root");
    }
    for name in ["mine.txt", "manage.py"] {
        fs::write(clone.join(name), "by hand").unwrap();
        std::os::unix::fs::chown(clone.join(name), Some(61_234), None).unwrap();
    }
    let report = look(&mut origin, true);
    let named = ["manage.py", "mine.txt"];
    assert_eq!(report.repositories[0].uncommitted.items, named);
}
