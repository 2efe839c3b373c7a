//! Carries one job: forward until every step is applied, or back until every step is undone.

use super::{
    Inner, Phase, Plan,
    back::Part,
    causes,
    journal::{Halt, Journal},
    work::{Running, Work},
};
use crate::{
    domain::{
        About, JobState,
        event::{Failure, StepState, What},
    },
    store::StoreError,
    system::{
        helpers::Identity,
        queue::{Resource, Turn, Who},
    },
};
use cid_protocol::fault::Fault;
use std::sync::Arc;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Whether a job may have left anything already.
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
            // Processes that were started for this job must be dead before anything runs again.
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
        // The ledger is asked first: it answers while the helper starts.
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

/// Who carries a job.
pub(super) struct Runner {
    pub(super) work: Work,
    pub(super) journal: Journal,
    pub(super) cancel: CancellationToken,
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
        let journal = Journal::read(&inner, &row, plan.steps.len(), seq.clone()).await?;
        let steps = plan.steps.iter().map(inner.decode);
        let (steps, unknown) = match steps.collect::<Result<Vec<_>, _>>() {
            Ok(steps) => (steps, None),
            Err(unknown) => (Vec::new(), Some(unknown)),
        };
        let work = Work {
            inner,
            row,
            plan,
            steps,
            seq,
            logged: Arc::default(),
            left_out: Arc::default(),
        };
        let mut runner = Self {
            work,
            journal,
            cancel,
        };
        if let Some(unknown) = unknown {
            let text = unknown.to_string();
            runner.journal.record(What::Note { step: 0, text })?;
            runner.end(JobState::Stuck).await?;
            return Ok(None);
        }
        Ok(Some(runner))
    }

    async fn run(mut self) -> Result<(), Halt> {
        let _turn = self.turn().await;
        if self.journal.progress.state == JobState::Queued {
            self.journal.record(What::Job {
                state: JobState::Running,
            })?;
        }
        if self.work.is_delete() {
            self.work.ensure_room();
        }
        while !self.journal.progress.is_going_back() {
            if self.is_stopping() {
                return Err(Halt::Stopping);
            }
            if self.cancel.is_cancelled() {
                let failure = Failure {
                    step: None,
                    message: "cancelled".into(),
                    hint: None,
                    output: vec![],
                    cancelled: true,
                };
                self.journal.record(What::Failed { failure })?;
                break;
            }
            let mut steps = self.journal.progress.steps.iter();
            match steps.position(|s| matches!(s, StepState::Planned | StepState::Observed)) {
                Some(index) => {
                    let mut together = self.work.plan.together_with(index);
                    if together.any(|at| self.work.steps[at].ends_cancelling()) {
                        self.work.inner.end_cancelling(self.work.row.id);
                        if self.cancel.is_cancelled() {
                            continue;
                        }
                    }
                    self.forward(self.work.plan.together_with(index)).await?;
                }
                None => {
                    // What is thrown away at the end is not to be had back.
                    self.work.inner.end_cancelling(self.work.row.id);
                    if !self.cancel.is_cancelled() {
                        return self.complete(JobState::Done).await;
                    }
                }
            }
        }
        self.back().await
    }

    /// One build at a time for each project, until it has ended. A job that is cancelled needs none, and no build
    /// waits for a template.
    async fn turn(&self) -> Option<Turn> {
        let (row, queues) = (&self.work.row, &self.work.inner.sys.queues);
        let About::Build {
            is_template: false, ..
        } = row.about
        else {
            return None;
        };
        let resource = Resource::Build(row.project.clone());
        let who = Arc::new(Who::step(row.id, row.project.clone(), None, "build"));
        queues.take(resource, &who, &self.cancel).await.ok()
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.work.inner.stopping.is_cancelled()
    }

    /// Turns the job around; the step is the cause.
    pub(super) async fn fail(&mut self, running: Running, fault: Fault) -> Result<(), Halt> {
        if self.is_stopping() {
            return Err(Halt::Stopping);
        }
        let index = running.index;
        let output = self.journal.end_log(running).await?;
        let cancelled = self.cancel.is_cancelled();
        let row = &self.work.row;
        tracing::info!(job = %row.id, project = %row.project, workspace = row.about.logged_workspace(), build = row.about.logged_build(), step = self.work.plan.steps[index].kind, "step failed: {fault}");
        let message = if cancelled {
            "cancelled".to_owned()
        } else {
            fault.message
        };
        let hint = fault.hint.as_deref().unwrap_or_default();
        let likely = causes::mend(&output, hint).filter(|_| !cancelled);
        let hint = match (fault.hint, likely) {
            (Some(hint), Some(likely)) => Some(format!("{hint}\nlikely: {likely}")),
            (hint, likely) => hint.or(likely),
        };
        self.journal.record(What::Failed {
            failure: Failure {
                step: Some(index),
                message,
                hint,
                output,
                cancelled,
            },
        })?;
        self.journal.flush().await
    }

    /// Lets every observed step finish, then writes the job's end.
    pub(super) async fn complete(&mut self, state: JobState) -> Result<(), Halt> {
        self.journal.flush().await?;
        for index in 0..self.work.steps.len() {
            let was_observed = self.journal.progress.befores[index].is_some();
            if !was_observed || !self.work.steps[index].has_finish() {
                continue;
            }
            if let Err(fault) = self.attempt(index, Part::Finish).await? {
                return self.stuck(index, &fault).await;
            }
        }
        self.work.whole(Phase::Finished).await;
        self.end(state).await?;
        self.work.renew_reserve();
        self.work.whole(Phase::Ended).await;
        Ok(())
    }

    pub(super) async fn stuck(&mut self, index: usize, fault: &Fault) -> Result<(), Halt> {
        let row = &self.work.row;
        tracing::error!(job = %row.id, project = %row.project, workspace = row.about.logged_workspace(), build = row.about.logged_build(), step = self.work.plan.steps[index].kind, "job is stuck: {fault}");
        self.journal.record(What::Stuck {
            step: index,
            message: fault.message.clone(),
        })?;
        self.end(JobState::Stuck).await
    }

    async fn end(&mut self, state: JobState) -> Result<(), Halt> {
        self.journal.record(What::Job { state })?;
        self.journal.flush().await?;
        let row = &self.work.row;
        tracing::info!(job = %row.id, project = %row.project, workspace = row.about.logged_workspace(), build = row.about.logged_build(), "job ended: {state:?}");
        Ok(())
    }
}
