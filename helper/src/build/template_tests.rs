use super::*;
use git2::Signature;
use std::os::unix::fs::symlink;
use tempfile::TempDir;

const DATABASE: &[u8] = b"SQLite format 3\0 and its pages";

/// A mirror whose commit has `manage.py` and `seen.sqlite3`, these files written out, and an empty HOME.
fn tree() -> (TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let repository = Repository::init_bare(dir.path().join("mirror")).unwrap();
    let mut root = repository.treebuilder(None).unwrap();
    fs::create_dir_all(dir.path().join("src")).unwrap();
    for (name, text) in [("manage.py", "run"), ("seen.sqlite3", "old")] {
        let blob = repository.blob(text.as_bytes()).unwrap();
        root.insert(name, blob, 0o100_644).unwrap();
        fs::write(dir.path().join("src").join(name), text).unwrap();
    }
    let tree = repository.find_tree(root.write().unwrap()).unwrap();
    let who = Signature::now("Anna", "anna@example.com").unwrap();
    let commit = repository.commit(None, &who, &who, "One", &tree, &[]);
    for name in ["home", "made", "to", "to-home"] {
        fs::create_dir(dir.path().join(name)).unwrap();
    }
    (dir, commit.unwrap().to_string())
}

fn write(dir: &TempDir, path: &str, text: impl AsRef<[u8]>) {
    let path = dir.path().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn taken(dir: &TempDir, commit: &str, careful: bool) -> TakenMade {
    let at = |name: &str| dir.path().join(name);
    take(&TakeMade {
        mirror: at("mirror"),
        commit: commit.to_owned(),
        tree: at("src"),
        home: at("home"),
        target: at("made"),
        own: vec![
            "made-up-key".into(),
            at("src").to_string_lossy().into_owned(),
        ],
        careful,
    })
    .unwrap()
}

fn placed(dir: &TempDir) -> Result<u64, Fault> {
    let at = |name: &str| dir.path().join(name);
    place(&PlaceMade {
        source: at("made"),
        tree: at("to"),
        home: at("to-home"),
    })
}

fn read(dir: &TempDir, path: &str) -> Vec<u8> {
    fs::read(dir.path().join(path)).unwrap()
}

#[test]
fn what_was_made_comes_into_a_workspace_as_its_own() {
    let (dir, commit) = tree();
    write(&dir, "src/db.sqlite3", DATABASE);
    write(&dir, "src/seen.sqlite3", "changed");
    write(&dir, "src/static/a.css", "a");
    write(&dir, "src/static/__pycache__/x.pyc", "x");
    write(&dir, "src/node_modules/x/x.js", "x");
    write(&dir, "src/node_modules/.cid-packages", "key");
    write(&dir, "home/app.sqlite3", DATABASE);
    write(&dir, "home/app.sqlite3-wal", "w");
    write(&dir, "home/.cache/x", "x");
    symlink("a.css", dir.path().join("src/static/b.css")).unwrap();
    let taken = taken(&dir, &commit, true);
    assert_eq!((taken.files, taken.refusal), (6, None));
    write(&dir, "to/manage.py", "run");
    write(&dir, "to/seen.sqlite3", "old");
    assert_eq!(placed(&dir).unwrap(), 6);
    assert_eq!(read(&dir, "to/db.sqlite3"), DATABASE);
    assert_eq!(read(&dir, "to/seen.sqlite3"), b"changed");
    assert_eq!(read(&dir, "to/static/b.css"), b"a");
    assert_eq!(read(&dir, "to-home/app.sqlite3-wal"), b"w");
    for left_out in ["to/static/__pycache__", "to/node_modules", "to-home/.cache"] {
        assert!(!dir.path().join(left_out).exists(), "{left_out}");
    }
    // The workspace writes its own, and the template stays.
    let copy = dir.path().join("to/db.sqlite3");
    assert_ne!(fs::metadata(&copy).unwrap().permissions().mode() & 0o200, 0);
    fs::write(&copy, "mine").unwrap();
    assert_eq!(read(&dir, "made/new/db.sqlite3"), DATABASE);
    let kept = fs::metadata(dir.path().join("made/new/db.sqlite3")).unwrap();
    assert_eq!(kept.permissions().mode() & 0o777, 0o444);
}

#[test]
fn what_is_of_one_tree_or_a_secret_is_shared_by_nobody() {
    type Make = fn(&TempDir);
    let made: &[(&str, bool, Make)] = &[
        ("notes.txt holds", false, |dir| {
            write(dir, "src/notes.txt", "x made-up-key x");
        }),
        ("big holds", false, |dir| {
            // Over the border of two pieces.
            let mut text = vec![b'.'; (1 << 20) - 4];
            text.extend_from_slice(b"made-up-key");
            write(dir, "src/big", text);
        }),
        ("db.sqlite3 holds", true, |dir| {
            let text = [DATABASE, b"made-up-key"].concat();
            write(dir, "src/db.sqlite3", text);
        }),
        ("out holds", false, |dir| {
            symlink(dir.path().join("src/static"), dir.path().join("src/out")).unwrap();
        }),
        ("key.txt looks like", true, |dir| {
            write(dir, "src/key.txt", "q7f8a9d0q7f8a9d0q7f8a9d0q7f8a9d0q7\n");
        }),
        ("local.py looks like", true, |dir| {
            write(dir, "src/site/local.py", "SECRET_KEY = 'x'\n");
        }),
        (".env looks like", true, |dir| write(dir, "src/.env", "A=1")),
        ("server.pem looks like", true, |dir| {
            write(dir, "src/server.pem", "x");
        }),
    ];
    for (expected, careful, make) in made {
        let (dir, commit) = tree();
        write(&dir, "src/other.sqlite3", DATABASE);
        make(&dir);
        let why = taken(&dir, &commit, *careful).refusal.unwrap();
        assert!(why.contains(expected), "{why}");
        let kept = fs::read_dir(dir.path().join("made")).unwrap().count();
        assert_eq!(kept, 0, "{expected}");
    }
}

#[test]
fn pages_are_no_secrets_and_what_an_operator_asks_for_is_taken() {
    let (dir, commit) = tree();
    write(&dir, "src/db.sqlite3", DATABASE);
    write(&dir, "src/static/unusable_password_field.js", "var secret;");
    write(
        &dir,
        "src/static/staticfiles.json",
        "{\"paths\":{\"a.css\":\"a.0123456789012345678901.css\"}}",
    );
    assert_eq!(taken(&dir, &commit, true).refusal, None);
    let (dir, commit) = tree();
    write(&dir, "src/.env", "A=1");
    assert_eq!(taken(&dir, &commit, false).refusal, None);
    let (dir, commit) = tree();
    let why = taken(&dir, &commit, true).refusal.unwrap();
    assert!(why.contains("no database"), "{why}");
}

#[test]
fn a_failure_takes_away_what_was_new_and_no_link_is_followed() {
    let (dir, commit) = tree();
    write(&dir, "src/a/one", "1");
    write(&dir, "src/z/two", "2");
    write(&dir, "src/kept", "3");
    taken(&dir, &commit, false);
    write(&dir, "to/kept", "mine");
    let outside = dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    for name in ["a", "z"] {
        symlink(&outside, dir.path().join("to").join(name)).unwrap();
        assert!(placed(&dir).is_err());
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
        for path in ["a/one", "z/two"] {
            assert!(!dir.path().join("to").join(path).exists());
        }
        assert_eq!(read(&dir, "to/kept"), b"mine");
        fs::remove_file(dir.path().join("to").join(name)).unwrap();
    }
}
