//! `cid.toml`: the daemon's own settings. Every one has a default.

use super::{ConfigError, Front, Mail, People, Seconds, Size, limits::MIB, load};
use serde::Deserialize;
use std::{num::NonZero, ops::RangeInclusive, path::Path, thread};

/// The daemon's settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Ports for workspaces, both ends included. Outside the kernel's ephemeral range (32768 to
    /// 60999 by default), or outgoing connections would take them at random.
    pub ports: PortRange,
    /// User ids for workspaces' accounts, both ends included; on a host only. None is given twice,
    /// so this is also how many workspaces there can ever be.
    pub workspace_uids: UidRange,
    /// How long things may take, and how many workspaces there may be.
    pub limits: Limits,
    /// The most jobs that may be live at once.
    pub max_jobs: NonZero<u32>,
    /// How many CPU-heavy steps (install, release) run at once; 0: one per core.
    pub heavy_steps: usize,
    /// How many connections to one git server are open at once.
    pub git_connections: NonZero<usize>,
    /// How large a project's mirror may get.
    pub max_repository: Size<MIB>,
    /// Create refuses to begin with less free space than this many MiB.
    pub min_free_mib: u64,
    /// For how many days ended jobs can be looked at.
    pub keep_jobs_days: u16,
    /// For how many days packages are kept that no workspace and no build uses, and a project's newest template.
    pub keep_packages_days: u16,
    /// Whether a Python that an app wants and the machine does not have is fetched.
    pub python_downloads: bool,
    /// Open connections per user id; further ones wait.
    pub max_connections_per_uid: usize,
    /// A sandbox's own nginx.
    pub nginx: OwnNginx,
    /// Who may sign in at the front.
    pub people: People,
    /// The front itself.
    pub front: Front,
    /// How mail is sent; `None`: it is not.
    pub mail: Option<Mail>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ports: PortRange(20000..=29999),
            workspace_uids: UidRange(70000..=99999),
            limits: Limits::default(),
            max_jobs: const { NonZero::new(512).unwrap() },
            heavy_steps: 0,
            git_connections: const { NonZero::new(4).unwrap() },
            max_repository: Size::<MIB>::DEFAULT_REPOSITORY,
            min_free_mib: 64,
            keep_jobs_days: 90,
            keep_packages_days: 30,
            python_downloads: false,
            max_connections_per_uid: 256,
            nginx: OwnNginx::default(),
            people: People::default(),
            front: Front::default(),
            mail: None,
        }
    }
}

/// `[nginx]`: the nginx of a sandbox; a server's is the operator's own.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OwnNginx {
    /// For how long a connection, such as a WebSocket, goes on after a reload.
    pub worker_shutdown_timeout: Seconds,
}

impl Default for OwnNginx {
    fn default() -> Self {
        Self {
            worker_shutdown_timeout: Seconds::new(3600),
        }
    }
}

/// How long things may take before they are ended and the job is taken back, and how many workspaces there
/// may be.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Talking to the git server: fetch, push, delete a branch.
    pub git: Seconds,
    /// Checking out the clone.
    pub clone: Seconds,
    /// Installing dependencies.
    pub install: Seconds,
    /// All release commands together.
    pub release: Seconds,
    /// Throwing a tree away.
    pub purge: Seconds,
    /// Everything else.
    pub step: Seconds,
    /// The most workspaces that there may be, of all projects.
    pub workspaces: NonZero<u32>,
    /// The most of one project, unless its file says otherwise.
    pub workspaces_per_project: NonZero<u32>,
    /// The most that one user has made; by the form, that one address has.
    pub workspaces_per_creator: NonZero<u32>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            git: Seconds::new(120),
            clone: Seconds::new(300),
            install: Seconds::new(900),
            release: Seconds::new(600),
            purge: Seconds::new(900),
            step: Seconds::new(60),
            workspaces: const { NonZero::new(500).unwrap() },
            workspaces_per_project: const { NonZero::new(100).unwrap() },
            workspaces_per_creator: const { NonZero::new(50).unwrap() },
        }
    }
}

/// `"20000-29999"`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct PortRange(pub RangeInclusive<u16>);

impl TryFrom<String> for PortRange {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let range = text
            .split_once('-')
            .and_then(|(from, to)| Some(from.parse::<u16>().ok()?..=to.parse::<u16>().ok()?));
        match range {
            Some(range) if *range.start() >= 1024 && range.start() <= range.end() => {
                Ok(Self(range))
            }
            _ => Err(format!(
                "`{text}` is not a range of ports like 20000-29999 (from 1024 on)"
            )),
        }
    }
}

/// `"70000-99999"`: above those of people, which useradd gives, and below those of containers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct UidRange(pub RangeInclusive<u32>);

impl TryFrom<String> for UidRange {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let range = text
            .split_once('-')
            .and_then(|(from, to)| Some(from.parse::<u32>().ok()?..=to.parse::<u32>().ok()?));
        // The last two numbers mean "none" to the kernel.
        match range {
            Some(range)
                if *range.start() >= 1000
                    && range.start() <= range.end()
                    && *range.end() < u32::MAX - 1 =>
            {
                Ok(Self(range))
            }
            _ => Err(format!(
                "`{text}` is not a range of user ids like 70000-99999 (from 1000 on)"
            )),
        }
    }
}

impl Settings {
    /// Reads the file; a missing one means the defaults.
    ///
    /// # Errors
    /// It cannot be read or breaks a rule.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        if path.exists() {
            load(path)
        } else {
            Ok(Self::default())
        }
    }

    /// How many heavy steps run at once on this machine.
    pub fn cores(&self) -> usize {
        match self.heavy_steps {
            0 => thread::available_parallelism().map_or(1, NonZero::get),
            steps => steps,
        }
    }
}
