//! From processes and a page to one word.

use super::pages::{Answer, Told};
use crate::system::supervisor::{Process, ProcessState};
use cid_protocol::run_file::WEB;
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// A process that ended by itself again and again counts as calm once it has run for twice as long as before,
/// within these minimum and maximum times.
const CALM: (SignedDuration, SignedDuration) =
    (SignedDuration::from_secs(60), SignedDuration::from_mins(10));

/// How a workspace is; the worse, the later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    /// It is not ready, or nobody can tell.
    #[default]
    Unknown,
    /// Its visitors get what they should.
    Up,
    /// It was started a moment ago and does not answer yet.
    Starting,
    /// Its page answers wrongly, or not at all.
    Failing,
    /// One of its processes ends again and again.
    Crashing,
    /// Its processes were stopped.
    Down,
}

/// How a workspace is, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// In a word.
    pub condition: Condition,
    /// What is wrong, for people; empty: nothing.
    pub message: String,
    /// Since when it is known to be so.
    pub since: Option<Timestamp>,
}

impl Health {
    fn new(condition: Condition, message: impl Into<String>, since: Option<Timestamp>) -> Self {
        Self {
            condition,
            message: message.into(),
            since,
        }
    }
}

/// Whether a process ends again and again, at whatever pace.
pub fn is_crashing(process: &Process, now: Timestamp) -> bool {
    use ProcessState::{Backoff, Exited, Fatal};
    if matches!(process.state, Backoff | Exited | Fatal) {
        return true;
    }
    let Some(ended) = process.ended.as_ref().filter(|_| process.is_up()) else {
        return false;
    };
    // It has not shown yet that it is better now.
    if process.state == ProcessState::Starting {
        return true;
    }
    let (Some(at), Some(before)) = (ended.at, ended.before) else {
        return false;
    };
    let calm = (at.duration_since(before) * 2).clamp(CALM.0, CALM.1);
    now.duration_since(at) < calm
}

