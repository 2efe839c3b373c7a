//! What cid and the project's own commands made in a workspace before anybody worked there: written
//! down when a workspace is ready, in its clone's `.git`.

use crate::{
    git::work::{files, find, open, sizes},
    tree::beneath::Root,
};
use cid_protocol::{
    fault::{Fault, FaultContext},
    request::{HOME, RecordMade, TREE},
};
use git2::Repository;
use nix::unistd;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Read,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Beside the clone's index.
const FILE: &str = ".git/cid-made";
const MAX_FILE: u64 = 8 * 1024 * 1024;
/// More paths than these are not written down, and count as work.
const PATHS: usize = 20_000;
/// So much of a file's beginning tells it from another one.
const BEGINNING: u64 = 1024 * 1024;
/// So much tells text from what programs keep for themselves.
const SAMPLE: u64 = 8000;
/// SQLite keeps these beside a database.
const COMPANIONS: &[&str] = &["-journal", "-shm", "-wal"];
/// A copied folder with more files than these is one thing: what is in it is not looked at.
const COPIED: usize = 2000;
/// By and by others may have come into a smaller one; so many of all are looked at.
const INSIDE: usize = 100_000;
/// Looking may take so long.
const LIMIT: Duration = Duration::from_secs(20);

/// Paths relative to the workspace's folder, and how they were; `None`: the file was gone.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Made {
    paths: BTreeMap<String, Option<Mark>>,
    /// Folders that cid copied: git ignores them for cid's sake, and the repository says nothing of them.
    copies: BTreeSet<String>,
    /// Files that cid wrote: any change of them is a person's, for no program adds to them.
    #[serde(default)]
    written: BTreeSet<String>,
    /// What lay there when the deployment under way began: its commands did not make it.
    #[serde(default)]
    present: BTreeSet<String>,
    /// Install and release commands had ended: what they made is written down.
    is_recorded: bool,
    #[serde(skip)]
    directory: PathBuf,
    #[serde(skip)]
    creation: Option<Creation>,
}

/// How files of a creation that is taken back are told apart.
struct Creation {
    /// The user that all of the workspace runs as, where people are others.
    account: Option<u32>,
}

/// How a file was, or a folder with all that is in it.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    bytes: u64,
    /// In ns since 1970; of a folder, of the newest file in it.
    changed: i64,
    /// How many files a folder holds; 0: it is a file.
    files: u64,
    /// SHA-256 of a file's beginning.
    beginning: String,
}

/// Whose a path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// As it was made.
    Made,
    /// Made, and then changed by programs: a database, a log.
    Grown,
    /// Made, and then changed by somebody: a text that does not merely go on.
    Changed,
    /// Somebody's.
    Other,
}

/// Writes down what lies there before a deployment's commands run, so that [`record`] does not take it for theirs.
pub(super) fn note_present(directory: &Path, repository: &Repository) -> Result<(), Fault> {
    let tree = directory.join(TREE);
    let mut made = Made::read(directory);
    if !made.is_recorded {
        return Ok(());
    }
    let entries = files::entries(repository, &tree).cannot("look at the clone's files")?;
    let entries = entries.iter().filter(|entry| entry.is_new());
    let paths = entries.flat_map(|entry| {
        let path = tree.join(&entry.path);
        made.inside(&path).unwrap_or_else(|| vec![path])
    });
    let home = sizes::children(&directory.join(HOME));
    let keys = paths.chain(home).filter_map(|path| made.key(&path));
    let present = keys.filter(|key| !made.paths.contains_key(key)).collect();
    if made.present != present {
        made.present = present;
        made.write(&tree)?;
    }
    Ok(())
}

/// Writes down what is there besides what was committed. A second time only new files are added that surely are
/// no person's.
pub(crate) fn record(ask: &RecordMade) -> Result<(), Fault> {
    let tree = ask.directory.join(TREE);
    let repository = open::open(&tree.join(".git"), Some(&tree)).cannot("open the clone")?;
    let mut made = Made::read(&ask.directory);
    let is_first = !made.is_recorded;
    let account = ask.own_account.then(|| unistd::getuid().as_raw());
    let deadline = Instant::now() + LIMIT;
    let entries = files::entries(&repository, &tree).cannot("look at the clone's files")?;
    let is_no_persons = |path: &Path| account.is_some_and(|account| !is_of_another(path, account));
    let is_to_be_told = |path: &PathBuf| is_first || is_no_persons(path);
    let entries = entries.iter().filter(|entry| is_first || entry.is_new());
    let paths = entries.flat_map(|entry| {
        let path = tree.join(&entry.path);
        match made.inside(&path) {
            Some(inside) if !is_first || inside.len() <= COPIED => inside,
            _ => vec![path],
        }
    });
    let paths: Vec<PathBuf> = paths.collect();
    let home = sizes::children(&ask.directory.join(HOME));
    for path in paths
        .into_iter()
        .chain(home)
        .filter(is_to_be_told)
        .take(PATHS)
    {
        let is_known = |key: &String| made.paths.contains_key(key) || made.present.contains(key);
        if let Some(key) = made.key(&path).filter(|key| !is_known(key)) {
            made.paths.insert(key, mark(&path, deadline));
        }
    }
    made.is_recorded = true;
    made.write(&tree)
}

