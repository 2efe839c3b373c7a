//! What must not succeed, tried on a booted host by code that has the rights that such code has.

/// Full disks, and files that are hard to get rid of.
mod files;
/// What git would run.
mod git;
/// Processes without end, and those that hide.
mod processes;
/// What is left of root's rights.
mod rights;
/// Sockets of others.
mod sockets;

/// All that must be as before once everything is deleted: files, accounts, processes, sockets, units.
const WATCHED: &[&str] = &[
    "/etc/cid",
    "/etc/group",
    "/etc/nginx",
    "/etc/passwd",
    "/run/cid",
    "/srv/cid",
    "/tmp",
    "/var/lib/cid/apps",
    "/var/lib/cid/nginx",
    "/var/lib/cid/supervisor",
    "/var/lib/cid/trash",
    "/var/log/cid",
    "/var/tmp",
];
