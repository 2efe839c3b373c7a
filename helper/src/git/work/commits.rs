//! Commits and stashes of a repository that no remote holds.

use crate::git::work::{find::read, open};
use git2::{Oid, Repository};
use std::{
    collections::{BTreeSet, HashSet},
    path::Path,
};

/// No more than these are counted.
pub(super) const COUNTED: usize = 100_000;
/// What is somebody else's, is told otherwise, or holds nothing of its own.
const NOT_LOCAL: &[&[u8]] = &[b"refs/remotes/", b"refs/bisect/", b"refs/prefetch/"];
const STASH: &[u8] = b"refs/stash";
/// Files in which git keeps commits while something is under way.
const UNDER_WAY: &[&str] = &[
    "CHERRY_PICK_HEAD",
    "MERGE_HEAD",
    "rebase-apply/orig-head",
    "rebase-merge/orig-head",
];

/// Where the commits of a repository begin.
pub(super) struct Tips {
    /// Of branches, tags, notes, each worktree's HEAD, what is under way, and below each stash.
    pub(super) commits: BTreeSet<Oid>,
    pub(super) stashes: Vec<Oid>,
}

/// What is held nowhere else.
pub(super) struct Unheld {
    /// The first ones, newest first.
    pub(super) named: Vec<Oid>,
    /// How many there are in all.
    pub(super) count: usize,
    /// How many of these no remote had either when it was last asked.
    pub(super) new: usize,
}

/// Collects where commits begin.
///
/// # Errors
/// A branch or HEAD cannot be read, or leads to no commit that is there.
pub(super) fn tips(repository: &mut Repository) -> Result<Tips, git2::Error> {
    let mut stashes = Vec::new();
    repository.stash_foreach(|_, _, id| {
        stashes.push(*id);
        true
    })?;
    let mut commits = BTreeSet::new();
    for reference in repository.references()? {
        let reference = reference?;
        let name = reference.name_bytes();
        if name == STASH {
            // A stash whose list is gone is reported all the same.
            let last = reference.target();
            stashes.extend(last.filter(|id| !stashes.contains(id)));
        } else if !NOT_LOCAL.iter().any(|prefix| name.starts_with(prefix)) {
            commits.extend(commit_of(repository, reference.resolve()?.target())?);
        }
    }
    let common = repository.commondir().to_owned();
    commits.extend(head(repository)?);
    commits.extend(under_way(&common));
    for gitdir in open::worktrees(&common) {
        commits.extend(head(&open::open(&gitdir, None)?)?);
        commits.extend(under_way(&gitdir));
    }
    for id in &stashes {
        // What a stash was made on may be on no branch any more.
        let stash = repository.find_commit(*id)?;
        commits.extend(stash.parent_ids().next());
    }
    Ok(Tips { commits, stashes })
}

/// What of a repository is in none of these commits and in nothing that leads to them.
pub(super) fn unheld(
    repository: &Repository,
    tips: &BTreeSet<Oid>,
    held: &HashSet<Oid>,
    named: usize,
) -> Result<Unheld, git2::Error> {
    let outside = outside(repository, tips, held, COUNTED)?;
    let mut all = Unheld {
        named: Vec::new(),
        count: outside.len(),
        new: 0,
    };
    if all.count == 0 {
        return Ok(all);
    }
    let mut known = held.clone();
    known.extend(targets(repository, "refs/remotes/*")?);
    all.named = self::outside(repository, tips, &known, COUNTED)?;
    all.new = all.named.len();
    all.named.truncate(named);
    Ok(all)
}

/// The commits that these references name.
pub(super) fn targets(repository: &Repository, glob: &str) -> Result<Vec<Oid>, git2::Error> {
    let mut found = Vec::new();
    for reference in repository.references_glob(glob)? {
        found.extend(reference?.resolve().ok().and_then(|found| found.target()));
    }
    Ok(found)
}

/// The first commits that lead to the tips and not to what is held, newest first.
pub(super) fn outside(
    repository: &Repository,
    tips: &BTreeSet<Oid>,
    held: &HashSet<Oid>,
    most: usize,
) -> Result<Vec<Oid>, git2::Error> {
    // What the remote has and this repository has never seen hides nothing here.
    let is_here = |id: &&Oid| repository.find_commit(**id).is_ok();
    let held = held.iter().filter(is_here).copied();
    if read(&repository.commondir().join("shallow")).is_some() {
        let mut hidden = HashSet::new();
        below(repository, held, &mut hidden, COUNTED);
        return Ok(below(repository, tips.iter().copied(), &mut hidden, most));
    }
    let mut walk = repository.revwalk()?;
    walk.set_sorting(git2::Sort::TIME)?;
    for id in tips {
        walk.push(*id)?;
    }
    for id in held {
        walk.hide(id)?;
    }
    walk.take(most).collect()
}

/// The commits that lead to these, as far as a shallow clone has them, which libgit2 does not walk.
fn below(
    repository: &Repository,
    from: impl Iterator<Item = Oid>,
    seen: &mut HashSet<Oid>,
    most: usize,
) -> Vec<Oid> {
    let (mut found, mut next) = (Vec::new(), from.collect::<Vec<_>>());
    while let Some(id) = next.pop() {
        if found.len() >= most || seen.contains(&id) {
            continue;
        }
        if let Ok(commit) = repository.find_commit(id) {
            seen.insert(id);
            found.push(id);
            next.extend(commit.parent_ids());
        }
    }
    found
}

/// `<short id> <subject>`
pub(super) fn describe(repository: &Repository, id: Oid) -> String {
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

/// A tag may also name something else than a commit.
fn commit_of(repository: &Repository, id: Option<Oid>) -> Result<Option<Oid>, git2::Error> {
    let Some(id) = id else { return Ok(None) };
    let object = repository.find_object(id, None)?;
    Ok(object.peel_to_commit().ok().map(|commit| commit.id()))
}

fn head(repository: &Repository) -> Result<Option<Oid>, git2::Error> {
    match repository.refname_to_id("HEAD") {
        Ok(id) => Ok(Some(id)),
        // On a branch without a commit.
        Err(error) if error.code() == git2::ErrorCode::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn under_way(gitdir: &Path) -> Vec<Oid> {
    let texts = UNDER_WAY.iter().filter_map(|name| read(&gitdir.join(name)));
    let lines: Vec<String> = texts
        .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    lines
        .iter()
        .filter_map(|line| Oid::from_str(line.trim()).ok())
        .collect()
}
