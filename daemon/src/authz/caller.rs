//! The peer of a connection, as the kernel identifies it.

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::socket::{getsockopt, sockopt::PeerPidfd},
};
use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
};
use tokio::net::UnixStream;

/// The socket that a caller connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// `cid.sock`, for people.
    People,
    /// `web.sock`, for the front alone.
    Front,
}

impl Door {
    /// The name in the audit log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::People => "people",
            Self::Front => "front",
        }
    }
}

/// The peer of a connection: SO_PEERCRED at accept.
#[derive(Clone, Debug)]
pub struct Caller {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// The process; `None` if the kernel does not tell.
    pub process: Option<Process>,
    /// The socket.
    pub door: Door,
}

impl Caller {
    /// The peer of a connection that has just been accepted.
    ///
    /// # Errors
    /// The kernel does not identify the peer: the connection then has no caller.
    pub fn of(stream: &UnixStream, door: Door) -> io::Result<Self> {
        let peer = stream.peer_cred()?;
        Ok(Self {
            uid: peer.uid(),
            gid: peer.gid(),
            process: peer
                .pid()
                .and_then(|pid| Process::of_peer(pid, stream.as_fd())),
            door,
        })
    }

    /// Its process id, if the kernel told.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }
}

/// One life of a process. Process ids are reused; start times and descriptors are not.
#[derive(Clone, Debug)]
pub struct Process {
    pid: u32,
    started: u64,
    pidfd: Option<Arc<OwnedFd>>,
}

impl Process {
    /// The peer's process. Since Linux 6.5 the kernel supplies the descriptor.
    fn of_peer(pid: i32, stream: BorrowedFd<'_>) -> Option<Self> {
        let pidfd = getsockopt(&stream, PeerPidfd).ok().map(Arc::new);
        Some(Self {
            pidfd,
            ..Self::of(u32::try_from(pid).ok()?)?
        })
    }

    /// The process that has this id now; `None` if there is none.
    pub fn of(pid: u32) -> Option<Self> {
        Some(Self {
            pid,
            started: start_time(pid).filter(|_| pid > 0)?,
            pidfd: None,
        })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// When it started, in clock ticks since boot.
    pub fn started(&self) -> u64 {
        self.started
    }

    /// A descriptor that refers to this process and never to a later one.
    pub fn pidfd(&self) -> Option<BorrowedFd<'_>> {
        self.pidfd.as_deref().map(AsFd::as_fd)
    }

    /// Whether the process still exists and still has this process id.
    pub fn is_alive(&self) -> bool {
        if let Some(pidfd) = self.pidfd() {
            // A pidfd is readable once its process has ended.
            let mut fds = [PollFd::new(pidfd, PollFlags::POLLIN)];
            if !matches!(poll(&mut fds, PollTimeout::ZERO), Ok(0)) {
                return false;
            }
        }
        start_time(self.pid) == Some(self.started)
    }
}

/// Field 22 of `/proc/PID/stat`. The second field is the program's name and may contain anything, so fields
/// are counted from its end.
fn start_time(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.get(stat.rfind(')')?..)?.split(' ').skip(1);
    // A zombie has ended, but its process id is not free yet.
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[tokio::test]
    async fn the_peer_is_who_the_kernel_says() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let caller = Caller::of(&ours, Door::People).unwrap();
        assert_eq!(caller.uid, nix::unistd::geteuid().as_raw());
        let process = caller.process.unwrap();
        assert_eq!(process.pid(), std::process::id());
        assert!(process.is_alive());
    }

    #[test]
    fn a_process_that_ended_is_not_alive_even_as_a_zombie() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process::of(child.id()).unwrap();
        assert!(process.is_alive());
        child.kill().unwrap();
        let ended = || {
            (0..500).any(|_| {
                std::thread::sleep(std::time::Duration::from_millis(10));
                !process.is_alive()
            })
        };
        assert!(ended());
        child.wait().unwrap();
        assert!(!process.is_alive());
    }

    #[test]
    fn another_process_with_the_same_number_is_another() {
        let me = Process::of(std::process::id()).unwrap();
        let recycled = Process {
            started: me.started + 1,
            ..me
        };
        assert!(!recycled.is_alive());
        assert!(Process::of(0).is_none());
    }
}
