use super::{assert_nothing, own, world};
use crate::origin::{Origin, git};
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

/// Another team's bare repository with one commit.
fn library(origin: &Origin) -> PathBuf {
    let bare = origin.dir.path().join("library.git");
    let seed = origin.dir.path().join("library");
    fs::create_dir(&seed).unwrap();
    git(&seed, &["init", "--quiet", "--initial-branch=main"]);
    fs::write(seed.join("lib.py"), "").unwrap();
    own(&seed, &["add", "--all"]);
    own(&seed, &["commit", "--quiet", "-m", "library"]);
    let url = bare.to_str().unwrap();
    git(&seed, &["clone", "--quiet", "--bare", ".", url]);
    bare
}

fn commit(repository: &Path, subject: &str) {
    own(
        repository,
        &["commit", "--quiet", "--allow-empty", "-m", subject],
    );
}

/// A workspace whose project has the library as a submodule, which is checked out.
fn with_submodule() -> (Origin, PathBuf, PathBuf) {
    let mut origin = world();
    let (library, clone) = (library(&origin), origin.target());
    own(
        &clone,
        &[
            "submodule",
            "--quiet",
            "add",
            library.to_str().unwrap(),
            "lib",
        ],
    );
    own(&clone, &["commit", "--quiet", "-m", "with a library"]);
    own(&clone, &["push", "--quiet", "origin", "HEAD"]);
    assert_nothing(&mut origin);
    (origin, library, clone.join("lib"))
}

#[test]
fn a_submodules_changes_and_commits_are_seen() {
    let (mut origin, _, module) = with_submodule();
    let clone = origin.target();
    git(&clone, &["config", "submodule.lib.ignore", "all"]);
    fs::write(module.join("lib.py"), "changed").unwrap();
    assert_eq!(origin.work("src/lib").uncommitted.items, ["lib.py"]);
    own(
        &module,
        &["commit", "--quiet", "--all", "-m", "in the library"],
    );
    let work = origin.work("src/lib");
    assert!(
        work.uncommitted.is_empty() && work.unpushed.items[0].ends_with("in the library"),
        "{work:?}"
    );
    assert_eq!(
        origin.work("src").uncommitted.items,
        ["lib (other commits)"]
    );
    own(&clone, &["add", "lib"]);
    assert_eq!(origin.work("src").uncommitted.items, ["lib"]);
    // Recorded by a commit that is pushed: but the library's own remote has not got it. Who has the
    // project finds what it records, as far as anybody can tell.
    own(&clone, &["reset", "--quiet", "HEAD", "lib"]);
    // One that is not checked out now is there all the same.
    own(
        &clone,
        &["submodule", "--quiet", "deinit", "--force", "lib"],
    );
    let work = origin.work("src/.git/modules/lib");
    assert!(
        work.unpushed.items[0].ends_with("in the library"),
        "{:?}",
        origin.look()
    );
}

#[test]
fn a_submodule_that_is_as_the_project_records_it_is_held() {
    let (mut origin, library, module) = with_submodule();
    fs::rename(&library, origin.dir.path().join("away")).unwrap();
    assert_nothing(&mut origin);
    commit(&module, "mine");
    let work = origin.look().repositories.pop().unwrap();
    assert_eq!(work.unpushed.len(), 1, "{work:?}");
    assert!(work.remarks[0].contains("cannot ask"), "{work:?}");
}

#[test]
fn files_where_a_submodule_belongs_are_seen() {
    let (mut origin, _, module) = with_submodule();
    let clone = origin.target();
    own(
        &clone,
        &["submodule", "--quiet", "deinit", "--force", "lib"],
    );
    assert_nothing(&mut origin);
    fs::write(module.join("notes"), "").unwrap();
    let items = origin.work("src").uncommitted.items;
    assert_eq!(items, ["lib/ (files where a submodule belongs)"]);
}