/// `processes`: `None` where supervisord does not tell. `page`: what is known of it. `patience`: for how long after
/// its start an app may not answer.
pub(super) fn judge(
    processes: Option<&[Process]>,
    page: Option<&Told>,
    patience: Duration,
    now: Timestamp,
) -> Health {
    let Some(processes) = processes else {
        return Health::new(Condition::Unknown, "supervisord does not answer", None);
    };
    if let Some(process) = processes.iter().find(|process| is_crashing(process, now)) {
        let ended = process.ended.as_ref();
        let since = ended.and_then(|ended| ended.first.or(ended.at));
        let more = match process.state {
            ProcessState::Fatal => ", and is given up",
            _ => "",
        };
        let message = format!("{} {}{more}", process.name, process.told());
        return Health::new(Condition::Crashing, message, since);
    }
    let Some(last) = processes.iter().max_by_key(|process| process.since) else {
        let message = "supervisord has none of its processes";
        return Health::new(Condition::Down, message, None);
    };
    if let Some(process) = processes.iter().find(|process| !process.is_up()) {
        let message = format!("{} {}", process.name, process.told());
        return Health::new(Condition::Down, message, process.since);
    }
    let is_young = |since: Option<Timestamp>| {
        since.is_some_and(|since| now.duration_since(since).unsigned_abs() < patience)
    };
    let Some(web) = processes.iter().find(|process| process.name == WEB) else {
        let starts = |process: &Process| process.state == ProcessState::Starting;
        return match processes.iter().any(starts) {
            true => Health::new(Condition::Starting, "", last.since),
            false => Health::new(Condition::Up, "", last.since),
        };
    };
    match page.map(|page| (&page.answer, page.since)) {
        Some((Answer::Good, _)) => Health::new(Condition::Up, "", last.since),
        Some((Answer::Wrong(message), since)) => {
            Health::new(Condition::Failing, message, Some(since))
        }
        Some((Answer::Silent(_), _)) | None if is_young(web.since) => {
            Health::new(Condition::Starting, "it does not answer yet", web.since)
        }
        Some((Answer::Silent(message), since)) => {
            Health::new(Condition::Failing, message, Some(since))
        }
        None => Health::new(Condition::Unknown, "its page has not answered yet", None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::{
        fake::running,
        supervisor::{Ended, How},
    };

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap()
    }

    fn ended(before: i64, last: i64) -> Option<Ended> {
        Some(Ended {
            how: How::Exit(3),
            at: Some(at(last)),
            before: Some(at(before)),
            first: Some(at(before)),
        })
    }

    fn up_since(name: &str, since: i64) -> Process {
        Process {
            since: Some(at(since)),
            ..running(name, 7)
        }
    }

    fn page(answer: Answer) -> Option<Told> {
        Some(Told {
            answer,
            since: at(0),
        })
    }

    #[track_caller]
    fn judged(processes: &[Process], page: Option<&Told>, now: i64) -> Condition {
        judge(Some(processes), page, MINUTE, at(now)).condition
    }

    #[test]
    fn visitors_decide_where_all_processes_run() {
        let web = [up_since("web", 0), up_since("worker", 0)];
        let good = page(Answer::Good);
        let wrong = page(Answer::Wrong("/ answers with status 500".into()));
        let silent = page(Answer::Silent("nginx answers with status 502".into()));
        assert_eq!(judged(&web, good.as_ref(), 10), Condition::Up);
        assert_eq!(judged(&web, wrong.as_ref(), 10), Condition::Failing);
        // Right after a boot it is the app that is not there yet.
        assert_eq!(judged(&web, silent.as_ref(), 10), Condition::Starting);
        assert_eq!(judged(&web, None, 10), Condition::Starting);
        assert_eq!(judged(&web, silent.as_ref(), 70), Condition::Failing);
        assert_eq!(judged(&web, None, 70), Condition::Unknown);
        let failing = judge(Some(&web), wrong.as_ref(), MINUTE, at(10));
        assert_eq!(failing.message, "/ answers with status 500");
        assert_eq!(failing.since, Some(at(0)));
    }

    #[test]
    fn any_process_that_ends_again_and_again_is_named() {
        let worker = |before, last, since| Process {
            ends: 4,
            ended: ended(before, last),
            ..up_since("worker", since)
        };
        let with = |worker| [up_since("web", 0), worker];
        let good = page(Answer::Good);
        // Every 3 s, every 5 minutes; and calm again after twice as long.
        for (before, last, crashing, calm) in [(97, 100, 159, 161), (0, 300, 899, 901)] {
            let processes = with(worker(before, last, last));
            let by = |now| judged(&processes, good.as_ref(), now);
            assert_eq!(
                (by(crashing), by(calm)),
                (Condition::Crashing, Condition::Up)
            );
        }
        let once = Process {
            ends: 1,
            ended: Some(Ended {
                before: None,
                ..ended(0, 100).unwrap()
            }),
            ..up_since("worker", 100)
        };
        assert_eq!(
            judged(&with(once.clone()), good.as_ref(), 101),
            Condition::Up
        );
        let again = Process {
            state: ProcessState::Starting,
            ..once.clone()
        };
        assert_eq!(
            judged(&with(again), good.as_ref(), 101),
            Condition::Crashing
        );
        let waiting = Process {
            state: ProcessState::Backoff,
            pid: None,
            ..once
        };
        let processes = with(waiting);
        let health = judge(Some(&processes), good.as_ref(), MINUTE, at(101));
        assert_eq!(health.condition, Condition::Crashing);
        assert_eq!(health.message, "worker has ended with exit status 3");
        assert_eq!(
            health.since,
            Some(at(0)),
            "since the first end, not the last"
        );
    }

    #[test]
    fn what_is_stopped_is_down_and_what_nobody_tells_unknown() {
        let good = page(Answer::Good);
        let stopped = Process {
            state: ProcessState::Stopped,
            ..up_since("web", 5)
        };
        assert_eq!(judged(&[stopped], good.as_ref(), 10), Condition::Down);
        assert_eq!(judged(&[], good.as_ref(), 10), Condition::Down);
        let unknown = judge(None, good.as_ref(), MINUTE, at(10));
        assert_eq!(unknown.condition, Condition::Unknown);
        // Nobody visits one without a web process.
        let worker = [up_since("worker", 0)];
        assert_eq!(judged(&worker, None, 10), Condition::Up);
    }
}
