use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, PathBeneath, PathFd,
    RestrictionStatus, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus,
    Scope,
};
use std::path::Path;
use tracing::{info, warn};

/// The newest rules this program knows; an older kernel enforces what it has.
const ABI_WANTED: ABI = ABI::V10;

/// Takes from this thread, and all it starts later, every right but talking on sockets that are
/// open already and connecting to the daemon's.
///
/// Best effort, because old kernels know less or nothing of it: what was enforced is logged. Up
/// to ABI 8 Landlock says nothing about connecting to Unix sockets; their own modes do.
pub fn confine(daemon_socket_path: &Path) {
    match restrict(daemon_socket_path) {
        Ok(status) => match status.ruleset {
            RulesetStatus::NotEnforced => warn!(
                landlock = ?status.landlock,
                "not confined: this kernel has no Landlock"
            ),
            ruleset => info!(
                ?ruleset,
                landlock = ?status.landlock,
                no_new_privs = status.no_new_privs,
                "confined: no files, no outgoing connections but to the daemon"
            ),
        },
        Err(err) => warn!("not confined: cannot set up Landlock: {err}"),
    }
}

fn restrict(daemon_socket_path: &Path) -> Result<RestrictionStatus, RulesetError> {
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(ABI_WANTED))?
        .handle_access(AccessNet::from_all(ABI_WANTED))?
        .scope(Scope::from_all(ABI_WANTED))?
        .create()?;
    // The directory and not the socket: a restarted daemon may make a new one.
    let parent = daemon_socket_path
        .parent()
        .filter(|dir| !dir.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    match PathFd::new(parent) {
        Ok(dir) => {
            ruleset = ruleset.add_rule(PathBeneath::new(dir, AccessFs::ResolveUnix))?;
        }
        Err(err) => warn!("cannot open the directory of the daemon's socket: {err}"),
    }
    ruleset.restrict_self()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        fs,
        io::{Read, Write},
        net::{TcpListener, TcpStream},
        os::unix::net::{UnixListener, UnixStream},
        thread,
    };

    /// In a thread of its own: a thread cannot be freed again.
    #[test]
    fn a_confined_thread_reaches_the_daemon_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("web.sock");
        let daemon = UnixListener::bind(&socket).unwrap();
        let front = TcpListener::bind("127.0.0.1:0").unwrap();
        let front_addr = front.local_addr().unwrap();
        let secret = dir.path().join("secret");
        fs::write(&secret, "s").unwrap();

        let confined = thread::spawn(move || {
            let status = restrict(&socket).unwrap();
            if status.ruleset == RulesetStatus::NotEnforced {
                return;
            }
            assert!(fs::read(&secret).is_err());
            assert!(fs::read_dir("/").is_err());
            assert!(fs::write(dir.path().join("new"), "x").is_err());
            assert!(TcpListener::bind("127.0.0.1:0").is_err());
            assert!(TcpStream::connect(front_addr).is_err());

            UnixStream::connect(&socket).unwrap();
            daemon.accept().unwrap();
            let (mut stream, _) = front.accept().unwrap();
            stream.write_all(b"x").unwrap();
        });
        let mut visitor = TcpStream::connect(front_addr).unwrap();
        confined.join().unwrap();
        let mut answer = String::new();
        visitor.read_to_string(&mut answer).unwrap();
    }
}
