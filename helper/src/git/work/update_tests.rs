use super::*;
use git2::{IndexAddOption, ObjectType, RepositoryInitOptions, Signature};

const BRANCH: &str = "anna";

/// A workspace whose clone is at the first of two commits.
struct Scene {
    dir: tempfile::TempDir,
    first: Oid,
    second: Oid,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join(TREE);
        let mut options = RepositoryInitOptions::new();
        let repository = Repository::init_opts(&tree, options.initial_head(BRANCH)).unwrap();
        let mut scene = Self {
            dir,
            first: Oid::ZERO_SHA1,
            second: Oid::ZERO_SHA1,
        };
        for (name, text) in [
            ("a.py", "1\n"),
            ("b.py", "1\n"),
            ("gone.py", "1\n"),
            (".gitignore", "*.db\n"),
        ] {
            fs::write(tree.join(name), text).unwrap();
        }
        scene.first = commit(&repository);
        fs::write(tree.join("a.py"), "2\n").unwrap();
        fs::create_dir(tree.join("new")).unwrap();
        fs::write(tree.join("new/c.py"), "2\n").unwrap();
        fs::remove_file(tree.join("gone.py")).unwrap();
        scene.second = commit(&repository);
        let object = repository.find_object(scene.first, None).unwrap();
        repository
            .reset(&object, git2::ResetType::Hard, None)
            .unwrap();
        scene
    }

    fn tree(&self) -> PathBuf {
        self.dir.path().join(TREE)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.tree().join(name), text).unwrap();
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.tree().join(name)).unwrap_or_default()
    }

    fn update_to(&self, commit: Oid) -> TreeState {
        update(&UpdateTree {
            directory: self.dir.path().to_owned(),
            branch: BRANCH.into(),
            commit: Some(commit.to_string()),
        })
        .unwrap()
    }

    fn update(&self) -> TreeState {
        self.update_to(self.second)
    }

    fn take_back(&self) -> Option<String> {
        take_back(&TakeBackTree {
            directory: self.dir.path().to_owned(),
            branch: BRANCH.into(),
            from: self.second.to_string(),
            to: self.first.to_string(),
        })
        .unwrap()
    }

    fn is_at(&self, id: Oid) -> bool {
        let expected = if id == self.first { "1\n" } else { "2\n" };
        let repository = Repository::open(self.tree()).unwrap();
        let is_clean = repository.statuses(None).unwrap().is_empty();
        let head = repository.head().unwrap().target();
        head == Some(id) && self.text("a.py") == expected && is_clean
    }
}

fn commit(repository: &Repository) -> Oid {
    let mut index = repository.index().unwrap();
    index.add_all(["*"], IndexAddOption::DEFAULT, None).unwrap();
    index.update_all(["*"], None).unwrap();
    index.write().unwrap();
    let tree = repository.find_tree(index.write_tree().unwrap()).unwrap();
    let who = Signature::now("Anna", "anna@example.com").unwrap();
    let parent = repository
        .head()
        .ok()
        .and_then(|head| head.peel_to_commit().ok());
    let parents: Vec<_> = parent.iter().collect();
    repository
        .commit(Some("HEAD"), &who, &who, "x", &tree, &parents)
        .unwrap()
}

#[test]
fn a_clean_tree_goes_forward_and_back_and_twice_is_as_once() {
    let scene = Scene::new();
    for _ in 0..2 {
        let state = scene.update();
        assert_eq!((state.left_alone, state.uncommitted), (None, 0));
        assert_eq!(state.commit, scene.second.to_string());
        assert_eq!(state.fingerprint, state.commit);
        assert!(scene.is_at(scene.second));
    }
    let repository = Repository::open(scene.tree()).unwrap();
    let remote = repository
        .refname_to_id("refs/remotes/origin/anna")
        .unwrap();
    assert_eq!(remote, scene.second);
    for _ in 0..2 {
        assert_eq!(scene.take_back(), None);
        assert!(scene.is_at(scene.first));
    }
}