/// Records which folders cid has copied, and anew what it has made once more, such as the file that names another
/// port: its difference to the first one is not work. What is `gone` is cid's no more.
pub(crate) fn made_by_cid<'a>(
    tree: &Path,
    targets: impl Iterator<Item = &'a PathBuf>,
    copies: impl Iterator<Item = &'a PathBuf>,
    gone: &[PathBuf],
) -> Result<(), Fault> {
    let Some(directory) = tree.parent() else {
        return Ok(());
    };
    let mut made = Made::read(directory);
    let deadline = Instant::now() + LIMIT;
    let mut is_other = false;
    for path in targets.map(|target| tree.join(target)) {
        let Some(key) = made.key(&path) else { continue };
        if made.is_recorded || made.paths.contains_key(&key) {
            made.paths.insert(key.clone(), mark(&path, deadline));
            is_other = true;
        }
        is_other |= made.written.insert(key);
    }
    for target in gone {
        if let Some(key) = made.key(&tree.join(target)) {
            is_other |= made.written.remove(&key);
        }
    }
    for copy in copies {
        if let Some(key) = made.key(&tree.join(copy)) {
            is_other |= made.copies.insert(key);
        }
    }
    match is_other {
        true => made.write(tree),
        false => Ok(()),
    }
}

impl Made {
    /// What was written down; nothing where that cannot be read.
    pub(super) fn read(directory: &Path) -> Self {
        let text = Root::open(&directory.join(TREE))
            .and_then(|tree| tree.read(Path::new(FILE), MAX_FILE))
            .unwrap_or_default();
        Self {
            directory: directory.to_owned(),
            ..serde_json::from_str(&text).unwrap_or_default()
        }
    }

    /// The files that cid wrote, relative to the workspace's folder.
    pub(super) fn written(&self) -> impl Iterator<Item = &str> {
        self.written.iter().map(String::as_str)
    }

    fn write(&self, tree: &Path) -> Result<(), Fault> {
        let text = serde_json::to_vec(self).cannot("write down what was made")?;
        Root::open(tree)?.write(Path::new(FILE), &text)
    }

    /// The same for a creation that is taken back; `account`: the user that all of the workspace runs as, where
    /// people are others.
    pub(super) fn of_creation(directory: &Path, account: Option<u32>) -> Self {
        Self {
            creation: Some(Creation { account }),
            ..Self::read(directory)
        }
    }

    /// Whether a file that git does not know is work, if it is not among what was made.
    pub(super) fn is_somebodys_new(&self, path: &Path) -> bool {
        match &self.creation {
            None => true,
            Some(Creation {
                account: Some(account),
                ..
            }) => is_of_another(path, *account),
            // All are one user: what is there while commands run may be theirs, and so may be what lies in
            // repositories that they brought.
            Some(_) => self.is_recorded && self.is_of_the_clone(path),
        }
    }

