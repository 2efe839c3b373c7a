//! Finds commits in the mirror and writes their files out.

use crate::{
    git::{files, open_mirror},
    inspect::snapshot::beneath,
    tree::purge::make_empty,
};
use cid_protocol::{
    budget::{ERROR_TEXT, cut},
    fault::Fault,
    request::{
        CompareCommits, Compared, ExportCommit, Exported, FindCommit, FoundCommit, IsAncestor,
    },
};
use git2::{Commit, ErrorCode, Oid, Repository, Sort};
use std::path::Path;

/// Shorter beginnings of a commit's name are too easily a word.
const SHORTEST: usize = 7;
/// How many commits a comparison lists on either side.
const LISTED: usize = 50;
/// Bytes of a text in such a list.
const SUBJECT: usize = 200;

/// Finds a commit by a branch, a tag or the beginning of its name, in this order.
///
/// # Errors
/// The mirror cannot be read, or several commits begin so.
pub(crate) fn find(ask: &FindCommit) -> Result<Option<FoundCommit>, Fault> {
    let mirror = open_mirror(&ask.mirror)?;
    let found = look_up(&mirror, &ask.revision).map_err(|error| {
        Fault::new(format!(
            "cannot look for {} in the mirror: {}",
            ask.revision,
            error.message()
        ))
    })?;
    Ok(found.as_ref().map(|commit| told(commit, ERROR_TEXT.most)))
}

/// `longest`: of each text, in bytes.
fn told(commit: &Commit<'_>, longest: usize) -> FoundCommit {
    let text = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        cut(&text, longest).to_owned()
    };
    FoundCommit {
        commit: commit.id().to_string(),
        subject: text(commit.summary_bytes().unwrap_or_default()),
        author: text(commit.author().email_bytes()),
    }
}

/// Says which commits lie between two: what the new one leads to and the old one does not, and the other way
/// round.
///
/// # Errors
/// The mirror cannot be read, or lacks one of them.
pub(crate) fn compare(ask: &CompareCommits) -> Result<Compared, Fault> {
    let mirror = open_mirror(&ask.mirror)?;
    let damaged =
        |error: git2::Error| Fault::io("read from the mirror", &ask.mirror, error.message());
    let (new, old) = (Oid::from_str(&ask.new), Oid::from_str(&ask.old));
    let (new, old) = (new.map_err(damaged)?, old.map_err(damaged)?);
    let (added, more_added) = between(&mirror, new, old).map_err(damaged)?;
    let (removed, more_removed) = between(&mirror, old, new).map_err(damaged)?;
    Ok(Compared {
        added,
        more_added,
        removed,
        more_removed,
    })
}

/// Commits that `new` leads to and `old` does not: the newest, and how many more there are.
fn between(
    mirror: &Repository,
    new: Oid,
    old: Oid,
) -> Result<(Vec<FoundCommit>, usize), git2::Error> {
    let mut walk = mirror.revwalk()?;
    walk.set_sorting(Sort::TOPOLOGICAL | Sort::TIME)?;
    walk.push(new)?;
    walk.hide(old)?;
    let (mut found, mut more) = (Vec::new(), 0);
    for id in walk {
        if found.len() < LISTED {
            found.push(told(&mirror.find_commit(id?)?, SUBJECT));
        } else {
            more += 1;
        }
    }
    Ok((found, more))
}

/// Whether a commit is another one, or comes before it.
///
/// # Errors
/// The mirror cannot be read or lacks one of them.
pub(crate) fn is_ancestor(ask: &IsAncestor) -> Result<bool, Fault> {
    let mirror = open_mirror(&ask.mirror)?;
    let look = || -> Result<bool, git2::Error> {
        let (commit, of) = (Oid::from_str(&ask.commit)?, Oid::from_str(&ask.of)?);
        Ok(commit == of || mirror.graph_descendant_of(of, commit)?)
    };
    look().map_err(|error| {
        Fault::new(format!(
            "cannot look for {} in the mirror: {}",
            ask.commit,
            error.message()
        ))
    })
}

