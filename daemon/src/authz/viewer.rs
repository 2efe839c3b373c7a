//! Who may see what a job's commands and processes wrote.

use super::{Action, Call, Decision, Door, Gate, Question, Subject, refused, table};
use crate::{
    domain::{Email, ProjectName},
    error::Error,
};
use std::sync::Arc;
use uuid::Uuid;

/// A caller who has been admitted to see a job. The job's output is a log and needs the right to read logs.
#[derive(Clone)]
pub struct Viewer {
    gate: Gate,
    call: Arc<Call>,
}

impl Viewer {
    pub(super) fn new(gate: &Gate, call: &Arc<Call>) -> Self {
        Self {
            gate: gate.clone(),
            call: Arc::clone(call),
        }
    }

    /// The caller's user id.
    pub fn uid(&self) -> u32 {
        self.call.caller.uid
    }

    /// Who is signed in at the front.
    pub fn person(&self) -> Option<&Email> {
        self.call.guest.person.as_ref().map(|person| &person.email)
    }

    /// Whether the call came from the front.
    pub fn is_guest(&self) -> bool {
        self.call.caller.door == Door::Front
    }

    /// Records which job the call is about, for the audit log.
    pub fn looks_at(&self, project: &ProjectName, job: Uuid) {
        let mut known = self.call.lock();
        known.project = Some(project.clone());
        known.job = Some(job);
    }

    /// Refuses guests of the front what is not theirs to see, whether it exists or not. `None`: it belongs to a
    /// project.
    ///
    /// # Errors
    /// It is not theirs.
    pub fn may_see(&self, email: Option<&Email>) -> Result<(), Error> {
        let Call { caller, guest, .. } = &*self.call;
        if caller.door == Door::People || guest.sees(email) {
            return Ok(());
        }
        if let Some(email) = email {
            self.call.concerns_address(email);
        }
        self.may_see_all()
    }

    /// Refuses guests of the front who do not see everything.
    ///
    /// # Errors
    /// They do not.
    pub fn may_see_all(&self) -> Result<(), Error> {
        let Call { caller, guest, .. } = &*self.call;
        if caller.door == Door::People {
            return Ok(());
        }
        let decision = guest.may_hear();
        self.call.decided(decision.clone());
        // Who is turned away, and from what, is what the audit log is for.
        self.call.lock().account = self.person().map(ToString::to_string);
        match decision {
            Decision::Allowed => Ok(()),
            Decision::Denied(denial) => Err(refused(&denial)),
        }
    }

    /// The only address whose workspaces the caller is shown; `None`: no such bound.
    pub fn only(&self) -> Option<&Email> {
        let is_guest = self.call.caller.door == Door::Front;
        self.call.guest.only().filter(|_| is_guest)
    }

    /// Whether the caller may see the output of a job of this workspace. Never prompts: without the right,
    /// the job is shown without its output.
    pub async fn may_see_output(&self, subject: &Subject) -> Decision {
        let (gate, call) = (&self.gate, &self.call);
        let row = table::find(&call.rpc);
        if !row.is_some_and(|row| row.output.contains(&call.caller.door)) {
            return Decision::denied("this call shows no output");
        }
        if call.caller.door == Door::Front {
            // Not who may see the job: with an open front that is everybody.
            let person = call.guest.person.as_ref();
            let is_administrator = person.is_some_and(|person| person.is_administrator);
            return match is_administrator || call.guest.owns(subject) {
                true => Decision::Allowed,
                false => Decision::denied("the web front shows no output to visitors"),
            };
        }
        let is_own = gate.is_own(call, subject).await;
        let unprompted = Call::new(call.caller.clone(), &call.rpc, false);
        let question = Question {
            call: &unprompted,
            action: Action::ReadLogs,
            subject: Some((subject, is_own)),
        };
        gate.authority.decide(question).await
    }

    /// Records in the audit log that the caller read the output of somebody else's job.
    pub async fn has_read(&self, subject: &Subject) {
        if self.gate.is_own(&self.call, subject).await {
            return;
        }
        self.gate.account(&self.call).await;
        let mut known = self.call.lock();
        known.action = Some(Action::ReadLogs);
        known.job = subject.job;
        known.subject = Some(subject.clone());
    }
}