#[test]
fn what_a_kill_left_half_done_is_ended() {
    for files in [&[][..], &["a.py"], &["a.py", "gone.py"]] {
        let scene = Scene::new();
        scene.write(
            "../src/.git/cid-update",
            &format!("{} {}\n", scene.first, scene.second),
        );
        scene.write(".git/index.lock", "");
        for file in files {
            match *file {
                "gone.py" => fs::remove_file(scene.tree().join(file)).unwrap(),
                file => scene.write(file, "2\n"),
            }
        }
        let state = scene.update();
        assert_eq!(state.left_alone, None);
        assert!(scene.is_at(scene.second), "{files:?}");
        assert_eq!(scene.take_back(), None);
        assert!(scene.is_at(scene.first), "{files:?}");
    }
}

#[test]
fn work_is_left_alone_whatever_it_is() {
    type Work = fn(&Scene);
    let cases: [(&str, Work, &str); 7] = [
        ("a changed file", |s| s.write("b.py", "mine\n"), "b.py"),
        ("a new file", |s| s.write("mine.py", "x\n"), "mine.py"),
        (
            "a file that is deleted",
            |s| fs::remove_file(s.tree().join("b.py")).unwrap(),
            "b.py",
        ),
        (
            "a commit",
            |s| {
                s.write("b.py", "mine\n");
                commit(&Repository::open(s.tree()).unwrap());
            },
            "1 commit that the remote has not, and lacks 1 commit",
        ),
        (
            "another branch",
            |s| {
                let repository = Repository::open(s.tree()).unwrap();
                let commit = repository.find_commit(s.first).unwrap();
                repository.branch("other", &commit, false).unwrap();
                repository.set_head("refs/heads/other").unwrap();
            },
            "on the branch other",
        ),
        (
            "no branch",
            |s| {
                let repository = Repository::open(s.tree()).unwrap();
                repository.set_head_detached(s.first).unwrap();
            },
            "on no branch",
        ),
        (
            "what git ignores is where a file comes",
            |s| {
                s.write(".gitignore", "*.db\nnew\n");
                let repository = Repository::open(s.tree()).unwrap();
                fs::create_dir(s.tree().join("new")).unwrap();
                s.write("new/c.py", "mine\n");
                fs::write(repository.path().join("info/exclude"), "new\n").unwrap();
                s.write(".gitignore", "*.db\n");
            },
            "in the way",
        ),
    ];
    for (what, work, told) in cases {
        let scene = Scene::new();
        work(&scene);
        let all = |scene: &Scene| {
            let names = ["a.py", "b.py", "gone.py", "mine.py", "new/c.py"];
            let repository = Repository::open(scene.tree()).unwrap();
            let head = repository.head().unwrap();
            let branch = head.name().unwrap().to_owned();
            (names.map(|name| scene.text(name)), branch, head.target())
        };
        let before = all(&scene);
        for _ in 0..2 {
            let left_alone = scene.update().left_alone.unwrap_or_default();
            assert!(left_alone.contains(told), "{what}: {left_alone}");
            assert_eq!(all(&scene), before, "{what}");
        }
        assert!(!scene.tree().join(MARK).exists(), "{what}");
    }
}

#[test]
fn what_was_pushed_from_here_and_what_is_not_pushed_is_no_reason_to_go() {
    let scene = Scene::new();
    scene.update();
    // The remote was reset: nothing is lost here.
    let told = scene.update_to(scene.first).left_alone.unwrap();
    assert_eq!(told, "it has 1 commit that the remote has not");
    assert!(scene.is_at(scene.second));
}

#[test]
fn a_snapshot_has_the_files_as_they_are_and_a_mark_of_their_own() {
    let scene = Scene::new();
    let clean = scene.update();
    scene.write("Procfile", "web: x\n");
    scene.write("a.py", "mine\n");
    fs::remove_file(scene.tree().join("b.py")).unwrap();
    scene.write("data.db", "ignored");
    let state = scene.update();
    assert_eq!((state.uncommitted, state.left_alone), (3, None));
    assert_ne!(state.fingerprint, clean.fingerprint);
    assert_eq!(scene.update().fingerprint, state.fingerprint);
    let repository = Repository::open(scene.tree()).unwrap();
    let tree = Oid::from_str(&state.snapshot).unwrap();
    let tree = repository.find_tree(tree).unwrap();
    let has = |name: &str| tree.get_path(Path::new(name)).is_ok();
    assert!(has("Procfile") && has("new/c.py") && !has("b.py") && !has("data.db"));
    // The clone's own index knows nothing of it.
    let index = repository.index().unwrap();
    assert!(index.get_path(Path::new("Procfile"), 0).is_none());
    scene.write("a.py", "other\n");
    assert_ne!(scene.update().fingerprint, state.fingerprint);
    // Work keeps it where it is.
    assert!(scene.take_back().unwrap().contains("uncommitted"));
}

