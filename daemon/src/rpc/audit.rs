//! Who did what: each line goes to the log at once, and to the ledger a moment later, in batches. No
//! request waits for either.

use super::convert;
use crate::{
    authz::{Call, Decision, Door},
    store::{AuditLine, Store, Verdict},
};
use cid_proto::v1;
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;
use tonic::Code;

/// At most this many lines wait to be written. Further lines are counted and missing from the ledger.
const QUEUE: usize = 1024;
const BATCH: usize = 256;
/// The shortest time between two commits.
const PAUSE: Duration = Duration::from_millis(200);
/// How often old lines are deleted.
const FORGET_PAUSE: Duration = Duration::from_mins(10);
/// How long writing the last lines may take at the end.
const FINISH: Duration = Duration::from_secs(5);
/// Lines of refused calls leave this much of the queue to the others.
const FOR_ALLOWED: usize = QUEUE / 2;
/// How often calls of people who are not signed in are reported.
const STRANGERS_PAUSE: Duration = Duration::from_mins(1);
/// Callers can make a path or a reason arbitrarily long, so it is cut here.
const MAX_TEXT: usize = 300;

/// Where the lines go. Cheap to clone.
#[derive(Clone)]
pub struct Audit {
    queue: mpsc::Sender<AuditLine>,
    lost: Arc<AtomicU64>,
    strangers: Arc<Mutex<Strangers>>,
}

/// Calls of people who are not signed in. Anybody can make any number of them, so they get no lines: these would
/// push out those of the people who are.
#[derive(Default)]
struct Strangers {
    calls: u64,
    told: Option<Instant>,
}

impl Audit {
    /// Starts writing to this ledger.
    pub fn start(store: Store) -> (Self, Writer) {
        let (queue, lines) = mpsc::channel(QUEUE);
        let lost = Arc::new(AtomicU64::new(0));
        let closing = CancellationToken::new();
        let task = tokio::spawn(write(store, lines, Arc::clone(&lost), closing.clone()));
        let strangers = Arc::default();
        let audit = Self {
            queue,
            lost,
            strangers,
        };
        (audit, Writer { task, closing })
    }

