//! The first thing every helper does: leave behind what it must not keep. Its user and groups are
//! [`super::identity`]'s.

use cid_protocol::fault::{Fault, FaultContext};
use nix::{
    errno::Errno,
    sys::{prctl, resource, stat},
    unistd,
};
use std::fs;

/// What kind of process this becomes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Started by the daemon to serve requests.
    Server,
    /// Becomes a workspace's process. Its parent, supervisord, made the session.
    App,
    /// Stays parent of a person's command, in that person's session.
    Runner,
}

/// Files made on the way to a mirror or an environment: readable by the group.
const SHARED_UMASK: u32 = 0o027;
/// Files that everybody runs.
const OPEN_UMASK: u32 = 0o022;
/// Files made in a workspace's tree: writable by the group.
const TREE_UMASK: u32 = 0o007;
/// The usual one of a machine's own tools.
const SYSTEM_UMASK: u32 = 0o022;

/// Leaves behind descriptors, session, and the ways to more rights.
///
/// # Errors
/// The kernel refuses; then nothing must be done on anybody's behalf.
pub(super) fn settle(role: Role) -> Result<(), Fault> {
    close_descriptors()?;
    if role == Role::Server {
        match unistd::setsid() {
            // Already the leader of a session: systemd made one.
            Ok(_) | Err(Errno::EPERM) => {}
            Err(error) => return Err(error).cannot("begin a session"),
        }
        // A core would hold whatever secrets the request held.
        resource::setrlimit(resource::Resource::RLIMIT_CORE, 0, 0).cannot("forbid core files")?;
    }
    prctl::set_no_new_privs().cannot("give up new privileges")?;
    if role != Role::App {
        // Commands of the same account would otherwise have this process do what they may not.
        prctl::set_dumpable(false).cannot("forbid others to trace it")?;
        prctl::set_child_subreaper(true).cannot("become parent of orphans")?;
    }
    if role == Role::Server {
        shared_umask();
    } else {
        tree_umask();
    }
    Ok(())
}

/// For what a request makes outside of trees.
pub(super) fn shared_umask() {
    set_umask(SHARED_UMASK);
}

/// For what a request makes for everybody.
pub(super) fn open_umask() {
    set_umask(OPEN_UMASK);
}

/// For what a request makes in a tree.
pub(super) fn tree_umask() {
    set_umask(TREE_UMASK);
}

/// For what the machine's own tools make.
pub(super) fn system_umask() {
    set_umask(SYSTEM_UMASK);
}

fn set_umask(bits: u32) {
    stat::umask(stat::Mode::from_bits_truncate(bits));
}

/// Everything above standard error was left open by somebody else: at this point this process has
/// opened nothing of its own.
fn close_descriptors() -> Result<(), Fault> {
    let numbers: Vec<i32> = fs::read_dir("/proc/self/fd")
        .cannot("list open descriptors")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|&number| number > 2)
        .collect();
    for number in numbers {
        // The listing's own descriptor is closed already.
        let _ = unistd::close(number);
    }
    Ok(())
}
