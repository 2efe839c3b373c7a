//! What cid's part of supervisord reports, and what supervisord itself reports without it.

use super::process::{Ended, How, Process, ProcessState};
use dxr::{TryFromValue, Value};
use jiff::Timestamp;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Processes by group name.
pub(super) type Groups = BTreeMap<String, Vec<Process>>;

/// Must equal the one in `packaging/supervisor/cid_supervisor.py`.
pub(super) const VERSION: u32 = 1;

/// The answer to `cid.watch`.
#[derive(Deserialize)]
pub(super) struct Snapshot {
    pub(super) version: u32,
    /// How many lines were sent before this answer. Only a part of this version sends the following ones.
    pub(super) told: u64,
    groups: BTreeMap<String, Vec<Record>>,
}

impl Snapshot {
    pub(super) fn groups(self) -> Groups {
        let processes = |records: Vec<Record>| records.into_iter().map(Process::from).collect();
        self.groups
            .into_iter()
            .map(|(name, records)| (name, processes(records)))
            .collect()
    }
}

/// A change: everything now known of one group.
#[derive(Deserialize)]
pub(super) struct Change {
    /// The number of this line.
    pub(super) told: u64,
    group: String,
    /// `None`: the group is gone.
    processes: Option<Vec<Record>>,
}

impl Change {
    pub(super) fn apply(self, groups: &mut Groups) {
        match self.processes {
            None => drop(groups.remove(&self.group)),
            Some(records) => {
                let processes = records.into_iter().map(Process::from).collect();
                groups.insert(self.group, processes);
            }
        }
    }
}

#[derive(Deserialize)]
struct Record {
    name: String,
    state: String,
    pid: u32,
    since: f64,
    restarts: u32,
    ends: u32,
    ended: Option<End>,
}

#[derive(Deserialize)]
struct End {
    at: f64,
    before: Option<f64>,
    /// Missing in what a supervisord of an earlier version tells.
    first: Option<f64>,
    exit: Option<i32>,
    signal: Option<i32>,
    why: String,
}

impl From<Record> for Process {
    fn from(record: Record) -> Self {
        let ended = record.ended.map(|end| Ended {
            how: match (end.exit, end.signal) {
                (_, Some(signal)) => How::Signal(signal),
                (Some(status), None) => How::Exit(status),
                (None, None) => How::Words(end.why),
            },
            at: timestamp(end.at),
            before: end.before.and_then(timestamp),
            first: end.first.and_then(timestamp),
        });
        Self {
            name: record.name,
            state: ProcessState::named(&record.state),
            pid: Some(record.pid).filter(|pid| *pid > 0),
            since: timestamp(record.since),
            restarts: record.restarts,
            ends: record.ends,
            ended,
        }
    }
}

fn timestamp(seconds: f64) -> Option<Timestamp> {
    #[expect(clippy::cast_possible_truncation, reason = "a bad time is no time")]
    let millis = (seconds * 1e3) as i64;
    Timestamp::from_millisecond(millis).ok()
}

/// All processes from supervisord's own answer, which holds less.
pub(super) fn plain(all: &[Value]) -> Groups {
    let mut groups = Groups::new();
    for (group, process) in all.iter().filter_map(read_info) {
        groups.entry(group).or_default().push(process);
    }
    groups
}

fn read_info(info: &Value) -> Option<(String, Process)> {
    let Value::Struct(info) = info else {
        return None;
    };
    let text = |key: &str| String::try_from_value(info.get(key)?).ok();
    let number = |key: &str| i32::try_from_value(info.get(key)?).ok();
    let state = ProcessState::named(&text("statename")?);
    let pid = number("pid")
        .and_then(|pid| u32::try_from(pid).ok())
        .filter(|pid| *pid > 0);
    let ends = match state {
        ProcessState::Backoff | ProcessState::Exited => 1,
        ProcessState::Fatal => 2,
        _ => 0,
    };
    let ended = (ends > 0).then(|| Ended {
        how: How::Words(text("spawnerr").unwrap_or_default()),
        at: None,
        before: None,
        first: None,
    });
    let group = text("group")?;
    let name = text("name")?;
    let prefix = format!("{group}.");
    let process = Process {
        name: name.strip_prefix(&prefix).unwrap_or(&name).to_owned(),
        state,
        pid,
        since: None,
        restarts: 0,
        ends,
        ended,
    };
    Some((group, process))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_replace_what_is_known_of_a_group() {
        let snapshot = r#"{"version": 1, "told": 7, "groups": {"shop.anna": [{"name": "web", "state": "RUNNING",
            "pid": 12, "since": 1700000000.25, "restarts": 2, "ends": 2,
            "ended": {"at": 1700000000.0, "before": 1699999999.0, "exit": null, "signal": 9, "why": ""}}]}}"#;
        let snapshot: Snapshot = serde_json::from_str(snapshot).unwrap();
        assert_eq!((snapshot.version, snapshot.told), (VERSION, 7));
        let mut groups = snapshot.groups();
        let web = &groups["shop.anna"][0];
        assert_eq!((web.state, web.pid), (ProcessState::Running, Some(12)));
        assert_eq!(web.since.unwrap().as_millisecond(), 1_700_000_000_250);
        assert_eq!(web.ended.as_ref().unwrap().how, How::Signal(9));
        let change = r#"{"told": 8, "group": "shop.anna", "processes": [{"name": "web", "state": "BACKOFF",
            "pid": 0, "since": 1, "restarts": 2, "ends": 3,
            "ended": {"at": 1, "before": null, "exit": 3, "signal": null, "why": ""}}]}"#;
        let change: Change = serde_json::from_str(change).unwrap();
        change.apply(&mut groups);
        let web = &groups["shop.anna"][0];
        assert_eq!((web.state, web.pid), (ProcessState::Backoff, None));
        assert_eq!(web.ended.as_ref().unwrap().how, How::Exit(3));
        let gone = r#"{"told": 9, "group": "shop.anna", "processes": null}"#;
        serde_json::from_str::<Change>(gone)
            .unwrap()
            .apply(&mut groups);
        assert!(groups.is_empty());
    }

    /// Both halves are changed together.
    #[test]
    fn supervisords_half_is_of_this_version() {
        let theirs = super::super::PLUGIN.1;
        assert!(theirs.contains(&format!("\nVERSION = {VERSION}\n")));
    }
}
