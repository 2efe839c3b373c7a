//! Steps and plans: what is to be done, as values.

use super::Cx;
use crate::{config::Limits, domain::JobKind};
use async_trait::async_trait;
use cid_protocol::{budget::STEP_RESULT, fault::Fault};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::{future::Future, ops::Range, time::Duration};

/// One reversible change to the machine. The promises of each part are in the engine's `README.md`.
pub trait Step: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Name and version in the journal, never reused.
    const KIND: &'static str;
    /// Whether it may write much: it is stopped before a disk is full.
    const FILLS_DISK: bool = false;
    /// Whether there is anything to take back. Where [`Step::undo`] does nothing (what the step made
    /// goes with an earlier one's undo), the step need not wait until its begin is on disk.
    const HAS_UNDO: bool = true;
    /// Whether [`Step::finish`] does anything.
    const HAS_FINISH: bool = false;
    /// Whether the job cannot be cancelled any more from this step on: what comes now only tidies up.
    const ENDS_CANCELLING: bool = false;
    /// What was there before.
    type Before: Serialize + DeserializeOwned + Send + Sync;
    /// What later steps need to know; read by [`Cx::output`].
    type Output: Serialize + DeserializeOwned + Send + Sync;

    /// Whether one with [`Step::FILLS_DISK`] does, by its parameters.
    fn may_fill(&self) -> bool {
        true
    }

    /// For people, e.g. `clone the repository`.
    fn label(&self) -> String;

    /// How long each part may take.
    fn limit(&self, limits: &Limits) -> Duration {
        *limits.step
    }

    /// Looks at what is there; reads only.
    fn observe(&self, cx: &Cx) -> impl Future<Output = Result<Self::Before, Fault>> + Send;

    /// Does it; may run twice.
    fn apply(
        &self,
        before: &Self::Before,
        cx: &Cx,
    ) -> impl Future<Output = Result<Self::Output, Fault>> + Send;

    /// Takes it back; may run twice, and after half an apply.
    fn undo(
        &self,
        before: &Self::Before,
        cx: &Cx,
    ) -> impl Future<Output = Result<(), Fault>> + Send;

    /// Throws away what was kept for undoing; may run twice. Called where [`Step::HAS_FINISH`] says so.
    fn finish(
        &self,
        _before: &Self::Before,
        _cx: &Cx,
    ) -> impl Future<Output = Result<(), Fault>> + Send {
        async { Ok(()) }
    }
}

/// A [`Step`] whose types are hidden in JSON, as the journal holds them.
#[async_trait]
pub trait AnyStep: Send + Sync {
    /// [`Step::FILLS_DISK`] and [`Step::may_fill`].
    fn fills_disk(&self) -> bool;
    /// [`Step::HAS_UNDO`].
    fn has_undo(&self) -> bool;
    /// [`Step::HAS_FINISH`].
    fn has_finish(&self) -> bool;
    /// [`Step::ENDS_CANCELLING`].
    fn ends_cancelling(&self) -> bool;
    /// [`Step::limit`].
    fn limit(&self, limits: &Limits) -> Duration;
    /// [`Step::observe`].
    async fn observe(&self, cx: &Cx) -> Result<Value, Fault>;
    /// [`Step::apply`].
    async fn apply(&self, before: &Value, cx: &Cx) -> Result<Value, Fault>;
    /// [`Step::undo`].
    async fn undo(&self, before: &Value, cx: &Cx) -> Result<(), Fault>;
    /// [`Step::finish`].
    async fn finish(&self, before: &Value, cx: &Cx) -> Result<(), Fault>;
}

#[async_trait]
impl<S: Step> AnyStep for S {
    fn fills_disk(&self) -> bool {
        S::FILLS_DISK && self.may_fill()
    }
    fn has_undo(&self) -> bool {
        S::HAS_UNDO
    }
    fn has_finish(&self) -> bool {
        S::HAS_FINISH
    }
    fn ends_cancelling(&self) -> bool {
        S::ENDS_CANCELLING
    }
    fn limit(&self, limits: &Limits) -> Duration {
        Step::limit(self, limits)
    }
    async fn observe(&self, cx: &Cx) -> Result<Value, Fault> {
        encode(Step::observe(self, cx).await?)
    }
    async fn apply(&self, before: &Value, cx: &Cx) -> Result<Value, Fault> {
        encode(Step::apply(self, &decode(before)?, cx).await?)
    }
    async fn undo(&self, before: &Value, cx: &Cx) -> Result<(), Fault> {
        Step::undo(self, &decode(before)?, cx).await
    }
    async fn finish(&self, before: &Value, cx: &Cx) -> Result<(), Fault> {
        Step::finish(self, &decode(before)?, cx).await
    }
}

