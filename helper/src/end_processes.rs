//! Ends what a user runs. A complete delete needs this when an app threw its environment away, began a
//! session of its own and is an orphan. It also ends what the machine's services started as that user.

use crate::{Lines, leavings};
use cid_kernel::{
    cgroup,
    reaper::{self, Process},
};
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

/// Kills all processes of this one's own user but itself, or those outside of cid, until none is left, unless it is
/// to spare them; then removes what they left if asked to.
///
/// # Errors
/// The user is root or the one who started this helper, so that more would die than is meant; or
/// some process does not die.
pub(super) fn end_processes(ask: EndProcesses, lines: Lines) -> Result<Ended, Fault> {
    let user = unistd::getuid();
    refuse_too_much(user)?;
    let rounds = match ask.spare {
        true => 0,
        false => kill_all(user, ask.outside_only)?,
    };
    let left = match ask.leave_nothing {
        true => leavings::remove(user, lines),
        false => Vec::new(),
    };
    Ok(Ended { rounds, left })
}

/// Gives how often it took.
fn kill_all(user: Uid, outside_only: bool) -> Result<u32, Fault> {
    let is_meant = |pid: &i32| !outside_only || !cgroup::is_cids(pid.cast_unsigned());
    let deadline = Instant::now() + LIMIT;
    let mut rounds = 0;
    loop {
        rounds += 1;
        let targets = match outside_only {
            true => processes_of(user)?.into_iter().filter(is_meant).collect(),
            // To all at once: none of them can start another on the way.
            false => vec![-1],
        };
        for target in targets {
            match kill(Pid::from_raw(target), Signal::SIGKILL) {
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(error) => {
                    return Err(error).cannot(format!("end the processes of user {user}"));
                }
            }
        }
        let mut left = processes_of(user)?;
        left.retain(is_meant);
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

/// Whether it runs as this user in any way.
fn is_of(pid: i32, user: Uid) -> bool {
    reaper::users(pid.cast_unsigned()).contains(&user.as_raw())
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
