//! What of a workspace's files those who share them cannot use.

use super::Finding;
use crate::{
    domain::{Workspace, project_group},
    helper::request::{AccessReport, LookAtAccess},
    rpc::Api,
    step::{TREE, gid_of, uid_of},
    system::{
        Fault, FaultContext,
        helpers::{Call, Identity, ask},
    },
};
use nix::unistd::User;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use uuid::Uuid;

/// Looking through one tree may take so long.
const LIMIT: Duration = Duration::from_secs(20);
/// No further one is looked through after this time: whoever asked waits.
const TOTAL: Duration = Duration::from_secs(90);

/// Looks through the trees of these workspaces, by one helper for all. In a sandbox there is one user,
/// who can use everything.
pub(super) async fn closed(api: &Api, workspaces: &[&Workspace], findings: &mut Vec<Finding>) {
    if api.sys.accounts.is_none() || workspaces.is_empty() {
        return;
    }
    let (lines, _nobody) = mpsc::channel(1);
    let call = Call {
        job: Uuid::now_v7(),
        identity: Identity::Purge,
        limit: LIMIT,
        lines,
        cancel: api.stopping.clone(),
    };
    let begin = Instant::now();
    for (looked, workspace) in workspaces.iter().enumerate() {
        if begin.elapsed() > TOTAL {
            let left = workspaces.len() - looked;
            let message = format!("{left} of them were not looked through: it takes too long");
            findings.push(Finding::note("access to workspaces", message));
            break;
        }
        let subject = || format!("access to {}", workspace.directory.join(TREE).display());
        match look(api, &call, workspace).await {
            Ok(None) => {}
            Ok(Some(message)) => findings.push(Finding::drift(
                subject(),
                message,
                format!(
                    "cictl access repair {} -p {}",
                    workspace.email, workspace.project
                ),
            )),
            Err(fault) => findings.push(Finding::note(subject(), fault.to_string())),
        }
    }
    if let Err(fault) = api.sys.helpers.end(call.job).await {
        tracing::warn!("{fault}");
    }
}

/// What is wrong with one, if anything is.
async fn look(api: &Api, call: &Call, workspace: &Workspace) -> Result<Option<String>, Fault> {
    let Some(account) = api.account_range().of(workspace) else {
        return Ok(None);
    };
    let primary = match workspace.isolation.borrowed() {
        None => account.uid,
        Some(name) => primary_group(name)?,
    };
    let shelf = api.projects.all();
    let project = shelf.get(workspace.project.as_str());
    let access = project.and_then(|entry| entry.as_ref().ok());
    let developer = access.and_then(|project| project.access.people.get(&workspace.email));
    let request = LookAtAccess {
        root: workspace.directory.join(TREE),
        uid: account.uid,
        gids: vec![primary, gid_of(&project_group(&workspace.project))?],
        // An account that is missing is said by another check. Whose the files are needs no list.
        people: developer
            .and_then(|name| uid_of(name).ok())
            .filter(|uid| *uid != account.uid),
    };
    let report = ask(api.sys.helpers.as_ref(), call, request).await?;
    Ok(told(&report))
}

fn primary_group(account: &str) -> Result<u32, Fault> {
    let user = User::from_name(account).cannot(format!("look up the account {account}"))?;
    user.map(|user| user.gid.as_raw())
        .ok_or_else(|| Fault::new(format!("cannot find the account {account}")))
}

fn told(report: &AccessReport) -> Option<String> {
    if report.lacks_people {
        return Some("[access.people] names an account that has no access".into());
    }
    let first = report.examples.first()?.display();
    Some(match report.closed {
        1 => format!("its own user cannot use {first}, which somebody else made"),
        more => format!(
            "its own user cannot use {more} files and folders that somebody else made, such as {first}"
        ),
    })
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
            lacks_people: false,
        };
        let message = told(&report).unwrap();
        assert!(message.contains("use 3 ") && message.ends_with("/w/src/a"));
    }
}
