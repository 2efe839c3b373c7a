//! Commits that a reflog alone holds: not work that keeps a workspace, but said before they go.

use crate::git::work::{
    commits::{Tips, outside, targets},
    open,
};
use git2::{Commit, Oid, Repository};
use std::collections::{BTreeSet, HashMap, HashSet};

/// So many of the newest commits are searched for one that was made anew.
const SUCCESSORS: usize = 5_000;
/// No more than these are counted.
const LEFT: usize = 2_000;
/// A commit that was made anew more often is named.
const ROUNDS: usize = 10;

/// Commits that a reflog alone holds, newest first: left behind by a reset, or with a branch that was deleted. What
/// was made anew since, as by an amend or a rebase, is left out, and so is what a remote once had.
pub(super) fn forgotten(
    repository: &Repository,
    tips: &Tips,
    held: &HashSet<Oid>,
) -> Result<Vec<Oid>, git2::Error> {
    let mut from: BTreeSet<Oid> = logged(repository, "refs/heads/*")?.collect();
    from.extend(entries(repository, "HEAD"));
    for gitdir in open::worktrees(repository.commondir()) {
        from.extend(entries(&open::open(&gitdir, None)?, "HEAD"));
    }
    from.retain(|id| repository.find_commit(*id).is_ok());
    let mut known: HashSet<Oid> = held.iter().chain(&tips.commits).copied().collect();
    known.extend(targets(repository, "refs/remotes/*")?);
    let kept: BTreeSet<Oid> = known
        .iter()
        .copied()
        .filter(|id| repository.find_commit(*id).is_ok())
        .collect();
    known.extend(logged(repository, "refs/remotes/*")?);
    let mut left = outside(repository, &from, &known, LEFT)?;
    if left.is_empty() {
        return Ok(left);
    }
    let mut anew = Anew::default();
    for id in outside(repository, &kept, &HashSet::new(), SUCCESSORS)? {
        anew.add(&repository.find_commit(id)?);
    }
    // What was made anew may have been made anew again.
    for _ in 0..ROUNDS {
        left.retain(|id| match repository.find_commit(*id) {
            Ok(commit) if anew.has_successor(&commit) => {
                anew.add(&commit);
                false
            }
            _ => true,
        });
    }
    Ok(left)
}

/// Commits by author and time, which an amend and a rebase leave as they were.
#[derive(Default)]
struct Anew(HashMap<Made, Vec<Told>>);

/// The author's address, and when it was made.
type Made = (Vec<u8>, i64);
/// Subject and parents.
type Told = (Vec<u8>, Vec<Oid>);

impl Anew {
    fn add(&mut self, commit: &Commit<'_>) {
        self.0.entry(made(commit)).or_default().push(told(commit));
    }

    /// An amend leaves the parents as they were, and a rebase the subject.
    fn has_successor(&self, commit: &Commit<'_>) -> bool {
        let (subject, parents) = told(commit);
        let others = self.0.get(&made(commit)).into_iter().flatten();
        others
            .into_iter()
            .any(|other| other.0 == subject || other.1 == parents)
    }
}

fn made(commit: &Commit<'_>) -> Made {
    let author = commit.author();
    (author.email_bytes().to_owned(), author.when().seconds())
}

fn told(commit: &Commit<'_>) -> Told {
    let subject = commit.summary_bytes().unwrap_or_default().to_owned();
    (subject, commit.parent_ids().collect())
}

/// What the reflogs of these references name.
fn logged(repository: &Repository, glob: &str) -> Result<impl Iterator<Item = Oid>, git2::Error> {
    let references = repository.references_glob(glob)?;
    let names: Vec<String> = references
        .flatten()
        .filter_map(|reference| Some(reference.name().ok()?.to_owned()))
        .collect();
    Ok(names
        .into_iter()
        .flat_map(|name| entries(repository, &name)))
}

/// What a reflog names; nothing where there is none.
fn entries(repository: &Repository, name: &str) -> Vec<Oid> {
    let Ok(log) = repository.reflog(name) else {
        return Vec::new();
    };
    let ids = log
        .iter()
        .flat_map(|entry| [entry.id_old(), entry.id_new()]);
    ids.filter(|id| !id.is_zero()).collect()
}
