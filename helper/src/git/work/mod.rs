//! Says what a workspace holds that is nowhere else, so that nobody deletes it unknowingly. libgit2 looks
//! at what people and apps left there, for it runs no hooks, filters or monitors; the git program only
//! asks remotes, by their addresses.

mod commits;
mod earlier;
mod files;
mod find;
mod half;
mod made;
mod open;
mod reflog;
mod remotes;
mod sizes;
mod submodules;
mod tree;
mod unfinished;
mod update;

pub(crate) use earlier::Earlier;
pub(crate) use made::{made_by_cid, record};
pub(crate) use tree::look;
pub(crate) use unfinished::unfinished;
pub(crate) use update::{take_back, update};

use crate::git::work::{
    find::{Checkout, shown_below},
    made::Made,
    remotes::Asker,
};
use cid_protocol::{
    fault::Fault,
    request::{HOME, Listing, RepositoryWork, TREE, WorkReport, WorkStatus},
};
use git2::{Oid, Repository};
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, HashSet},
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Looking at files, and then asking remotes, may take so long.
const LOOKING: Duration = Duration::from_secs(25);
const ASKING: Duration = Duration::from_secs(45);
/// How many commits are named that a reflog alone holds.
const FORGOTTEN: usize = 10;
/// How many repositories with work are told.
const REPOSITORIES: usize = 50;

/// Looks at all repositories of a workspace. One that cannot be read counts as holding something: better
/// asked once too often.
///
/// # Errors
/// None so far; what cannot be told is in the report.
#[expect(clippy::unnecessary_wraps, reason = "all requests are served alike")]
pub(crate) fn status(ask: &WorkStatus) -> Result<WorkReport, Fault> {
    let begin = Instant::now();
    let found = find::find(&ask.directory, begin + LOOKING);
    let mut look = Look {
        ask,
        work: BTreeMap::new(),
        left: Vec::new(),
        forgotten: Listing::default(),
        unseen: found.unseen,
    };
    look.no_clone();
    look.files(&found.checkouts, &Made::read(&ask.directory));
    look.loose(&Made::read(&ask.directory));
    let fingerprint = look.commits(&found.checkouts, begin + ASKING);
    let shown = |path: &Path| shown_below(&ask.directory, path);
    let mut files = sizes::add_up(&look.left, shown, Instant::now() + LOOKING);
    files.more_forgotten = look.forgotten.len().saturating_sub(FORGOTTEN as u64);
    look.forgotten.items.truncate(FORGOTTEN);
    files.forgotten = std::mem::take(&mut look.forgotten.items);
    Ok(WorkReport {
        files,
        fingerprint,
        ..look.report()
    })
}

struct Look<'a> {
    ask: &'a WorkStatus,
    /// By the repository's path.
    work: BTreeMap<String, RepositoryWork>,
    /// Files and folders that git does not keep.
    left: Vec<PathBuf>,
    /// Commits that a reflog alone holds, for people.
    forgotten: Listing,
    unseen: Vec<String>,
}

/// A repository's commits, which several checkouts may share.
struct Judged {
    shown: String,
    repository: Repository,
    tips: commits::Tips,
    silent: Vec<String>,
}

