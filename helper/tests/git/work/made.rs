use super::{assert_nothing, world};
use crate::origin::{Origin, git};
use cid_protocol::request::{Configure, LeftFiles, RecordMade, TreeLink};
use std::{collections::BTreeMap, fs, io::Write, os::unix::fs::symlink};

/// A workspace in which the release commands made things, git ignoring some of them.
fn released() -> Origin {
    let mut origin = world();
    let clone = origin.target();
    fs::write(
        clone.join(".git/info/exclude"),
        "/db.sqlite3\n/media\n/ignored.py\n",
    )
    .unwrap();
    fs::create_dir_all(clone.join("static/css")).unwrap();
    for (name, text) in [
        ("db.sqlite3", "SQLite format 3\0"),
        ("open.sqlite3", "SQLite format 3\0"),
        ("static/css/a.css", "a"),
        ("static/b.js", "b"),
        ("app.log", "started\n"),
        ("local.py", "SECRET = 1\n"),
        ("ignored.py", "SECRET = 1\n"),
        ("manage.py", "compiled"),
    ] {
        fs::write(clone.join(name), text).unwrap();
    }
    fs::remove_file(clone.join("pressa/wsgi.py")).unwrap();
    assert!(origin.look().loses_work());
    let directory = origin.workspace();
    origin
        .helper
        .ask(RecordMade {
            directory,
            own_account: false,
        })
        .unwrap();
    origin
}

fn left(origin: &mut Origin) -> Vec<String> {
    let LeftFiles { biggest, .. } = origin.look().files;
    let mut paths: Vec<String> = biggest.into_iter().map(|file| file.path).collect();
    paths.sort();
    paths
}

#[test]
fn what_was_made_is_nobodys_work() {
    let mut origin = released();
    assert_nothing(&mut origin);
    assert!(left(&mut origin).is_empty());
    // Nor what programs made of it, and beside it.
    let clone = origin.target();
    for name in ["db.sqlite3", "open.sqlite3", "open.sqlite3-wal"] {
        fs::write(clone.join(name), "SQLite format 3\0 and somebody's rows").unwrap();
    }
    let mut log = fs::OpenOptions::new()
        .append(true)
        .open(clone.join("app.log"))
        .unwrap();
    log.write_all(b"visited\n").unwrap();
    fs::create_dir_all(clone.join("pressa/__pycache__")).unwrap();
    fs::write(clone.join("pressa/__pycache__/x.pyc"), "").unwrap();
    fs::write(clone.join("pressa/__pycache__/x"), "").unwrap();
    assert_nothing(&mut origin);
    let changed = [
        "src/app.log",
        "src/db.sqlite3",
        "src/open.sqlite3",
        "src/open.sqlite3-wal",
    ];
    assert_eq!(left(&mut origin), changed);
}

#[test]
fn what_people_changed_of_it_is_work() {
    let mut origin = released();
    let clone = origin.target();
    fs::write(clone.join("local.py"), "SECRET = 2\n").unwrap();
    // Also where git ignores it: nobody can make it again.
    fs::write(clone.join("ignored.py"), "SECRET = 2\n").unwrap();
    fs::write(clone.join("manage.py"), "by hand").unwrap();
    fs::write(clone.join("static/mine.css"), "mine").unwrap();
    fs::write(clone.join("pressa/wsgi.py"), "by hand").unwrap();
    let items = origin.work("src").uncommitted.items;
    assert_eq!(
        items,
        [
            "ignored.py",
            "local.py",
            "manage.py",
            "pressa/wsgi.py",
            "static/mine.css"
        ]
    );
}

#[test]
fn what_people_did_while_the_app_started_is_theirs() {
    let mut origin = released();
    let (clone, directory) = (origin.target(), origin.workspace());
    for own_account in [false, true] {
        fs::write(clone.join("local.py"), "SECRET = 2\n").unwrap();
        fs::write(clone.join(".gitignore"), "*.bak\n").unwrap();
        fs::write(clone.join("app.pid"), "1").unwrap();
        let directory = directory.clone();
        let again = RecordMade {
            directory,
            own_account,
        };
        origin.helper.ask(again).unwrap();
        let named = [".gitignore", "app.pid", "local.py"].into_iter();
        // By its owner it is the app's, where people are others.
        let named: Vec<_> = named
            .filter(|name| !own_account || *name != "app.pid")
            .collect();
        assert_eq!(origin.work("src").uncommitted.items, named);
    }
}

