//! Where helpers come from: children in a sandbox, units of systemd's on a host.

use super::{earlier, keeper};
use crate::{
    layout::Layout,
    system::{helpers::Identity, standing::STANDING, units::Unit},
};
use async_trait::async_trait;
use cid_protocol::{
    environment::{AGENT, passed_on},
    fault::Fault,
};
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::{OsStr, OsString},
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};
use uuid::Uuid;

use super::keeper::Keeper;

/// How a helper is started and kept.
pub(super) struct Start {
    /// Program and arguments.
    pub(super) command: Vec<OsString>,
    /// Its whole environment.
    pub(super) env: Vec<(OsString, OsString)>,
    pub(super) keeper: Keeper,
    pub(super) shape: Shape,
}

/// Describes a helper, to tell whether one that stands ready would be started the same way now.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// Program and arguments.
    command: Vec<OsString>,
    /// The files and folders that these name: a recreated folder is not the one that the helper sees.
    files: Vec<Option<FileId>>,
}

/// Identifies a file. Inode numbers are reused, so the time is part of it.
#[derive(Debug, PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
    /// `None`: the file system does not keep it.
    born: Option<SystemTime>,
}

impl Shape {
    fn of(command: &[OsString]) -> Self {
        let files = command.iter().filter_map(|word| named_by(word));
        let identity = |path: &Path| {
            let meta = std::fs::metadata(path).ok()?;
            Some(FileId {
                device: meta.dev(),
                inode: meta.ino(),
                born: meta.created().ok(),
            })
        };
        Self {
            files: files.map(identity).collect(),
            command: command.to_vec(),
        }
    }
}

/// The path that a word is, or that a property sets: `ReadWritePaths=-/srv/x`.
fn named_by(word: &OsStr) -> Option<&Path> {
    let bytes = word.as_bytes();
    let value = bytes.rsplit(|byte| *byte == b'=').next()?;
    let path = value.strip_prefix(b"-").unwrap_or(value);
    path.starts_with(b"/")
        .then(|| Path::new(OsStr::from_bytes(path)))
}

/// Where helpers come from.
#[async_trait]
pub(super) trait Starter: Send + Sync {
    /// How to start a job's helper for an identity.
    fn start(&self, job: Uuid, identity: &Identity) -> Result<Start, Fault>;

    /// What a helper of this identity that stands ready would be now; `None`: none does here.
    fn ready(&self, _: &Identity) -> Option<Shape> {
        None
    }

    /// Gives a job a helper that stood ready.
    fn give(&self, _: &Keeper, _: Uuid) {}

    /// A started helper has ended; `in_order`: by itself, after it had ended all that it started.
    fn ended(&self, keeper: &Keeper, in_order: bool);

    /// Ends helpers of a job that nobody holds any more: those of an earlier daemon or of dropped calls.
    async fn end_stray(&self, job: Uuid, limit: Duration) -> Result<(), Fault>;

    /// Jobs with helpers that nobody may hold any more.
    fn strays(&self) -> BTreeSet<Uuid>;

    /// Ends everything that runs for an identity; in a sandbox the end of its job does that.
    async fn end_all_of(&self, _: &Identity, _: Duration) -> Result<(), Fault> {
        Ok(())
    }
}

/// In a sandbox: children of the daemon, with its own identity. Lock files record those that an earlier
/// daemon started.
pub(super) struct Children {
    pub(super) layout: Arc<Layout>,
    pub(super) binary: PathBuf,
}

#[async_trait]
impl Starter for Children {
    fn start(&self, job: Uuid, identity: &Identity) -> Result<Start, Fault> {
        let folder = self.layout.helper_dir();
        cid_kernel::fs::make_dir(&folder, 0o700)?;
        let lock = folder.join(format!("{job}.{}.lock", mark(identity)));
        let mut env = passed_on();
        if matches!(identity, Identity::Git(_))
            && let Some(agent) = std::env::var_os(AGENT)
        {
            env.insert(AGENT.into(), agent);
        }
        let mut command = vec![self.binary.clone().into()];
        command.extend(serve(job, ["--lock".into(), lock.clone().into()]));
        Ok(Start {
            shape: Shape::of(&command),
            command,
            env: env.into_iter().collect(),
            keeper: Keeper::Child(lock),
        })
    }

