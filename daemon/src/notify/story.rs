//! A build or a deployment, as others are told of it.

use crate::{
    cid::Cid,
    domain::{About, Build, BuildState, Email, JobKind, JobState, Name, ProjectName, event::What},
    engine::{Plan, Step},
    error::Error,
    step::{Fetch, RecordBuild, UpdateTree},
    store::{JobFilter, JobRow, News},
};
use cid_protocol::request::{Fetched, TreeState};
use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

/// What is looked at of the past.
const PAST: usize = 50;

/// A build or a deployment that came to a state.
#[derive(Clone, Debug)]
pub(super) struct Story {
    pub(super) project: ProjectName,
    pub(super) job: Uuid,
    pub(super) state: JobState,
    pub(super) at: Timestamp,
    pub(super) subject: Subject,
    /// Why the job did not do it.
    pub(super) why: Option<String>,
    /// Where people read more; empty: nowhere.
    pub(super) link: String,
    /// The one before failed.
    pub(super) was_bad: bool,
    /// Why what was deployed does not run well any more.
    pub(super) fell: Option<String>,
    /// A push began it, and nobody waits for it.
    pub(super) follows_push: bool,
}

/// What it is about.
#[derive(Clone, Debug)]
pub(super) enum Subject {
    /// A commit that becomes a build.
    Build(Box<Build>),
    /// A build that comes to run in a stage.
    Stage {
        name: Name,
        build: Box<Build>,
        url: String,
        by: String,
    },
    /// A workspace that a push brings up to date.
    Workspace {
        owner: Email,
        commit: String,
        branch: String,
        /// Why its tree stays as it is.
        left_alone: Option<String>,
    },
}

/// How it went, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is on its way.
    Begun,
    Good,
    /// It has a verdict, and it is bad; or a deployment was taken back.
    Bad,
    /// It could not be done at all.
    Broken,
    /// Nobody wants it any more.
    Dropped,
}

impl Story {
    /// What there is to tell; `None`: nothing, or nothing any more.
    ///
    /// # Errors
    /// The ledger's.
    pub(super) async fn of(cid: &Cid, news: &News) -> Result<Option<Self>, Error> {
        let Some(row) = cid.store.job(news.job).await? else {
            return Ok(None);
        };
        let Some(subject) = subject(cid, &row).await? else {
            return Ok(None);
        };
        let mut story = Self {
            project: row.project.clone(),
            job: row.id,
            state: news.state,
            at: news.at,
            why: row.failure.as_ref().map(|failure| failure.message.clone()),
            link: link(cid, &subject, row.id),
            subject,
            was_bad: false,
            fell: news.fell.clone(),
            follows_push: row.follows_push,
        };
        if story.outcome() == Outcome::Good {
            story.was_bad = was_bad(cid, &story, &row).await?;
        }
        Ok(Some(story))
    }

    pub(super) fn outcome(&self) -> Outcome {
        if self.fell.is_some() {
            return Outcome::Bad;
        }
        match (self.state, &self.subject) {
            (JobState::Queued | JobState::Running | JobState::Undoing, _) => Outcome::Begun,
            (JobState::Stuck, _) => Outcome::Broken,
            (JobState::Cancelled, _) => Outcome::Dropped,
            (JobState::Undone, Subject::Build(_)) => Outcome::Broken,
            (JobState::Undone, _) => Outcome::Bad,
            (JobState::Done, Subject::Build(build)) => {
                let passed = build.verdict.as_ref().is_some_and(|verdict| verdict.passed);
                if passed { Outcome::Good } else { Outcome::Bad }
            }
            (JobState::Done, Subject::Workspace { left_alone, .. }) => match left_alone {
                Some(_) => Outcome::Bad,
                None => Outcome::Good,
            },
            (JobState::Done, Subject::Stage { .. }) => Outcome::Good,
        }
    }

    /// What came of it, in a sentence.
    pub(super) fn told(&self) -> String {
        let why = self.why.as_deref().unwrap_or("its job says why");
        if let (Some(why), Subject::Stage { name, build, .. }) = (&self.fell, &self.subject) {
            return format!(
                "build {} runs in {name} and is not well any more: {why}",
                build.number
            );
        }
        match (&self.subject, self.outcome()) {
            (Subject::Build(build), outcome) => {
                let number = build.number;
                let verdict = build
                    .verdict
                    .as_ref()
                    .map(|verdict| verdict.message.clone());
                match outcome {
                    Outcome::Begun => format!("build {number} is being made"),
                    Outcome::Good | Outcome::Bad => {
                        format!("build {number}: {}", verdict.unwrap_or_default())
                    }
                    Outcome::Broken => format!("build {number} could not be made: {why}"),
                    Outcome::Dropped => match build.superseded_by {
                        Some(newer) => format!("build {newer} took the place of build {number}"),
                        None => format!("build {number} was cancelled"),
                    },
                }
            }
            (Subject::Stage { name, build, .. }, outcome) => {
                let number = build.number;
                match outcome {
                    Outcome::Begun => format!("build {number} is being deployed to {name}"),
                    Outcome::Good => format!("build {number} runs in {name}"),
                    Outcome::Bad | Outcome::Broken => {
                        format!("build {number} could not be deployed to {name}: {why}")
                    }
                    Outcome::Dropped => {
                        format!("the deployment of build {number} to {name} was cancelled")
                    }
                }
            }
            (Subject::Workspace { left_alone, .. }, outcome) => match (outcome, left_alone) {
                (Outcome::Begun, _) => "the workspace is being deployed".into(),
                (Outcome::Good, _) => "the workspace is up to date".into(),
                (Outcome::Dropped, _) => "the deployment of the workspace was cancelled".into(),
                (_, Some(work)) => format!("the workspace's tree stays as it is, for {work}"),
                (_, None) => format!("the workspace could not be deployed: {why}"),
            },
        }
    }
}