#[test]
fn ignored_and_loose_files_are_named_with_their_size() {
    let mut origin = released();
    let clone = origin.target();
    let home = origin.workspace().join("home");
    fs::create_dir_all(clone.join("media/a")).unwrap();
    fs::write(clone.join("media/a/photo"), vec![b'x'; 5000]).unwrap();
    fs::write(clone.join("media/other"), vec![b'x'; 1000]).unwrap();
    fs::write(home.join("notes.txt"), "12345").unwrap();
    fs::create_dir_all(home.join(".cache/pip")).unwrap();
    fs::write(home.join(".cache/pip/x"), "x").unwrap();
    // git keeps its hooks nowhere else; its examples are not work.
    fs::create_dir_all(clone.join(".git/hooks")).unwrap();
    fs::write(clone.join(".git/hooks/pre-commit"), "#!").unwrap();
    fs::write(clone.join(".git/hooks/pre-push.sample"), "#!").unwrap();
    // A repository is looked at by itself, and what tools make again is not work.
    git(&home, &["init", "--quiet", "repository"]);
    fs::create_dir_all(clone.join("media/venv")).unwrap();
    fs::write(clone.join("media/venv/pyvenv.cfg"), "x").unwrap();
    let files = origin.look().files;
    let named: Vec<(&str, u64)> = files
        .biggest
        .iter()
        .map(|f| (f.path.as_str(), f.bytes))
        .collect();
    let hook = ("src/.git/hooks/pre-commit", 2);
    assert_eq!(named, [("src/media/", 6000), ("home/notes.txt", 5), hook]);
    assert_eq!((files.files, files.bytes, files.more), (4, 6007, 0));
    assert_nothing(&mut origin);
    for number in 0..20 {
        fs::write(home.join(format!("file-{number}")), "x").unwrap();
    }
    let files = origin.look().files;
    assert_eq!((files.biggest.len(), files.more), (10, 13));
}

/// git ignores these for cid's sake, so what a person writes there is nowhere else.
#[test]
fn texts_in_what_cid_copied_are_work_and_what_apps_keep_there_is_not() {
    let mut origin = world();
    let (clone, directory) = (origin.target(), origin.workspace());
    let shared = directory.with_extension("shared");
    fs::create_dir_all(shared.join("deep")).unwrap();
    for name in ["a.json", "deep/b.json", "local.ini", "photo.jpg"] {
        fs::write(shared.join(name), format!("{name}\n")).unwrap();
    }
    let copy = |source: &str, target: &str| TreeLink {
        source: shared.join(source),
        target: target.into(),
        copy: true,
        replace: false,
        yields: false,
    };
    let configure = || Configure {
        tree: clone.clone(),
        files: Vec::new(),
        links: vec![
            copy("", "data/own"),
            copy("local.ini", "local.ini"),
            copy("deep", "many"),
        ],
        variables: BTreeMap::new(),
    };
    origin.helper.ask(configure()).unwrap();
    let record = |own_account| RecordMade {
        directory: directory.clone(),
        own_account,
    };
    origin.helper.ask(record(false)).unwrap();
    assert_nothing(&mut origin);
    assert!(left(&mut origin).is_empty());

    // What an app keeps there goes along, and is named.
    let own = clone.join("data/own");
    for (name, content) in [
        ("upload.jpg", &b"\xff\xd8\0\0"[..]),
        ("deep/app.log", b"started\n"),
        ("db.sqlite3", b"SQLite format 3\0"),
        ("photo.jpg", b"photo.jpg\0 again"),
        ("empty", b""),
    ] {
        fs::write(own.join(name), content).unwrap();
    }
    assert_nothing(&mut origin);
    let named = left(&mut origin);
    assert_eq!(named.len(), 5, "{named:?}");
    assert!(
        named.contains(&"src/data/own/upload.jpg".to_owned()),
        "{named:?}"
    );

    // What a person writes does not, new or not, at any depth; a second look by cid does not change that.
    fs::write(own.join("deep/new.json"), "{}\n").unwrap();
    fs::write(own.join("a.json"), "other\n").unwrap();
    fs::write(clone.join("local.ini"), "mine\n").unwrap();
    let expected = ["local.ini", "data/own/a.json", "data/own/deep/new.json"];
    assert_eq!(origin.work("src").uncommitted.items, expected);
    origin.helper.ask(record(false)).unwrap();
    assert_eq!(origin.work("src").uncommitted.items, expected);

    // A link is not followed, and uploads hide nothing.
    fs::remove_dir_all(clone.join("many")).unwrap();
    symlink(&shared, clone.join("many")).unwrap();
    assert_eq!(origin.work("src").uncommitted.items, expected);
    for number in 0..3000 {
        fs::write(own.join(number.to_string()), [0]).unwrap();
    }
    assert_eq!(origin.work("src").uncommitted.items, expected);
}

#[test]
fn what_cid_put_in_a_tracked_files_place_is_nobodys_work_until_it_is_changed() {
    let mut origin = world();
    let (clone, directory) = (origin.target(), origin.workspace());
    fs::write(clone.join("manage.py"), "by cid").unwrap();
    git(&clone, &["update-index", "--skip-worktree", "manage.py"]);
    origin
        .helper
        .ask(RecordMade {
            directory,
            own_account: false,
        })
        .unwrap();
    assert_nothing(&mut origin);
    fs::write(clone.join("manage.py"), "by hand").unwrap();
    assert_eq!(origin.work("src").uncommitted.items, ["manage.py"]);
    // What is staged would be committed, so it counts.
    fs::write(clone.join("manage.py"), "by cid").unwrap();
    assert_nothing(&mut origin);
    git(&clone, &["update-index", "--no-skip-worktree", "manage.py"]);
    git(&clone, &["add", "manage.py"]);
    git(&clone, &["update-index", "--skip-worktree", "manage.py"]);
    assert_eq!(origin.work("src").uncommitted.items, ["manage.py"]);
}
