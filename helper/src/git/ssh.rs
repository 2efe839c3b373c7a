//! git's SSH program is `cid-helper` itself, which runs `ssh`: so no shell reads the options,
//! and a path with a space in it is just a path.
//!
//! The first connection of a helper stays open for a while after git has ended, for what the helper
//! does next (OpenSSH's ControlMaster). It dies with the helper.

use cid_kernel::reaper;
use cid_protocol::{
    fault::{Fault, FaultContext},
    request::Remote,
};
use std::{
    env,
    ffi::OsString,
    fs,
    os::unix::{fs::DirBuilderExt, process::ExitStatusExt},
    path::{Path, PathBuf},
    process::{self, Command, ExitCode},
    sync::OnceLock,
    time::Duration,
};

const MARK: &str = "CID_HELPER_SSH";
const IDENTITY_FILE: &str = "CID_HELPER_SSH_IDENTITY_FILE";
const KNOWN_HOSTS: &str = "CID_HELPER_SSH_KNOWN_HOSTS";
/// The folder of the kept connection's socket.
const FOLDER: &str = "CID_HELPER_SSH_FOLDER";
/// Its socket, as ssh finds it from inside that folder: the whole path could be longer than a socket's may be.
const SOCKET: &str = "c";
/// For how long the connection is kept.
const KEEP: &str = "ControlPersist=60";
/// What the process that keeps it calls itself.
const TITLE: &[u8] = b"ssh: c [mux]";
/// ssh's status when it has lost the connection, or has had none.
const LOST_STATUS: i32 = 255;
/// Says so, where ssh itself says nothing: what keeps the connection has no error output.
pub(super) const LOST: &str = "cid-helper: ssh has no connection";
const HANG_UP_LIMIT: Duration = Duration::from_secs(5);

/// Where this helper's folder is to be, and the folder once it was needed.
static PLACE: OnceLock<PathBuf> = OnceLock::new();
static MADE: OnceLock<Option<PathBuf>> = OnceLock::new();

/// Never ask, never trust an unknown host, notice a dead one, open nothing beside the session.
/// Options on the command line win over those of configuration files.
const OPTIONS: &[&str] = &[
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    "UpdateHostKeys=no",
    "ConnectTimeout=10",
    "ServerAliveInterval=15",
    "ServerAliveCountMax=3",
    "ForwardAgent=no",
    "ForwardX11=no",
    "ClearAllForwardings=yes",
    "PermitLocalCommand=no",
];

/// Whether git started this process as its SSH program.
pub(crate) fn is_asked_for() -> bool {
    env::var_os(MARK).is_some()
}

/// What git needs to start `cid-helper` as its SSH program. A connection is kept for a helper with one
/// remote only: the next one would get it, whatever its address.
pub(super) fn environment(
    remote: &Remote,
    keeps: bool,
) -> Result<Vec<(&'static str, OsString)>, Fault> {
    let mut set = vec![
        (
            "GIT_SSH",
            env::current_exe().cannot("find cid-helper itself")?.into(),
        ),
        ("GIT_SSH_VARIANT", "ssh".into()),
        (MARK, "1".into()),
    ];
    set.extend(
        remote
            .identity_file
            .iter()
            .map(|file| (IDENTITY_FILE, file.into())),
    );
    set.extend(
        remote
            .known_hosts
            .iter()
            .map(|file| (KNOWN_HOSTS, file.into())),
    );
    let folder = keeps.then(folder).flatten();
    set.extend(folder.map(|folder| (FOLDER, folder.into())));
    Ok(set)
}

/// Has the connection's socket in a folder of this name; without a word it is a temporary one.
pub(crate) fn keep_in(folder: PathBuf) {
    // Set once, when the helper begins.
    let _ = PLACE.set(folder);
}

/// A folder of this helper's own; `None` where none can be made: then each git has a connection of its own.
fn folder() -> Option<&'static Path> {
    let make = || {
        let temporary = || env::temp_dir().join(format!("cid-ssh-{}", process::id()));
        let folder = PLACE.get().cloned().unwrap_or_else(temporary);
        let made = fs::DirBuilder::new().mode(0o700).create(&folder);
        made.is_ok().then_some(folder)
    };
    MADE.get_or_init(make).as_deref()
}