    /// Without its lock file nobody looks at all processes for what it may have left.
    fn ended(&self, keeper: &Keeper, in_order: bool) {
        if let (Keeper::Child(lock), true) = (keeper, in_order)
            && let Err(fault) = earlier::forget(lock)
        {
            tracing::debug!("{fault}");
        }
    }

    async fn end_stray(&self, job: Uuid, limit: Duration) -> Result<(), Fault> {
        earlier::end(&self.layout.helper_dir(), job, limit).await
    }

    fn strays(&self) -> BTreeSet<Uuid> {
        let names = cid_kernel::fs::names(&self.layout.helper_dir()).unwrap_or_default();
        names.iter().filter_map(|name| job_of(name)).collect()
    }
}

/// Where an identity's work is done on a host.
pub struct Place {
    /// The unit.
    pub unit: Unit,
    /// What the helper makes sure of before it serves: arguments of `cid-helper serve`.
    pub checks: Vec<OsString>,
}

/// Gives each identity its place.
pub type Units = dyn Fn(&Identity) -> Result<Place, Fault> + Send + Sync;

/// On a host: one transient unit for each job and identity.
pub(super) struct Transient {
    pub(super) binary: PathBuf,
    pub(super) units: Arc<Units>,
    /// Units that were started and are not known to have ended. Those that stood ready are listed under the
    /// job that they were given to.
    started: Mutex<BTreeMap<String, Option<Uuid>>>,
}

/// What the names of helpers' units begin with.
const PREFIX: &str = "cid-helper-";
/// Those of helpers that stand ready.
const READY: &str = "cid-standing-";
const READY_LIMIT: Duration = Duration::from_secs(10);
/// Longer than `cid-helper` gives a request that it is to finish.
const FINISH_LIMIT: Duration = Duration::from_secs(60);
/// And those of commands that people run.
const SESSION: &str = "cid-run-";

impl Transient {
    /// Also learns which units an earlier daemon left.
    pub(super) async fn new(binary: PathBuf, units: Arc<Units>) -> Result<Self, Fault> {
        // An earlier daemon's changes to accounts run to their end without it.
        let accounts = format!("{READY}{}", mark(&Identity::Accounts));
        keeper::wait_for(&accounts, FINISH_LIMIT).await?;
        // An earlier daemon's helpers ended with its connection to them; what is left of them must not stay.
        for unit in keeper::units(READY).await? {
            keeper::stop(&unit, READY_LIMIT).await?;
        }
        // Nobody listens to the commands that people ran; a killed daemon ended none of them.
        keeper::stop(&format!("{SESSION}*.service"), READY_LIMIT).await?;
        let left = keeper::units(PREFIX).await?;
        Ok(Self {
            binary,
            units,
            started: Mutex::new(left.into_iter().map(|name| (name, None)).collect()),
        })
    }

    /// The command that starts an identity's helper in a unit of this name.
    fn command(&self, job: Uuid, identity: &Identity, name: &str) -> Result<Vec<OsString>, Fault> {
        let Place { unit, checks } = (self.units)(identity)?;
        let unit = unit.named(name.to_owned());
        Ok(unit.running(&self.binary, serve(job, checks)))
    }

