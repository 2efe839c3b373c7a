//! Steps and plans: what is to be done, as values.

use super::Cx;
use crate::{config::Limits, domain::JobKind, system::Fault};
use async_trait::async_trait;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::{future::Future, time::Duration};

/// One reversible change to the machine. The promises of each part are in the engine's `README.md`.
pub trait Step: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Name and version in the journal, never reused.
    const KIND: &'static str;
    /// Whether it wants a core for long.
    const HEAVY: bool = false;
    /// Whether there is anything to take back. Where [`Step::undo`] does nothing (what the step made
    /// goes with an earlier one's undo), the step need not wait until its begin is on disk.
    const HAS_UNDO: bool = true;
    /// What was there before.
    type Before: Serialize + DeserializeOwned + Send + Sync;
    /// What later steps need to know; read by [`Cx::output`].
    type Output: Serialize + DeserializeOwned + Send + Sync;

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

    /// Throws away what was kept for undoing; may run twice.
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
    /// [`Step::HEAVY`].
    fn is_heavy(&self) -> bool;
    /// [`Step::HAS_UNDO`].
    fn has_undo(&self) -> bool;
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
    fn is_heavy(&self) -> bool {
        S::HEAVY
    }
    fn has_undo(&self) -> bool {
        S::HAS_UNDO
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
    serde_json::to_value(value)
        .map_err(|error| Fault::new(format!("cannot journal a step's result: {error}")))
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
}

impl Plan {
    /// A plan without steps.
    pub fn new(kind: JobKind) -> Self {
        Self {
            kind,
            steps: Vec::new(),
        }
    }

    /// Adds a step at the end.
    #[must_use]
    pub fn then<S: Step>(mut self, step: &S) -> Self {
        // Parameters are plain data of our own; what cannot be encoded becomes a step that no
        // version knows, which the engine shows as stuck instead of losing it.
        let parameters = serde_json::to_value(step).unwrap_or_default();
        self.steps.push(Planned {
            kind: S::KIND.to_owned(),
            label: step.label(),
            parameters,
        });
        self
    }
}
