//! A workspace goes away without a trace.

use crate::{
    config::Project,
    domain::{Account, JobKind, Workspace},
    engine::Plan,
    layout::{Layout, trash_dir},
    step::{
        CheckBranch, CheckWork, DeleteBranch, Doomed, EndProcesses, Origin, ReleasePort,
        RemoveAccount, RemoveDirectory, RemoveFiles, StopProcesses, Unpublish,
    },
};
use std::sync::Arc;

/// The remote branch that is to go as well.
#[derive(Clone, Debug)]
pub struct BranchChoice {
    /// The project as its file says now: without it nobody knows the remote.
    pub project: Arc<Project>,
    /// Also when the branch has commits that are not in base.
    pub force: bool,
}

/// What a look for work came to that found none.
#[derive(Clone, Debug)]
pub struct Looked {
    /// The project as its file says now, if it can be read.
    pub project: Option<Arc<Project>>,
    /// Which commits were found on remotes.
    pub judged: String,
}

/// The steps that remove a workspace: first nobody is sent there, then nothing runs there, then
/// nothing is there. Everything can be taken back until the trash is emptied. Needs no project
/// file, unless the branch is to go as well. `account` is the workspace's own, if it has one. Without
/// `looked`, work may be lost.
pub fn delete(
    layout: &Layout,
    workspace: &Workspace,
    branch: Option<&BranchChoice>,
    looked: Option<&Looked>,
    account: Option<Account>,
) -> Plan {
    let unit = workspace.unit();
    let job = workspace.job.to_string();
    let mirror = || layout.mirror(&workspace.project);
    // A deployment that is stuck has one more, beside the one that answers.
    let numbers = workspace.deployment.saturating_sub(1)..=workspace.deployment.saturating_add(1);
    let run_files = numbers.map(|number| Doomed {
        path: layout.run_file(&unit.instance(number)),
        trash: layout.trash_dir().join(format!("{job}.{number}")),
    });
    let mut plan = Plan::new(JobKind::Delete);
    if let Some(BranchChoice { project, force }) = branch {
        plan = plan.then(&CheckBranch {
            mirror: mirror(),
            remote: project.remote(),
            base: project.git.base.to_string(),
            branch: workspace.branch.clone(),
            force: *force,
        });
    }
    plan = plan
        .then(&Unpublish {})
        .then(&StopProcesses { for_good: true });
    if let Some(account) = &account {
        plan = plan.then(&EndProcesses {
            account: account.clone(),
        });
    }
    if let Some(Looked { project, judged }) = looked {
        plan = plan.then(&CheckWork {
            directory: workspace.directory.clone(),
            mirror: mirror(),
            origin: project.as_ref().map(|project| Origin {
                remote: project.remote(),
                base: project.git.base.to_string(),
                branch: workspace.branch.clone(),
            }),
            judged: judged.clone(),
        });
    }
    plan = plan
        .then(&RemoveFiles {
            paths: run_files
                .chain([
                    Doomed {
                        path: layout.app_log_dir(&unit),
                        trash: layout.log_trash_dir().join(&job),
                    },
                    // Where it was stopped. No unit's name begins with a dot.
                    Doomed {
                        path: layout.away_flag(&unit),
                        trash: layout.away_dir().join(format!(".{job}")),
                    },
                ])
                .collect(),
        })
        .then(&RemoveDirectory {
            directory: workspace.directory.clone(),
            trash: trash_dir(&workspace.directory).join(&job),
        });
    if let Some(BranchChoice { project, .. }) = branch {
        plan = plan.then(&DeleteBranch {
            mirror: mirror(),
            remote: project.remote(),
            base: project.git.base.to_string(),
            branch: workspace.branch.clone(),
        });
    }
    if let Some(account) = account {
        plan = plan.then(&RemoveAccount { account });
    }
    plan.then(&ReleasePort {})
}
