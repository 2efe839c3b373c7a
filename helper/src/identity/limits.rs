//! Limits of a workspace's processes.

use cid_kernel::cgroup::Kept;
use cid_protocol::{
    fault::{Fault, FaultContext},
    run_file::Limits,
};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Sets them; a limit that is lower already stays. Core files, which would hold a process's secrets,
/// are never written. What a control group keeps for all processes together is left to that: the
/// user may have others, and a process that reserves memory need not use it.
pub(super) fn set(limits: &Limits, kept: Kept) -> Result<(), Fault> {
    let wanted = [
        (Resource::RLIMIT_CORE, Some(0), "the size of core files"),
        (
            Resource::RLIMIT_NOFILE,
            limits.open_files,
            "the number of open files",
        ),
        (
            Resource::RLIMIT_NPROC,
            limits.processes.filter(|_| !kept.processes),
            "the number of processes",
        ),
        (
            Resource::RLIMIT_DATA,
            limits.memory.filter(|_| !kept.memory),
            "the memory",
        ),
        (
            Resource::RLIMIT_FSIZE,
            limits.file_size,
            "the size of files",
        ),
    ];
    for (resource, wanted, what) in wanted {
        let Some(wanted) = wanted else { continue };
        let lower = |hard: u64| wanted.min(hard);
        getrlimit(resource)
            .and_then(|(_, hard)| setrlimit(resource, lower(hard), lower(hard)))
            .cannot(format!("limit {what}"))?;
    }
    Ok(())
}