impl Scene {
    /// Has a commit that changes many files, of which the last one's text is missing; returns how to bring it back.
    fn broken(&mut self) -> impl Fn() + use<> {
        let repository = Repository::open(self.tree()).unwrap();
        let object = repository.find_object(self.second, None).unwrap();
        repository
            .reset(&object, git2::ResetType::Hard, None)
            .unwrap();
        let blob = Oid::hash_object(ObjectType::Blob, b"2 of z\n").unwrap();
        self.write("z.py", "2 of z\n");
        self.second = commit(&repository);
        let object = repository.find_object(self.first, None).unwrap();
        repository
            .reset(&object, git2::ResetType::Hard, None)
            .unwrap();
        let blob = blob.to_string();
        let place = self.tree().join(".git/objects").join(&blob[..2]);
        let (place, aside) = (place.join(&blob[2..]), self.dir.path().join("aside"));
        fs::rename(&place, &aside).unwrap();
        move || fs::rename(&aside, &place).unwrap()
    }

    fn try_update(&self) -> Result<TreeState, Fault> {
        update(&UpdateTree {
            directory: self.dir.path().to_owned(),
            branch: BRANCH.into(),
            commit: Some(self.second.to_string()),
        })
    }
}

#[test]
fn a_checkout_that_fails_in_the_middle_is_taken_back() {
    let mut scene = Scene::new();
    let bring_back = scene.broken();
    for _ in 0..2 {
        scene.try_update().unwrap_err();
        assert_eq!(scene.text("a.py"), "2\n", "it came so far");
        assert!(scene.tree().join(MARK).exists());
    }
    for _ in 0..2 {
        assert_eq!(scene.take_back(), None);
        assert!(scene.is_at(scene.first));
        assert!(!scene.tree().join("new").exists() && !scene.tree().join(MARK).exists());
    }
    bring_back();
    assert_eq!(scene.update().left_alone, None);
    assert!(scene.is_at(scene.second));
}

#[test]
fn what_a_person_changed_meanwhile_stays_when_a_checkout_is_taken_back() {
    let mut scene = Scene::new();
    let _aside = scene.broken();
    scene.try_update().unwrap_err();
    scene.write("a.py", "mine\n");
    fs::remove_file(scene.tree().join("new/c.py")).unwrap();
    fs::create_dir(scene.tree().join("gone.py")).unwrap();
    scene.write("gone.py/mine", "mine\n");
    scene.write("new/mine", "mine\n");
    assert_eq!(scene.take_back(), None);
    for mine in ["a.py", "gone.py/mine", "new/mine"] {
        assert_eq!(scene.text(mine), "mine\n", "{mine}");
    }
    let repository = Repository::open(scene.tree()).unwrap();
    assert_eq!(repository.head().unwrap().target(), Some(scene.first));
    let told = scene.try_update().unwrap().left_alone.unwrap();
    assert!(told.contains("a.py"), "{told}");
}

#[test]
fn half_a_file_of_a_killed_checkout_is_nobodys_work() {
    for half in ["", "2", "2\r"] {
        let scene = Scene::new();
        let mark = format!("{} {}\n", scene.first, scene.second);
        scene.write(MARK, &mark);
        scene.write("a.py", half);
        fs::create_dir(scene.tree().join("new")).unwrap();
        scene.write("new/c.py", half);
        assert_eq!(scene.take_back(), None);
        assert!(scene.is_at(scene.first), "{half:?}");
        scene.write(MARK, &mark);
        scene.write("a.py", half);
        assert_eq!(scene.update().left_alone, None);
        assert!(scene.is_at(scene.second), "{half:?}");
        // On the way back it is ended in the direction that is meant.
        scene.write(MARK, &format!("{} {}\n", scene.second, scene.first));
        scene.write("a.py", "1\n");
        assert_eq!(scene.take_back(), None);
        assert!(scene.is_at(scene.first), "{half:?}");
    }
}

