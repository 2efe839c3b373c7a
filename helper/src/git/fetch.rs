//! Brings the remote's branches into the mirror: one start of git, one round trip, and afterwards
//! the mirror's branches are the remote's.

use crate::git::{
    HEADS, REFS, branch_ref, growth, mirror,
    program::{Git, REMOTE},
    translate,
};
use cid_protocol::{
    fault::{Fault, FaultContext},
    request::{Fetch, Fetched},
};
use git2::Repository;
use std::{
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

/// The mirror that is being fetched into.
static FETCHING: Mutex<Option<PathBuf>> = Mutex::new(None);

/// How git says that it did not take a branch.
const SHALLOW: &str = " because shallow roots are not allowed";
/// How many branches the fault about a missing one names.
const NAMED_BRANCHES: usize = 10;

/// The usual name among the branches that are there, or else the first.
fn likely_base(repository: &Repository) -> String {
    let is_there = |name: &&str| {
        let of_remote = format!("refs/heads/{name}");
        repository.refname_to_id(&of_remote).is_ok()
    };
    let usual = ["main", "master", "develop", "dev", "trunk", "default"];
    let named = branches(repository);
    let first = || {
        named
            .split([',', ' '])
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    usual
        .iter()
        .copied()
        .find(|name| is_there(name))
        .map_or_else(first, str::to_owned)
}

/// Fetches, making the mirror if it is missing.
///
/// # Errors
/// The remote cannot be reached or read, or has no base branch.
pub(crate) fn fetch(ask: &Fetch) -> Result<Fetched, Fault> {
    let (base, branch) = (branch_ref(&ask.base)?, branch_ref(&ask.branch)?);
    let git = Git::new(&ask.mirror, &ask.remote)?;
    if !ask.is_fresh {
        let left_out = update(&git, ask)?;
        if left_out.iter().any(|name| [&base, &branch].contains(&name)) {
            return Err(shallow(&git));
        }
    }
    let repository = mirror::open(&ask.mirror)?;
    let Some(base) = commit_of(&repository, &base)? else {
        if is_empty(&repository) {
            let message = format!("the repository {} has no branches yet", git.url.shown());
            let hint = format!("push its first commits, to the branch {}", ask.base);
            return Err(Fault::new(message).hint(hint));
        }
        return Err(Fault::new(format!(
            "cannot find the base branch {} on {}; branches there: {}",
            ask.base,
            git.url.shown(),
            branches(&repository)
        ))
        .hint(format!(
            "push it, or write one of them into the project file:\n[git]\nbase = {:?}",
            likely_base(&repository)
        )));
    };
    refuse_clash(&repository, &branch, ask)?;
    let branch = commit_of(&repository, &branch)?;
    let ahead = branch
        .as_deref()
        .map_or(Ok(0), |branch| ahead(&repository, branch, &base))?;
    Ok(Fetched {
        base,
        branch,
        ahead,
    })
}

/// The one that talks to the remote. Returns the branches that git left out, for the remote is shallow.
fn update(git: &Git, ask: &Fetch) -> Result<Vec<String>, Fault> {
    mirror::prepare(&ask.mirror, &ask.base)?;
    *fetching() = Some(ask.mirror.clone());
    let (output, is_too_large) =
        growth::watched(&ask.mirror.join("objects"), ask.max_bytes, || {
            // Never a `mirror=true` remote: a later push from it would delete other people's branches.
            let refs = &REFS[..if ask.tags { 2 } else { 1 }];
            git.run(
                &[
                    &["fetch", "--quiet", "--prune", "--no-tags"][..],
                    &["--no-recurse-submodules", "--no-write-fetch-head"],
                    &["--no-auto-maintenance", REMOTE],
                    refs,
                ]
                .concat(),
            )
        });
    let is_whole = matches!(&output, Ok(output) if output.success) && !is_too_large;
    if !is_whole {
        clean_up();
    }
    *fetching() = None;
    if is_too_large {
        return Err(too_large(git, ask));
    }
    let output = output?;
    if !output.success {
        return Err(translate::fault("fetch from", git, &output));
    }
    if mirror::has_many_loose_refs(&ask.mirror) {
        // Those that stay loose are packed after the next fetch.
        let _ = git.run(&["pack-refs", "--all"]);
    }
    let left_out = output.lines.iter().filter_map(|line| {
        let (name, _) = line.split_once("rejected ")?.1.split_once(SHALLOW)?;
        Some(name.to_owned())
    });
    Ok(left_out.collect())
}

fn shallow(git: &Git) -> Fault {
    Fault::new(format!(
        "cannot fetch from {}: the repository there is shallow, it lacks the beginning of its history",
        git.url.shown()
    ))
    .hint("`git fetch --unshallow` in it, or give the URL of the one that it was cloned from")
}

fn too_large(git: &Git, ask: &Fetch) -> Fault {
    let most = ask.max_bytes >> 20;
    let message = format!(
        "cannot fetch from {}: it is larger than {most} MiB",
        git.url.shown()
    );
    Fault::new(message).hint(
        "repository under [limits] in the project file, or max_repository in cid.toml, allows more",
    )
}

/// Removes at once what a fetch that was stopped has left: it may be as large as a disk.
pub(crate) fn clean_up() {
    if let Some(mirror) = fetching().take() {
        // The next fetch does it as well.
        let _ = mirror::remove_leftovers(&mirror);
    }
}

fn fetching() -> std::sync::MutexGuard<'static, Option<PathBuf>> {
    FETCHING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// git keeps a branch as a file: `devel` and `devel/anna` cannot be side by side.
fn refuse_clash(repository: &Repository, branch: &str, ask: &Fetch) -> Result<(), Fault> {
    let below = format!("{branch}/*");
    let mut above = branch
        .match_indices('/')
        .map(|(end, _)| &branch[..end])
        .filter(|name| name.starts_with(HEADS));
    let other = match above.find(|name| repository.refname_to_id(name).is_ok()) {
        Some(name) => Some(name.to_owned()),
        None => {
            let found = repository.references_glob(&below);
            let found = found
                .cannot("read the branches in the mirror")?
                .flatten()
                .next();
            found.and_then(|branch| Some(branch.name().ok()?.to_owned()))
        }
    };
    let Some(other) = other else { return Ok(()) };
    Err(Fault::new(format!(
        "cannot make the branch {}: the server has the branch {}, and git cannot keep both",
        ask.branch,
        other.trim_start_matches(HEADS)
    ))
    .hint("choose another `branch` under [git] in the project's file, or remove the other branch"))
}

/// How many commits `branch` has that are not in `base`.
fn ahead(repository: &Repository, branch: &str, base: &str) -> Result<usize, Fault> {
    let count = || {
        let (branch, base) = (git2::Oid::from_str(branch)?, git2::Oid::from_str(base)?);
        Ok::<_, git2::Error>(repository.graph_ahead_behind(branch, base)?.0)
    };
    count().cannot("compare the branch with base")
}

fn commit_of(repository: &Repository, name: &str) -> Result<Option<String>, Fault> {
    match repository.refname_to_id(name) {
        Ok(id) => Ok(Some(id.to_string())),
        Err(error) if error.code() == git2::ErrorCode::NotFound => Ok(None),
        Err(error) => Err(error).cannot(format!("read {name} in the mirror")),
    }
}

fn is_empty(repository: &Repository) -> bool {
    let branches = repository.references_glob("refs/heads/*");
    branches.is_ok_and(|mut branches| branches.next().is_none())
}

fn branches(repository: &Repository) -> String {
    let mut names: Vec<String> = repository
        .references_glob("refs/heads/*")
        .into_iter()
        .flatten()
        .filter_map(|branch| Some(branch.ok()?.shorthand().ok()?.to_owned()))
        .collect();
    names.sort();
    let more = names.len().saturating_sub(NAMED_BRANCHES);
    names.truncate(NAMED_BRANCHES);
    match more {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}