fn encode<T: Serialize>(value: T) -> Result<Value, Fault> {
    let cannot = |error| Fault::new(format!("cannot journal a step's result: {error}"));
    let text = serde_json::to_string(&value).map_err(cannot)?;
    STEP_RESULT.check(text.len(), "a step's result")?;
    serde_json::to_value(value).map_err(cannot)
}

fn decode<T: DeserializeOwned>(value: &Value) -> Result<T, Fault> {
    T::deserialize(value).map_err(|error| Fault::new(format!("cannot read the journal: {error}")))
}

/// A line of the registry: a KIND and how its parameters become a step.
pub struct StepEntry {
    /// [`Step::KIND`].
    pub kind: &'static str,
    /// Reads the parameters.
    pub decode: fn(Value) -> Result<Box<dyn AnyStep>, serde_json::Error>,
}

impl StepEntry {
    /// The entry of a step.
    pub const fn of<S: Step>() -> Self {
        Self {
            kind: S::KIND,
            decode: |parameters| Ok(Box::new(serde_json::from_value::<S>(parameters)?)),
        }
    }
}

/// An ordered list of steps, a pure value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// What for.
    pub kind: JobKind,
    /// In order.
    pub steps: Vec<Planned>,
}

/// A step in a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Planned {
    /// [`Step::KIND`].
    pub kind: String,
    /// [`Step::label`], for those who look at it later.
    pub label: String,
    /// The step itself.
    pub parameters: Value,
    /// May run at the same time as the one before it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub beside: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_false(flag: &bool) -> bool {
    !flag
}

impl Plan {
    /// A plan without steps.
    pub fn new(kind: JobKind) -> Self {
        Self {
            kind,
            steps: Vec::new(),
        }
    }

    /// Adds a step at the end, which begins when all before it are applied.
    #[must_use]
    pub fn then<S: Step>(self, step: &S) -> Self {
        self.with(step, false)
    }

    /// Adds a step at the end that may run at the same time as the one before it. Neither may need
    /// anything of the other, neither to be done nor to be taken back.
    #[must_use]
    pub fn beside<S: Step>(self, step: &S) -> Self {
        self.with(step, true)
    }

    fn with<S: Step>(mut self, step: &S, beside: bool) -> Self {
        // Parameters are plain data of our own; what cannot be encoded becomes a step that no
        // version knows, which the engine shows as stuck instead of losing it.
        let parameters = serde_json::to_value(step).unwrap_or_default();
        self.steps.push(Planned {
            kind: S::KIND.to_owned(),
            label: step.label(),
            parameters,
            beside,
        });
        self
    }

    /// The steps that may run at the same time as this one, itself among them.
    pub fn together_with(&self, index: usize) -> Range<usize> {
        let is_beside = |index: &usize| self.steps.get(*index).is_some_and(|step| step.beside);
        let first = (0..=index)
            .rev()
            .find(|index| !is_beside(index))
            .unwrap_or(0);
        let end = (index + 1..).find(|index| !is_beside(index));
        first..end.unwrap_or(index + 1)
    }
}

/// A journalled step that this version cannot carry out.
#[derive(Debug, thiserror::Error)]
pub enum UnknownStep {
    /// Its KIND is not in the registry.
    #[error(
        "this version of cid does not know the step {0}; install the version that planned it, then retry"
    )]
    Kind(String),
    /// Its parameters cannot be read.
    #[error("cannot read the parameters of the step {0}: {1}")]
    Parameters(String, serde_json::Error),
}

/// How a journalled step becomes one that runs; tests put their own in between.
pub type Decode = fn(&Planned) -> Result<Box<dyn AnyStep>, UnknownStep>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_beside_each_other_are_found_from_any_of_them() {
        let planned = |beside| Planned {
            kind: String::new(),
            label: String::new(),
            parameters: Value::Null,
            beside,
        };
        let plan = Plan {
            kind: JobKind::Create,
            steps: [false, true, true, false, false].map(planned).into(),
        };
        for index in 0..3 {
            assert_eq!(plan.together_with(index), 0..3);
        }
        assert_eq!(plan.together_with(3), 3..4);
        assert_eq!(plan.together_with(4), 4..5);
        // A plan whose first step is beside nothing, as on a machine without accounts.
        let alone = Plan {
            kind: JobKind::Create,
            steps: [true, true, false].map(planned).into(),
        };
        assert_eq!(alone.together_with(1), 0..2);
    }
}