#[test]
fn another_repository_is_judged_by_its_own_remote() {
    let mut origin = world();
    let library = library(&origin);
    fs::write(origin.target().join(".git/info/exclude"), "/vendor\n").unwrap();
    for place in ["src/vendor/lib", "src/other", "home/deep/er/lib"] {
        let path = origin.workspace().join(place);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let (from, to) = (library.to_str().unwrap(), path.to_str().unwrap());
        git(origin.dir.path(), &["clone", "--quiet", from, to]);
        assert_nothing(&mut origin);
        fs::write(path.join("draft"), "").unwrap();
        commit(&path, "mine");
        let report = origin.look();
        assert_eq!(report.repositories.len(), 1, "{report:#?}");
        let work = &report.repositories[0];
        assert_eq!(work.path, place);
        assert_eq!(work.uncommitted.items, ["draft"]);
        assert_eq!(work.unpushed.len(), 1);
        fs::remove_file(path.join("draft")).unwrap();
        own(&path, &["push", "--quiet", "origin", "HEAD"]);
        assert_nothing(&mut origin);
    }
    // The last one's remote goes on: what this one has is below what the remote has, which it has never
    // seen.
    let seed = origin.dir.path().join("library");
    own(
        &seed,
        &["pull", "--quiet", library.to_str().unwrap(), "main"],
    );
    commit(&seed, "further");
    own(
        &seed,
        &["push", "--quiet", library.to_str().unwrap(), "HEAD:main"],
    );
    assert_nothing(&mut origin);
    // Rewritten, it has it no more.
    own(
        &seed,
        &[
            "commit",
            "--quiet",
            "--amend",
            "--allow-empty",
            "-m",
            "rewritten",
        ],
    );
    own(&seed, &["reset", "--quiet", "--hard", "HEAD~2"]);
    commit(&seed, "instead");
    own(
        &seed,
        &[
            "push",
            "--quiet",
            "--force",
            library.to_str().unwrap(),
            "HEAD:main",
        ],
    );
    let paths: Vec<String> = origin
        .look()
        .repositories
        .into_iter()
        .map(|one| one.path)
        .collect();
    assert_eq!(paths, ["home/deep/er/lib"]);
}

#[test]
fn one_without_a_remote_and_a_bare_one_are_seen() {
    let mut origin = world();
    let home = origin.workspace().join("home");
    git(&home, &["init", "--quiet", "notes"]);
    assert_nothing(&mut origin);
    commit(&home.join("notes"), "a thought");
    assert_eq!(origin.work("home/notes").unpushed.len(), 1);
    git(&home, &["clone", "--quiet", "--bare", "notes", "bare"]);
    fs::remove_dir_all(home.join("notes")).unwrap();
    assert_eq!(origin.work("home/bare").unpushed.len(), 1);
    // What tools fetch again is theirs.
    fs::create_dir(home.join(".cache")).unwrap();
    fs::rename(home.join("bare"), home.join(".cache/bare")).unwrap();
    assert_nothing(&mut origin);
}

#[test]
fn one_that_cid_cannot_read_is_refused_in_plain_words() {
    let mut origin = world();
    let home = origin.workspace().join("home");
    let new = home.join("new");
    let mut told = |words: &str| {
        let work = origin.work("home/new");
        let told = |what: &str| format!("{what} cannot be told: it {words}, which cid cannot read");
        assert_eq!(work.remarks, [told("changes"), told("commits")]);
    };
    git(&home, &["init", "--quiet", "--object-format=sha256", "new"]);
    commit(&new, "mine");
    told("names its commits by sha256");
    fs::remove_dir_all(&new).unwrap();
    git(&home, &["init", "--quiet", "new"]);
    commit(&new, "mine");
    // Not every git makes one itself.
    git(&new, &["config", "core.repositoryFormatVersion", "1"]);
    git(&new, &["config", "extensions.refStorage", "reftable"]);
    told("keeps its branches in a reftable");
}

#[test]
fn what_is_beside_src_and_home_is_looked_at_as_well() {
    let mut origin = world();
    let workspace = origin.workspace();
    for place in ["tmp/build", "venv/src/lib", "extra/deep/r"] {
        let path = workspace.join(place);
        fs::create_dir_all(&path).unwrap();
        git(&path, &["init", "--quiet"]);
        assert_nothing(&mut origin);
        commit(&path, "mine");
        assert_eq!(origin.work(place).unpushed.len(), 1, "{place}");
        fs::remove_dir_all(&path).unwrap();
    }
    fs::write(workspace.join("notes.txt"), "12345").unwrap();
    fs::write(workspace.join("tmp/scratch"), "").unwrap();
    let files = origin.look().files;
    let named: Vec<&str> = files
        .biggest
        .iter()
        .map(|file| file.path.as_str())
        .collect();
    assert_eq!(named, ["notes.txt"]);
    assert_nothing(&mut origin);
}