    /// The files in a folder that cid copied, which are looked at one by one; `None`: it is not such a folder, or was
    /// written down as one thing.
    pub(super) fn inside(&self, folder: &Path) -> Option<Vec<PathBuf>> {
        let key = self.key(folder)?;
        let is_folder = fs::symlink_metadata(folder).is_ok_and(|meta| meta.is_dir());
        if !is_folder || !self.copies.contains(&key) || self.paths.contains_key(&key) {
            return None;
        }
        let (mut files, mut places) = (Vec::new(), vec![folder.to_owned()]);
        while let Some(place) = places.pop() {
            for path in sizes::children(&place) {
                match fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_dir()) {
                    // A repository is looked at by itself.
                    true if fs::symlink_metadata(path.join(".git")).is_ok() => {}
                    true => places.push(path),
                    false => files.push(path),
                }
            }
            if files.len() > INSIDE {
                break;
            }
        }
        Some(files)
    }

    /// Whether a new file in a folder that cid copied is work: a text, which nobody else has. What is no text is
    /// an upload or a database, and a log is a program's.
    pub(super) fn is_somebodys_copy(&self, path: &Path) -> bool {
        match &self.creation {
            None => {
                let is_log = path.extension().is_some_and(|end| end == "log");
                let is_text = |sample: Vec<u8>| !sample.is_empty() && !sample.contains(&0);
                !is_log && beginning(path, SAMPLE).is_some_and(is_text)
            }
            // In a sandbox the app may have written it by now.
            Some(Creation { account }) => {
                account.is_some_and(|account| is_of_another(path, account))
            }
        }
    }

    /// Whether cid, commands or processes have changed a file that was committed.
    pub(super) fn has_changed(&self, path: &Path) -> bool {
        let verdict = self.judge(path);
        match &self.creation {
            None => verdict == Verdict::Made,
            Some(_) if self.is_recorded => verdict != Verdict::Other,
            // Nobody is let in before that.
            Some(Creation {
                account: Some(account),
                ..
            }) => !is_of_another(path, *account),
            Some(_) => is_lock_file(path),
        }
    }

    fn is_of_the_clone(&self, path: &Path) -> bool {
        let tree = self.directory.join(TREE);
        let mut around = path.ancestors().skip(1);
        let nearest = around.find(|folder| fs::symlink_metadata(folder.join(".git")).is_ok());
        nearest == Some(&tree)
    }

    /// Whose a file or folder is that is not as it was committed.
    pub(super) fn judge(&self, path: &Path) -> Verdict {
        let Some(key) = self.key(path) else {
            return Verdict::Other;
        };
        let Some(was) = self.paths.get(&key) else {
            // One that git ignores is not written down.
            let is_database = |database: &str| {
                self.paths.contains_key(database) || is_sqlite(&self.directory.join(database))
            };
            let of_database = COMPANIONS
                .iter()
                .filter_map(|end| key.strip_suffix(end))
                .any(is_database);
            return match of_database {
                true => Verdict::Grown,
                false => Verdict::Other,
            };
        };
        let is = mark(path, Instant::now() + LIMIT);
        match (was, &is) {
            (None, None) => Verdict::Made,
            (Some(was), Some(is)) if was.is_same(is) => Verdict::Made,
            (Some(was), Some(is))
                if is.files == 0 && !self.written.contains(&key) && was.has_grown(path) =>
            {
                Verdict::Grown
            }
            (Some(was), Some(is)) if was.files == 0 && is.files == 0 => Verdict::Changed,
            _ => Verdict::Other,
        }
    }

    fn key(&self, path: &Path) -> Option<String> {
        let relative = path.strip_prefix(&self.directory).ok()?;
        Some(relative.to_str()?.to_owned())
    }
}

impl Mark {
    fn is_same(&self, other: &Self) -> bool {
        let is_short = self.files == 0 && self.bytes <= BEGINNING && other.files == 0;
        self == other
            || (is_short && self.bytes == other.bytes && self.beginning == other.beginning)
    }

    /// Programs write what is not text, and add to the end of logs; people change text.
    fn has_grown(&self, path: &Path) -> bool {
        let Some(sample) = beginning(path, SAMPLE) else {
            return false;
        };
        let was = self.bytes.min(BEGINNING);
        sample.contains(&0)
            || beginning(path, was)
                .is_some_and(|now| now.len() as u64 == was && hash(&now) == self.beginning)
    }
}

fn is_sqlite(path: &Path) -> bool {
    beginning(path, 16).is_some_and(|begin| begin == b"SQLite format 3\0")
}

fn mark(path: &Path, deadline: Instant) -> Option<Mark> {
    let meta = fs::symlink_metadata(path).ok()?;
    if meta.is_dir() {
        let size = sizes::measure(path, deadline);
        return Some(Mark {
            bytes: size.bytes,
            changed: size.changed,
            files: size.files,
            beginning: String::new(),
        });
    }
    let start = match meta.file_type().is_symlink() {
        true => fs::read_link(path)
            .ok()?
            .into_os_string()
            .into_encoded_bytes(),
        false => beginning(path, BEGINNING)?,
    };
    Some(Mark {
        bytes: meta.len(),
        changed: changed(&meta),
        files: 0,
        beginning: hash(&start),
    })
}

fn is_of_another(path: &Path, account: u32) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| meta.uid() != account)
}

/// What installers write as they go, e.g. `uv.lock`, `package-lock.json`.
fn is_lock_file(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let ends = [".lock", "-lock.json", "-lock.yaml"];
    ends.iter().any(|end| name.ends_with(end))
}

/// When a file was changed, in ns since 1970.
pub(super) fn changed(meta: &fs::Metadata) -> i64 {
    meta.mtime()
        .saturating_mul(1_000_000_000)
        .saturating_add(meta.mtime_nsec())
}

/// The first bytes of a regular file.
fn beginning(path: &Path, length: u64) -> Option<Vec<u8>> {
    if !fs::symlink_metadata(path).ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    let file = fs::File::open(path).ok()?;
    file.take(length).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

fn hash(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(bytes))
}

/// What lies in `home` and beside it, but for repositories and tools' caches; and the clone's hooks, which git keeps
/// nowhere else.
pub(super) fn loose(directory: &Path) -> Vec<PathBuf> {
    let mut loose = sizes::children(&directory.join(HOME));
    loose.retain(|path| !find::is_cache(directory, path));
    loose.extend(find::beside(directory));
    loose.extend(hooks(directory));
    loose
}

fn hooks(directory: &Path) -> Vec<PathBuf> {
    let mut hooks = sizes::children(&directory.join(TREE).join(".git/hooks"));
    hooks.retain(|path| path.extension().is_none_or(|end| end != "sample"));
    hooks
}
