use super::*;
use cid_protocol::request::{Dependencies, Given, InstallCommands};
use git2::{Index, IndexEntry, IndexTime, Repository, Signature};

const FILE: u32 = 0o100_644;
const LINK: u32 = 0o120_000;

/// A mirror with one commit of these files.
pub(crate) fn repository(files: &[(&str, u32, &[u8])]) -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let repository = Repository::init_bare(dir.path()).unwrap();
    let mut index = Index::new().unwrap();
    for (path, mode, content) in files {
        let entry = IndexEntry {
            ctime: IndexTime::new(0, 0),
            mtime: IndexTime::new(0, 0),
            dev: 0,
            ino: 0,
            mode: *mode,
            uid: 0,
            gid: 0,
            file_size: 0,
            // A submodule is a commit of another repository.
            id: match mode {
                0o160_000 => git2::Oid::from_bytes(&[1; 20]).unwrap(),
                _ => repository.blob(content).unwrap(),
            },
            flags: 0,
            flags_extended: 0,
            path: path.as_bytes().to_vec(),
        };
        index.add(&entry).unwrap();
    }
    let tree = index.write_tree_to(&repository).unwrap();
    let tree = repository.find_tree(tree).unwrap();
    let who = Signature::now("a", "a@example.com").unwrap();
    let commit = repository.commit(None, &who, &who, "x", &tree, &[]);
    (dir, commit.unwrap().to_string())
}

pub(super) fn look(files: &[(&str, u32, &[u8])], given: Given) -> Result<Inspection, Fault> {
    look_at(files, ".", given)
}

/// The same with the app in a folder.
pub(super) fn look_in(app_dir: &str, files: &[(&str, u32, &[u8])]) -> Result<Inspection, Fault> {
    look_at(files, app_dir, Given::default())
}

fn look_at(files: &[(&str, u32, &[u8])], app_dir: &str, given: Given) -> Result<Inspection, Fault> {
    let (dir, commit) = repository(files);
    inspect(&Inspect {
        mirror: dir.path().to_owned(),
        commit: commit.clone(),
        base: commit,
        app_dir: app_dir.into(),
        given,
        install: None,
        python: None,
        settings: None,
        node: None,
        trunk: None,
    })
}

fn refused(files: &[(&str, u32, &[u8])]) -> String {
    look(files, Given::default()).unwrap_err().message
}

#[test]
fn marks_links_and_wide_characters_hide_nothing() {
    let procfile = text::tests::utf16("web: gunicorn x\n", false, true);
    let requirements = text::tests::utf16("Gunicorn==22\n", true, true);
    let found = look(
        &[
            ("Procfile", LINK, b"ops/procfile"),
            ("ops/procfile", FILE, &procfile),
            ("requirements.txt", FILE, &requirements),
            (
                "pyproject.toml",
                FILE,
                b"\xef\xbb\xbf[project]\nname = \"x\"\nrequires-python = \">=3.8\"\n",
            ),
            ("runtime.txt", FILE, b"\xef\xbb\xbfpython-3.12.3"),
        ],
        Given::default(),
    )
    .unwrap();
    assert_eq!(found.processes.len(), 1);
    assert!(
        found.gunicorn && found.notes.is_empty(),
        "{:?}",
        found.notes
    );
    assert!(found.dependencies_key.is_some() && found.dependencies_key == found.base_key);
}

#[test]
fn what_is_broken_is_not_absent() {
    let wide = text::tests::utf16("web: x\n", true, false);
    for (name, content) in [
        ("Procfile", &wide[..]),
        ("Procfile", b"web: caf\xe9"),
        ("requirements.txt", &wide),
        ("requirements.txt", b"# caf\xe9\n"),
        ("pyproject.toml", b"[project"),
        ("pyproject.toml", b"[project]\nrequires-python = 3.11\n"),
        (".python-version", b"my-env\n"),
        ("runtime.txt", b"python-3.x"),
    ] {
        let procfile: &[(&str, u32, &[u8])] = &[("Procfile", FILE, b"web: x")];
        let file = [(name, FILE, content)];
        let files: Vec<_> = procfile
            .iter()
            .filter(|file| file.0 != name)
            .copied()
            .chain(file)
            .collect();
        let said = refused(&files);
        assert!(said.contains(name), "{name}: {said}");
    }
    let said = refused(&[("requirements.txt", LINK, b"/etc/passwd")]);
    assert!(said.contains("requirements.txt"), "{said}");
}

