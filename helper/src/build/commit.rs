//! Finds commits in the mirror and writes their files out.

use crate::{
    git::{files, open_mirror},
    inspect::snapshot::beneath,
};
use cid_protocol::{
    budget::{ERROR_TEXT, cut},
    fault::Fault,
    request::{ExportCommit, Exported, FindCommit, FoundCommit},
};
use git2::{Commit, ErrorCode, Oid, Repository};
use std::path::Path;

/// Shorter beginnings of a commit's name are too easily a word.
const SHORTEST: usize = 7;

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
    Ok(found.map(|commit| {
        let text = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes);
            cut(&text, ERROR_TEXT.most).to_owned()
        };
        FoundCommit {
            commit: commit.id().to_string(),
            subject: text(commit.summary_bytes().unwrap_or_default()),
            author: text(commit.author().email_bytes()),
        }
    }))
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

/// Writes a commit's files into an empty folder.
///
/// # Errors
/// The commit cannot be read, has too many or too large files, a file that is git's own, or a link that
/// leads out of it; or the disk is full.
pub(crate) fn export(ask: &ExportCommit) -> Result<Exported, Fault> {
    let mirror = open_mirror(&ask.mirror)?;
    let damaged =
        |error: git2::Error| Fault::io("read from the mirror", &ask.mirror, error.message());
    let commit = Oid::from_str(&ask.commit).and_then(|id| mirror.find_commit(id));
    let tree = commit.and_then(|commit| commit.tree()).map_err(damaged)?;
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
}