async fn subject(cid: &Cid, row: &JobRow) -> Result<Option<Subject>, Error> {
    let project = || row.project.clone();
    let (id, name) = match &row.about {
        About::Build { number, .. } => {
            let build = cid.store.build(project(), *number).await?;
            return Ok(build.map(|build| Subject::Build(Box::new(build))));
        }
        About::Workspace { id, name, .. } => (*id, name),
    };
    let Ok(plan) = serde_json::from_value::<Plan>(row.plan.clone()) else {
        return Ok(None);
    };
    if row.about.stage().is_none() {
        return workspace(cid, row, &plan).await;
    }
    let Some(recorded) = RecordBuild::planned(&row.plan) else {
        return Ok(None);
    };
    let url = cid.store.workspace(id).await?.map(|stage| stage.url);
    let build = cid.store.build(project(), recorded.number).await?;
    Ok(build.map(|build| Subject::Stage {
        name: name.clone(),
        build: Box::new(build),
        url: url.unwrap_or_default(),
        by: recorded.by,
    }))
}

/// The commit that was pushed is what the job's fetch found.
async fn workspace(cid: &Cid, row: &JobRow, plan: &Plan) -> Result<Option<Subject>, Error> {
    let mut outputs: Vec<Option<Value>> = vec![None; plan.steps.len()];
    for event in cid.store.milestones(row.id).await? {
        if let What::Applied { step, output, .. } = event.what
            && let Some(place) = outputs.get_mut(step)
        {
            *place = Some(output);
        }
    }
    let output = |kind: &str| {
        let at = plan.steps.iter().position(|step| step.kind == kind)?;
        outputs[at].clone()
    };
    let fetched: Option<Fetched> =
        output(Fetch::KIND).and_then(|value| serde_json::from_value(value).ok());
    let tree: Option<TreeState> =
        output(UpdateTree::KIND).and_then(|value| serde_json::from_value(value).ok());
    let Some(commit) = fetched.and_then(|fetched| fetched.branch) else {
        return Ok(None);
    };
    let own = cid.store.workspace(row.about.workspace()).await?;
    let own = own.and_then(|own| Some((own.owner.person()?.clone(), own.branch)));
    Ok(own.map(|(owner, branch)| Subject::Workspace {
        owner,
        branch,
        left_alone: tree
            .filter(|tree| tree.commit != commit)
            .and_then(|tree| tree.left_alone),
        commit,
    }))
}

fn link(cid: &Cid, subject: &Subject, job: Uuid) -> String {
    let set = cid.sign_in.front_url();
    let front = set.unwrap_or_else(|| cid.front_url.clone());
    match (front.as_str(), subject) {
        ("", Subject::Stage { url, .. }) => url.clone(),
        ("", _) => String::new(),
        (front, _) => format!("{}/jobs/{job}", front.trim_end_matches('/')),
    }
}

/// Whether the one before, of the same branch or in the same stage, failed.
async fn was_bad(cid: &Cid, story: &Story, row: &JobRow) -> Result<bool, Error> {
    match &story.subject {
        Subject::Build(build) => {
            let before = Some(build.id);
            let past = cid.store.builds(Some(story.project.clone()), before, PAST);
            let past = past.await?;
            let mut ended = past.iter().filter(|old| {
                let is_over = old.state.is_made() || old.state == BuildState::Error;
                is_over && old.source.reference == build.source.reference
            });
            Ok(ended
                .next()
                .is_some_and(|old| old.state != BuildState::Passed))
        }
        Subject::Stage { .. } | Subject::Workspace { .. } => {
            let filter = JobFilter {
                project: Some(story.project.clone()),
                owner: row.about.owner().cloned(),
                before: Some(story.job),
            };
            let past = cid.store.jobs(filter, PAST).await?;
            let mut ended = past.iter().filter(|old| {
                old.kind == JobKind::Deploy
                    && matches!(old.state, JobState::Done | JobState::Undone)
            });
            Ok(ended
                .next()
                .is_some_and(|old| old.state == JobState::Undone))
        }
    }
}