    fn started(&self) -> MutexGuard<'_, BTreeMap<String, Option<Uuid>>> {
        self.started.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Starter for Transient {
    fn start(&self, job: Uuid, identity: &Identity) -> Result<Start, Fault> {
        let (name, shape) = match job {
            // A name of its own: a job may still have the one before, and systemd may keep a dead one loaded.
            STANDING => (standing_name(identity), self.ready(identity)),
            _ => (format!("{PREFIX}{job}.{}.service", mark(identity)), None),
        };
        let command = self.command(job, identity, &name)?;
        let shape = shape.unwrap_or_else(|| Shape::of(&command));
        self.started().insert(name.clone(), None);
        Ok(Start {
            shape,
            command,
            env: Vec::new(),
            keeper: Keeper::Unit(name),
        })
    }

    fn ready(&self, identity: &Identity) -> Option<Shape> {
        let name = any_name(identity);
        let command = self.command(STANDING, identity, &name).ok()?;
        Some(Shape::of(&command))
    }

    fn give(&self, keeper: &Keeper, job: Uuid) {
        if let Keeper::Unit(name) = keeper {
            self.started().insert(name.clone(), Some(job));
        }
    }

    fn ended(&self, keeper: &Keeper, _: bool) {
        if let Keeper::Unit(name) = keeper {
            self.started().remove(name);
        }
    }

    async fn end_stray(&self, job: Uuid, limit: Duration) -> Result<(), Fault> {
        let prefix = format!("{PREFIX}{job}.");
        let left: Vec<String> = self
            .started()
            .iter()
            .filter(|(name, of)| name.starts_with(&prefix) || **of == Some(job))
            .map(|(name, _)| name.clone())
            .collect();
        for name in left {
            keeper::stop(&name, limit).await?;
            self.started().remove(&name);
        }
        Ok(())
    }

    async fn end_all_of(&self, identity: &Identity, limit: Duration) -> Result<(), Fault> {
        end_units_of(identity, limit).await
    }

    fn strays(&self) -> BTreeSet<Uuid> {
        let jobs = |name: &String| job_of(name.strip_prefix(PREFIX)?);
        self.started().keys().filter_map(jobs).collect()
    }
}

/// What stands for all names of helpers of this identity that stand ready: their commands differ in nothing else.
fn any_name(identity: &Identity) -> String {
    format!("{READY}{}.service", mark(identity))
}

/// What the unit of a helper that stands ready is called.
fn standing_name(identity: &Identity) -> String {
    format!("{READY}{}.{}.service", mark(identity), Uuid::now_v7())
}

/// What the unit of a command is called that somebody runs in a workspace.
pub fn session_name(identity: &Identity) -> String {
    format!("{SESSION}{}.{}.service", Uuid::now_v7(), mark(identity))
}

/// Ends the helpers and commands of an identity.
async fn end_units_of(identity: &Identity, limit: Duration) -> Result<(), Fault> {
    let ending = format!(".{}.service", mark(identity));
    for prefix in [PREFIX, SESSION] {
        let units = keeper::units(prefix).await?;
        for unit in units.iter().filter(|unit| unit.ends_with(&ending)) {
            keeper::stop(unit, limit).await?;
        }
    }
    Ok(())
}

fn job_of(name: &str) -> Option<Uuid> {
    name.split('.').next()?.parse().ok()
}

/// What `cid-helper` is told.
fn serve(job: Uuid, more: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec!["serve".into(), "--job".into(), job.to_string().into()];
    arguments.extend(more);
    arguments
}

/// An identity in few characters that every file system and systemd take.
fn mark(identity: &Identity) -> String {
    let name = match identity {
        Identity::Git(project) => format!("git {project}"),
        Identity::Workspace(user) => format!("workspace {}", user.unit),
        Identity::Reaper(unit, _) => format!("reaper {unit}"),
        // All builds of a project run as one user and are ended together.
        Identity::Build(project, _) => format!("build {project}"),
        Identity::Builder(project, directory) => {
            format!("builder {project} {}", directory.display())
        }
        Identity::Tester(project, directory, network) => {
            format!("tester {project} {} {network}", directory.display())
        }
        Identity::Sealer(directory) => format!("sealer {}", directory.display()),
        Identity::Tools => "tools".into(),
        Identity::Purge(trash) => format!("purge {}", trash.display()),
        Identity::Look => "look".into(),
        Identity::Access(unit, _) => format!("access {unit}"),
        Identity::Accounts => "accounts".into(),
        Identity::NginxTest => "nginx-test".into(),
    };
    data_encoding::HEXLOWER.encode(&Sha256::digest(name)[..8])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{create_dir, remove_dir, write};

    #[test]
    fn a_folder_that_was_made_again_makes_another_shape() {
        let dir = tempfile::tempdir().unwrap();
        let (media, tree) = (dir.path().join("media"), dir.path().join("tree"));
        let shape = || {
            let mut property = OsString::from("--property=ReadWritePaths=-");
            property.push(&media);
            Shape::of(&["cid-helper".into(), property, tree.clone().into()])
        };
        create_dir(&media).unwrap();
        create_dir(&tree).unwrap();
        let before = shape();
        write(media.join("a.png"), "a").unwrap();
        std::fs::remove_file(media.join("a.png")).unwrap();
        assert_eq!(shape(), before, "what is in a folder does not count");
        for folder in [&media, &tree] {
            let before = shape();
            remove_dir(folder).unwrap();
            assert_ne!(shape(), before);
            create_dir(folder).unwrap();
            assert_ne!(shape(), before);
        }
    }
}
