//! What the daemon and `cid-helper` both know: requests and their replies, the run file of a workspace,
//! faults, and how large anything may be.

/// How much of anything a repository or a caller may choose.
pub mod budget;
/// Which environment variables are passed on.
pub mod environment;
/// What can go wrong outside.
pub mod fault;
/// What a person's command and its helper say to each other.
pub mod frame;
/// Names of process types.
pub mod process_type;
/// What a helper can be asked to do.
pub mod request;
/// What a workspace's processes are.
pub mod run_file;
/// What a helper answers.
pub mod wire;