fn look_up<'r>(mirror: &'r Repository, revision: &str) -> Result<Option<Commit<'r>>, git2::Error> {
    let missing =
        |error: &git2::Error| matches!(error.code(), ErrorCode::NotFound | ErrorCode::InvalidSpec);
    for place in ["refs/heads", "refs/tags"] {
        match mirror.find_reference(&format!("{place}/{revision}")) {
            Ok(found) => return found.peel_to_commit().map(Some),
            Err(error) if missing(&error) => {}
            Err(error) => return Err(error),
        }
    }
    let is_name = (SHORTEST..=40).contains(&revision.len())
        && revision.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_name {
        return Ok(None);
    }
    match mirror.find_commit_by_prefix(revision) {
        Ok(commit) => Ok(Some(commit)),
        Err(error) if missing(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes a commit's files into a folder, which holds nothing else afterwards: an attempt that was killed may have
/// begun to fill it.
///
/// # Errors
/// The folder cannot be emptied; the commit cannot be read, has too many or too large files, a file that is git's own, or a link that
/// leads out of it; or the disk is full.
pub(crate) fn export(ask: &ExportCommit) -> Result<Exported, Fault> {
    let mirror = open_mirror(&ask.mirror)?;
    let damaged =
        |error: git2::Error| Fault::io("read from the mirror", &ask.mirror, error.message());
    let commit = Oid::from_str(&ask.commit).and_then(|id| mirror.find_commit(id));
    let tree = commit.and_then(|commit| commit.tree()).map_err(damaged)?;
    make_empty(&ask.target)?;
    let written = files::write(&mirror, tree, &ask.target)?;
    for (path, to) in &written.links {
        let from = path.parent().unwrap_or(Path::new(""));
        if beneath(from, to).is_none() {
            return Err(Fault::new(format!(
                "cannot build {}: it is a link that leads out of the repository",
                path.display()
            ))
            .hint("replace it by the file itself, or by a link to one in the repository"));
        }
    }
    written.link(&ask.target)?;
    Ok(Exported {
        files: written.files,
        submodules: written.submodules,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt};

    const LINK: i32 = 0o120_000;
    const PROGRAM: i32 = 0o100_755;

    /// A mirror whose branch `main` has these entries: name, content, mode.
    fn mirror(entries: &[(&str, &str, i32)]) -> (tempfile::TempDir, String) {
        let dir = tempfile::tempdir().unwrap();
        let repository = Repository::init_bare(dir.path().join("mirror")).unwrap();
        let mut inner = repository.treebuilder(None).unwrap();
        let mut root = repository.treebuilder(None).unwrap();
        for (name, content, mode) in entries {
            let blob = repository.blob(content.as_bytes()).unwrap();
            match name.strip_prefix("sub/") {
                Some(name) => inner.insert(name, blob, *mode).map(drop).unwrap(),
                None => root.insert(name, blob, *mode).map(drop).unwrap(),
            }
        }
        if !inner.is_empty() {
            root.insert("sub", inner.write().unwrap(), 0o040_000)
                .unwrap();
        }
        let tree = repository.find_tree(root.write().unwrap()).unwrap();
        let who = git2::Signature::now("Anna", "anna@example.com").unwrap();
        let commit = repository
            .commit(
                Some("refs/heads/main"),
                &who,
                &who,
                "One\n\nMore",
                &tree,
                &[],
            )
            .unwrap();
        let commit = commit.to_string();
        fs::create_dir(dir.path().join("out")).unwrap();
        (dir, commit)
    }

    fn exported(dir: &tempfile::TempDir, commit: &str) -> Result<Exported, Fault> {
        export(&ExportCommit {
            mirror: dir.path().join("mirror"),
            commit: commit.to_owned(),
            target: dir.path().join("out"),
        })
    }

    #[test]
    fn a_commits_files_come_without_history() {
        let (dir, commit) = mirror(&[
            ("run.sh", "#!/bin/sh", PROGRAM),
            ("sub/a.txt", "a", 0o100_644),
            ("sub/up", "../run.sh", LINK),
        ]);
        assert_eq!(exported(&dir, &commit).unwrap().files, 2);
        let out = dir.path().join("out");
        let mode = |name: &str| fs::metadata(out.join(name)).unwrap().permissions().mode();
        assert_ne!(mode("run.sh") & 0o100, 0);
        assert_eq!(mode("sub/a.txt") & 0o111, 0);
        assert_eq!(fs::read_to_string(out.join("sub/up")).unwrap(), "#!/bin/sh");
        assert!(!out.join(".git").exists());
    }

    #[test]
    fn an_export_that_was_killed_is_made_anew() {
        let (dir, commit) = mirror(&[
            ("run.sh", "#!/bin/sh", PROGRAM),
            ("sub/a.txt", "a", 0o100_644),
            ("sub/up", "../run.sh", LINK),
        ]);
        let out = dir.path().join("out");
        fs::write(out.join("run.sh"), "#!/b").unwrap();
        fs::write(out.join("half"), "").unwrap();
        for _ in 0..2 {
            assert_eq!(exported(&dir, &commit).unwrap().files, 2);
            assert_eq!(fs::read(out.join("run.sh")).unwrap(), b"#!/bin/sh");
            assert!(!out.join("half").exists());
            // As sealed files are.
            fs::set_permissions(out.join("sub"), fs::Permissions::from_mode(0o555)).unwrap();
        }
    }

    #[test]
    fn links_out_of_the_repository_are_refused() {
        for (name, to) in [
            ("out", "../x"),
            ("absolute", "/etc/passwd"),
            ("sub/far", "../../x"),
        ] {
            let (dir, commit) = mirror(&[(name, to, LINK)]);
            let fault = exported(&dir, &commit).unwrap_err();
            assert!(fault.message.contains("leads out"), "{fault}");
        }
    }

    #[test]
    fn a_revision_is_a_branch_a_tag_or_the_beginning_of_a_name() {
        let (dir, commit) = mirror(&[("a", "a", 0o100_644)]);
        let found = |revision: &str| {
            let mirror = dir.path().join("mirror");
            let revision = revision.to_owned();
            find(&FindCommit { mirror, revision }).unwrap()
        };
        for revision in ["main", &commit, &commit[..7]] {
            let found = found(revision).unwrap();
            assert_eq!((&*found.commit, &*found.subject), (&*commit, "One"));
            assert_eq!(found.author, "anna@example.com");
        }
        for revision in [
            "",
            "nobody",
            &commit[..6],
            "0123456789",
            "main^{tree}",
            "../main",
            ":/One",
            "main\n",
        ] {
            assert_eq!(found(revision), None, "{revision:?}");
        }
    }

    #[test]
    fn commits_between_two_are_told_both_ways() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mirror");
        let repository = Repository::init_bare(&path).unwrap();
        let tree = repository.treebuilder(None).unwrap().write().unwrap();
        let tree = repository.find_tree(tree).unwrap();
        let who = git2::Signature::now("Anna", "anna@example.com").unwrap();
        let commit = |subject: &str, parent: Option<Oid>| {
            let parent = parent.map(|id| repository.find_commit(id).unwrap());
            let parents: Vec<_> = parent.iter().collect();
            repository
                .commit(None, &who, &who, subject, &tree, &parents)
                .unwrap()
        };
        let first = commit("first", None);
        let other = commit("other", Some(first));
        let newest = (0..LISTED + 3).fold(first, |at, n| commit(&format!("c{n}"), Some(at)));
        let compare = |new: Oid, old: Oid| {
            let (new, old) = (new.to_string(), old.to_string());
            let mirror = path.clone();
            compare(&CompareCommits { mirror, new, old })
        };
        let told = compare(newest, other).unwrap();
        assert_eq!((told.added.len(), told.more_added), (LISTED, 3));
        assert_eq!(told.added[0].subject, format!("c{}", LISTED + 2));
        assert_eq!(told.added[0].author, "anna@example.com");
        assert_eq!(
            (told.removed.len(), &*told.removed[0].subject),
            (1, "other")
        );
        assert_eq!(compare(first, first).unwrap(), Compared::default());
        assert_eq!(compare(first, newest).unwrap().more_removed, 3);
        assert!(compare(Oid::ZERO_SHA1, first).is_err());
    }
}
