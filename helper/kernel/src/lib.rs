//! What Linux offers to the daemon and to `cid-helper` alike.

/// Accounts and groups.
pub mod accounts;
/// Access lists.
pub mod acl;
/// Control groups.
pub mod cgroup;
/// Files that only cid writes.
pub mod fs;
/// Processes, and how to end all of them.
pub mod reaper;
/// Room on file systems.
pub mod room;
/// System V shared memory, message queues and semaphores.
pub mod sysvipc;
