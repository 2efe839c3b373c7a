//! The journal's lines, and the one function that derives a job's state from them.

use crate::domain::JobState;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// A journal line, numbered from 1 within its job.
#[derive(Clone, Debug)]
pub struct Event {
    /// The job.
    pub job: Uuid,
    /// 1, 2, 3, ...
    pub seq: u64,
    /// When it was written.
    pub at: jiff::Timestamp,
    /// What happened.
    pub what: What,
}

/// What a journal line says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum What {
    /// The job entered a state.
    Job {
        /// The new state.
        state: JobState,
    },
    /// What existed before is known; the step is about to run.
    Observed {
        /// Place in the plan, from 0.
        step: usize,
        /// The step's `Before`.
        before: Value,
    },
    /// The step is applied.
    Applied {
        /// Place in the plan.
        step: usize,
        /// The step's `Output`.
        output: Value,
        /// How long it ran, in milliseconds.
        took_ms: u64,
        /// There was nothing to do.
        #[serde(default)]
        idle: bool,
    },
    /// The step is being taken back.
    Undoing {
        /// Place in the plan.
        step: usize,
    },
    /// It is taken back.
    Undone {
        /// Place in the plan.
        step: usize,
        /// How long that took, in milliseconds.
        took_ms: u64,
    },
    /// Undo or finish failed every time.
    Stuck {
        /// Place in the plan.
        step: usize,
        /// Why.
        message: String,
    },
    /// The step failed, or somebody cancelled the job: everything is to be undone.
    Failed {
        /// Why.
        failure: Failure,
    },
    /// Somebody retried a stuck job.
    Retried,
    /// Lines that a step's commands printed.
    Output {
        /// Place in the plan.
        step: usize,
        /// Without line feeds.
        lines: Vec<String>,
    },
    /// Lines that a step's commands printed and the journal has no room for, before those that follow.
    LeftOut {
        /// Place in the plan.
        step: usize,
        /// How many.
        lines: u64,
    },
    /// What the way back kept for people, and where. The failure in the job's row has it too.
    Kept {
        /// Place in the plan.
        step: usize,
        /// The sentence.
        text: String,
    },
    /// A sentence for people.
    Note {
        /// Place in the plan.
        step: usize,
        /// The sentence.
        text: String,
    },
}

/// Why a job is not Done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The step that failed; `None` when it is the job as a whole.
    pub step: Option<usize>,
    /// What happened.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// The step's last lines of output.
    pub output: Vec<String>,
    /// Somebody cancelled the job.
    pub cancelled: bool,
}

/// The state of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepState {
    /// Not begun.
    Planned,
    /// `Before` is journalled; it may have run, fully or in part.
    Observed,
    /// It has run.
    Applied,
    /// It is being taken back.
    Undoing,
    /// It is taken back.
    Undone,
    /// Undo or finish failed every time.
    Stuck,
}

/// Where a job stands, derived from its journal from the start.
#[derive(Clone, Debug)]
pub struct Progress {
    /// The job's state.
    pub state: JobState,
    /// Each step's state.
    pub steps: Vec<StepState>,
    /// Each observed step's `Before`.
    pub befores: Vec<Option<Value>>,
    /// Each applied step's `Output`.
    pub outputs: Vec<Option<Value>>,
    /// How long each step took to apply, in milliseconds.
    pub took_ms: Vec<Option<u64>>,
    /// Whether each applied step had nothing to do.
    pub idle: Vec<bool>,
    /// Set from the moment that everything is to be undone.
    pub failure: Option<Failure>,
}

/// A journal line that does not fit what came before it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the journal cannot go from {state:?} to: {event}")]
pub struct Impossible {
    state: JobState,
    event: String,
}

impl Progress {
    /// A job with this many steps, before its first line.
    pub fn new(steps: usize) -> Self {
        Self {
            state: JobState::Queued,
            steps: vec![StepState::Planned; steps],
            befores: vec![None; steps],
            outputs: vec![None; steps],
            took_ms: vec![None; steps],
            idle: vec![false; steps],
            failure: None,
        }
    }

    /// Whether the job is on its way back.
    pub fn is_going_back(&self) -> bool {
        self.failure.is_some()
    }

