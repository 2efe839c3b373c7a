//! Who may see what a job's commands and processes wrote.

use super::{Action, Call, Decision, Gate, Question, Subject, table};
use std::sync::Arc;

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

    /// Whether the caller may see the output of a job of this workspace. Never prompts: without the right,
    /// the job is shown without its output.
    pub async fn may_see_output(&self, subject: &Subject) -> Decision {
        let (gate, call) = (&self.gate, &self.call);
        let row = table::find(&call.rpc);
        if !row.is_some_and(|row| row.output.contains(&call.caller.door)) {
            return Decision::denied("the web front shows no output");
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
