//! Carries one job: forward until every step is applied, or back until none is.

use super::{
    AnyStep, Cx, Inner, Phase, Plan, Point,
    event::{Failure, Impossible, Progress, StepState, What},
    output::{Log, Sink, redact},
};
use crate::{
    config::Project,
    domain::{JobState, UnitName},
    store::{JobRow, StoreError},
    system::{Fault, helpers::Identity},
};
use serde_json::Value;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicUsize},
    time::{Duration, Instant},
};
use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Undo and finish are tried so often before the job is stuck.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(200);
/// How long to wait before the ledger is tried again.
const LEDGER_PAUSE: Duration = Duration::from_millis(500);

/// Why a job is left as it is, for the next daemon.
#[derive(Debug, thiserror::Error)]
enum Halt {
    #[error("the daemon is going down")]
    Stopping,
    #[error(transparent)]
    Ledger(#[from] StoreError),
    #[error(transparent)]
    Journal(#[from] Impossible),
}

/// Whether anything of a job may be there already.
pub(super) enum Begin {
    /// It has just been journalled.
    New {
        /// Whose helper it needs first.
        ahead: Option<Identity>,
    },
    /// An earlier attempt, or an earlier daemon, began it.
    Again,
}

impl Begin {
    async fn prepare(self, inner: &Inner, id: Uuid) {
        match self {
            Self::New { ahead: None } => {}
            Self::New {
                ahead: Some(identity),
            } => inner.sys.helpers.prepare(id, identity).await,
            // What was started for this job must be dead before anything is done again.
            Self::Again => {
                if let Err(fault) = inner.sys.helpers.end(id).await {
                    tracing::error!(job = %id, "{fault}");
                }
            }
        }
    }
}

/// Carries a job to its end, or until the daemon goes down.
pub(super) async fn carry(
    inner: Arc<Inner>,
    id: Uuid,
    begin: Begin,
    cancel: CancellationToken,
    seq: watch::Sender<u64>,
) {
    let result = async {
        let load = Runner::load(Arc::clone(&inner), id, cancel, seq);
        // The ledger is asked first: it answers while the helper is started.
        let (runner, ()) = tokio::join!(biased; load, begin.prepare(&inner, id));
        match runner? {
            Some(runner) => runner.run().await,
            None => Ok(()),
        }
    }
    .await;
    let _ = inner.sys.helpers.end(id).await;
    match result {
        Ok(()) => {}
        Err(Halt::Stopping) => tracing::info!(job = %id, "job left for the next start"),
        Err(halt) => tracing::error!(job = %id, "job left as it is: {halt}"),
    }
}

struct Runner {
    inner: Arc<Inner>,
    row: JobRow,
    plan: Plan,
    steps: Vec<Box<dyn AnyStep>>,
    progress: Progress,
    /// Journal lines that go to disk with the next flush.
    pending: Vec<What>,
    cancel: CancellationToken,
    seq: watch::Sender<u64>,
    logged: Arc<AtomicUsize>,
}

impl Runner {
    async fn load(
        inner: Arc<Inner>,
        id: Uuid,
        cancel: CancellationToken,
        seq: watch::Sender<u64>,
    ) -> Result<Option<Self>, Halt> {
        let Some(row) = inner.store.job(id).await? else {
            return Ok(None);
        };
        let plan: Plan = serde_json::from_value(row.plan.clone()).map_err(StoreError::from)?;
        let mut progress = Progress::new(plan.steps.len());
        for event in inner.store.events(id, 0, usize::MAX >> 1).await? {
            progress.next(&event.what)?;
        }
        let steps = plan
            .steps
            .iter()
            .map(inner.decode)
            .collect::<Result<Vec<_>, _>>();
        let (steps, unknown) = match steps {
            Ok(steps) => (steps, None),
            Err(unknown) => (Vec::new(), Some(unknown)),
        };
        let logged = Arc::default();
        let mut runner = Self {
            inner,
            row,
            plan,
            steps,
            progress,
            pending: Vec::new(),
            cancel,
            seq,
            logged,
        };
        if let Some(unknown) = unknown {
            runner.note(0, unknown.to_string())?;
            runner.end(JobState::Stuck).await?;
            return Ok(None);
        }
        Ok(Some(runner))
    }

    async fn run(mut self) -> Result<(), Halt> {
        if self.progress.state == JobState::Queued {
            self.record(What::Job {
                state: JobState::Running,
            })?;
        }
        while !self.progress.is_going_back() {
            let next = self
                .progress
                .steps
                .iter()
                .position(|s| matches!(s, StepState::Planned | StepState::Observed));
            match next {
                Some(index) => self.forward(index).await?,
                None if self.cancel.is_cancelled() && !self.inner.stopping.is_cancelled() => {
                    let failure = Failure {
                        step: None,
                        message: "cancelled".into(),
                        hint: None,
                        output: vec![],
                        cancelled: true,
                    };
                    self.record(What::Failed { failure })?;
                }
                None => return self.complete(JobState::Done).await,
            }
        }
        self.back().await
    }

    /// Observes (once) and applies one step; a failure turns the job around.
    async fn forward(&mut self, index: usize) -> Result<(), Halt> {
        let limit = self.limit(index);
        let (cx, log) = self.cx(index);
        if cx.cancel.is_cancelled() {
            return self.fail(index, Fault::cancelled(), cx, log).await;
        }
        if self.progress.steps[index] == StepState::Planned {
            match within(limit, &cx.cancel, self.steps[index].observe(&cx)).await {
                Ok(before) => self.record(What::Observed {
                    step: index,
                    before,
                })?,
                Err(fault) => return self.fail(index, fault, cx, log).await,
            }
        }
        if self.steps[index].has_undo() {
            self.flush().await?;
        }
        self.at(index, Phase::Observed).await;
        let pending = std::mem::take(&mut self.pending);
        // Where there is nothing to take back, nothing is lost with lines that are not on disk yet.
        let (written, applied) =
            tokio::join!(biased; self.write(pending), self.apply(index, limit, &cx));
        written?;
        let Some((applied, begin)) = applied else {
            return self.fail(index, Fault::cancelled(), cx, log).await;
        };
        self.at(index, Phase::AppliedUnwritten).await;
        match applied {
            Ok(output) => {
                self.take_notes(index, &cx)?;
                drop(cx);
                let rest = log.end().await.rest;
                self.log_rest(index, rest)?;
                self.record(What::Applied {
                    step: index,
                    output,
                    took_ms: millis(begin),
                })?;
                Ok(())
            }
            Err(fault) => self.fail(index, fault, cx, log).await,
        }
    }

    /// Applies a step as soon as it has its core, from when on its limit counts; `None`: cancelled
    /// before that.
    async fn apply(
        &self,
        index: usize,
        limit: Duration,
        cx: &Cx,
    ) -> Option<(Result<Value, Fault>, Instant)> {
        let before = self.progress.befores[index].clone().unwrap_or_default();
        let _core = self.core(index).await?;
        let begin = Instant::now();
        let applied = within(limit, &cx.cancel, self.steps[index].apply(&before, cx)).await;
        Some((applied, begin))
    }

    /// Waits for a core, where the step wants one for long; `None`: cancelled meanwhile.
    async fn core(&self, index: usize) -> Option<Option<OwnedSemaphorePermit>> {
        if !self.steps[index].is_heavy() {
            return Some(None);
        }
        tokio::select! {
            core = Arc::clone(&self.inner.heavy).acquire_owned() => Some(core.ok()),
            () = self.cancel.cancelled() => None,
        }
    }

    async fn fail(&mut self, index: usize, fault: Fault, cx: Cx, log: Log) -> Result<(), Halt> {
        if self.inner.stopping.is_cancelled() {
            return Err(Halt::Stopping);
        }
        self.take_notes(index, &cx)?;
        drop(cx);
        let log = log.end().await;
        self.log_rest(index, log.rest)?;
        let cancelled = self.cancel.is_cancelled();
        tracing::info!(job = %self.row.id, project = %self.row.project, workspace = %self.row.name, step = self.plan.steps[index].kind, "step failed: {fault}");
        let message = if cancelled {
            "cancelled".to_owned()
        } else {
            redact(&self.secrets(), fault.message)
        };
        self.record(What::Failed {
            failure: Failure {
                step: Some(index),
                message,
                hint: fault.hint,
                output: log.last,
                cancelled,
            },
        })?;
        self.flush().await
    }

    /// Takes every observed step back, last first.
    async fn back(&mut self) -> Result<(), Halt> {
        self.flush().await?;
        if let Err(fault) = self.inner.sys.helpers.end(self.row.id).await {
            tracing::error!(job = %self.row.id, project = %self.row.project, workspace = %self.row.name, "{fault}");
        }
        // A job that is being taken back cannot be cancelled any more, only stopped with the daemon.
        self.cancel = self.inner.stopping.child_token();
        for index in (0..self.steps.len()).rev() {
            if matches!(
                self.progress.steps[index],
                StepState::Planned | StepState::Undone
            ) {
                continue;
            }
            self.record(What::Undoing { step: index })?;
            self.flush().await?;
            self.at(index, Phase::Undoing).await;
            let begin = Instant::now();
            let undone = self.attempt(index, Part::Undo).await?;
            self.at(index, Phase::UndoneUnwritten).await;
            match undone {
                Ok(()) => self.record(What::Undone {
                    step: index,
                    took_ms: millis(begin),
                })?,
                Err(fault) => return self.stuck(index, &fault).await,
            }
        }
        let cancelled = self
            .progress
            .failure
            .as_ref()
            .is_some_and(|failure| failure.cancelled);
        self.complete(if cancelled {
            JobState::Cancelled
        } else {
            JobState::Undone
        })
        .await
    }

    /// Lets every observed step finish, then writes the job's end.
    async fn complete(&mut self, state: JobState) -> Result<(), Halt> {
        self.flush().await?;
        for index in 0..self.steps.len() {
            if self.progress.befores[index].is_none() {
                continue;
            }
            if let Err(fault) = self.attempt(index, Part::Finish).await? {
                return self.stuck(index, &fault).await;
            }
        }
        self.whole(Phase::Finished).await;
        self.end(state).await?;
        self.whole(Phase::Ended).await;
        Ok(())
    }

    async fn stuck(&mut self, index: usize, fault: &Fault) -> Result<(), Halt> {
        tracing::error!(job = %self.row.id, project = %self.row.project, workspace = %self.row.name, step = self.plan.steps[index].kind, "job is stuck: {fault}");
        self.record(What::Stuck {
            step: index,
            message: fault.message.clone(),
        })?;
        self.end(JobState::Stuck).await
    }

    async fn end(&mut self, state: JobState) -> Result<(), Halt> {
        self.record(What::Job { state })?;
        self.flush().await?;
        tracing::info!(job = %self.row.id, project = %self.row.project, workspace = %self.row.name, "job ended: {state:?}");
        Ok(())
    }

    /// Undoes or finishes a step, again if need be.
    async fn attempt(&mut self, index: usize, part: Part) -> Result<Result<(), Fault>, Halt> {
        let before = self.progress.befores[index].clone().unwrap_or_default();
        let mut tries = 0;
        loop {
            tries += 1;
            let (cx, log) = self.cx(index);
            let step = &self.steps[index];
            let limit = self.limit(index);
            let result = match part {
                Part::Undo => within(limit, &cx.cancel, step.undo(&before, &cx)).await,
                Part::Finish => within(limit, &cx.cancel, step.finish(&before, &cx)).await,
            };
            self.take_notes(index, &cx)?;
            drop(cx);
            let rest = log.end().await.rest;
            self.log_rest(index, rest)?;
            match result {
                Err(_) if self.inner.stopping.is_cancelled() => return Err(Halt::Stopping),
                Err(fault) if tries < TRIES => {
                    tracing::warn!(job = %self.row.id, project = %self.row.project, workspace = %self.row.name, "trying again: {fault}");
                    let _ = self.inner.sys.helpers.end(self.row.id).await;
                    tokio::time::sleep(PAUSE * tries).await;
                }
                result => return Ok(result),
            }
        }
    }

    fn secrets(&self) -> Vec<String> {
        let project = self.inner.projects.get(self.row.project.as_str());
        let owned =
            |project: Arc<Project>| project.secrets().into_iter().map(str::to_owned).collect();
        project.map(owned).unwrap_or_default()
    }

    fn limit(&self, index: usize) -> Duration {
        let settings = &self.inner.settings.limits;
        // Without its file a project has no limits of its own.
        match self.inner.projects.get(self.row.project.as_str()) {
            Ok(project) => self.steps[index].limit(&project.limits.times(settings)),
            Err(_) => self.steps[index].limit(settings),
        }
    }

    fn cx(&self, index: usize) -> (Cx, Log) {
        let (lines, log) = Log::start(Sink {
            store: self.inner.store.clone(),
            job: self.row.id,
            step: index,
            seq: self.seq.clone(),
            used: Arc::clone(&self.logged),
            secrets: self.secrets(),
        });
        let outputs: HashMap<_, _> = self
            .plan
            .steps
            .iter()
            .zip(&self.progress.outputs)
            .filter_map(|(planned, output)| Some((planned.kind.clone(), output.clone()?)))
            .collect();
        let cx = Cx {
            inner: Arc::clone(&self.inner),
            job: self.row.id,
            workspace: self.row.workspace,
            isolation: self.row.isolation.clone(),
            project: self.row.project.clone(),
            unit: self.unit(),
            outputs,
            lines,
            notes: Mutex::default(),
            cancel: self.cancel.clone(),
            limit: self.limit(index),
            taken_back: self.progress.is_going_back(),
        };
        (cx, log)
    }

    fn unit(&self) -> UnitName {
        UnitName::new(&self.row.project, &self.row.name)
    }

    fn note(&mut self, step: usize, text: String) -> Result<(), Halt> {
        self.record(What::Note { step, text })
    }

    fn take_notes(&mut self, step: usize, cx: &Cx) -> Result<(), Halt> {
        let notes = std::mem::take(&mut *cx.notes.lock().unwrap_or_else(PoisonError::into_inner));
        notes.into_iter().try_for_each(|text| self.note(step, text))
    }

    fn log_rest(&mut self, step: usize, lines: Vec<String>) -> Result<(), Halt> {
        if lines.is_empty() {
            return Ok(());
        }
        self.record(What::Output { step, lines })
    }

    fn record(&mut self, what: What) -> Result<(), Halt> {
        self.progress.next(&what)?;
        self.pending.push(what);
        Ok(())
    }

    /// Puts the pending lines on disk.
    async fn flush(&mut self) -> Result<(), Halt> {
        let pending = std::mem::take(&mut self.pending);
        self.write(pending).await
    }

    /// Puts lines on disk; waits as long as the ledger is locked or the disk is full. A job whose
    /// lines cannot be written is left as it is on disk.
    async fn write(&self, lines: Vec<What>) -> Result<(), Halt> {
        if lines.is_empty() {
            return Ok(());
        }
        loop {
            match self.inner.store.append(self.row.id, lines.clone()).await {
                Ok(seq) => {
                    self.seq.send_replace(seq);
                    return Ok(());
                }
                Err(error) if error.is_passing() => {
                    tracing::error!(job = %self.row.id, project = %self.row.project, workspace = %self.row.name, "the job waits: {error}");
                    if matches!(error, StoreError::Full(_)) {
                        self.inner.store.release_reserve();
                    }
                    tokio::select! {
                        () = tokio::time::sleep(LEDGER_PAUSE) => {}
                        () = self.inner.stopping.cancelled() => return Err(Halt::Stopping),
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn at(&self, index: usize, phase: Phase) {
        self.inner
            .hooks
            .at(Point {
                step: self.plan.steps[index].kind.clone(),
                phase,
            })
            .await;
    }

    async fn whole(&self, phase: Phase) {
        self.inner
            .hooks
            .at(Point {
                step: String::new(),
                phase,
            })
            .await;
    }
}

#[derive(Clone, Copy)]
enum Part {
    Undo,
    Finish,
}

/// A part of a step within its time. Whoever is cancelled gets some seconds to end its helper.
async fn within<T>(
    limit: Duration,
    cancel: &CancellationToken,
    work: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    // Helpers have the same limit and say better what took so long: they go first.
    let guarded = timeout(limit + Duration::from_secs(7), work);
    tokio::select! {
        result = guarded => result.unwrap_or_else(|_| {
            Err(Fault::new(format!("cannot wait any longer: it took more than {} s", limit.as_secs()))
                .hint("see [limits] in cid.toml"))
        }),
        () = cancelled_for(cancel, Duration::from_secs(8)) => Err(Fault::cancelled()),
    }
}

async fn cancelled_for(cancel: &CancellationToken, grace: Duration) {
    cancel.cancelled().await;
    tokio::time::sleep(grace).await;
}

fn millis(begin: Instant) -> u64 {
    u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX)
}
