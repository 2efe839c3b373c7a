//! What Linux offers to the daemon and to `cid-helper` alike.

/// Access lists.
pub mod acl;
/// Control groups.
pub mod cgroup;
/// Processes, and how to end all of them.
pub mod reaper;
/// System V shared memory, message queues and semaphores.
pub mod sysvipc;
