use super::{cgroup::Group, dir, mounts};
use crate::command::run;
use anyhow::{Context, Result, ensure};
use nix::unistd::Uid;
use std::{
    env, fmt, fs,
    path::Path,
    process::{self, Command},
    sync::OnceLock,
    time::Duration,
};

/// The programs a host needs, and Debian's packages of them.
const PROGRAMS: [(&str, &str); 2] = [
    ("debootstrap", "debootstrap"),
    ("systemd-nspawn", "systemd-container"),
];

/// Why this machine cannot boot a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// The caller is not root.
    NotRoot,
    /// The kernel, or what this runs in, forbids something that a host needs.
    NotPermitted(String),
    /// Programs are not installed; these packages bring them.
    Missing(Vec<&'static str>),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRoot => f.write_str("it takes root"),
            Self::NotPermitted(what) => f.write_str(what),
            Self::Missing(packages) => {
                write!(f, "these packages are missing: {}", packages.join(" "))
            }
        }
    }
}

/// Whether a host can be booted here. Where it can be, a host that does not boot is a fault.
///
/// # Errors
/// It cannot, and why.
pub fn available() -> Result<(), Why> {
    static PERMITTED: OnceLock<Result<(), Why>> = OnceLock::new();
    PERMITTED.get_or_init(permitted).clone()?;
    let missing: Vec<&str> = PROGRAMS
        .iter()
        .filter(|(program, _)| !is_installed(program))
        .map(|(_, package)| *package)
        .collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(Why::Missing(missing))
    }
}

fn permitted() -> Result<(), Why> {
    if !Uid::effective().is_root() {
        return Err(Why::NotRoot);
    }
    [namespaces, groups, overlay]
        .iter()
        .try_for_each(|probe| probe())
        .map_err(|error| Why::NotPermitted(format!("{error:#}")))
}

fn namespaces() -> Result<()> {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--pid", "--net", "--uts", "--ipc", "--fork"]);
    command.arg("true");
    let output = run(&mut command, Duration::from_secs(20))?;
    let said = output.stderr.trim();
    ensure!(output.status == 0, "cannot make namespaces: {said}");
    Ok(())
}

fn groups() -> Result<()> {
    Group::make(&probe_name(), &[])?.kill_and_remove()
}

/// As a host is mounted.
fn overlay() -> Result<()> {
    let probe = dir().join(probe_name());
    let [lower, written, root] = ["lower", "written", "root"].map(|name| probe.join(name));
    for dir in [&lower, &written, &root] {
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    }
    let mounted = mounts::mount("tmpfs", &written, "mode=755").and_then(|()| {
        let [upper, work] = ["upper", "work"].map(|name| written.join(name));
        fs::create_dir(&upper)?;
        fs::create_dir(&work)?;
        mounts::overlay(std::iter::once(lower), &upper, &work, &root)
    });
    let unmounted = mounts::unmount(&root).and_then(|()| mounts::unmount(&written));
    fs::remove_dir_all(&probe).with_context(|| format!("cannot remove {}", probe.display()))?;
    mounted.and(unmounted)
}

fn probe_name() -> String {
    format!("cid-probe-{}", process::id())
}

fn is_installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/bin"].map(Into::into))
        .any(|dir: std::path::PathBuf| Path::new(&dir).join(program).is_file())
}
