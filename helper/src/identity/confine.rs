//! Which files a process and all that it starts may reach, on which ports they may listen and which
//! sockets without a file they may call, by Landlock: beyond what users and groups say, and for good.

use cid_protocol::fault::{Fault, FaultContext};
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, NetPort, RestrictionStatus, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, path_beneath_rules,
};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The newest rules for files used here; older kernels enforce what they know of them.
const RULES: ABI = ABI::V5;
/// Has the kernel choose a port, of a range in which no workspace has its own
/// (`net.ipv4.ip_local_port_range`).
const ANY_PORT: u16 = 0;

/// The system's programs, libraries and settings.
const PROGRAMS: &[&str] = &[
    "/usr", "/lib", "/lib32", "/lib64", "/libx32", "/bin", "/sbin", "/etc", "/opt",
];
/// What runtimes ask of the kernel (processors, memory limits), and where /etc/resolv.conf leads.
const FACTS: &[&str] = &[
    "/proc",
    "/sys/devices/system",
    "/sys/fs/cgroup",
    "/sys/kernel/mm/transparent_hugepage",
    "/run/NetworkManager",
    "/run/resolvconf",
    "/run/systemd/resolve",
];
/// No terminal: the account may have others, of people at work in the same workspace.
const DEVICES: &[&str] = &[
    "/dev/full",
    "/dev/null",
    "/dev/random",
    "/dev/urandom",
    "/dev/zero",
];
/// A process's own terminal, under the name by which programs ask for it.
const OWN_TERMINAL: &str = "/dev/tty";
/// For what lives only as long as a process. A helper's unit has folders of its own in their place.
pub(crate) const UNITS_OWN: &[&str] = &["/dev/shm", "/tmp", "/var/tmp"];
/// All apps share a unit, and with it these: a file that one leaves there another would read. Their
/// TMPDIR is the workspace's own. Semaphores and shared memory have no other place.
pub(crate) const SHARED: &[&str] = &["/dev/shm"];

/// What a process may reach besides the system's own files. What is not there now stays shut when it
/// comes.
#[derive(Debug)]
pub(crate) struct Walls<'a> {
    /// What it may change.
    pub(crate) writable: &'a [PathBuf],
    /// What it may read and execute.
    pub(crate) readable: &'a [PathBuf],
    /// What is for everybody, and lives as long as a process.
    pub(crate) scratch: &'a [&'a str],
    /// TCP ports it may listen on, besides those that the kernel chooses. A process that could take any port
    /// would get the visitors of a neighbour whose app is down. Since Linux 6.7.
    pub(crate) ports: &'a [u16],
    /// The device of its own terminal.
    pub(crate) terminal: Option<&'a Path>,
}

/// Shuts everything else, and Unix sockets without a file that others listen on.
///
/// # Errors
/// The kernel knows Landlock and refuses. That it does not know it is only told.
pub(crate) fn confine(walls: &Walls<'_>) -> Result<(), Fault> {
    for path in walls.writable.iter().chain(walls.readable) {
        if let Err(error) = fs::metadata(path) {
            eprintln!("cid-helper: {} stays shut: {error}", path.display());
        }
    }
    let status = restrict(walls).cannot("restrict itself by Landlock")?;
    if status.ruleset == RulesetStatus::NotEnforced {
        eprintln!(
            "cid-helper: Landlock is not to be had here: only users and groups say which files \
             this process reaches"
        );
    }
    Ok(())
}

fn restrict(walls: &Walls<'_>) -> Result<RestrictionStatus, RulesetError> {
    let all = AccessFs::from_all(RULES);
    let look: BitFlags<AccessFs> = AccessFs::ReadFile | AccessFs::ReadDir;
    let use_device = look | AccessFs::WriteFile | AccessFs::IoctlDev;
    let change = all & !(AccessFs::MakeBlock | AccessFs::MakeChar);
    let terminal = walls.terminal.map(|own| [own, Path::new(OWN_TERMINAL)]);
    let ports = walls.ports.iter().copied().chain([ANY_PORT]);
    Ruleset::default()
        .handle_access(all)?
        .handle_access(AccessNet::BindTcp)?
        .scope(Scope::AbstractUnixSocket)?
        .create()?
        .add_rules(ports.map(|port| Ok::<_, RulesetError>(NetPort::new(port, AccessNet::BindTcp))))?
        .add_rules(path_beneath_rules(PROGRAMS, look | AccessFs::Execute))?
        .add_rules(path_beneath_rules(walls.readable, look | AccessFs::Execute))?
        .add_rules(path_beneath_rules(FACTS, look))?
        .add_rules(path_beneath_rules(DEVICES, use_device))?
        .add_rules(path_beneath_rules(
            terminal.into_iter().flatten(),
            use_device,
        ))?
        .add_rules(path_beneath_rules(walls.scratch, change))?
        .add_rules(path_beneath_rules(walls.writable, change))?
        .restrict_self()
}
