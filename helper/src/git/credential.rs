//! How git gets at user and token: it asks `cid-helper` itself, which reads them from a descriptor that
//! git inherits. So they are in no command line, no environment and no file.

use crate::git::remote::Url;
use cid_protocol::{
    environment::Environment,
    fault::{Fault, FaultContext},
    request::UseCredential,
};
use rustix::fs::{MemfdFlags, memfd_create};
use std::{
    env,
    fs::File,
    io::Write,
    os::fd::AsRawFd,
    process::ExitCode,
    sync::{Mutex, PoisonError},
};

/// The descriptor's number.
const MARK: &str = "CID_HELPER_ASKPASS";
/// `HOST` or `HOST:PORT` that they are for. A server that leads elsewhere gets nothing.
const SERVER: &str = "CID_HELPER_ASKPASS_FOR";

/// What this helper was given: it serves one identity of one job.
static KEPT: Mutex<Option<UseCredential>> = Mutex::new(None);

/// Keeps user and token for the requests that follow.
pub(crate) fn keep(ask: UseCredential) {
    *KEPT.lock().unwrap_or_else(PoisonError::into_inner) = Some(ask);
}

/// User and token in memory, for git and what git starts, until this is dropped.
pub(super) struct Offer {
    memory: File,
    server: String,
}

impl Offer {
    /// What was given, for a server that takes such; `None` where there is nothing to offer.
    pub(super) fn to(url: &Url) -> Result<Option<Self>, Fault> {
        let kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        let (Url::Https(_), Some(kept)) = (url, &*kept) else {
            return Ok(None);
        };
        // Without CLOEXEC: it is there to be inherited.
        let memory = memfd_create(c"credential", MemfdFlags::empty()).cannot("keep the token")?;
        let mut memory = File::from(memory);
        write!(memory, "{}\n{}\n", kept.user, kept.token.expose()).cannot("keep the token")?;
        Ok(Some(Self {
            memory,
            server: authority(&url.text()).to_owned(),
        }))
    }

    /// What git needs to ask.
    pub(super) fn announce(&self, env: &mut Environment) -> Result<(), Fault> {
        let me = env::current_exe().cannot("find cid-helper itself")?;
        let descriptor = self.memory.as_raw_fd().to_string();
        env.insert("GIT_ASKPASS".into(), me.into());
        env.insert(MARK.into(), descriptor.into());
        env.insert(SERVER.into(), self.server.clone().into());
        Ok(())
    }
}

/// A shorter one is in every other word, and no server gives such.
const LEAST: usize = 6;

/// Takes the token out of a line of git's.
pub(super) fn without_token(line: &str) -> String {
    let kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    match &*kept {
        Some(kept) if kept.token.expose().len() >= LEAST => {
            line.replace(kept.token.expose(), "***")
        }
        _ => line.to_owned(),
    }
}

/// Whether git started this process to ask for user or token.
pub(crate) fn is_asked_for() -> bool {
    env::var_os(MARK).is_some()
}

/// Answers git's question.
pub(crate) fn answer() -> ExitCode {
    let text = |name| env::var(name).unwrap_or_default();
    let question = env::args().nth(1).unwrap_or_default();
    let Some(line) = asked_line(&question, &text(SERVER)) else {
        return ExitCode::FAILURE;
    };
    // Opened anew, because the descriptor's own position is shared.
    let memory = std::fs::read_to_string(format!("/proc/self/fd/{}", text(MARK)));
    match memory.unwrap_or_default().lines().nth(line) {
        Some(word) => {
            println!("{word}");
            ExitCode::SUCCESS
        }
        None => ExitCode::FAILURE,
    }
}

/// Which line answers `Username for 'https://HOST': ` or `Password for 'https://USER@HOST': `; none
/// when it is asked for another server.
fn asked_line(question: &str, server: &str) -> Option<usize> {
    let (what, rest) = question.split_once(" for '")?;
    let (url, _) = rest.rsplit_once('\'')?;
    if !url.starts_with("https://") || authority(url) != server {
        return None;
    }
    match what {
        "Username" => Some(0),
        "Password" => Some(1),
        _ => None,
    }
}

/// `HOST` or `HOST:PORT` of a URL.
fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host)
}

#[cfg(test)]
mod tests {
    use crate::git::credential::*;

    #[test]
    fn answers_for_the_one_server_alone() {
        let server = authority("https://git.example.org:8443/team/x.git");
        assert_eq!(server, "git.example.org:8443");
        let asked = |question| asked_line(question, server);
        assert_eq!(
            asked("Username for 'https://git.example.org:8443': "),
            Some(0)
        );
        assert_eq!(
            asked("Password for 'https://a%40b@git.example.org:8443': "),
            Some(1)
        );
        for other in [
            "Password for 'https://a@evil.example.org': ",
            "Password for 'https://git.example.org:8443@evil.example.org': ",
            "Password for 'http://git.example.org:8443': ",
            "Password for 'https://git.example.org': ",
            "Enter passphrase for key '/home/deploy/.ssh/id': ",
            "",
        ] {
            assert_eq!(asked(other), None, "{other}");
        }
    }
}
