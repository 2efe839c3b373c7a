//! Ends everything a user runs: what a delete needs to be complete when an app threw its environment
//! away, began a session of its own, and is nobody's child any more.

use crate::{Lines, leavings};
use cid_kernel::reaper::Process;
use cid_protocol::{
    fault::{Fault, FaultContext},
    request::{EndProcesses, Ended},
};
use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::{self, Pid, Uid},
};
use std::{
    fs,
    time::{Duration, Instant},
};

const LIMIT: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(10);

/// Kills all processes of this one's own user but itself, until none is left, unless it is to spare them; then
/// removes what they left if asked to.
///
/// # Errors
/// The user is root or the one who started this helper, so that more would die than is meant; or
/// some process does not die.
pub(super) fn end_processes(ask: EndProcesses, lines: Lines) -> Result<Ended, Fault> {
    let user = unistd::getuid();
    refuse_too_much(user)?;
    let rounds = match ask.spare {
        true => 0,
        false => kill_all(user)?,
    };
    let left = match ask.leave_nothing {
        true => leavings::remove(user, lines),
        false => Vec::new(),
    };
    Ok(Ended { rounds, left })
}

/// Gives how often it took.
fn kill_all(user: Uid) -> Result<u32, Fault> {
    let deadline = Instant::now() + LIMIT;
    let mut rounds = 0;
    loop {
        rounds += 1;
        // To all at once: none of them can start another on the way.
        match kill(Pid::from_raw(-1), Signal::SIGKILL) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(error) => return Err(error).cannot(format!("end the processes of user {user}")),
        }
        let left = processes_of(user)?;
        if left.is_empty() {
            return Ok(rounds);
        }
        if Instant::now() >= deadline {
            let left: Vec<String> = left.iter().map(i32::to_string).collect();
            return Err(Fault::new(format!(
                "cannot end processes {} of user {user}",
                left.join(", ")
            ))
            .hint("ps says what they wait for"));
        }
        std::thread::sleep(PAUSE);
    }
}

fn refuse_too_much(user: Uid) -> Result<(), Fault> {
    if user.is_root() {
        return Err(Fault::new(
            "cannot end the processes of root: that is the whole machine",
        ));
    }
    // Otherwise others could be there unseen.
    if Process::read(1).is_none() {
        return Err(
            Fault::new("cannot end the processes of a user: /proc hides some")
                .hint("the helper's unit needs ProtectProc=default"),
        );
    }
    let mut ancestor = unistd::getppid().as_raw();
    while ancestor > 0 {
        if is_of(ancestor, user) {
            return Err(Fault::new(format!(
                "cannot end the processes of user {user}: process {ancestor}, which started this \
                 one, is among them"
            )));
        }
        ancestor = Process::read(ancestor).map_or(0, |process| process.parent);
    }
    Ok(())
}

/// All that live, but this one.
fn processes_of(user: Uid) -> Result<Vec<i32>, Fault> {
    let me = std::process::id().cast_signed();
    Ok(fs::read_dir("/proc")
        .cannot("list processes")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|&pid| pid != me && is_of(pid, user))
        .filter(|&pid| Process::read(pid).is_some_and(|process| !process.ended))
        .collect())
}

/// Whether this user's signals reach it: by its real or its saved user.
fn is_of(pid: i32, user: Uid) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let ids: Vec<u32> = status
        .lines()
        .find_map(|line| line.strip_prefix("Uid:"))
        .unwrap_or_default()
        .split_ascii_whitespace()
        .filter_map(|id| id.parse().ok())
        .collect();
    [ids.first(), ids.get(2)].contains(&Some(&user.as_raw()))
}

#[cfg(test)]
mod tests {
    use crate::end_processes::*;

    #[test]
    fn never_ends_who_runs_it() {
        // Were it to go on, there would be nobody left to report it.
        assert!(refuse_too_much(unistd::getuid()).is_err());
    }

    #[test]
    fn tells_whose_a_process_is() {
        let me = std::process::id().cast_signed();
        assert!(is_of(me, unistd::getuid()));
        assert!(!is_of(me, Uid::from_raw(61_234)));
        assert!(!is_of(i32::MAX, unistd::getuid()));
        assert!(!processes_of(unistd::getuid()).unwrap().contains(&me));
    }
}
