//! One call on its way through the gate, and what the audit log records of it.

use super::{Action, Caller, Decision, Guest, Subject};
use crate::domain::{Email, Owner, ProjectName, Workspace};
use jiff::Timestamp;
use std::sync::{Mutex, MutexGuard, PoisonError};
use uuid::Uuid;

/// One call.
#[derive(Debug)]
pub struct Call {
    /// The caller.
    pub caller: Caller,
    /// By the front's socket: on whose behalf.
    pub guest: Guest,
    /// The request's path, e.g. `/cid.v1.Workspaces/Create`.
    pub rpc: String,
    /// The client can ask a person for a password.
    pub is_interactive: bool,
    /// When it arrived.
    pub at: Timestamp,
    known: Mutex<Known>,
}

/// What is known of a call so far.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The kind of right it needs.
    pub action: Option<Action>,
    /// The workspace it is about.
    pub subject: Option<Subject>,
    /// The caller's account.
    pub account: Option<String>,
    /// The authority's decision; `None` until it has been asked.
    pub decision: Option<Decision>,
    /// The job that the call started or is about.
    pub job: Option<Uuid>,
    /// The project it is about, if it is about a project and not about one workspace.
    pub project: Option<ProjectName>,
    /// The person or the stage that it names. Where `subject` is known, that counts.
    pub owner: Option<Owner>,
    /// The program that it asks to run.
    pub program: Option<String>,
    /// The number of the build it is about.
    pub build: Option<u32>,
    /// It changes nothing, and shows nothing of another's.
    pub only_looks: bool,
}

impl Call {
    /// A call that has just arrived.
    pub fn new(caller: Caller, rpc: &str, is_interactive: bool) -> Self {
        Self {
            caller,
            guest: Guest::default(),
            rpc: rpc.to_owned(),
            is_interactive,
            at: Timestamp::now(),
            known: Mutex::default(),
        }
    }

    /// The same call on behalf of this guest of the front.
    pub fn of_guest(self, guest: Guest) -> Self {
        Self { guest, ..self }
    }

    /// What is known of it so far.
    pub fn known(&self) -> Known {
        self.lock().clone()
    }

    /// Records the job that it started and the job's workspace, which may have got its name only now.
    pub fn began(&self, workspace: &Workspace, job: Uuid) {
        let mut known = self.lock();
        known.job = Some(job);
        if let Some(subject) = &mut known.subject {
            subject.workspace = Some(workspace.name.clone());
        }
    }

    /// Records the job of a build that it started.
    pub fn began_build(&self, job: Uuid) {
        self.lock().job = Some(job);
    }

    /// Records the number of the build it is about.
    pub fn concerns_build(&self, number: u32) {
        self.lock().build = Some(number);
    }

    /// Records the project it is about.
    pub fn concerns(&self, project: &ProjectName) {
        self.lock().project = Some(project.clone());
    }

    /// Records the address it is about.
    pub fn concerns_address(&self, email: &Email) {
        self.lock().owner = Some(email.clone().into());
    }

    /// Records which workspace it names, before it is known whether there is one.
    pub fn names(&self, owner: &Owner, project: &str) {
        let mut known = self.lock();
        known.owner = Some(owner.clone());
        known.project = ProjectName::parse(project);
    }

    /// Records that it only looks.
    pub fn only_looks(&self) {
        self.lock().only_looks = true;
    }

    /// Records the decision about it.
    pub fn decided(&self, decision: Decision) {
        self.lock().decision = Some(decision);
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
