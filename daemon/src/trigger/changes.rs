//! What is new on a remote.

use crate::{
    domain::{Workspace, WorkspaceState},
    store::Followed,
};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// Something that may have to be followed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change<'a> {
    /// The base branch, or a stage's, is at another commit.
    Base { branch: &'a str, commit: &'a str },
    /// A workspace's branch is at another commit.
    Moved {
        workspace: &'a Workspace,
        commit: &'a str,
    },
    /// A workspace's branch is not on the remote; `since`: that is not new.
    Gone {
        workspace: &'a Workspace,
        since: Option<Timestamp>,
    },
}

impl<'a> Change<'a> {
    /// The branch.
    pub(super) fn branch(&self) -> &'a str {
        match self {
            Self::Base { branch, .. } => branch,
            Self::Moved { workspace, .. } | Self::Gone { workspace, .. } => &workspace.branch,
        }
    }

    /// Where it is now.
    pub(super) fn commit(&self) -> Option<&'a str> {
        match self {
            Self::Base { commit, .. } | Self::Moved { commit, .. } => Some(commit),
            Self::Gone { .. } => None,
        }
    }
}

/// Where the branches that are built are, and those of workspaces that have pushed one.
pub(super) fn positions(
    built: &[&str],
    workspaces: &[Workspace],
    now: &BTreeMap<String, String>,
) -> Vec<(String, Option<String>)> {
    let own = pushed(workspaces).map(|(workspace, _)| workspace.branch.as_str());
    own.chain(built.iter().copied())
        .map(|branch| (branch.to_owned(), now.get(branch).cloned()))
        .collect()
}

/// Workspaces that are neither being made nor deleted, with the commit that each was made or deployed at. One without
/// a commit has pushed no branch.
fn pushed(workspaces: &[Workspace]) -> impl Iterator<Item = (&Workspace, &str)> {
    // One that somebody stopped stays stopped.
    let ready = workspaces.iter().filter(|workspace| {
        matches!(
            workspace.state,
            WorkspaceState::Ready | WorkspaceState::Asleep
        )
    });
    ready.filter_map(|workspace| Some((workspace, workspace.commit.as_deref()?)))
}

/// All changes from what is `known` to what is `now`, first of the branches that are built. A branch that is seen for the first time
/// is compared with what its workspace was made or deployed at. Workspaces that are being made or deleted are left out.
pub(super) fn changes<'a>(
    built: &[&'a str],
    workspaces: &'a [Workspace],
    known: &BTreeMap<String, Followed>,
    now: &'a BTreeMap<String, String>,
) -> Vec<Change<'a>> {
    let was = |branch: &str| known.get(branch).and_then(|was| was.commit.as_deref());
    let of_built = built.iter().filter_map(|branch| {
        let commit = now.get(*branch)?;
        (was(branch) != Some(commit)).then_some(Change::Base { branch, commit })
    });
    let of_workspaces = pushed(workspaces).filter_map(|(workspace, own)| {
        let branch = workspace.branch.as_str();
        match now.get(branch) {
            Some(commit) => (was(branch).unwrap_or(own) != commit)
                .then_some(Change::Moved { workspace, commit }),
            None => Some(Change::Gone {
                workspace,
                since: workspace.branch_gone_at,
            }),
        }
    });
    of_built.chain(of_workspaces).collect()
}
