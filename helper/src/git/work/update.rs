//! Brings a clone up to date with its branch on the remote, where that loses nothing, and says what is in it.
//! Nothing is ever reset or stashed: a tree with work in it is left as it is.

use crate::git::{
    branch_ref, commit_id,
    work::{
        files::{self, Entry},
        find::Checkout,
        half,
        made::{Made, note_present},
        open, submodules,
    },
};
use cid_protocol::{
    budget::{REPOSITORY_BYTES, REPOSITORY_FILE, REPOSITORY_FILES},
    fault::{Fault, FaultContext},
    request::{Listing, TREE, TakeBackTree, TreeState, UpdateTree},
};
use git2::{ErrorCode, IndexEntry, IndexTime, Oid, Repository, build::CheckoutBuilder};
use sha2::{Digest, Sha256};
use std::{
    collections::HashSet,
    fs, io,
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, PermissionsExt},
    },
    path::{Path, PathBuf},
};

/// Beside the clone's index, while files are being moved from one commit to another: `FROM TO`.
const MARK: &str = ".git/cid-update";
/// How many of its files a sentence names.
const NAMED: usize = 3;
const FILE: u32 = 0o100_644;
const EXECUTABLE: u32 = 0o100_755;
const LINK: u32 = 0o120_000;

/// Moves a clean clone that is on its branch and behind the remote to the remote's commit.
///
/// # Errors
/// It is no repository that libgit2 can read, or it cannot be written.
pub(crate) fn update(ask: &UpdateTree) -> Result<TreeState, Fault> {
    let tree = Clone::open(&ask.directory, &ask.branch)?;
    tree.settle(None)?;
    note_present(&ask.directory, &tree.repository)?;
    let from = tree.head()?;
    let mut left_alone = None;
    if let Some(to) = &ask.commit {
        let to = commit_id(to)?;
        // As a fetch would; the objects are the mirror's.
        let remote = format!("refs/remotes/origin/{}", ask.branch);
        tree.repository
            .reference(&remote, to, true, "cid: deploy")
            .cannot("write the clone's remote branch")?;
        if from != to {
            left_alone = tree.obstacle(from, to)?;
            if left_alone.is_none() {
                left_alone = tree.go(from, to)?;
            }
        }
    }
    tree.state(left_alone)
}

/// Moves a clone back to the commit that it was at, if it is still clean at the other one; what is in the way
/// otherwise.
///
/// # Errors
/// As [`update`].
pub(crate) fn take_back(ask: &TakeBackTree) -> Result<Option<String>, Fault> {
    let tree = Clone::open(&ask.directory, &ask.branch)?;
    let (from, to) = (commit_id(&ask.from)?, commit_id(&ask.to)?);
    tree.settle(Some(to))?;
    match tree.head()? {
        head if head == to => Ok(None),
        head if head != from => Ok(Some("it has other commits".into())),
        _ => match tree.uncommitted_told()? {
            Some(work) => Ok(Some(work)),
            None => tree.go(from, to),
        },
    }
}

/// A workspace's clone.
struct Clone<'a> {
    directory: &'a Path,
    path: PathBuf,
    branch: &'a str,
    repository: Repository,
}

impl<'a> Clone<'a> {
    fn open(directory: &'a Path, branch: &'a str) -> Result<Self, Fault> {
        let path = directory.join(TREE);
        let repository = open::open(&path.join(".git"), Some(&path)).cannot("open the clone")?;
        Ok(Self {
            directory,
            path,
            branch,
            repository,
        })
    }

    fn head(&self) -> Result<Oid, Fault> {
        let head = self.repository.head();
        let commit = head.and_then(|head| head.peel_to_commit());
        commit
            .map(|commit| commit.id())
            .cannot("find the clone's commit")
    }

    /// Why its files cannot be moved from one commit to the other without losing anything.
    fn obstacle(&self, from: Oid, to: Oid) -> Result<Option<String>, Fault> {
        let head = self.repository.find_reference("HEAD");
        let head = head.cannot("find the clone's branch")?;
        let on = head.symbolic_target().ok().flatten();
        if on != Some(branch_ref(self.branch)?.as_str()) {
            return Ok(Some(
                match on.and_then(|on| on.strip_prefix("refs/heads/")) {
                    Some(other) => format!("it is on the branch {other}, not on {}", self.branch),
                    None => "it is on no branch".to_owned(),
                },
            ));
        }
        let counts = self.repository.graph_ahead_behind(from, to);
        let commits = |count| match count {
            1 => "1 commit".to_owned(),
            count => format!("{count} commits"),
        };
        match counts.cannot("compare the clone with the remote")? {
            (0, _) => self.uncommitted_told(),
            (ahead, 0) => Ok(Some(format!(
                "it has {} that the remote has not",
                commits(ahead)
            ))),
            (ahead, behind) => Ok(Some(format!(
                "it has {} that the remote has not, and lacks {}",
                commits(ahead),
                commits(behind)
            ))),
        }
    }