    /// Records how a call was answered. A permitted call that only listed, showed or looked gets no line.
    pub(super) fn tell(&self, call: &Call, outcome: Code) {
        if is_strangers(call) && !has_signed_in(call, outcome) {
            return self.count_stranger();
        }
        let line = line(call, outcome);
        let known = call.known();
        let is_overview =
            known.only_looks || known.action.is_none_or(crate::authz::Action::is_overview);
        if line.verdict != Verdict::Denied && is_overview {
            tracing::debug!(target: "audit", uid = line.uid, pid = line.pid, rpc = line.rpc, outcome = line.outcome, "read");
            return;
        }
        log(&line);
        let is_full = line.verdict != Verdict::Allowed && self.queue.capacity() < FOR_ALLOWED;
        if is_full || self.queue.try_send(line).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Audit {
    fn count_stranger(&self) {
        let mut strangers = self
            .strangers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        strangers.calls += 1;
        let told = strangers.told;
        if told.is_none_or(|told| told.elapsed() >= STRANGERS_PAUSE) {
            tracing::info!(target: "audit", calls = strangers.calls, "calls of people who are not signed in at the front");
            *strangers = Strangers {
                calls: 0,
                told: Some(Instant::now()),
            };
        }
    }
}

/// Whether nobody is signed in on whose behalf the front calls.
fn is_strangers(call: &Call) -> bool {
    call.caller.door == Door::Front && call.guest.person.is_none()
}

/// Whether the call is the sign-in of a person.
fn has_signed_in(call: &Call, outcome: Code) -> bool {
    outcome == Code::Ok && call.known().owner.is_some() && call.rpc.ends_with("/Redeem")
}

fn line(call: &Call, outcome: Code) -> AuditLine {
    let known = call.known();
    let (verdict, reason) = match known.decision {
        Some(Decision::Allowed) => (Verdict::Allowed, String::new()),
        Some(Decision::Denied(denial)) => (Verdict::Denied, denial.reason),
        None => (Verdict::NotAsked, String::new()),
    };
    let subject = known.subject.as_ref();
    AuditLine {
        id: 0,
        at: call.at,
        uid: call.caller.uid,
        account: known.account.unwrap_or_default(),
        pid: call.caller.pid().unwrap_or_default(),
        door: call.caller.door.as_str().to_owned(),
        rpc: short(&call.rpc),
        action: known.action.map(|a| a.id().to_owned()).unwrap_or_default(),
        email: subject
            .and_then(|s| s.owner.as_ref())
            .map(ToString::to_string)
            .or(known.owner.as_ref().map(ToString::to_string))
            .unwrap_or_default(),
        project: subject
            .map(|s| &s.project)
            .or(known.project.as_ref())
            .map(ToString::to_string)
            .unwrap_or_default(),
        workspace: subject
            .and_then(|s| s.workspace.as_ref())
            .map(ToString::to_string)
            .unwrap_or_default(),
        job: known.job.map(|job| job.to_string()).unwrap_or_default(),
        verdict,
        reason: short(&reason),
        outcome: convert::code(outcome).to_owned(),
        program: short(&known.program.unwrap_or_default()),
        build: known.build.unwrap_or_default(),
    }
}

fn short(text: &str) -> String {
    text.chars().take(MAX_TEXT).collect()
}

/// Under systemd each of these becomes a field of the journal: `journalctl WORKSPACE=...`.
fn log(line: &AuditLine) {
    let AuditLine {
        uid,
        account,
        pid,
        door,
        rpc,
        action,
        email,
        project,
        workspace,
        job,
        reason,
        outcome,
        program,
        build,
        ..
    } = line;
    let who = if account.is_empty() { "?" } else { account };
    let of = if email.is_empty() { "" } else { " for " };
    let why = if reason.is_empty() { "" } else { ": " };
    let decision = match line.verdict {
        Verdict::Allowed => "allowed",
        Verdict::Denied => "denied",
        Verdict::NotAsked => "not asked",
    };
    // An unknown field is left out.
    let ran = if program.is_empty() { "" } else { " of " };
    let of_build = match build {
        0 => String::new(),
        number => format!(" of build {number}"),
    };
    let [
        account,
        action,
        email_field,
        project,
        workspace,
        job,
        program_field,
    ] = [account, action, email, project, workspace, job, program]
        .map(|text| Some(text.as_str()).filter(|text| !text.is_empty()));
    tracing::info!(
        target: "audit",
        uid, account, pid, door, rpc, action, email = email_field, project, workspace, job,
        program = program_field, build = Some(*build).filter(|number| *number > 0), decision, outcome,
        "{who} ({uid}) {rpc}{ran}{program}{of_build}{of}{email}: {decision}, {outcome}{why}{reason}"
    );
}

/// Writes the lines down.
pub struct Writer {
    task: JoinHandle<()>,
    closing: CancellationToken,
}

impl Writer {
    /// Accepts no more lines, and returns when the accepted ones are written.
    pub async fn finish(self) {
        self.closing.cancel();
        if !matches!(timeout(FINISH, self.task).await, Ok(Ok(()))) {
            tracing::warn!("the last lines of the audit log may not be in the ledger");
        }
    }
}

async fn write(
    store: Store,
    mut lines: mpsc::Receiver<AuditLine>,
    lost: Arc<AtomicU64>,
    closing: CancellationToken,
) {
    let mut forgotten: Option<Instant> = None;
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        let count = tokio::select! {
            count = lines.recv_many(&mut batch, BATCH) => count,
            () = closing.cancelled(), if !lines.is_closed() => {
                lines.close();
                continue;
            }
        };
        if count == 0 {
            return;
        }
        if let Err(error) = store.write_audit(std::mem::take(&mut batch)).await {
            tracing::warn!("{count} lines of the audit log are not in the ledger: {error}");
        }
        let lost = lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            tracing::warn!("{lost} lines of the audit log are not in the ledger: too many at once");
        }
        if forgotten.is_none_or(|last| last.elapsed() > FORGET_PAUSE) {
            forgotten = Some(Instant::now());
            if let Err(error) = store.forget_audit(jiff::Timestamp::now()).await {
                tracing::warn!("old lines of the audit log are kept: {error}");
            }
        }
        // Lines that arrive meanwhile go into one commit.
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = closing.cancelled() => {}
        }
    }
}

