//! When each remote is looked at next. Knows nothing of the outside.

use crate::domain::ProjectName;
use std::{collections::BTreeMap, time::Duration};
use tokio::time::Instant;
use uuid::Uuid;

/// The shortest time from the begin of one look to one that a hint asks for. A flood of hints costs no more.
const PAUSE: Duration = Duration::from_secs(10);
/// When something was in the way for the first time.
const SOON: Duration = Duration::from_secs(15);
/// Where a remote that is not polled does not answer to a hint.
const FIRST_RETRY: Duration = Duration::from_secs(30);
const LONGEST_RETRY: Duration = Duration::from_hours(1);
/// How often a hint is followed in vain.
const HINT_TRIES: u32 = 10;

/// What a look came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// All is done.
    Done,
    /// Something is to be tried again.
    Later,
    /// The remote did not answer.
    Failed,
}

#[derive(Debug, Default)]
struct Entry {
    every: Option<Duration>,
    due: Option<Instant>,
    begun: Option<Instant>,
    is_busy: bool,
    /// A hint came since it was looked at last, or while it was busy.
    is_hinted: bool,
    fails: u32,
}

impl Entry {
    /// The first moment for a hint that comes now.
    fn for_hint(&self, now: Instant) -> Instant {
        self.begun.map_or(now, |begun| (begun + PAUSE).max(now))
    }

    fn at_latest(&mut self, at: Instant) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }
}

/// All projects that are looked at.
#[derive(Debug, Default)]
pub(super) struct Timetable(BTreeMap<ProjectName, Entry>);

impl Timetable {
    /// Follows the project files: how often each remote is polled. New ones are spread over their pause.
    pub(super) fn keep(
        &mut self,
        projects: &BTreeMap<ProjectName, Option<Duration>>,
        now: Instant,
    ) {
        self.0
            .retain(|name, entry| projects.contains_key(name) || entry.is_busy);
        for (name, every) in projects {
            let entry = self.0.entry(name.clone()).or_default();
            if entry.every != *every {
                entry.every = *every;
                entry.due = every.map(|every| now + spread(every));
            }
        }
    }

    /// Somebody says that there is something new.
    pub(super) fn hint(&mut self, name: &ProjectName, now: Instant) {
        let Some(entry) = self.0.get_mut(name) else {
            return;
        };
        entry.fails = 0;
        entry.is_hinted = true;
        if !entry.is_busy {
            entry.at_latest(entry.for_hint(now));
        }
    }

    /// The projects whose turn it is: hints first, then who waits longest.
    pub(super) fn due(&self, now: Instant) -> Vec<ProjectName> {
        let idle = self.0.iter().filter(|(_, entry)| !entry.is_busy);
        let due = idle.filter_map(|(name, entry)| Some((!entry.is_hinted, entry.due?, name)));
        let mut due: Vec<_> = due.filter(|(_, due, _)| *due <= now).collect();
        due.sort_unstable();
        due.into_iter().map(|(.., name)| name.clone()).collect()
    }

    /// When the next one is due; `None`: none is.
    pub(super) fn next(&self) -> Option<Instant> {
        let idle = self.0.values().filter(|entry| !entry.is_busy);
        idle.filter_map(|entry| entry.due).min()
    }

    /// A look begins.
    pub(super) fn begin(&mut self, name: &ProjectName, now: Instant) {
        if let Some(entry) = self.0.get_mut(name) {
            entry.is_busy = true;
            entry.is_hinted = false;
            entry.begun = Some(now);
            entry.due = None;
        }
    }

    /// A look has ended.
    pub(super) fn end(&mut self, name: &ProjectName, end: End, now: Instant) {
        let Some(entry) = self.0.get_mut(name) else {
            return;
        };
        entry.is_busy = false;
        entry.due = entry.every.map(|every| now + every);
        match end {
            End::Done => entry.fails = 0,
            End::Later => {
                let pause = SOON * 2_u32.saturating_pow(entry.fails).min(64);
                entry.fails += 1;
                entry.at_latest(now + pause);
            }
            End::Failed => {
                let first = entry.every.unwrap_or(FIRST_RETRY);
                let pause = first * 2_u32.saturating_pow(entry.fails).min(1024);
                entry.fails += 1;
                let is_followed = entry.every.is_some() || entry.fails < HINT_TRIES;
                entry.due = is_followed.then(|| now + pause.min(LONGEST_RETRY.max(first)));
            }
        }
        if entry.is_hinted {
            entry.at_latest(entry.for_hint(now));
        }
    }
}

