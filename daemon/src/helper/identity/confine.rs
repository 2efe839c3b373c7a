//! Which files a process and all that it starts may reach, by Landlock: beyond what users and
//! groups say, and for good.

use crate::system::fault::{Fault, FaultContext};
use landlock::{
    ABI, Access, AccessFs, BitFlags, RestrictionStatus, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetError, RulesetStatus, path_beneath_rules,
};
use std::{fs, path::PathBuf};

/// The newest rules used here; older kernels enforce what they know of them.
const RULES: ABI = ABI::V5;

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
const DEVICES: &[&str] = &[
    "/dev/full",
    "/dev/null",
    "/dev/ptmx",
    "/dev/pts",
    "/dev/random",
    "/dev/tty",
    "/dev/urandom",
    "/dev/zero",
];
/// For what lives only as long as a process. A helper's unit has folders of its own in their place.
pub(in crate::helper) const UNITS_OWN: &[&str] = &["/dev/shm", "/tmp", "/var/tmp"];
/// All apps share a unit, and with it these: a file that one leaves there another would read. Their
/// TMPDIR is the workspace's own. Semaphores and shared memory have no other place.
pub(in crate::helper) const SHARED: &[&str] = &["/dev/shm"];

/// Shuts everything but the system's own files, `readable`, `writable` and `scratch`. What is not there now
/// stays shut when it comes.
///
/// # Errors
/// The kernel knows Landlock and refuses. That it does not know it is only told.
pub(in crate::helper) fn confine(
    writable: &[PathBuf],
    readable: &[PathBuf],
    scratch: &[&str],
) -> Result<(), Fault> {
    for path in writable.iter().chain(readable) {
        if let Err(error) = fs::metadata(path) {
            eprintln!("cid-helper: {} stays shut: {error}", path.display());
        }
    }
    let status = restrict(writable, readable, scratch).cannot("restrict itself by Landlock")?;
    if status.ruleset == RulesetStatus::NotEnforced {
        eprintln!(
            "cid-helper: Landlock is not to be had here: only users and groups say which files \
             this process reaches"
        );
    }
    Ok(())
}

fn restrict(
    writable: &[PathBuf],
    readable: &[PathBuf],
    scratch: &[&str],
) -> Result<RestrictionStatus, RulesetError> {
    let all = AccessFs::from_all(RULES);
    let look: BitFlags<AccessFs> = AccessFs::ReadFile | AccessFs::ReadDir;
    let use_device = look | AccessFs::WriteFile | AccessFs::IoctlDev;
    let change = all & !(AccessFs::MakeBlock | AccessFs::MakeChar);
    Ruleset::default()
        .handle_access(all)?
        .create()?
        .add_rules(path_beneath_rules(PROGRAMS, look | AccessFs::Execute))?
        .add_rules(path_beneath_rules(readable, look | AccessFs::Execute))?
        .add_rules(path_beneath_rules(FACTS, look))?
        .add_rules(path_beneath_rules(DEVICES, use_device))?
        .add_rules(path_beneath_rules(scratch, change))?
        .add_rules(path_beneath_rules(writable, change))?
        .restrict_self()
}