impl From<AuditLine> for v1::AuditLine {
    fn from(line: AuditLine) -> Self {
        let decision = match line.verdict {
            Verdict::Allowed => v1::Decision::Allowed,
            Verdict::Denied => v1::Decision::Denied,
            Verdict::NotAsked => v1::Decision::NotAsked,
        };
        Self {
            at: Some(convert::timestamp(line.at)),
            uid: line.uid,
            account: line.account,
            pid: line.pid,
            door: line.door,
            rpc: line.rpc,
            action: line.action,
            email: line.email,
            project: line.project,
            workspace: line.workspace,
            job: line.job,
            decision: decision.into(),
            reason: line.reason,
            outcome: line.outcome,
            program: line.program,
            build: line.build,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authz::{Caller, Door};

    fn denied(rpc: &str) -> Call {
        let call = call_by(Door::People, rpc);
        call.decided(Decision::denied("no"));
        call
    }

    fn call_by(door: Door, rpc: &str) -> Call {
        let caller = Caller {
            uid: 1000,
            gid: 1000,
            process: None,
            door,
        };
        Call::new(caller, rpc, false)
    }

    #[tokio::test]
    async fn what_was_said_before_the_end_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("cid.db")).unwrap();
        let (audit, writer) = Audit::start(store.clone());
        for number in 0..400 {
            audit.tell(&denied(&format!("/{number}")), Code::PermissionDenied);
        }
        let held = audit.clone();
        drop(audit);
        writer.finish().await;
        let lines = store.audit(None, None, 1000).await.unwrap();
        assert_eq!(lines.len(), 400);
        assert_eq!(
            (&*lines[0].rpc, &*lines[0].outcome),
            ("/399", "PERMISSION_DENIED")
        );
        held.tell(&denied("/late"), Code::PermissionDenied);
        assert_eq!(held.lost.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn a_flood_holds_nobody_up_and_is_counted() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("cid.db")).unwrap();
        let (audit, writer) = Audit::start(store.clone());
        // Nothing is written before this task waits.
        for _ in 0..FOR_ALLOWED + 7 {
            audit.tell(&denied(&"/".repeat(20_000)), Code::PermissionDenied);
        }
        let lost = || audit.lost.load(Ordering::Relaxed);
        assert!((6..=7).contains(&lost()), "{}", lost());
        let refused = lost();
        // What was allowed still has room.
        let allowed = call_by(Door::People, "/cid.v1.Workspaces/Delete");
        allowed.decided(Decision::Allowed);
        allowed.lock().action = Some(crate::authz::Action::DeleteAny);
        audit.tell(&allowed, Code::Ok);
        assert_eq!(lost(), refused);
        writer.finish().await;
        let lines = store.audit(None, None, 2000).await.unwrap();
        assert_eq!(lines[0].rpc, "/cid.v1.Workspaces/Delete");
        assert_eq!(lines[1].rpc.len(), MAX_TEXT);
    }

    #[tokio::test]
    async fn who_is_not_signed_in_writes_no_line_but_by_signing_in() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("cid.db")).unwrap();
        let (audit, writer) = Audit::start(store.clone());
        let stranger = |rpc: &str, decision: Decision| {
            let call = call_by(Door::Front, rpc);
            call.decided(decision);
            call.lock().action = Some(crate::authz::Action::SignIn);
            call
        };
        let redeem = "/cid.v1.People/Redeem";
        for _ in 0..100 {
            let list = stranger("/cid.v1.Workspaces/List", Decision::denied("nobody"));
            audit.tell(&list, Code::Unauthenticated);
            for rpc in [redeem, "/cid.v1.People/SignOut"] {
                let call = stranger(rpc, Decision::Allowed);
                audit.tell(&call, Code::Unauthenticated);
            }
        }
        let anna = stranger(redeem, Decision::Allowed);
        anna.concerns_address(&crate::domain::Email::parse("anna@example.com").unwrap());
        audit.tell(&anna, Code::Ok);
        writer.finish().await;
        let lines = store.audit(None, None, 10).await.unwrap();
        let lines: Vec<_> = lines
            .iter()
            .map(|line| (&*line.rpc, &*line.email))
            .collect();
        assert_eq!(lines, [(redeem, "anna@example.com")]);
    }
}