/// A moment between half of the pause and all of it.
fn spread(every: Duration) -> Duration {
    // The last bytes are random.
    let share = Uuid::now_v7().as_bytes()[15];
    every / 2 + every / 2 * u32::from(share) / 255
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn shop() -> ProjectName {
        ProjectName::parse("shop").unwrap()
    }

    fn table(every: Option<Duration>, now: Instant) -> Timetable {
        let mut table = Timetable::default();
        table.keep(&[(shop(), every)].into(), now);
        table
    }

    /// Looks take so long; returns how many there were.
    fn run(
        table: &mut Timetable,
        begin: Instant,
        hints: u32,
        over: Duration,
        takes: Duration,
    ) -> u32 {
        let mut looks = 0;
        let mut ends: Option<Instant> = None;
        // A further minute, for what the last hints lead to.
        let step = over / hints;
        let steps = (over + MINUTE).as_millis() / step.as_millis();
        for tick in 0..u32::try_from(steps).unwrap() {
            let now = begin + step * tick;
            if tick < hints {
                table.hint(&shop(), now);
            }
            if let Some(end) = ends.filter(|end| *end <= now) {
                table.end(&shop(), End::Done, end);
                ends = None;
            }
            if !table.due(now).is_empty() {
                looks += 1;
                table.begin(&shop(), now);
                ends = Some(now + takes);
            }
        }
        looks
    }

    #[test]
    fn a_flood_of_hints_costs_two_looks() {
        for takes in [5, 300, 9_000, 20_000] {
            let now = Instant::now();
            let mut table = table(None, now);
            let takes = Duration::from_millis(takes);
            let looks = run(&mut table, now, 1000, Duration::from_secs(10), takes);
            assert_eq!(looks, 2, "{takes:?}");
        }
        let now = Instant::now();
        let mut table = table(None, now);
        let looks = run(&mut table, now, 1, Duration::from_millis(10), PAUSE);
        assert_eq!(looks, 1, "one hint is one look, at once");
    }

    #[test]
    fn polls_are_spread_and_come_again() {
        let now = Instant::now();
        let mut table = table(Some(MINUTE), now);
        let first = table.next().unwrap();
        assert!((now + MINUTE / 2..=now + MINUTE).contains(&first));
        assert!(table.due(now).is_empty());
        assert_eq!(table.due(first), [shop()]);
        table.begin(&shop(), first);
        assert!(table.due(first).is_empty() && table.next().is_none());
        table.end(&shop(), End::Done, first);
        assert_eq!(table.next(), Some(first + MINUTE));
        // The same files change nothing; another pause counts at once.
        table.keep(&[(shop(), Some(MINUTE))].into(), first);
        assert_eq!(table.next(), Some(first + MINUTE));
        table.keep(&[(shop(), None)].into(), first);
        assert_eq!(table.next(), None);
        table.keep(&BTreeMap::new(), first);
        table.hint(&shop(), first);
        assert!(table.due(first).is_empty(), "it is gone");
    }

    #[test]
    fn who_waits_longest_is_first_but_for_hints() {
        let now = Instant::now();
        let names = ["ant", "bee", "cat", "dog"].map(|name| ProjectName::parse(name).unwrap());
        let mut table = Timetable::default();
        table.keep(&names.clone().map(|name| (name, Some(MINUTE))).into(), now);
        for (name, seconds) in names.iter().zip([3, 2, 1, 0]) {
            let at = now + Duration::from_secs(seconds);
            table.begin(name, at);
            table.end(name, End::Done, at);
        }
        let later = now + MINUTE + MINUTE;
        let told = |table: &Timetable| {
            table
                .due(later)
                .iter()
                .map(|name| name.as_str().to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(told(&table), ["dog", "cat", "bee", "ant"]);
        table.hint(&names[1], later);
        assert_eq!(told(&table), ["bee", "dog", "cat", "ant"]);
        table.begin(&names[1], later);
        table.end(&names[1], End::Done, later);
        assert_eq!(told(&table), ["dog", "cat", "ant"], "the hint is followed");
    }

    #[test]
    fn failures_are_tried_less_and_less() {
        let now = Instant::now();
        let mut polled = table(Some(MINUTE), now);
        let mut pauses = Vec::new();
        for _ in 0..8 {
            polled.begin(&shop(), now);
            polled.end(&shop(), End::Failed, now);
            pauses.push((polled.next().unwrap() - now).as_secs());
        }
        assert_eq!(pauses, [60, 120, 240, 480, 960, 1920, 3600, 3600]);
        polled.hint(&shop(), now + PAUSE);
        assert_eq!(polled.due(now + PAUSE), [shop()], "a hint is heard");
        // Without a poll a hint is followed for a while.
        let mut hinted = table(None, now);
        hinted.hint(&shop(), now);
        let mut tries = 0;
        let mut at = now;
        while let Some(due) = hinted.next() {
            at = due;
            tries += 1;
            hinted.begin(&shop(), at);
            hinted.end(&shop(), End::Failed, at);
        }
        assert_eq!(tries, HINT_TRIES);
        hinted.hint(&shop(), at + MINUTE);
        hinted.begin(&shop(), at + MINUTE);
        hinted.end(&shop(), End::Later, at + MINUTE);
        assert_eq!(hinted.next(), Some(at + MINUTE + SOON));
    }
}