    /// Moves the files, then the branch. Files that are in the way are left alone, and so are all others then:
    /// returns what is in the way. An error leaves the mark, for files may have been moved.
    fn go(&self, from: Oid, to: Oid) -> Result<Option<String>, Fault> {
        let gone = submodules::gone(&self.repository, from, to).cannot("compare the commits")?;
        // libgit2 would remove all that is in there: ignored, changed, or not pushed.
        let is_filled = |folder: &&PathBuf| submodules::is_filled(&self.path.join(folder));
        if let Some(filled) = gone.iter().find(is_filled) {
            return Ok(Some(format!(
                "the submodule {} goes and its folder is not empty",
                filled.display()
            )));
        }
        let mark = self.path.join(MARK);
        let text = format!("{from} {to}\n");
        fs::write(&mark, text).map_err(|error| Fault::io("write", &mark, error))?;
        let in_the_way = self.move_files(from, to, !gone.is_empty())?;
        fs::remove_file(&mark).map_err(|error| Fault::io("remove", &mark, error))?;
        Ok(in_the_way)
    }

    /// `lose_submodules`: there are some that go, and files may take their place.
    fn move_files(
        &self,
        from: Oid,
        to: Oid,
        lose_submodules: bool,
    ) -> Result<Option<String>, Fault> {
        let commit = self.repository.find_commit(to).cannot("find the commit")?;
        let mut options = CheckoutBuilder::new();
        options.safe().overwrite_ignored(false);
        match self
            .repository
            .checkout_tree(commit.as_object(), Some(&mut options))
        {
            Ok(()) => {}
            // Looked for before anything is written.
            Err(error) if error.code() == ErrorCode::Conflict => {
                return Ok(Some(format!(
                    "files that git does not keep are in the way ({})",
                    error.message()
                )));
            }
            Err(error) => return Err(Fault::new(error.message())).cannot("check out the commit"),
        }
        if lose_submodules {
            // libgit2 writes no file where a submodule's folder is missing.
            half::settle(&self.repository, &self.path, (from, to), to)
                .cannot("write what takes a submodule's place")?;
        }
        self.move_branch(from, to)?;
        Ok(None)
    }

    fn move_branch(&self, from: Oid, to: Oid) -> Result<(), Fault> {
        let branch = branch_ref(self.branch)?;
        self.repository
            .reference_matching(&branch, to, true, from, "cid: deploy")
            .cannot("move the clone's branch")?;
        Ok(())
    }

