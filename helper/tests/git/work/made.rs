use super::{assert_nothing, world};
use crate::origin::{Origin, git};
use cid_protocol::request::{
    Configure, FileSource, LeftFiles, RecordMade, TreeFile, TreeLink, UpdateTree,
};
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
    fs::write(clone.join("pressa/__pycache__/y.pyc.139821"), "").unwrap();
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
fn the_journal_of_a_database_that_git_ignores_is_no_work() {
    let mut origin = released();
    let clone = origin.target();
    fs::write(clone.join(".git/info/exclude"), "/app.db\n").unwrap();
    fs::write(clone.join("app.db"), "SQLite format 3\0 and rows").unwrap();
    fs::write(clone.join("app.db-journal"), "rows").unwrap();
    assert_nothing(&mut origin);
    // Beside anything else it is somebody's.
    fs::write(clone.join("diary"), "a text").unwrap();
    assert!(origin.look().loses_work());
    fs::write(clone.join(".git/info/exclude"), "/app.db\n/diary\n").unwrap();
    assert_nothing(&mut origin);
    fs::write(clone.join("diary-journal"), "rows").unwrap();
    assert!(origin.look().loses_work());
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

/// The commands of a deployment did not make it, and nobody can make it again.
#[test]
fn what_lay_there_before_a_deployment_stays_work() {
    let mut origin = released();
    let (clone, directory) = (origin.target(), origin.workspace());
    for (name, text) in [
        ("new.py", "x = 1\n"),
        ("lib/w.py", "x = 2\n"),
        ("media/photo", "x"),
    ] {
        let path = clone.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    fs::write(directory.join("home/notes.txt"), "12345").unwrap();
    let deploy = |origin: &mut Origin| {
        let branch = git(&clone, &["branch", "--show-current"]).trim().to_owned();
        let (directory, commit) = (directory.clone(), None);
        let update = UpdateTree {
            directory: directory.clone(),
            branch,
            commit,
        };
        origin.helper.ask(update).unwrap();
        fs::write(clone.join("static/css/new.css"), "by a command").unwrap();
        let own_account = true;
        let record = RecordMade {
            directory,
            own_account,
        };
        origin.helper.ask(record).unwrap();
        assert_eq!(origin.work("src").uncommitted.items, ["lib/", "new.py"]);
        assert_eq!(left(origin), ["home/notes.txt", "src/media/"]);
    };
    deploy(&mut origin);
    // A second one does not take them over either.
    deploy(&mut origin);
}

#[test]
fn what_cid_wrote_is_work_once_somebody_adds_to_it() {
    let mut origin = world();
    let (clone, directory) = (origin.target(), origin.workspace());
    let configure = |text: &str| Configure {
        tree: clone.clone(),
        files: vec![TreeFile {
            target: ".env".into(),
            source: FileSource::Text(text.into()),
            replace: false,
            yields: false,
        }],
        links: Vec::new(),
        variables: BTreeMap::new(),
    };
    origin.helper.ask(configure("PORT=1\n")).unwrap();
    let own_account = false;
    let record = RecordMade {
        directory,
        own_account,
    };
    origin.helper.ask(record).unwrap();
    assert_nothing(&mut origin);
    fs::write(clone.join(".env"), "PORT=1\nMINE=1\n").unwrap();
    assert_eq!(origin.work("src").uncommitted.items, [".env"]);
    // Written anew, it is cid's again.
    origin.helper.ask(configure("PORT=2\n")).unwrap();
    assert_nothing(&mut origin);
}

/// libgit2 passes over files beside tracked ones that such a rule ignores.
#[test]
fn files_under_a_rule_that_ignores_everything_are_named() {
    for rule in ["*", "/*", "*\n!*.py", "/pressa/*"] {
        let mut origin = world();
        let clone = origin.target();
        fs::write(clone.join(".git/info/exclude"), format!("{rule}\n")).unwrap();
        let folder = match rule.starts_with("/pressa") {
            true => clone.join("pressa"),
            false => clone.clone(),
        };
        fs::create_dir_all(folder.join("nd/deep")).unwrap();
        fs::create_dir_all(folder.join("empty")).unwrap();
        fs::create_dir_all(folder.join("__pycache__")).unwrap();
        for name in ["data.sqlite3", "nd/deep/x", "__pycache__/my_work.txt"] {
            fs::write(folder.join(name), "x").unwrap();
        }
        let named = left(&mut origin);
        let below = folder.strip_prefix(origin.workspace()).unwrap().display();
        let expected = ["__pycache__/", "data.sqlite3", "nd/"];
        let expected = expected.map(|name| format!("{below}/{name}"));
        assert_eq!(named, expected, "{rule}");
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
