//! Says what a clone holds that is nowhere else, so that nobody deletes it unknowingly.

use crate::{
    helper::request::{WorkReport, WorkStatus},
    system::fault::Fault,
};
use git2::{IndexEntryExtendedFlag, Oid, Repository, Status, StatusEntry, StatusOptions};
use std::{collections::HashSet, fs, path::Path};

/// How many entries each list of the report has at most.
const LIMIT: usize = 100;

/// Looks at the clone. One that cannot be read counts as holding something: better asked once too
/// often.
///
/// # Errors
/// None so far; what cannot be told is in the report.
#[expect(clippy::unnecessary_wraps, reason = "all requests are served alike")]
pub(in crate::helper) fn status(ask: &WorkStatus) -> Result<WorkReport, Fault> {
    let mut report = WorkReport::default();
    if fs::symlink_metadata(&ask.tree).is_err() {
        return Ok(report);
    }
    // A link here would have somebody else's folder looked at.
    if !is_folder(&ask.tree) {
        report
            .uncommitted
            .push("(the clone's folder has been replaced)".into());
        return Ok(report);
    }
    if !is_folder(&ask.tree.join(".git")) {
        report.uncommitted = top_level(&ask.tree);
        return Ok(report);
    }
    // Not `discover`: a damaged clone must not make an outer repository answer in its place.
    let mut repository = match Repository::open(&ask.tree) {
        Ok(repository) => repository,
        Err(error) => {
            report
                .uncommitted
                .push(format!("(the clone cannot be read: {})", error.message()));
            return Ok(report);
        }
    };
    // core.worktree of the clone's own configuration may lead elsewhere.
    if let Err(error) = repository.set_workdir(&ask.tree, false) {
        report
            .uncommitted
            .push(format!("(the clone cannot be read: {})", error.message()));
        return Ok(report);
    }
    match uncommitted(&repository) {
        Ok(paths) => report.uncommitted = paths,
        Err(error) => report
            .uncommitted
            .push(format!("(changes cannot be told: {})", error.message())),
    }
    if let Err(error) = unpushed(&mut repository, &ask.mirror, &mut report.unpushed) {
        report
            .unpushed
            .push(format!("(commits cannot be told: {})", error.message()));
    }
    report.unpushed.truncate(LIMIT);
    Ok(report)
}

fn is_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir())
}

/// A folder that is no clone (any more) holds what lies in it.
fn top_level(tree: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(tree) else {
        return vec!["(the folder cannot be read)".into()];
    };
    let mut names: Vec<String> = entries
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .take(LIMIT)
        .collect();
    names.sort();
    names
}

fn uncommitted(repository: &Repository) -> Result<Vec<String>, git2::Error> {
    let mut options = StatusOptions::new();
    options
        .include_untracked(true)
        .include_ignored(false)
        .exclude_submodules(true)
        .update_index(false);
    let statuses = repository.statuses(Some(&mut options))?;
    // What cid replaced is marked so; libgit2 minds the mark only where something is in its place.
    let replaced: HashSet<Vec<u8>> = repository
        .index()?
        .iter()
        .filter(|entry| entry.flags_extended & IndexEntryExtendedFlag::SKIP_WORKTREE.bits() != 0)
        .map(|entry| entry.path)
        .collect();
    let is_work = |entry: &StatusEntry<'_>| {
        let in_index = Status::INDEX_NEW | Status::INDEX_MODIFIED | Status::INDEX_DELETED;
        entry.status().intersects(in_index) || !replaced.contains(entry.path_bytes())
    };
    Ok(statuses
        .iter()
        .filter(is_work)
        .take(LIMIT)
        .map(|entry| String::from_utf8_lossy(entry.path_bytes()).into_owned())
        .collect())
}

fn unpushed(
    repository: &mut Repository,
    mirror: &Path,
    found: &mut Vec<String>,
) -> Result<(), git2::Error> {
    let mut stashed: Vec<Oid> = Vec::new();
    // A stash that cannot be read must not hide the commits.
    let _ = repository.stash_foreach(|_, _, id| {
        stashed.push(*id);
        true
    });
    let repository = &*repository;
    let mut walk = repository.revwalk()?;
    // Branches, tags, notes and whatever else holds commits; what is the remote's is hidden below.
    for reference in repository.references()?.flatten() {
        // Stashes are told one by one below.
        if reference.name_bytes() == b"refs/stash" {
            continue;
        }
        if let Ok(commit) = reference.peel_to_commit() {
            walk.push(commit.id())?;
        }
    }
    // Detached, or on a branch without a commit.
    if let Ok(head) = repository.refname_to_id("HEAD") {
        walk.push(head)?;
    }
    for id in &stashed {
        found.push(describe(repository, *id));
        // What the stash was made on may be on no branch any more.
        if let Ok(parent) = repository
            .find_commit(*id)
            .and_then(|stash| stash.parent_id(0))
        {
            walk.push(parent)?;
        }
    }
    for reference in repository
        .references_glob("refs/remotes/origin/*")?
        .flatten()
    {
        if let Some(id) = reference.target() {
            walk.hide(id)?;
        }
    }
    for id in heads(mirror) {
        // The mirror may have been made anew and hold what this clone has never seen.
        let _ = walk.hide(id);
    }
    for id in walk.take(LIMIT.saturating_sub(found.len())) {
        found.push(describe(repository, id?));
    }
    Ok(())
}

fn heads(mirror: &Path) -> Vec<Oid> {
    let Ok(mirror) = Repository::open_bare(mirror) else {
        return Vec::new();
    };
    let Ok(branches) = mirror.references_glob("refs/heads/*") else {
        return Vec::new();
    };
    branches
        .flatten()
        .filter_map(|branch| branch.target())
        .collect()
}

/// `<short id> <subject>`
fn describe(repository: &Repository, id: Oid) -> String {
    let short: String = id.to_string().chars().take(7).collect();
    let subject = repository
        .find_commit(id)
        .ok()
        .and_then(|commit| {
            commit
                .summary_bytes()
                .map(|text| String::from_utf8_lossy(text).into_owned())
        })
        .unwrap_or_default();
    format!("{short} {subject}").trim_end().to_owned()
}