    /// Ends what an earlier helper began and did not finish: all that it may have moved goes to `wanted`, if that is
    /// one of the two commits, else back to where it was.
    fn settle(&self, wanted: Option<Oid>) -> Result<(), Fault> {
        let mark = self.path.join(MARK);
        let text = match fs::read_to_string(&mark) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            text => text.map_err(|error| Fault::io("read", &mark, error))?,
        };
        let commits = text.trim().split_once(' ');
        let commits =
            commits.and_then(|(from, to)| Some((commit_id(from).ok()?, commit_id(to).ok()?)));
        if let Some((from, to)) = commits
            && self.head()? == from
        {
            let lock = self.path.join(".git/index.lock");
            if let Err(error) = fs::remove_file(&lock)
                && error.kind() != io::ErrorKind::NotFound
            {
                return Err(Fault::io("remove", &lock, error));
            }
            let target = wanted.filter(|wanted| *wanted == to).unwrap_or(from);
            half::settle(&self.repository, &self.path, (from, to), target)
                .cannot("end a checkout that stopped in the middle")?;
            if target != from {
                self.move_branch(from, target)?;
            }
        }
        fs::remove_file(&mark).map_err(|error| Fault::io("remove", &mark, error))
    }

    fn checkout(&self) -> Checkout {
        let gitdir = self.path.join(".git");
        Checkout {
            shown: TREE.to_owned(),
            common: gitdir.clone(),
            gitdir,
            workdir: Some(self.path.clone()),
        }
    }

    /// Changes that a person made, in words.
    fn uncommitted_told(&self) -> Result<Option<String>, Fault> {
        let work = self.uncommitted()?;
        let named: Vec<&str> = work.items.iter().take(NAMED).map(String::as_str).collect();
        Ok(match work.len() {
            0 => None,
            count if count > named.len() as u64 => Some(format!(
                "it has {count} uncommitted changes ({}, ...)",
                named.join(", ")
            )),
            _ => Some(format!("it has uncommitted changes ({})", named.join(", "))),
        })
    }

    fn uncommitted(&self) -> Result<Listing, Fault> {
        let made = Made::read(self.directory);
        let files = files::look(&self.checkout(), &self.path, &HashSet::new(), &made);
        let files = files.cannot("look at the clone's files")?;
        Ok(Listing::from_iter(&files.uncommitted))
    }

    fn state(&self, left_alone: Option<String>) -> Result<TreeState, Fault> {
        let head = self.head()?;
        let made = Made::read(self.directory);
        let work = files::work(&self.repository, &self.path, &HashSet::new(), &made);
        let work = work.cannot("look at the clone's files")?;
        let (snapshot, rest) = self.snapshot(head, &work)?;
        let fingerprint = match work.is_empty() {
            true => head.to_string(),
            false => format!("{head} {snapshot} {rest}"),
        };
        Ok(TreeState {
            commit: head.to_string(),
            snapshot: snapshot.to_string(),
            fingerprint,
            uncommitted: work.len(),
            left_alone,
        })
    }

    /// The files as they are, as a tree of git's, and a hash over those that are too large for it.
    fn snapshot(&self, head: Oid, work: &[Entry]) -> Result<(Oid, String), Fault> {
        let commit = self
            .repository
            .find_commit(head)
            .cannot("find the commit")?;
        if work.is_empty() {
            return Ok((commit.tree_id(), String::new()));
        }
        let (mut taken, mut bytes) = (0, 0);
        let mut rest = Sha256::new();
        let take = || -> Result<Oid, git2::Error> {
            // In memory alone.
            let mut index = git2::Index::new()?;
            index.read_tree(&commit.tree()?)?;
            for entry in work {
                let path = self.path.join(&entry.path);
                let Ok(meta) = fs::symlink_metadata(&path) else {
                    drop(index.remove_path(&entry.path));
                    continue;
                };
                let size = meta.len() as usize;
                let is_small = size <= REPOSITORY_FILE.most
                    && taken < REPOSITORY_FILES.most
                    && bytes + size <= REPOSITORY_BYTES.most;
                let kept = match (meta.is_symlink(), meta.is_file() && is_small) {
                    (true, _) => fs::read_link(&path)
                        .ok()
                        .map(|to| (LINK, to.as_os_str().as_bytes().to_owned())),
                    (_, true) => fs::read(&path).ok().map(|text| {
                        let executable = meta.permissions().mode() & 0o100 != 0;
                        (if executable { EXECUTABLE } else { FILE }, text)
                    }),
                    _ => None,
                };
                let Some((mode, content)) = kept else {
                    let line = format!("{} {} {}", path.display(), size, meta.mtime_nsec());
                    rest.update(format!("{line} {}\n", meta.mtime()));
                    drop(index.remove_path(&entry.path));
                    continue;
                };
                taken += 1;
                bytes += content.len();
                let id = self.repository.blob(&content)?;
                index.add(&index_entry(&entry.path, mode, id))?;
            }
            index.write_tree_to(&self.repository)
        };
        let mut take = take;
        let tree = take().cannot("note the clone's files")?;
        Ok((tree, data_encoding::HEXLOWER.encode(&rest.finalize())))
    }
}

pub(super) fn index_entry(path: &Path, mode: u32, id: Oid) -> IndexEntry {
    IndexEntry {
        ctime: IndexTime::new(0, 0),
        mtime: IndexTime::new(0, 0),
        dev: 0,
        ino: 0,
        mode,
        uid: 0,
        gid: 0,
        file_size: 0,
        id,
        flags: 0,
        flags_extended: 0,
        path: path.as_os_str().as_bytes().to_owned(),
    }
}

#[cfg(test)]
#[path = "update_tests.rs"]
mod tests;