#[test]
fn the_project_files_word_needs_nothing_of_the_repository() {
    let files: &[(&str, u32, &[u8])] = &[
        ("Procfile", FILE, b"celery.worker: x\nrelease: y"),
        ("pyproject.toml", FILE, b"[project"),
    ];
    let given = |release| Given {
        run: true,
        env: true,
        release,
        ..Given::default()
    };
    let found = look(files, given(true)).unwrap();
    assert!(
        found.processes.is_empty() && !found.notes.iter().any(|note| note.contains("Procfile"))
    );
    // Its release line is asked for, and cannot be had.
    let found = look(files, given(false)).unwrap();
    assert!(found.release.is_none() && found.notes[0].contains("line 1 of Procfile"));
    let good: &[(&str, u32, &[u8])] = &[("Procfile", FILE, b"web: x\nrelease: y")];
    let found = look(good, given(false)).unwrap();
    assert_eq!(
        (found.processes.len(), found.release.as_deref()),
        (0, Some("y"))
    );
}

#[test]
fn what_is_not_installed_is_said() {
    let notes =
        |files: &[(&str, u32, &[u8])]| look(files, Given::default()).unwrap().notes.join("\n");
    let nothing = notes(&[
        ("Procfile", FILE, b"web: x"),
        ("Pipfile", FILE, b""),
        ("package.json", FILE, b"{}"),
        ("pyproject.toml", FILE, b"[tool.poetry]\nname = \"x\"\n"),
    ]);
    for part in [
        "Pipfile",
        "package.json",
        "pyproject.toml",
        "nothing is installed",
    ] {
        assert!(nothing.contains(part), "{part}: {nothing}");
    }
    let beside = notes(&[
        ("requirements.txt", FILE, b"six"),
        ("poetry.lock", FILE, b""),
        ("package.json", FILE, b"{}"),
    ]);
    assert_eq!(
        beside,
        "cid does not install from poetry.lock: requirements.txt counts"
    );
}

const STATIC: &[u8] = b"[project]\nname = \"x\"\ndependencies = [\"six\"]\n";

/// What is found, and the key once this file is another.
fn keys(files: &[(&str, u32, &[u8])], changed: &str) -> (Inspection, Option<String>) {
    let other: Vec<_> = files
        .iter()
        .map(|(path, mode, content)| match *path == changed {
            true => (*path, *mode, &b"# other\n"[..]),
            false => (*path, *mode, *content),
        })
        .collect();
    let found = look(files, Given::default()).unwrap();
    assert!(found.dependencies_key.is_some(), "{found:?}");
    (
        found,
        look(&other, Given::default()).unwrap().dependencies_key,
    )
}

#[test]
fn packages_of_the_tree_are_shared_by_what_they_need() {
    let code = "libs/x/x.py";
    let source: &[(&str, u32, &[u8])] =
        &[(code, FILE, b""), ("libs/x/pyproject.toml", FILE, STATIC)];
    let with = |more: &[(&'static str, u32, &'static [u8])]| [source, more].concat();
    let pyproject = b"[project]\nname = \"app\"\ndependencies = [\"x\"]\n[tool.uv.sources]\nx = { path = \"libs/x\" }\n";
    let poetry =
        b"[build-system]\n[tool.poetry.dependencies]\nx = { path = \"libs/x\", develop = true }\n";
    for declaring in [
        ("requirements.txt", FILE, &b"-e ./libs/x"[..]),
        ("requirements.txt", FILE, b"libs/x/[some]"),
        ("pyproject.toml", FILE, pyproject),
        ("pyproject.toml", FILE, poetry),
    ] {
        let files = with(&[declaring]);
        let (found, code) = keys(&files, code);
        assert!(
            found.local && found.dependencies_key == code,
            "{declaring:?}"
        );
        let (_, needs) = keys(&files, "libs/x/pyproject.toml");
        assert_ne!(found.dependencies_key, needs, "{declaring:?}");
    }
    // What it needs may be written anywhere.
    let built = with(&[("requirements.txt", FILE, b"-e ."), ("setup.py", FILE, b"")]);
    let (found, other) = keys(&built, code);
    assert!(found.local && found.dependencies_key != other);
    // An archive, and a folder of archives, are no code that somebody edits.
    for text in [&b"--find-links libs"[..], b"./libs/x.whl"] {
        let files = with(&[("requirements.txt", FILE, text), ("libs/x.whl", FILE, b"1")]);
        let (found, other) = keys(&files, "libs/x.whl");
        assert!(!found.local && found.dependencies_key != other);
    }
    for text in [&b"-e ../x"[..], b"./gone", b"x @ file:///srv/x"] {
        let files = with(&[("requirements.txt", FILE, text)]);
        assert_eq!(
            look(&files, Given::default()).unwrap().dependencies_key,
            None
        );
    }
}

