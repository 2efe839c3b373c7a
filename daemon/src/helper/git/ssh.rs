//! git's SSH program is `cid-helper` itself, which becomes `ssh`: so no shell reads the options,
//! and a path with a space in it is just a path.

use crate::{
    helper::request::Remote,
    system::fault::{Fault, FaultContext},
};
use std::{env, ffi::OsString, os::unix::process::CommandExt, process::Command};

const MARK: &str = "CID_HELPER_SSH";
const IDENTITY_FILE: &str = "CID_HELPER_SSH_IDENTITY_FILE";
const KNOWN_HOSTS: &str = "CID_HELPER_SSH_KNOWN_HOSTS";

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
    "ControlMaster=no",
    "ControlPath=none",
];

/// Whether git started this process as its SSH program.
pub(in crate::helper) fn is_asked_for() -> bool {
    env::var_os(MARK).is_some()
}

/// What git needs to start `cid-helper` as its SSH program.
pub(super) fn environment(remote: &Remote) -> Result<Vec<(&'static str, OsString)>, Fault> {
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
    Ok(set)
}

/// Becomes `ssh`; returns only when that fails.
pub(in crate::helper) fn become_ssh() -> Fault {
    let arguments = arguments(env::var_os(IDENTITY_FILE), env::var_os(KNOWN_HOSTS));
    let error = Command::new("ssh")
        .args(arguments)
        .args(env::args_os().skip(1))
        .env_remove(MARK)
        .env_remove(IDENTITY_FILE)
        .env_remove(KNOWN_HOSTS)
        .exec();
    Fault::new(format!("cannot run ssh: {error}")).hint("cid needs the package openssh-client")
}

fn arguments(identity_file: Option<OsString>, known_hosts: Option<OsString>) -> Vec<OsString> {
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
    use super::*;

    #[test]
    fn leaves_the_users_configuration_out_when_all_is_given() {
        let all = arguments(Some("/k".into()), Some("/h h".into()));
        assert!(all.windows(2).any(|pair| pair == ["-F", "/dev/null"]));
        assert!(all.contains(&"UserKnownHostsFile=\"/h h\"".into()));
        assert!(all.windows(2).any(|pair| pair == ["-i", "/k"]));
        let own = arguments(None, None);
        assert!(!own.contains(&"-F".into()) && own.contains(&"StrictHostKeyChecking=yes".into()));
    }
}
