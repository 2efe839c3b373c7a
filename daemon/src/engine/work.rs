//! One job's steps, and what each of them gets to run with.

use super::{
    AnyStep, Cx, Inner, Phase, Plan, Point,
    left_out::LeftOut,
    output::{Log, Sink},
};
use crate::{
    config::{Project, Values},
    domain::event::Progress,
    store::JobRow,
    system::queue::Who,
};
use cid_protocol::{
    environment::{credentials, network},
    fault::Fault,
};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize},
    },
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

/// A job, its steps and what they share.
pub(super) struct Work {
    pub(super) inner: Arc<Inner>,
    pub(super) row: JobRow,
    pub(super) plan: Plan,
    pub(super) steps: Vec<Box<dyn AnyStep>>,
    pub(super) seq: watch::Sender<u64>,
    pub(super) logged: Arc<AtomicUsize>,
    /// Bytes of output that the job has left out of its journal.
    pub(super) left_out: Arc<AtomicUsize>,
}

/// A part of a step that runs: what it has, and its log.
pub(super) struct Running {
    /// Place in the plan.
    pub(super) index: usize,
    pub(super) cx: Cx,
    pub(super) log: Log,
}

impl Work {
    /// What a step gets to run with; who fires `cancel` stops it.
    pub(super) async fn running(
        &self,
        index: usize,
        progress: &Progress,
        cancel: CancellationToken,
    ) -> Running {
        let secrets = self.secrets().await;
        let (lines, log) = Log::start(Sink {
            store: self.inner.store.clone(),
            job: self.row.id,
            step: index,
            seq: self.seq.clone(),
            used: Arc::clone(&self.logged),
            left_out: LeftOut::new(
                self.inner
                    .sys
                    .layout
                    .job_output(&self.row.id.to_string(), index),
                Arc::clone(&self.left_out),
            ),
            secrets: secrets.clone(),
        });
        let outputs: HashMap<_, _> = self
            .plan
            .steps
            .iter()
            .zip(&progress.outputs)
            .filter_map(|(planned, output)| Some((planned.kind.clone(), output.clone()?)))
            .collect();
        let cx = Cx {
            inner: Arc::clone(&self.inner),
            job: self.row.id,
            about: self.row.about.clone(),
            project: self.row.project.clone(),
            unit: self.row.about.unit(&self.row.project),
            outputs,
            lines,
            notes: Mutex::default(),
            kept: Mutex::default(),
            idle: AtomicBool::new(false),
            cancel,
            limit: self.limit(index),
            secrets,
            who: Arc::new(self.who(index)),
            taken_back: progress.is_going_back(),
        };
        Running { index, cx, log }
    }

    /// Whom a step works for, and the step in one word: its KIND without the version.
    fn who(&self, index: usize) -> Who {
        let kind = &self.plan.steps[index].kind;
        let work = kind
            .rsplit_once('.')
            .map_or(kind.as_str(), |(work, _)| work);
        let row = &self.row;
        let owner = row.about.owner().cloned();
        Who::step(row.id, row.project.clone(), owner, work)
    }

    /// Values that must not appear in anything that people see.
    async fn secrets(&self) -> Vec<String> {
        let mut secrets = match self.inner.projects.standing(self.row.project.as_str()) {
            Ok(project) => {
                let within = self.row.about.stage().map(|stage| {
                    let project = self.inner.projects.with_stage(Arc::clone(&project), stage);
                    project.seen_within(stage)
                });
                // Without its secrets file nothing of a stage's is written or run.
                let project = within.and_then(Result::ok).unwrap_or(project);
                project.secrets(self.values(&project).await.as_ref())
            }
            Err(_) => Vec::new(),
        };
        let of_network = credentials(&network());
        secrets.extend(of_network.into_iter().filter(|secret| secret.len() >= 6));
        secrets
    }

    /// What the workspace's placeholders stand for; `None`: the ledger does not say.
    async fn values(&self, project: &Project) -> Option<Values> {
        let (store, id) = (&self.inner.store, self.row.about.workspace());
        let workspace = store.workspace(id).await.ok()??;
        let number = store.number_of(id).await.ok()?;
        Some(Values::of(project, &workspace, number))
    }

    fn limit(&self, index: usize) -> Duration {
        let settings = &self.inner.settings.limits;
        // A project without a readable file has no limits of its own.
        match self.inner.projects.standing(self.row.project.as_str()) {
            Ok(project) => self.steps[index].limit(&project.limits.over(settings)),
            Err(_) => self.steps[index].limit(settings),
        }
    }

    /// Lets hooks look at a step.
    pub(super) async fn at(&self, index: usize, phase: Phase) {
        let step = self.plan.steps[index].kind.clone();
        self.inner.hooks.at(Point { step, phase }).await;
    }

    /// Lets hooks look at the job as a whole.
    pub(super) async fn whole(&self, phase: Phase) {
        let step = String::new();
        self.inner.hooks.at(Point { step, phase }).await;
    }
}

/// A part of a step within its time limit; its fault shows no secret. A cancelled part gets some seconds to
/// end its helper.
pub(super) async fn within<T>(
    cx: &Cx,
    work: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    let too_long = || {
        let message = format!(
            "cannot wait any longer: it took more than {} s",
            cx.limit.as_secs()
        );
        Fault::new(message).hint("see [limits] in cid.toml")
    };
    let result = tokio::select! {
        result = work => result,
        // Helpers have the same limit and report better what took so long, so they time out first.
        () = worked_for(cx, cx.limit + Duration::from_secs(7)) => Err(too_long()),
        () = cancelled_for(&cx.cancel, Duration::from_secs(8)) => Err(Fault::cancelled()),
    };
    result.map_err(|fault| Fault {
        message: cx.redact(fault.message),
        hint: fault.hint.map(|hint| cx.redact(hint)),
        ..fault
    })
}

/// Returns after this time, not counting waits for a turn.
async fn worked_for(cx: &Cx, limit: Duration) {
    let (begin, waited) = (Instant::now(), cx.who.waited());
    loop {
        let end = begin + limit + cx.who.waited().saturating_sub(waited);
        if end <= Instant::now() {
            return;
        }
        sleep_until(end).await;
    }
}

async fn cancelled_for(cancel: &CancellationToken, grace: Duration) {
    cancel.cancelled().await;
    tokio::time::sleep(grace).await;
}
