//! Pays what finished jobs still owe.

use crate::{
    cid::Cid,
    store::{Debt, OwedRow, StoreError},
    system::helpers::{Identity, ask_once},
};
use cid_protocol::{fault::Fault, request::DeleteBranch};
use std::time::Duration;

/// How often debts are tried again.
const PAUSE: Duration = Duration::from_secs(10);
/// The longest pause between attempts for a branch on a server that does not answer.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// Tries every debt once, and removes those that are paid.
///
/// # Errors
/// The ledger fails. A debt that cannot be paid yet is no error: it stays, with the newest reason.
pub async fn settle_debts(cid: &Cid) -> Result<usize, StoreError> {
    let owed = cid.store.owed().await?;
    let left = owed.len();
    let mut paid = Vec::new();
    let (mut nginx, mut supervisor) = (None, None);
    for row in owed {
        let result = match &row.debt {
            Debt::NginxReload => match &nginx {
                Some(result) => Clone::clone(result),
                None => nginx.insert(cid.sys.nginx.settle().await).clone(),
            },
            Debt::SupervisorUpdate => match &supervisor {
                Some(result) => Clone::clone(result),
                None => supervisor.insert(cid.sys.supervisor.settle().await).clone(),
            },
            Debt::DeleteBranch { .. } => delete_branch(cid, &row).await,
        };
        match result {
            Ok(()) => paid.push(row.id),
            Err(fault) => {
                cid.store
                    .owe(row.job, row.unit, row.debt, fault.message)
                    .await?;
            }
        }
    }
    let left = left - paid.len();
    if !paid.is_empty() {
        cid.store.settle(paid).await?;
    }
    Ok(left)
}

async fn delete_branch(cid: &Cid, row: &OwedRow) -> Result<(), Fault> {
    let Debt::DeleteBranch {
        project,
        mirror,
        remote,
        branch,
        expected,
    } = &row.debt
    else {
        return Ok(());
    };
    let request = DeleteBranch {
        mirror: mirror.clone(),
        remote: remote.clone(),
        branch: branch.clone(),
        expected: expected.clone(),
    };
    let (identity, limit) = (Identity::Git(project.clone()), *cid.settings.limits.git);
    let result = ask_once(
        cid.sys.helpers.as_ref(),
        identity,
        limit,
        cid.stopping.clone(),
        request,
    )
    .await;
    // A branch that has moved is in use again: nothing is owed any more.
    result.map(drop)
}

/// Repeats this until the daemon stops.
pub async fn settle_forever(cid: Cid) {
    let mut pause = PAUSE;
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = cid.stopping.cancelled() => return,
        }
        pause = match settle_debts(&cid).await {
            Ok(0) => PAUSE,
            Ok(_) => (pause * 2).min(LONGEST_PAUSE),
            Err(error) => {
                tracing::warn!("debts are left as they are: {error}");
                PAUSE
            }
        };
    }
}
