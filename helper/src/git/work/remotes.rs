//! Asks the remotes of a repository what they hold now. By their addresses alone: nothing else that the
//! repository's configuration says has a part in it.

use crate::{
    command::Code,
    git::{
        REFS, mirror,
        program::{Git, REMOTE},
        remote::Url,
        translate,
        work::{commits, open},
    },
    tree::purge,
};
use cid_protocol::{fault::Fault, request::Remote};
use git2::{Oid, Repository};
use std::{
    collections::{BTreeSet, HashSet},
    fs,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// How many remotes of one repository are asked.
const REMOTES: usize = 10;
/// How long one may take to answer.
const PATIENCE: Duration = Duration::from_secs(15);
/// Keys that a workspace may have for remotes of its own, in its home.
const KEYS: &[&str] = &["id_ed25519", "id_ecdsa", "id_rsa"];

/// Asks remotes for a workspace.
pub(super) struct Asker<'a> {
    /// The workspace's folder: what is in it goes with it, and holds nothing.
    pub(super) directory: &'a Path,
    /// The workspace's HOME.
    pub(super) home: PathBuf,
    /// The project's own remote, when it has been asked already.
    pub(super) asked: Option<&'a str>,
    pub(super) deadline: Instant,
}

impl Asker<'_> {
    /// Adds what the remotes of a repository hold of these commits; gives those that cannot be asked.
    pub(super) fn ask(
        &self,
        repository: &Repository,
        tips: &BTreeSet<Oid>,
        held: &mut HashSet<Oid>,
    ) -> Result<Vec<String>, git2::Error> {
        let mut silent = Vec::new();
        for url in addresses(repository)? {
            if Some(url.as_str()) == self.asked || self.is_inside(&url) {
                continue;
            }
            match self.one(repository, &url, tips) {
                Ok(found) => held.extend(found),
                Err(fault) => silent.push(fault.message),
            }
        }
        Ok(silent)
    }

    fn is_inside(&self, url: &str) -> bool {
        let Ok(Url::Local(path)) = Url::parse(url) else {
            return false;
        };
        let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        real(&path).starts_with(real(self.directory))
    }

    /// The commits of this repository that a remote holds, or what leads to them.
    fn one(
        &self,
        repository: &Repository,
        url: &str,
        tips: &BTreeSet<Oid>,
    ) -> Result<Vec<Oid>, Fault> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let folder = Scratch::make()?;
        let remote = self.remote(url);
        let mut git = Git::new(&folder.0, &remote)?;
        if left.is_zero() {
            let shown = git.url.shown();
            return Err(Fault::new(format!("cannot ask {shown}: no time is left")));
        }
        git.limit = Some(PATIENCE.min(left));
        git.code = Code::Untrusted;
        mirror::init(&folder.0, "main")?;
        let has = self.listed(&git)?;
        let is_here = |id: &Oid| repository.find_object(*id, None).is_ok();
        let is_enough = has.iter().all(is_here);
        let mut here: HashSet<Oid> = has.into_iter().filter(is_here).collect();
        here.retain(|id| repository.find_commit(*id).is_ok());
        let rest = commits::unheld(repository, tips, &here, 0).map_err(|error| told(&error))?;
        if rest.count > 0 && !is_enough {
            here.extend(self.fetched(&git, repository, tips)?);
        }
        Ok(here.into_iter().collect())
    }

    /// The commits that the remote's branches and tags name.
    fn listed(&self, git: &Git<'_>) -> Result<Vec<Oid>, Fault> {
        let output = git.list(&["ls-remote", "--quiet", "--heads", "--tags", REMOTE])?;
        if !output.success {
            return Err(translate::fault("ask", git, &output));
        }
        let ids = output.lines.iter().filter_map(|line| {
            let (id, _) = line.split_once('\t')?;
            Oid::from_str(id).ok().filter(|_| id.len() == 40)
        });
        Ok(ids.collect())
    }

    /// The remote is ahead: what lies between is fetched, commits without files, into a repository that
    /// is thrown away.
    fn fetched(
        &self,
        git: &Git<'_>,
        repository: &Repository,
        tips: &BTreeSet<Oid>,
    ) -> Result<Vec<Oid>, Fault> {
        let common = repository.commondir();
        let folder = git.mirror;
        let objects = common.join("objects");
        let lent = objects.to_str().filter(|path| !path.contains('\n'));
        let lent = lent.ok_or_else(|| Fault::io("use", &objects, "its path is no plain text"))?;
        let info = folder.join("objects/info/alternates");
        fs::write(&info, format!("{lent}\n")).map_err(|e| Fault::io("write", &info, e))?;
        if let Some(shallow) = super::find::read(&common.join("shallow")) {
            let copy = folder.join("shallow");
            fs::write(&copy, format!("{shallow}\n")).map_err(|e| Fault::io("write", &copy, e))?;
        }
        let output = git.run(
            &[
                &["fetch", "--quiet", "--no-tags", "--filter=tree:0"][..],
                &["--no-recurse-submodules", "--no-write-fetch-head"],
                &["--no-auto-maintenance", REMOTE],
                &REFS,
            ]
            .concat(),
        )?;
        if !output.success {
            return Err(translate::fault("ask", git, &output));
        }
        held_by(folder, tips).map_err(|error| told(&error))
    }

    fn remote(&self, url: &str) -> Remote {
        let ssh = self.home.join(".ssh");
        let there = |name: &str| Some(ssh.join(name)).filter(|path| path.is_file());
        Remote {
            url: url.to_owned(),
            identity_file: KEYS.iter().find_map(|name| there(name)),
            known_hosts: there("known_hosts"),
            credential_file: None,
        }
    }
}

/// Of these commits and what leads to them, the last ones that the branches and tags of a repository hold.
fn held_by(folder: &Path, tips: &BTreeSet<Oid>) -> Result<Vec<Oid>, git2::Error> {
    let fetched = open::open(folder, None)?;
    let mut remote = HashSet::new();
    for reference in fetched.references()? {
        remote.extend(reference?.peel_to_commit().ok().map(|commit| commit.id()));
    }
    let lost: HashSet<Oid> = commits::outside(&fetched, tips, &remote, commits::COUNTED)?
        .into_iter()
        .collect();
    let mut held: HashSet<Oid> = tips.iter().copied().collect();
    for id in &lost {
        held.extend(fetched.find_commit(*id)?.parent_ids());
    }
    held.retain(|id| !lost.contains(id));
    Ok(held.into_iter().collect())
}

/// All addresses from which a repository fetches, or to which it pushes.
fn addresses(repository: &Repository) -> Result<BTreeSet<String>, git2::Error> {
    let config = open::local_config(repository.commondir())?;
    let mut entries = config.entries(Some(r"^remote\..*\.(push)?url$"))?;
    let mut found = BTreeSet::new();
    while let Some(entry) = entries.next() {
        let text = String::from_utf8_lossy(entry?.value_bytes()).into_owned();
        if found.len() < REMOTES {
            found.insert(text);
        }
    }
    Ok(found)
}

fn told(error: &git2::Error) -> Fault {
    Fault::new(error.message())
}

/// A folder that goes when it is not needed any more.
struct Scratch(PathBuf);

impl Scratch {
    fn make() -> Result<Self, Fault> {
        let name = format!("cid-work-{}", uuid::Uuid::now_v7());
        let path = std::env::temp_dir().join(name);
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(|error| Fault::io("make", &path, error))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left is in a folder for what lives as long as a process.
        let _ = purge::purge(&self.0);
    }
}