/// Records a submodule in the next commit, where `vendor` becomes a file, or goes.
fn with_submodule(scene: &mut Scene, next: Option<&str>) {
    let repository = Repository::open(scene.tree()).unwrap();
    let mut index = repository.index().unwrap();
    let vendor = Path::new("vendor");
    let link = index_entry(vendor, 0o160_000, scene.first);
    let ignore = "[submodule \"vendor\"]\n\tpath = vendor\n\turl = x\n\tignore = all\n";
    scene.write(".gitmodules", ignore);
    index.add_path(Path::new(".gitmodules")).unwrap();
    index.add(&link).unwrap();
    let record = |index: &mut git2::Index| {
        index.write().unwrap();
        let tree = repository.find_tree(index.write_tree().unwrap()).unwrap();
        let who = Signature::now("Anna", "anna@example.com").unwrap();
        let parent = repository.head().unwrap().peel_to_commit().unwrap();
        repository
            .commit(Some("HEAD"), &who, &who, "x", &tree, &[&parent])
            .unwrap()
    };
    scene.first = record(&mut index);
    index.remove_path(vendor).unwrap();
    if let Some(text) = next {
        let blob = repository.blob(text.as_bytes()).unwrap();
        index.add(&index_entry(vendor, FILE, blob)).unwrap();
    }
    scene.second = record(&mut index);
    let object = repository.find_object(scene.first, None).unwrap();
    repository
        .reset(&object, git2::ResetType::Hard, None)
        .unwrap();
}

#[test]
fn a_submodule_goes_only_with_an_empty_folder() {
    for (next, is_folder) in [
        (None, false),
        (None, true),
        (Some("2\n"), false),
        (Some("2\n"), true),
    ] {
        let mut scene = Scene::new();
        with_submodule(&mut scene, next);
        let vendor = scene.tree().join("vendor");
        fs::create_dir_all(&vendor).unwrap();
        let inner = Repository::init(&vendor).unwrap();
        scene.write("vendor/.gitignore", ".env\n");
        commit(&inner);
        scene.write("vendor/.env", "mine\n");
        let clone = Clone::open(scene.dir.path(), BRANCH).unwrap();
        let told = clone.go(scene.first, scene.second).unwrap().unwrap();
        assert!(
            told.contains("submodule vendor") && told.contains("not empty"),
            "{told}"
        );
        assert_eq!(scene.text("vendor/.env"), "mine\n");
        assert!(!scene.tree().join(MARK).exists());
        fs::remove_dir_all(&vendor).unwrap();
        if is_folder {
            fs::create_dir(&vendor).unwrap();
        }
        let state = scene.update();
        assert_eq!((state.left_alone, state.uncommitted), (None, 0), "{next:?}");
        assert_eq!(scene.text("vendor"), next.unwrap_or_default());
    }
}

#[test]
fn what_git_ignores_in_a_folder_that_becomes_a_file_stays() {
    let mut scene = Scene::new();
    scene.update();
    let repository = Repository::open(scene.tree()).unwrap();
    fs::remove_dir_all(scene.tree().join("new")).unwrap();
    scene.write("new", "3\n");
    scene.first = scene.second;
    scene.second = commit(&repository);
    let object = repository.find_object(scene.first, None).unwrap();
    repository
        .reset(&object, git2::ResetType::Hard, None)
        .unwrap();
    scene.write("new/mine.db", "mine\n");
    let tried = scene.try_update();
    let told = tried.map(|state| state.left_alone);
    assert!(matches!(told, Err(_) | Ok(Some(_))), "{told:?}");
    assert_eq!(scene.take_back(), None);
    assert_eq!(scene.text("new/mine.db"), "mine\n");
    assert_eq!(scene.text("new/c.py"), "2\n");
    assert_eq!(repository.head().unwrap().target(), Some(scene.first));
}