#[test]
fn a_linked_worktree_elsewhere_would_lose_its_repository() {
    let mut origin = world();
    let elsewhere = origin.dir.path().join("elsewhere");
    let to = elsewhere.to_str().unwrap();
    let add = ["worktree", "add", "--quiet", "--detach", to];
    git(&origin.target(), &add);
    let unseen = origin.look().unseen.items;
    assert_eq!(unseen.len(), 1, "{unseen:?}");
    assert!(
        unseen[0].starts_with(to) && unseen[0].contains("outside of the workspace"),
        "{unseen:?}"
    );
    git(&origin.target(), &["worktree", "remove", to]);
    assert_nothing(&mut origin);
}

#[test]
fn linked_worktrees_are_looked_at_wherever_they_are() {
    let mut origin = world();
    let clone = origin.target();
    for place in ["home/tree", "src/tree", "tmp/tree"] {
        let path = origin.workspace().join(place);
        git(
            &clone,
            &[
                "worktree",
                "add",
                "--quiet",
                "--detach",
                path.to_str().unwrap(),
            ],
        );
        fs::write(path.join("draft"), "").unwrap();
        assert_eq!(
            origin.work(place).uncommitted.items,
            ["draft"],
            "{:#?}",
            origin.look()
        );
        fs::remove_file(path.join("draft")).unwrap();
        commit(&path, "detached there");
        let lines = origin.work("src").unpushed.items;
        assert_eq!(lines.len(), 1, "{lines:?}");
        // Its files are gone, its commit is not.
        fs::remove_dir_all(&path).unwrap();
        assert_eq!(origin.work("src").unpushed.len(), 1);
        git(&clone, &["worktree", "prune", "--expire=now"]);
        assert_nothing(&mut origin);
    }
}

#[test]
fn a_submodule_of_a_submodule_is_seen() {
    let (mut origin, library, module) = with_submodule();
    let clone = origin.target();
    let inner = origin.dir.path().join("inner.git");
    let (from, to) = (library.to_str().unwrap(), inner.to_str().unwrap());
    git(&clone, &["clone", "--quiet", "--bare", from, to]);
    own(&module, &["submodule", "--quiet", "add", to, "deep/inner"]);
    own(&module, &["commit", "--quiet", "-m", "deeper"]);
    own(&module, &["push", "--quiet", "origin", "HEAD:main"]);
    own(&clone, &["commit", "--quiet", "--all", "-m", "deeper"]);
    own(&clone, &["push", "--quiet", "origin", "HEAD"]);
    assert_nothing(&mut origin);
    commit(&module.join("deep/inner"), "innermost");
    assert_eq!(origin.work("src/lib/deep/inner").unpushed.len(), 1);
    let items = origin.work("src/lib").uncommitted.items;
    assert_eq!(items, ["deep/inner (other commits)"]);
}

#[test]
fn a_shallow_clone_is_judged_as_well() {
    let mut origin = world();
    let library = library(&origin);
    let seed = origin.dir.path().join("library");
    for subject in ["two", "three"] {
        commit(&seed, subject);
    }
    own(
        &seed,
        &["push", "--quiet", library.to_str().unwrap(), "HEAD:main"],
    );
    let path = origin.workspace().join("home/shallow");
    let url = format!("file://{}", library.display());
    let to = path.to_str().unwrap();
    git(
        origin.dir.path(),
        &["clone", "--quiet", "--depth=1", &url, to],
    );
    assert_nothing(&mut origin);
    commit(&seed, "four");
    own(
        &seed,
        &["push", "--quiet", library.to_str().unwrap(), "HEAD:main"],
    );
    assert_nothing(&mut origin);
    commit(&path, "mine");
    assert_eq!(origin.work("home/shallow").unpushed.len(), 1);
}

#[test]
fn what_cannot_be_looked_at_is_said() {
    let mut origin = world();
    let home = origin.workspace().join("home");
    fs::create_dir(home.join("linked")).unwrap();
    symlink(origin.target().join(".git"), home.join("linked/.git")).unwrap();
    let mut deep = home.join("deep");
    fs::create_dir(&deep).unwrap();
    for _ in 0..600 {
        deep.push("d");
        fs::create_dir(&deep).unwrap();
    }
    fs::create_dir_all(home.join("mercurial/.hg")).unwrap();
    let report = origin.look();
    let items = report.unseen.items.join("\n");
    assert!(
        items.contains("home/mercurial/.hg: cid can look"),
        "{items}"
    );
    assert!(items.contains("home/linked/.git: it is neither"), "{items}");
    assert!(items.contains("/d/d: it is too deep"), "{items}");
    assert!(report.loses_work() && report.repositories.is_empty());
}
