//! Where cid keeps things on disk: one value for the sandbox, one for an installed host.

use crate::domain::{CertificateName, ProjectName, UnitName};
use cid_protocol::run_file::{WEB_SOCKET, own_web_socket};
use std::path::{Path, PathBuf};

/// The folders that hold everything of cid, and the names inside them.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The operator's files: `cid.toml`, `projects.d/`, `nginx.d/`.
    pub config_dir: PathBuf,
    /// Sockets, pid files and locks; may be emptied by a reboot.
    pub run_dir: PathBuf,
    /// Ledger, mirrors, packages, generated configuration.
    pub state_dir: PathBuf,
    /// Logs of the engines and the apps.
    pub log_dir: PathBuf,
    /// A project's workspaces live in `work_root/PROJECT` unless its file says otherwise.
    pub work_root: PathBuf,
}

impl Layout {
    /// The sandbox's: `etc`, `run`, `state`, `log` and `work` inside `dir`, which is absolute.
    pub fn sandbox(dir: &Path) -> Self {
        Self {
            config_dir: dir.join("etc"),
            run_dir: dir.join("run"),
            state_dir: dir.join("state"),
            log_dir: dir.join("log"),
            work_root: dir.join("work"),
        }
    }

    /// An installed host's, as the package lays it out.
    pub fn host() -> Self {
        Self {
            config_dir: "/etc/cid".into(),
            run_dir: "/run/cid".into(),
            state_dir: "/var/lib/cid".into(),
            log_dir: "/var/log/cid".into(),
            work_root: "/srv/cid".into(),
        }
    }

    /// The daemon's own settings.
    pub fn config_file(&self) -> PathBuf {
        self.config_dir.join("cid.toml")
    }
    /// One `NAME.toml` per project.
    pub fn projects_dir(&self) -> PathBuf {
        self.config_dir.join("projects.d")
    }
    /// The socket people's clients use.
    pub fn socket(&self) -> PathBuf {
        self.run_dir.join("cid.sock")
    }
    /// The socket of the web front alone, in a folder of its own: the front confines itself to it.
    pub fn web_socket(&self) -> PathBuf {
        self.run_dir.join("web/web.sock")
    }
    /// What the daemon tells of the last time it read the projects; on a host.
    pub fn reload_file(&self) -> PathBuf {
        self.run_dir.join("reload")
    }
    /// Held (flock) by the one daemon that owns this layout.
    pub fn lock_file(&self) -> PathBuf {
        self.state_dir.join("cid.lock")
    }
    /// The ledger.
    pub fn database(&self) -> PathBuf {
        self.state_dir.join("cid.db")
    }
    /// Vhosts of the workspaces, `UNIT.conf` each; included by nginx.
    pub fn vhost_dir(&self) -> PathBuf {
        self.state_dir.join("nginx/vhosts")
    }
    /// cid's own copies of projects' certificates with their keys, for root alone.
    pub fn certificate_dir(&self) -> PathBuf {
        self.state_dir.join("tls")
    }
    /// A certificate of a project's, its chain and its key, as vhosts name it.
    pub fn certificate(&self, name: &CertificateName) -> PathBuf {
        self.certificate_dir().join(format!("{name}.pem"))
    }
    /// Where nginx is asked about a certificate before it becomes a project's.
    pub fn certificate_trial_dir(&self) -> PathBuf {
        self.certificate_dir().join("trial")
    }
    /// Programs of the workspaces, `UNIT.conf` each; included by supervisord.
    pub fn program_dir(&self) -> PathBuf {
        self.state_dir.join("supervisor/programs")
    }
    /// supervisord's own socket.
    pub fn supervisor_socket(&self) -> PathBuf {
        self.supervisor_dir().join("supervisor.sock")
    }
    /// Where the daemon listens for what supervisord tells.
    pub fn supervisor_events(&self) -> PathBuf {
        self.supervisor_dir().join("events.sock")
    }
    /// The folder of cid's own part of supervisord, in a sandbox.
    pub fn supervisor_plugin_dir(&self) -> PathBuf {
        self.state_dir.join("supervisor/python")
    }
    /// The folder of those sockets, for nobody else.
    pub fn supervisor_dir(&self) -> PathBuf {
        self.run_dir.join("supervisor")
    }
    /// Run files: environment and processes of a workspace, read by `cid-helper app`.
    pub fn run_file(&self, unit: &UnitName) -> PathBuf {
        self.run_file_dir().join(format!("{unit}.json"))
    }
    /// The folder of the run files.
    pub fn run_file_dir(&self) -> PathBuf {
        self.state_dir.join("apps")
    }
    /// Process ids of running apps, `UNIT.PROCESS` each, written by `cid-helper app`.
    pub fn app_pid_dir(&self) -> PathBuf {
        self.run_dir.join("apps")
    }
    /// `work_root` once more, on a host: nginx reaches sockets of apps by it, and follows no link there.
    pub fn work_view(&self) -> PathBuf {
        self.run_dir.join("work")
    }
    /// Output of jobs that their journals have no room for.
    pub fn job_outputs_dir(&self) -> PathBuf {
        self.log_dir.join("jobs")
    }
    /// That of one step of a job.
    pub fn job_output(&self, job: &str, step: usize) -> PathBuf {
        self.job_outputs_dir().join(format!("{job}.{step}"))
    }
    /// Where nginx writes whose visitors came.
    pub fn visits_file(&self) -> PathBuf {
        self.log_dir.join("visits.log")
    }
    /// A file `UNIT` for each workspace whose processes are not to run. nginx looks here at each request.
    pub fn away_dir(&self) -> PathBuf {
        self.run_dir.join("away")
    }
    /// While this file is there, nginx asks the front instead of the app.
    pub fn away_flag(&self, unit: &UnitName) -> PathBuf {
        self.away_dir().join(unit.as_str())
    }
    /// Logs of a workspace's processes, `PROCESS.log` each.
    pub fn app_log_dir(&self, unit: &UnitName) -> PathBuf {
        self.app_logs_dir().join(unit.as_str())
    }
    /// The folder of all workspaces' log folders.
    pub fn app_logs_dir(&self) -> PathBuf {
        self.log_dir.join("apps")
    }
    /// The folder of a project's mirror, in which the deploy user may write.
    pub fn mirror_dir(&self, project: &ProjectName) -> PathBuf {
        self.state_dir.join("mirrors").join(project.as_str())
    }
    /// The bare mirror of a project's repository.
    pub fn mirror(&self, project: &ProjectName) -> PathBuf {
        self.mirror_dir(project).join("mirror.git")
    }
    /// Shared packages of a project, one folder a key.
    pub fn packages(&self, project: &ProjectName) -> PathBuf {
        self.state_dir.join("packages").join(project.as_str())
    }
    /// Builds of a project, one folder a number.
    pub fn builds(&self, project: &ProjectName) -> PathBuf {
        self.state_dir.join("builds").join(project.as_str())
    }
    /// Templates of a project, one folder a number.
    pub fn templates(&self, project: &ProjectName) -> PathBuf {
        self.state_dir.join("templates").join(project.as_str())
    }
    /// Tools that cid brought in itself, e.g. uv: builders run them and must not be able to
    /// change them.
    pub fn tools_dir(&self) -> PathBuf {
        self.state_dir.join("tools")
    }
    /// Says of shared packages that cid saw them completed.
    pub fn package_mark(&self, project: &ProjectName, key: &str) -> PathBuf {
        self.package_marks(project).join(key)
    }
    /// All that making a workspace writes to, where it can be on a file system of its own.
    pub fn places(&self, project: &ProjectName, work_dir: &Path) -> Vec<PathBuf> {
        vec![
            work_dir.to_owned(),
            self.state_dir.clone(),
            self.mirror_dir(project),
            self.packages(project),
            self.builds(project),
            self.templates(project),
            self.log_dir.clone(),
        ]
    }
    /// The folders that have one for each project.
    pub fn folders_by_project(&self) -> [PathBuf; 5] {
        ["mirrors", "packages", "built", "builds", "templates"]
            .map(|name| self.state_dir.join(name))
    }
    /// The folder of those.
    pub fn package_marks(&self, project: &ProjectName) -> PathBuf {
        self.state_dir.join("built").join(project.as_str())
    }
    /// Which projects' groups were made here, an empty file each.
    pub fn made_groups_dir(&self) -> PathBuf {
        self.state_dir.join("groups")
    }
    /// A host's copy of `cid-helper`, which the package makes and which outlives it: apps start by it.
    pub fn app_helper(&self) -> PathBuf {
        self.state_dir.join("supervisor/cid-helper")
    }
    /// Lock files of running helpers.
    pub fn helper_dir(&self) -> PathBuf {
        self.run_dir.join("helpers")
    }
    /// Copies of project files as they last could be used.
    pub fn last_good_dir(&self) -> PathBuf {
        self.state_dir.join("projects")
    }