impl Look<'_> {
    fn of(&mut self, path: &str) -> &mut RepositoryWork {
        let work = self.work.entry(path.to_owned()).or_default();
        path.clone_into(&mut work.path);
        work
    }

    fn cannot_tell(&mut self, path: &str, what: &str, error: &git2::Error) {
        let remark = format!("{what} cannot be told: {}", error.message());
        self.of(path).remarks.push(remark);
    }

    /// A folder that is no clone (any more) holds what lies in it.
    fn no_clone(&mut self) {
        let tree = self.ask.directory.join(TREE);
        let is_there = |path: &Path| fs::symlink_metadata(path).is_ok();
        let is_folder = fs::symlink_metadata(&tree).is_ok_and(|meta| meta.is_dir());
        if is_folder && !is_there(&tree.join(".git")) {
            for path in sizes::children(&tree) {
                let name = shown_below(&tree, &path);
                self.of(TREE).uncommitted.push(&name);
            }
        }
    }

    /// What was found in repositories.
    fn report(self) -> WorkReport {
        let (mut repositories, mut unseen) = (Vec::from_iter(self.work.into_values()), self.unseen);
        repositories.retain(|work| !work.is_empty());
        repositories.sort_by_key(|work| (work.path != TREE, work.path.clone()));
        if repositories.len() > REPOSITORIES {
            let more = repositories.len() - REPOSITORIES;
            unseen.push(format!("{more} more repositories hold work"));
            repositories.truncate(REPOSITORIES);
        }
        WorkReport {
            repositories,
            unseen: Listing::from_iter(&unseen),
            ..WorkReport::default()
        }
    }

    fn files(&mut self, checkouts: &[Checkout], made: &Made) {
        let workdirs: HashSet<PathBuf> = checkouts
            .iter()
            .filter_map(|one| one.workdir.clone())
            .collect();
        for checkout in checkouts {
            let Some(workdir) = &checkout.workdir else {
                continue;
            };
            match files::look(checkout, workdir, &workdirs, made) {
                Ok(files) => {
                    for item in files.uncommitted.iter().chain(&files.copied) {
                        self.of(&checkout.shown).uncommitted.push(item);
                    }
                    self.left.extend(files.left);
                }
                Err(error) => {
                    self.cannot_tell(&checkout.shown, "changes", &error);
                }
            }
        }
    }

    fn loose(&mut self, made: &Made) {
        let loose = made::loose(&self.ask.directory);
        let is_judged = |path: &PathBuf| made.judge(path) == made::Verdict::Made;
        self.left
            .extend(loose.into_iter().filter(|path| !is_judged(path)));
    }

    /// Judges the commits of all repositories; gives a hash over what was judged.
    fn commits(&mut self, checkouts: &[Checkout], deadline: Instant) -> String {
        let mut all = self.open_all(checkouts);
        let fingerprint = self.fingerprint(&all);
        self.stashes(&all);
        let mut held: HashSet<Oid> = match self.ask.unasked {
            Some(_) => HashSet::new(),
            None => heads(&self.ask.mirror).into_iter().collect(),
        };
        if self.ask.judged.as_ref() == Some(&fingerprint) {
            self.forgotten(&all, &held);
            return fingerprint;
        }
        let asker = Asker {
            directory: &self.ask.directory,
            home: self.ask.directory.join(HOME),
            asked: self
                .ask
                .url
                .as_deref()
                .filter(|_| self.ask.unasked.is_none()),
            deadline,
        };
        for judged in &mut all {
            if let Err(error) = ask(judged, &asker, &mut held) {
                judged.silent.push(error.message().to_owned());
            }
        }
        // Only now: one repository's remote may hold what another one has.
        for judged in &all {
            self.judge(judged, &held);
        }
        self.forgotten(&all, &held);
        fingerprint
    }

    fn stashes(&mut self, all: &[Judged]) {
        for judged in all {
            for id in &judged.tips.stashes {
                let item = commits::describe(&judged.repository, *id);
                let work = self.of(&judged.shown);
                work.unpushed.push(&item);
                work.stashes += 1;
            }
        }
    }

    /// A reflog that cannot be read names nothing: what it holds does not keep a workspace.
    fn forgotten(&mut self, all: &[Judged], held: &HashSet<Oid>) {
        for judged in all {
            let repository = &judged.repository;
            let found = reflog::forgotten(repository, &judged.tips, held).unwrap_or_default();
            for id in found {
                let commit = commits::describe(repository, id);
                self.forgotten.push(&format!("{}: {commit}", judged.shown));
            }
        }
    }

    fn fingerprint(&self, all: &[Judged]) -> String {
        let mut hash = Sha256::new();
        hash.update(self.ask.url.as_deref().unwrap_or_default());
        for judged in all {
            hash.update(judged.shown.as_bytes());
            for id in judged.tips.commits.iter().chain(&judged.tips.stashes) {
                hash.update(id.as_bytes());
            }
        }
        data_encoding::HEXLOWER.encode(&hash.finalize())
    }

    fn open_all(&mut self, checkouts: &[Checkout]) -> Vec<Judged> {
        let real = fs::canonicalize(&self.ask.directory);
        let real = real.unwrap_or_else(|_| self.ask.directory.clone());
        let (mut seen, mut all) = (HashSet::new(), Vec::new());
        for checkout in checkouts {
            // A worktree of a repository elsewhere does not take that one along.
            if !checkout.common.starts_with(&real) || !seen.insert(checkout.common.clone()) {
                continue;
            }
            let owner = checkouts.iter().find(|one| one.gitdir == checkout.common);
            let shown = owner.unwrap_or(checkout).shown.clone();
            let opened = open::open(&checkout.common, None).and_then(|mut repository| {
                let tips = commits::tips(&mut repository)?;
                Ok((repository, tips))
            });
            match opened {
                Ok((repository, tips)) => all.push(Judged {
                    shown,
                    repository,
                    tips,
                    silent: Vec::new(),
                }),
                Err(error) => {
                    self.cannot_tell(&shown, "commits", &error);
                }
            }
        }
        all
    }

    fn judge(&mut self, judged: &Judged, held: &HashSet<Oid>) {
        let Judged {
            shown,
            repository,
            tips,
            silent,
        } = judged;
        let lost = match commits::unheld(repository, &tips.commits, held, Listing::LIMIT) {
            Ok(lost) => lost,
            Err(error) => {
                return self.cannot_tell(shown, "commits", &error);
            }
        };
        if lost.count == 0 {
            return;
        }
        let unasked = self.ask.unasked.clone().filter(|_| shown == TREE);
        let work = self.of(shown);
        for id in &lost.named {
            work.unpushed.push(&commits::describe(repository, *id));
        }
        work.unpushed.more += (lost.new - lost.named.len()) as u64;
        work.remarks
            .extend(unasked.into_iter().chain(silent.iter().cloned()));
        let old = lost.count - lost.new;
        if old > 0 {
            let (them, count) = if old == 1 {
                ("commit", "counts")
            } else {
                ("commits", "count")
            };
            work.remarks.push(format!(
                "{old} {them} that a remote had when it was last fetched {count} as not held: no remote that could be asked has them now"
            ));
        }
    }
}

/// Asks the remotes of a repository as far as they are needed.
fn ask(judged: &mut Judged, asker: &Asker<'_>, held: &mut HashSet<Oid>) -> Result<(), git2::Error> {
    let (repository, tips) = (&judged.repository, &judged.tips.commits);
    if commits::unheld(repository, tips, held, 0)?.count > 0 {
        judged.silent = asker.ask(repository, tips, held)?;
    }
    let recorded = submodules::recorded(repository, held)?;
    held.extend(recorded);
    Ok(())
}

/// The commits that the branches and tags of the mirror name.
fn heads(mirror: &Path) -> Vec<Oid> {
    let Ok(mirror) = Repository::open_bare(mirror) else {
        return Vec::new();
    };
    ["refs/heads/*", "refs/tags/*"]
        .iter()
        .filter_map(|glob| mirror.references_glob(glob).ok())
        .flat_map(Iterator::flatten)
        .filter_map(|name| Some(name.peel_to_commit().ok()?.id()))
        .collect()
}
