//! Finds files of a workspace that the people who share them cannot use.

use super::Finding;
use crate::{
    cid::Cid,
    domain::{Workspace, project_group},
    step::{TREE, gid_of, uid_of},
    system::helpers::{Call, Identity, ask},
};
use cid_kernel::accounts;
use cid_protocol::{
    fault::Fault,
    request::{AccessReport, LookAtAccess},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::mpsc;
use uuid::Uuid;

/// Time limit for looking through one tree.
const LIMIT: Duration = Duration::from_secs(20);
/// After this time no further tree is looked through, because the caller waits.
const TOTAL: Duration = Duration::from_secs(90);

/// Looks through the trees of these workspaces with one helper for all. In a sandbox there is only one
/// user, who can use everything.
pub(super) async fn closed(cid: &Cid, workspaces: &[&Workspace], findings: &mut Vec<Finding>) {
    if !cid.sys.is_host() || workspaces.is_empty() {
        return;
    }
    let (lines, _nobody) = mpsc::channel(1);
    let call = Call {
        job: Uuid::now_v7(),
        identity: Identity::Look,
        limit: LIMIT,
        lines,
        cancel: cid.stopping.clone(),
        who: Arc::default(),
    };
    let begin = Instant::now();
    // Nobody but its app gets at a stage's files.
    let people = workspaces.iter().filter(|workspace| !workspace.is_stage());
    for (looked, workspace) in people.enumerate() {
        if begin.elapsed() > TOTAL {
            let left = workspaces.len() - looked;
            let message = format!("{left} of them were not looked through: it takes too long");
            findings.push(Finding::note("access to workspaces", message));
            break;
        }
        let subject = || format!("access to {}", workspace.directory.join(TREE).display());
        match look(cid, &call, workspace).await {
            Ok(None) => {}
            Ok(Some(message)) => findings.push(Finding::drift(
                subject(),
                message,
                format!(
                    "cictl access repair {} -p {}",
                    workspace.owner, workspace.project
                ),
            )),
            Err(fault) => findings.push(Finding::note(subject(), fault.to_string())),
        }
    }
    if let Err(fault) = cid.sys.helpers.end(call.job).await {
        tracing::warn!("{fault}");
    }
}

/// What is wrong with one workspace, if anything.
async fn look(cid: &Cid, call: &Call, workspace: &Workspace) -> Result<Option<String>, Fault> {
    let Some(account) = cid.account_range().of(workspace) else {
        return Ok(None);
    };
    let shelf = cid.projects.all();
    let project = shelf.get(workspace.project.as_str());
    let access = project
        .and_then(|entry| entry.as_ref().ok())
        .map(|project| &project.access);
    let person = workspace.owner.person();
    let developer = access.and_then(|access| access.people.get(person?));
    let group = access.and_then(|access| access.group.as_ref());
    let request = LookAtAccess {
        root: workspace.directory.join(TREE),
        uid: account.uid,
        gids: vec![account.uid, gid_of(&project_group(&workspace.project))?],
        // Another check reports a missing account. The owner of the files needs no list.
        people: developer
            .and_then(|name| uid_of(name).ok())
            .filter(|uid| *uid != account.uid),
        sharing: group
            .and_then(|name| gid_of(name).ok())
            .into_iter()
            .collect(),
    };
    let mut report = ask(cid.sys.helpers.as_ref(), call, request).await?;
    if access.is_none() {
        // It is unknown who should have access: the file is gone or bad.
        report.other_uids.clear();
        report.other_gids.clear();
    }
    Ok(told(&report))
}

fn told(report: &AccessReport) -> Option<String> {
    if report.lacks_people {
        return Some("[access.people] names an account that has no access".into());
    }
    if let Some(others) = others(report) {
        return Some(format!(
            "it is open to {others}, whom [access] does not name (any more)"
        ));
    }
    let first = report.examples.first()?.display();
    Some(match report.closed {
        1 => format!("its own user cannot use {first}, which somebody else made"),
        more => format!(
            "its own user cannot use {more} files and folders that somebody else made, such as {first}"
        ),
    })
}

/// Who has access and should not.
fn others(report: &AccessReport) -> Option<String> {
    let user = |&uid: &u32| accounts::user_name(uid).ok().flatten();
    let group = |&gid: &u32| accounts::group_name(gid).ok().flatten();
    let shown = |kind: &str, number: u32, name: Option<String>| match name {
        Some(name) => format!("{kind} {name} ({number})"),
        None => format!("{kind} with the number {number}"),
    };
    let uids = report.other_uids.iter();
    let gids = report.other_gids.iter();
    let all: Vec<String> = uids
        .map(|uid| shown("the account", *uid, user(uid)))
        .chain(gids.map(|gid| shown("the group", *gid, group(gid))))
        .collect();
    (!all.is_empty()).then(|| all.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_how_much_and_where() {
        assert_eq!(told(&AccessReport::default()), None);
        let report = AccessReport {
            closed: 3,
            examples: vec!["/w/src/a".into(), "/w/src/b".into()],
            ..AccessReport::default()
        };
        let message = told(&report).unwrap();
        assert!(message.contains("use 3 ") && message.ends_with("/w/src/a"));
        let report = AccessReport {
            other_uids: [0, 4_000_000_000].into(),
            ..report
        };
        let message = told(&report).unwrap();
        assert!(
            message
                .contains("to the account root (0), the account with the number 4000000000, whom"),
            "{message}"
        );
    }
}