    /// What was moved away until its job is over, one folder a job; for things in `state_dir`.
    pub fn trash_dir(&self) -> PathBuf {
        self.state_dir.join("trash")
    }
    /// The same for logs, which may be on another file system.
    pub fn log_trash_dir(&self) -> PathBuf {
        self.log_dir.join(".trash")
    }
    /// An empty HOME whose git config is cid's own, for the deploy identity's local git work.
    pub fn helper_home(&self) -> PathBuf {
        self.state_dir.join("home")
    }
}

/// In a build's folder: the throw-away copy that its tests run in.
pub const TEST: &str = "test";

/// Where the web process's Unix socket is, in a workspace's folder.
pub const RUN: &str = "run";
/// In a stage's folder: what its app keeps.
pub const DATA: &str = "data";
/// In a stage's folder: copies of its database.
pub const BACKUPS: &str = "backups";

/// The Unix socket by which nginx reaches the web process: another name of the socket of the instance that answers.
pub fn web_socket(directory: &Path) -> PathBuf {
    directory.join(RUN).join(WEB_SOCKET)
}

/// The Unix socket that the web process of an instance binds. No instance binds [`web_socket`]: programs remove
/// what they have bound when they stop, and it may be another instance's by then.
pub fn own_socket(directory: &Path, instance: &UnitName) -> PathBuf {
    directory.join(RUN).join(own_web_socket(instance.number()))
}

/// Where folders of creations that were taken back are kept: people reach what is in them, and list nothing.
pub const KEPT_MODE: u32 = 0o711;

/// Beside the workspaces: folders of creations that were taken back and in which somebody had worked.
pub fn kept_dir(work_dir: &Path) -> PathBuf {
    work_dir.join(".kept")
}

/// The trash on the file system of a workspace's folder.
pub fn trash_dir(directory: &Path) -> PathBuf {
    directory.parent().unwrap_or(directory).join(".trash")
}