#[test]
fn a_lock_is_found_at_the_root_of_its_workspace_and_told_when_old() {
    let lock = b"[[package]]\nname = \"x\"\nsource = { editable = \"apps/x\" }\n[[package]]\nname = \"six\"\n";
    let root: (&str, u32, &[u8]) = (
        "pyproject.toml",
        FILE,
        b"[tool.uv.workspace]\nmembers = [\"apps/*\"]\n",
    );
    let (dir, commit) = repository(&[
        root,
        ("uv.lock", FILE, lock),
        ("apps/x/pyproject.toml", FILE, STATIC),
    ]);
    let found = inspect(&Inspect {
        mirror: dir.path().to_owned(),
        commit: commit.clone(),
        base: commit,
        app_dir: "apps/x".into(),
        given: Given::default(),
        install: None,
        python: None,
        settings: None,
        node: None,
        trunk: None,
    })
    .unwrap();
    assert_eq!(found.dependencies, [Dependencies::UvLock]);
    assert!(found.local && found.dependencies_key.is_some());
    let said = found.notes.join("\n");
    assert!(
        said.contains("uv.lock is out of date") && said.contains("six"),
        "{said}"
    );
}

#[test]
fn what_a_build_makes_of_a_commit_that_base_does_not_have_is_its_own() {
    let lock: &[(&str, u32, &[u8])] = &[
        ("pyproject.toml", FILE, STATIC),
        ("setup.py", FILE, b""),
        (
            "uv.lock",
            FILE,
            b"[[package]]\nname = \"x\"\nsource = { editable = \".\" }\n",
        ),
    ];
    let list: &[(&str, u32, &[u8])] = &[("requirements.txt", FILE, b"six")];
    let install = InstallCommands {
        commands: vec![vec!["npm".into(), "ci".into()]],
        inputs: vec!["requirements.txt".into()],
    };
    for (files, install, sees_more) in [
        (lock, None, true),
        (list, None, false),
        (list, Some(install), true),
    ] {
        let (dir, commit) = repository(files);
        let key = |trunk: Option<&str>| {
            let found = inspect(&Inspect {
                mirror: dir.path().to_owned(),
                commit: commit.clone(),
                base: commit.clone(),
                trunk: trunk.map(str::to_owned),
                app_dir: ".".into(),
                given: Given::default(),
                install: install.clone(),
                python: None,
                settings: None,
                node: None,
            })
            .unwrap();
            assert_eq!(found.dependencies_key, found.base_key);
            found.dependencies_key.unwrap()
        };
        let of_workspaces = key(None);
        assert_eq!(key(Some("main")) != of_workspaces, sees_more);
        let mirror = Repository::open_bare(dir.path()).unwrap();
        let id = git2::Oid::from_str(&commit).unwrap();
        mirror.reference("refs/heads/main", id, true, "x").unwrap();
        assert_eq!(key(Some("main")), of_workspaces);
        // A later commit of base has it too.
        let (who, parent) = (
            Signature::now("a", "a@example.com").unwrap(),
            mirror.find_commit(id).unwrap(),
        );
        let tree = parent.tree().unwrap();
        mirror
            .commit(Some("refs/heads/main"), &who, &who, "y", &tree, &[&parent])
            .unwrap();
        assert_eq!(key(Some("main")), of_workspaces);
    }
}

#[test]
fn packages_above_the_apps_folder_are_the_apps_where_it_has_none() {
    let files: &[(&str, u32, &[u8])] = &[
        ("src/manage.py", FILE, b""),
        ("requirements.txt", FILE, b"-r requirements/base.txt\n"),
        ("requirements/base.txt", FILE, b"gunicorn\n"),
        ("runtime.txt", FILE, b"python-3.12.1"),
    ];
    let found = look_in("src", files).unwrap();
    assert_eq!(found.dependencies, [Dependencies::Requirements]);
    assert!(found.gunicorn && found.dependencies_key.is_some());
    assert_eq!(found.declared_in, ["/requirements.txt (by uv)"]);
    assert_eq!(found.python.choices[0].text, "python-3.12.1");
    // A package at the root: what it needs, not itself.
    let package: &[u8] =
        b"[project]\nname = \"x\"\ndependencies = [\"six\"]\n[build-system]\nrequires = [\"x\"]\n";
    let files: &[(&str, u32, &[u8])] = &[
        ("a/src/manage.py", FILE, b""),
        ("pyproject.toml", FILE, package),
    ];
    let found = look_in("a/src", files).unwrap();
    assert_eq!(found.dependencies, [Dependencies::Pyproject]);
    assert!(!found.local);
    // Its own count more, and an app that is not Python's has no use for them.
    let both = look_in(
        "src",
        &[
            ("src/app.py", FILE, b""),
            ("src/package.json", FILE, br#"{"dependencies": {"x": "1"}}"#),
            ("requirements.txt", FILE, b"six"),
        ],
    );
    assert_eq!(both.unwrap().dependencies, [Dependencies::PackageJson]);
    let none = look_in(
        "web",
        &[
            ("web/index.html", FILE, b""),
            ("requirements.txt", FILE, b"six"),
        ],
    );
    assert_eq!(none.unwrap().dependencies, []);
}
