//! The keys that ssh shows to a server, and what is wrong with them.

use crate::git::program::Git;
use cid_kernel::reaper;
use nix::unistd::{User, geteuid, getppid};
use std::path::{Path, PathBuf};

pub(super) fn known_hosts(git: &Git<'_>) -> PathBuf {
    git.remote
        .known_hosts
        .clone()
        .unwrap_or_else(|| home().join(".ssh/known_hosts"))
}

pub(super) fn key(git: &Git<'_>) -> String {
    match &git.remote.identity_file {
        Some(file) => file.display().to_string(),
        None => format!("the deploy user's key in {}", home().join(".ssh").display()),
    }
}

/// Whether ssh finds no key of the user's own to show.
pub(super) fn has_no_key(home: &Path) -> bool {
    let ssh = home.join(".ssh");
    // Either may name keys elsewhere.
    let other = ssh.join("config").exists() || std::env::var_os("SSH_AUTH_SOCK").is_some();
    !other && !keys_of(home).iter().any(|key| key.exists())
}

/// The keys that ssh shows by itself.
pub(super) fn keys_of(home: &Path) -> Vec<PathBuf> {
    const KINDS: [&str; 6] = ["rsa", "dsa", "ecdsa", "ecdsa_sk", "ed25519", "ed25519_sk"];
    let path = |kind| home.join(".ssh").join(format!("id_{kind}"));
    KINDS.map(path).to_vec()
}

/// Whether a private key is encrypted: ssh cannot sign with it, and says no more than that the server refuses.
pub(super) fn has_passphrase(key: &Path) -> bool {
    const OPENSSH: &str = "-----BEGIN OPENSSH PRIVATE KEY-----";
    /// How such a key begins that is not encrypted: its format, and `none` for the cipher.
    const PLAIN: &str = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmU";
    let text = std::fs::read_to_string(key).unwrap_or_default();
    match text.trim_start().strip_prefix(OPENSSH) {
        Some(key) => !key.trim_start().starts_with(PLAIN),
        None => text.lines().take(3).any(|line| line.contains("ENCRYPTED")),
    }
}

pub(super) fn make_key(home: &Path) -> String {
    let key = home.join(".ssh/id_ed25519");
    // In a sandbox cid's own user is who reads this.
    let is_own = reaper::user(getppid().as_raw().cast_unsigned()) == Some(geteuid().as_raw());
    let user = User::from_uid(geteuid()).ok().flatten();
    let who = match user {
        Some(user) if !is_own => format!("runuser -u {} -- ", user.name),
        _ => String::new(),
    };
    format!(
        "make one: {who}ssh-keygen -t ed25519 -N '' -f {0}; then give the server its public half, {0}.pub",
        key.display()
    )
}

pub(super) fn home() -> PathBuf {
    std::env::home_dir().unwrap_or_else(|| "~".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_a_key_that_nobody_can_use_without_a_passphrase() {
        let dir = tempfile::tempdir().unwrap();
        for (name, args, wanted) in [
            ("plain", &["-t", "ed25519", "-N", ""][..], false),
            ("locked", &["-t", "ed25519", "-N", "secret"], true),
            (
                "pem",
                &["-t", "rsa", "-b", "2048", "-m", "PEM", "-N", ""],
                false,
            ),
            (
                "pem_locked",
                &["-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "secret"],
                true,
            ),
            (
                "pkcs8_locked",
                &["-t", "ecdsa", "-m", "PKCS8", "-N", "secret"],
                true,
            ),
        ] {
            let key = dir.path().join(name);
            let mut make = std::process::Command::new("ssh-keygen");
            let made = make.arg("-q").args(args).arg("-f").arg(&key).status();
            assert!(made.unwrap().success());
            assert_eq!(has_passphrase(&key), wanted, "{name}");
        }
        assert!(!has_passphrase(&dir.path().join("missing")));
    }

    #[test]
    fn knows_a_user_without_a_key() {
        let home = tempfile::tempdir().unwrap();
        let is_asked = std::env::var_os("SSH_AUTH_SOCK").is_none();
        assert_eq!(has_no_key(home.path()), is_asked);
        assert!(make_key(home.path()).contains("ssh-keygen -t ed25519 -N '' -f "));
        let ssh = home.path().join(".ssh");
        std::fs::create_dir(&ssh).unwrap();
        assert_eq!(has_no_key(home.path()), is_asked);
        std::fs::write(ssh.join("id_rsa"), "x").unwrap();
        assert!(!has_no_key(home.path()));
        std::fs::remove_file(ssh.join("id_rsa")).unwrap();
        std::fs::write(ssh.join("config"), "IdentityFile /k").unwrap();
        assert!(!has_no_key(home.path()));
    }
}