    /// Applies one more line. Total: every line either fits or is refused.
    ///
    /// # Errors
    /// The line does not fit; nothing is changed.
    pub fn next(&mut self, what: &What) -> Result<(), Impossible> {
        use JobState as J;
        use StepState as S;
        let refuse = Impossible {
            state: self.state,
            event: format!("{what:?}"),
        };
        match what {
            What::Job { state } => {
                let fits = match (self.state, *state) {
                    (J::Queued, J::Queued | J::Running) => true,
                    (J::Running, J::Done) => self.steps.iter().all(|s| *s == S::Applied),
                    (J::Running | J::Undoing | J::Queued, J::Stuck) => true,
                    (J::Undoing, J::Undone) => self.is_taken_back() && !self.was_cancelled(),
                    (J::Undoing, J::Cancelled) => self.is_taken_back() && self.was_cancelled(),
                    _ => false,
                };
                if !fits {
                    return Err(refuse);
                }
                self.state = *state;
            }
            What::Observed { step, before } => {
                self.step(*step, &[J::Running], &[S::Planned], S::Observed, refuse)?;
                self.befores[*step] = Some(before.clone());
            }
            What::Applied {
                step,
                output,
                took_ms,
                idle,
            } => {
                self.step(*step, &[J::Running], &[S::Observed], S::Applied, refuse)?;
                self.outputs[*step] = Some(output.clone());
                self.took_ms[*step] = Some(*took_ms);
                self.idle[*step] = *idle;
            }
            What::Failed { failure } => {
                if !matches!(self.state, J::Queued | J::Running) || self.is_going_back() {
                    return Err(refuse);
                }
                self.failure = Some(failure.clone());
                self.state = J::Undoing;
            }
            What::Undoing { step } => {
                let from = [S::Observed, S::Applied, S::Undoing, S::Stuck];
                self.step(*step, &[J::Undoing], &from, S::Undoing, refuse)?;
            }
            What::Undone { step, .. } => {
                self.step(*step, &[J::Undoing], &[S::Undoing], S::Undone, refuse)?;
            }
            What::Stuck { step, .. } => {
                let from = [S::Undoing, S::Undone, S::Applied];
                self.step(*step, &[J::Undoing, J::Running], &from, S::Stuck, refuse)?;
            }
            What::Retried => {
                if self.state != J::Stuck {
                    return Err(refuse);
                }
                self.state = if self.is_going_back() {
                    J::Undoing
                } else {
                    J::Running
                };
                // A step that got stuck in finish had been applied; finish may run twice.
                if !self.is_going_back() {
                    for state in self.steps.iter_mut().filter(|s| **s == S::Stuck) {
                        *state = S::Applied;
                    }
                }
            }
            What::Output { step, .. }
            | What::LeftOut { step, .. }
            | What::Note { step, .. }
            | What::Kept { step, .. } => {
                if *step >= self.steps.len() {
                    return Err(refuse);
                }
            }
        }
        Ok(())
    }

    fn step(
        &mut self,
        step: usize,
        jobs: &[JobState],
        from: &[StepState],
        to: StepState,
        refuse: Impossible,
    ) -> Result<(), Impossible> {
        match self.steps.get_mut(step) {
            Some(state) if jobs.contains(&self.state) && from.contains(state) => {
                *state = to;
                Ok(())
            }
            _ => Err(refuse),
        }
    }

    fn is_taken_back(&self) -> bool {
        self.steps
            .iter()
            .all(|s| matches!(s, StepState::Planned | StepState::Undone))
    }

    fn was_cancelled(&self) -> bool {
        self.failure
            .as_ref()
            .is_some_and(|failure| failure.cancelled)
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::event::*;
    use proptest::prelude::*;

    fn failed(cancelled: bool) -> What {
        let failure = Failure {
            step: None,
            message: String::new(),
            hint: None,
            output: vec![],
            cancelled,
        };
        What::Failed { failure }
    }

    fn observed(step: usize) -> What {
        What::Observed {
            step,
            before: Value::Null,
        }
    }

    fn applied(step: usize) -> What {
        What::Applied {
            step,
            output: Value::Null,
            took_ms: 1,
            idle: false,
        }
    }

    fn replay(steps: usize, whats: &[What]) -> Result<Progress, Impossible> {
        let mut progress = Progress::new(steps);
        whats.iter().try_for_each(|what| progress.next(what))?;
        Ok(progress)
    }

    const RUNNING: What = What::Job {
        state: JobState::Running,
    };

    #[test]
    fn goes_there_and_back() {
        let there = [
            RUNNING,
            observed(0),
            applied(0),
            What::Job {
                state: JobState::Done,
            },
        ];
        assert_eq!(replay(1, &there).unwrap().state, JobState::Done);
        let back = [
            RUNNING,
            observed(0),
            failed(true),
            What::Undoing { step: 0 },
            What::Undone {
                step: 0,
                took_ms: 1,
            },
            What::Job {
                state: JobState::Cancelled,
            },
        ];
        assert_eq!(replay(1, &back).unwrap().state, JobState::Cancelled);
    }

    #[test]
    fn a_stuck_job_goes_on_in_its_direction() {
        let stuck = What::Job {
            state: JobState::Stuck,
        };
        let back = [
            RUNNING,
            observed(0),
            failed(false),
            What::Undoing { step: 0 },
            What::Stuck {
                step: 0,
                message: String::new(),
            },
            stuck.clone(),
            What::Retried,
        ];
        assert_eq!(replay(1, &back).unwrap().state, JobState::Undoing);
        let there = [
            RUNNING,
            observed(0),
            applied(0),
            What::Stuck {
                step: 0,
                message: String::new(),
            },
            stuck,
            What::Retried,
        ];
        let progress = replay(1, &there).unwrap();
        assert_eq!(
            (progress.state, progress.steps[0]),
            (JobState::Running, StepState::Applied)
        );
    }

    #[test]
    fn refuses_what_does_not_fit() {
        let table = [
            vec![observed(0)],
            vec![RUNNING, applied(0)],
            vec![
                RUNNING,
                What::Job {
                    state: JobState::Done,
                },
            ],
            vec![RUNNING, observed(1)],
            vec![RUNNING, failed(false), failed(false)],
            vec![
                RUNNING,
                failed(true),
                What::Job {
                    state: JobState::Undone,
                },
            ],
            vec![
                RUNNING,
                observed(0),
                failed(false),
                What::Job {
                    state: JobState::Undone,
                },
            ],
            vec![What::Retried],
        ];
        for whats in table {
            assert!(replay(1, &whats).is_err(), "{whats:?}");
        }
    }

    proptest! {
        #[test]
        fn an_ended_job_takes_no_more_changes(end in 0..3usize, then in 0..6usize) {
            let mut progress = Progress::new(1);
            progress.state = [JobState::Done, JobState::Undone, JobState::Cancelled][end];
            let whats = [RUNNING, observed(0), applied(0), failed(false), What::Undoing { step: 0 }, What::Retried];
            prop_assert!(progress.next(&whats[then]).is_err());
        }
    }
}
