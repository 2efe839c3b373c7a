//! Workspaces that are stopped or asleep: none of their processes run, and nginx asks the front about them.

use super::Finding;
use crate::{
    cid::Cid,
    domain::{JobKind, JobState, UnitName, Workspace, WorkspaceState},
    error::Error,
    step::{let_in, turn_away},
};
use cid_kernel::fs;
use cid_protocol::fault::Fault;
use std::collections::{BTreeMap, BTreeSet};

/// At most this many are named.
const NAMED: usize = 5;

/// Finds those that run although they should not, and visitors who are held back without need.
///
/// # Errors
/// A folder cannot be read.
pub(super) async fn away(
    cid: &Cid,
    units: &BTreeMap<UnitName, &Workspace>,
    busy: &BTreeSet<UnitName>,
    repair: bool,
    findings: &mut Vec<Finding>,
) -> Result<(), Error> {
    for (unit, is_wanted) in wrong_flags(cid, units, busy)? {
        let message = match is_wanted {
            true => "it is stopped, and its visitors are led to it",
            false => "its visitors are held back, and it is not stopped",
        };
        let finding = Finding::drift(
            format!("visitors of {unit}"),
            message,
            "cictl doctor --repair mends it",
        );
        let finding = finding.of(&unit);
        findings.push(match repair {
            true => finding.repaired_if(set(cid, &unit, is_wanted)),
            false => finding,
        });
    }
    let programs = cid.sys.supervisor.list()?;
    let stopped = |unit: &UnitName| {
        let workspace = unit.workspace();
        let is_away = units.get(&workspace).is_some_and(|w| w.state.is_away());
        is_away && !busy.contains(&workspace)
    };
    for unit in programs.iter().filter(|unit| stopped(unit)) {
        let finding = Finding::drift(
            format!("program {unit}"),
            "its workspace is stopped, and supervisord runs it",
            "cictl doctor --repair stops it",
        );
        let finding = finding.of(unit);
        findings.push(match repair {
            true => finding.repaired_if(cid.sys.supervisor.remove(unit).await.map(drop)),
            false => finding,
        });
    }
    for (unit, workspace) in units.iter().filter(|(unit, _)| !busy.contains(*unit)) {
        if workspace.state == WorkspaceState::Asleep {
            findings.extend(not_woken(cid, unit, workspace).await?);
        }
    }
    for (state, word) in [
        (WorkspaceState::Stopped, "stopped"),
        (WorkspaceState::Asleep, "asleep"),
    ] {
        let of_state: Vec<String> = units
            .values()
            .filter(|workspace| workspace.state == state)
            .map(|workspace| format!("{} in {}", workspace.owner, workspace.project))
            .collect();
        if of_state.is_empty() {
            continue;
        }
        let more = match of_state.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        let named = of_state[..of_state.len().min(NAMED)].join(", ");
        findings.push(Finding::note(
            "workspaces",
            format!("{word}: {named}{more}"),
        ));
    }
    Ok(())
}

/// One that did not come up the last time: its visitors are told that nothing answers.
async fn not_woken(
    cid: &Cid,
    unit: &UnitName,
    workspace: &Workspace,
) -> Result<Option<Finding>, Error> {
    let last = cid.store.job(workspace.job).await?;
    let failed = last.filter(|job| job.kind == JobKind::Start && job.state != JobState::Done);
    Ok(failed.map(|job| {
        let why = job
            .failure
            .map(|failure| failure.message)
            .unwrap_or_default();
        let (owner, project) = (&workspace.owner, &workspace.project);
        Finding::drift(
            format!("start of {unit}"),
            format!("it is asleep, and its last start failed: {why}"),
            format!(
                "cictl jobs show {}; when that is mended: cictl start {owner} -p {project}",
                job.id
            ),
        )
        .of(unit)
    }))
}

/// Makes what a reboot has taken from `/run`, before anything else: until then nginx would try apps that do not run.
///
/// # Errors
/// The ledger or a folder cannot be read, or a file cannot be written.
pub async fn mend_away(cid: &Cid) -> Result<(), Error> {
    let all = cid.store.workspaces(None, 0, usize::MAX >> 1).await?;
    let units = all.iter().map(|w| (w.unit(), w)).collect();
    let busy = cid.store.live_jobs().await?;
    let stuck = cid.store.stuck_jobs().await?;
    let busy = busy.iter().chain(&stuck);
    let busy = busy.map(|job| job.about.unit(&job.project)).collect();
    for (unit, is_wanted) in wrong_flags(cid, &units, &busy)? {
        set(cid, &unit, is_wanted)?;
    }
    Ok(())
}

fn set(cid: &Cid, unit: &UnitName, is_wanted: bool) -> Result<(), Fault> {
    match is_wanted {
        true => turn_away(&cid.layout, unit),
        false => let_in(&cid.layout, unit),
    }
}

/// Whose visitors should be held back and are not (`true`), or the other way round.
fn wrong_flags(
    cid: &Cid,
    units: &BTreeMap<UnitName, &Workspace>,
    busy: &BTreeSet<UnitName>,
) -> Result<Vec<(UnitName, bool)>, Fault> {
    let there: BTreeSet<UnitName> = fs::names(&cid.layout.away_dir())?
        .iter()
        .filter_map(|name| UnitName::parse(name))
        .collect();
    let wanted = units
        .iter()
        .filter(|(_, workspace)| workspace.state.is_away())
        .map(|(unit, _)| unit.clone())
        .collect();
    let differ = there.symmetric_difference(&wanted);
    // It is unknown for a workspace whose job is stuck.
    let is_unsure = |unit: &UnitName| {
        let failed = |w: &&&Workspace| w.state == WorkspaceState::Failed;
        busy.contains(unit) || units.get(unit).filter(failed).is_some()
    };
    let sure = differ.filter(|unit| !is_unsure(unit));
    Ok(sure
        .map(|unit| (unit.clone(), wanted.contains(unit)))
        .collect())
}