/// Whether this process is what keeps the connection.
pub(super) fn keeps(pid: i32) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    line.strip_prefix(TITLE)
        .is_some_and(|rest| rest.iter().all(|&byte| byte == 0))
}

/// Ends the connection that is kept. Nothing else runs between two requests.
///
/// # Errors
/// It lives on.
pub(crate) fn hang_up() -> Result<(), Fault> {
    let gone = reaper::kill_descendants(process::id().cast_signed(), HANG_UP_LIMIT);
    reaper::reap_orphans();
    match gone {
        true => Ok(()),
        false => Err(Fault::new("cannot end the connection to the git server")),
    }
}

/// Runs `ssh` and ends as it does.
pub(crate) fn run_ssh() -> Result<ExitCode, Fault> {
    let folder = env::var_os(FOLDER);
    let mut command = Command::new("ssh");
    command
        .args(arguments(
            env::var_os(IDENTITY_FILE),
            env::var_os(KNOWN_HOSTS),
            folder.is_some(),
        ))
        .args(env::args_os().skip(1))
        .env_remove(MARK)
        .env_remove(IDENTITY_FILE)
        .env_remove(KNOWN_HOSTS)
        .env_remove(FOLDER);
    if let Some(folder) = folder {
        command.current_dir(folder);
    }
    let status = command.status().map_err(|error| {
        Fault::new(format!("cannot run ssh: {error}")).hint("cid needs the package openssh-client")
    })?;
    let code = status.code();
    if code.is_none_or(|code| code == LOST_STATUS) {
        eprintln!("{LOST}");
    }
    let code = code.unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)))
}

fn arguments(
    identity_file: Option<OsString>,
    known_hosts: Option<OsString>,
    keep: bool,
) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = ["-a", "-x", "-T"].map(Into::into).into();
    // When the operator's file says it all, nothing else shall have a say; otherwise the deploy
    // user's own configuration may hold the key, an alias or a jump host.
    if identity_file.is_some() && known_hosts.is_some() {
        arguments.extend(["-F".into(), "/dev/null".into()]);
    }
    let mut option = |option: OsString| arguments.extend(["-o".into(), option]);
    for fixed in OPTIONS {
        option(fixed.into());
    }
    if keep {
        option("ControlMaster=auto".into());
        option(with("ControlPath=", &OsString::from(SOCKET)));
        option(KEEP.into());
    } else {
        option("ControlMaster=no".into());
        option("ControlPath=none".into());
    }
    if let Some(file) = known_hosts {
        option(with("UserKnownHostsFile=", &file));
        option("GlobalKnownHostsFile=/dev/null".into());
    }
    if let Some(file) = identity_file {
        option("IdentitiesOnly=yes".into());
        option("IdentityAgent=none".into());
        arguments.extend(["-i".into(), file]);
    }
    arguments
}

/// In quotes: ssh splits an option's value at spaces.
fn with(option: &str, file: &OsString) -> OsString {
    let mut text = OsString::from(option);
    text.push("\"");
    text.push(file);
    text.push("\"");
    text
}

#[cfg(test)]
mod tests {
    use crate::git::ssh::*;

    #[test]
    fn leaves_the_users_configuration_out_when_all_is_given() {
        let all = arguments(Some("/k".into()), Some("/h h".into()), true);
        assert!(all.windows(2).any(|pair| pair == ["-F", "/dev/null"]));
        assert!(all.contains(&"UserKnownHostsFile=\"/h h\"".into()));
        assert!(all.windows(2).any(|pair| pair == ["-i", "/k"]));
        assert!(all.contains(&KEEP.into()));
        let own = arguments(None, None, false);
        assert!(own.contains(&"ControlPath=none".into()));
        assert!(!own.contains(&"-F".into()) && own.contains(&"StrictHostKeyChecking=yes".into()));
    }
}
