//! One call on its way through the gate, and what becomes known of it, for the audit log.

use super::{Action, Caller, Decision, Subject};
use crate::domain::{ProjectName, Workspace};
use jiff::Timestamp;
use std::sync::{Mutex, MutexGuard, PoisonError};
use uuid::Uuid;

/// One call.
#[derive(Debug)]
pub struct Call {
    /// Whose.
    pub caller: Caller,
    /// The request's path, e.g. `/cid.v1.Workspaces/Create`.
    pub rpc: String,
    /// The client has somebody who can be asked for a password.
    pub is_interactive: bool,
    /// When it came.
    pub at: Timestamp,
    known: Mutex<Known>,
}

/// What is known of a call so far.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The kind of right it takes.
    pub action: Option<Action>,
    /// What it is about.
    pub subject: Option<Subject>,
    /// The caller's account.
    pub account: Option<String>,
    /// What the authority said; `None`: it has not been asked.
    pub decision: Option<Decision>,
    /// The job it began or is about.
    pub job: Option<Uuid>,
    /// The project it is about, where it is about none of its workspaces.
    pub project: Option<ProjectName>,
    /// The program that it is to run.
    pub program: Option<String>,
}

impl Call {
    /// A call that has just come.
    pub fn new(caller: Caller, rpc: &str, is_interactive: bool) -> Self {
        Self {
            caller,
            rpc: rpc.to_owned(),
            is_interactive,
            at: Timestamp::now(),
            known: Mutex::default(),
        }
    }

    /// What is known of it by now.
    pub fn known(&self) -> Known {
        self.lock().clone()
    }

    /// The job that it began, and for which workspace, which may have got its name only then.
    pub fn began(&self, workspace: &Workspace, job: Uuid) {
        let mut known = self.lock();
        known.job = Some(job);
        if let Some(subject) = &mut known.subject {
            subject.workspace = Some(workspace.name.clone());
        }
    }

    /// Which project it is about.
    pub fn concerns(&self, project: &ProjectName) {
        self.lock().project = Some(project.clone());
    }

    /// What was decided about it.
    pub fn decided(&self, decision: Decision) {
        self.lock().decision = Some(decision);
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
