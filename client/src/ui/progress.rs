//! A job's events as they come: a display on a terminal, lines elsewhere, JSON
//! where that is asked for. Results stand on standard output; progress for
//! people goes to standard error.

use super::text::{clean, say, styled, took};
use crate::cli::{Format, json_line};
use anstyle::{AnsiColor, Style};
use cid_client::{Event, JobState, StepState, WaitingFor, What};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{
    collections::BTreeMap,
    env,
    io::{self, IsTerminal as _},
    mem,
    time::Duration,
};

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const DIM: Style = Style::new().dimmed();
const TICK: Duration = Duration::from_millis(100);

/// Shows a job's events.
pub(crate) struct Progress {
    show: Show,
    /// The labels of the steps that run, by their place in the plan.
    running: BTreeMap<u32, String>,
    /// What the job was last said to wait for, without the elapsed time.
    waiting: Option<(WaitingFor, u32)>,
}

enum Show {
    Json,
    Lines,
    Display(ProgressBar),
}

impl Progress {
    pub(crate) fn new(format: Format) -> Self {
        let show = match format {
            Format::Json => Show::Json,
            Format::Human | Format::Wide if has_display() => Show::Display(spinner()),
            Format::Human | Format::Wide => Show::Lines,
        };
        Self {
            show,
            running: BTreeMap::new(),
            waiting: None,
        }
    }

    /// Shows what happened. Fails where standard output cannot be written.
    pub(crate) fn event(&mut self, event: &Event) -> io::Result<()> {
        match &self.show {
            Show::Json => return json_line(event),
            Show::Lines => {
                if let Some(line) = self.line(&event.what).or_else(|| self.wait(&event.what)) {
                    say(&line.to_text());
                }
            }
            Show::Display(bar) => {
                let bar = bar.clone();
                if let Some(line) = self.line(&event.what) {
                    bar.println(for_terminal(&line.to_display()));
                }
                match &event.what {
                    What::Output { lines, .. } => {
                        if let (Some(label), Some(last)) = (self.now(), lines.last()) {
                            bar.set_message(format!("{label}  {}", clean(last)));
                        }
                    }
                    What::Waiting {
                        waiting: Some(waiting),
                    } => {
                        let label = self.now().unwrap_or_default();
                        bar.set_message(format!("{label}  {}", clean(&waiting.text)));
                    }
                    What::Step { .. } | What::Job { .. } | What::Waiting { waiting: None } => {
                        bar.reset_elapsed();
                        bar.set_message(self.now().unwrap_or_default().to_owned());
                    }
                    What::Note { .. } | What::Unknown => {}
                }
            }
        }
        Ok(())
    }

    /// Where several steps run, the first of them.
    fn now(&self) -> Option<&str> {
        self.running.values().next().map(String::as_str)
    }

    /// Where lines stay, each place in the queue gets one line, not each minute.
    fn wait(&mut self, what: &What) -> Option<Line> {
        let What::Waiting { waiting } = what else {
            return None;
        };
        let place = waiting.as_ref().map(|wait| (wait.resource, wait.ahead));
        let is_new = place.is_some() && place != self.waiting;
        self.waiting = place;
        let text = waiting.as_ref().filter(|_| is_new)?.text.as_str();
        Some(Line {
            mark: Mark::Note,
            text: clean(text),
            took: None,
        })
    }

    /// The line that an event deserves, and what it says about the running steps.
    fn line(&mut self, what: &What) -> Option<Line> {
        match what {
            What::Step {
                index,
                state,
                label,
                took,
                idle,
            } => {
                let label = clean(label);
                let mark = match state {
                    StepState::Observed | StepState::Undoing => {
                        self.running.insert(*index, label);
                        return None;
                    }
                    StepState::Applied => Mark::Ok,
                    StepState::Undone => Mark::Undone,
                    StepState::Stuck => Mark::Stuck,
                    StepState::Planned | StepState::Unknown => return None,
                };
                self.running.remove(index);
                if *idle {
                    return None;
                }
                Some(Line {
                    mark,
                    text: label,
                    took: *took,
                })
            }
            // A job turns round in the step that failed or was stopped, together with the steps running beside it.
            What::Job {
                state: JobState::Undoing,
                failed_step,
            } => {
                let mut running = mem::take(&mut self.running);
                let text = running.remove(failed_step.as_ref()?)?;
                Some(Line {
                    mark: Mark::Failed,
                    text,
                    took: None,
                })
            }
            What::Note { text, .. } => Some(Line {
                mark: Mark::Note,
                text: clean(text),
                took: None,
            }),
            What::Job { .. } | What::Output { .. } | What::Waiting { .. } | What::Unknown => None,
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Show::Display(bar) = &self.show {
            bar.finish_and_clear();
        }
    }
}

/// One line of progress that stays.
#[derive(Debug)]
struct Line {
    mark: Mark,
    text: String,
    took: Option<Duration>,
}

#[derive(Debug, Clone, Copy)]
enum Mark {
    Ok,
    Failed,
    Undone,
    Stuck,
    Note,
}

impl Line {
    fn to_text(&self) -> String {
        let mark = match self.mark {
            Mark::Ok => "ok",
            Mark::Failed => "failed",
            Mark::Undone => "undone",
            Mark::Stuck => "stuck",
            Mark::Note => "note",
        };
        match self.took {
            Some(time) => format!("[{mark}] {}  {}", self.text, took(time)),
            None => format!("[{mark}] {}", self.text),
        }
    }

    fn to_display(&self) -> String {
        let mark = match self.mark {
            Mark::Ok => styled(GOOD, "✓"),
            Mark::Failed => styled(BAD, "✗"),
            Mark::Undone => styled(DIM, "↶"),
            Mark::Stuck => styled(BAD, "!"),
            Mark::Note => styled(DIM, "·"),
        };
        match self.took {
            Some(time) => format!("{mark} {}  {}", self.text, styled(DIM, &took(time))),
            None => format!("{mark} {}", self.text),
        }
    }
}

fn has_display() -> bool {
    io::stderr().is_terminal() && env::var_os("TERM").is_none_or(|term| term != "dumb")
}

fn spinner() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    // The template is a constant; the default style would replace a wrong one.
    if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}") {
        bar.set_style(style.tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ "));
    }
    bar.enable_steady_tick(TICK);
    bar
}

/// Without its colours where the reader does not want them: the display writes
/// past the stream that would see to that.
fn for_terminal(line: &str) -> String {
    match anstream::AutoStream::choice(&io::stderr()) {
        anstream::ColorChoice::Never => anstream::adapter::strip_str(line).to_string(),
        _ => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cid_client::Waiting;

    fn rendered(happened: &[What]) -> String {
        let mut progress = Progress {
            show: Show::Lines,
            running: BTreeMap::new(),
            waiting: None,
        };
        let lines: Vec<String> = happened
            .iter()
            .filter_map(|what| progress.line(what).or_else(|| progress.wait(what)))
            .map(|line| line.to_text())
            .collect();
        lines.join("\n")
    }

    fn step(state: StepState, label: &str, millis: u64) -> What {
        step_at(0, state, label, millis)
    }

    fn step_at(index: u32, state: StepState, label: &str, millis: u64) -> What {
        What::Step {
            index,
            state,
            label: label.into(),
            took: (millis > 0).then(|| Duration::from_millis(millis)),
            idle: false,
        }
    }

    #[test]
    fn each_step_that_ends_has_a_line() {
        let job = |state| What::Job {
            state,
            failed_step: (state == JobState::Undoing).then_some(0),
        };
        insta::assert_snapshot!(rendered(&[
            job(JobState::Queued),
            job(JobState::Running),
            step(StepState::Observed, "clone the repository", 0),
            step(StepState::Applied, "clone the repository", 123),
            What::Note { index: 1, text: "the branch exists on the remote already and is used".into() },
            step(StepState::Observed, "install \x1b[31mdependencies", 0),
            What::Output { index: 1, lines: vec!["Collecting".into()] },
            job(JobState::Undoing),
            step(StepState::Undoing, "install dependencies", 0),
            step(StepState::Undone, "install dependencies", 20),
            step(StepState::Stuck, "clone the repository", 0),
            job(JobState::Stuck),
        ]), @r"
        [ok] clone the repository  0.12s
        [note] the branch exists on the remote already and is used
        [failed] install dependencies
        [undone] install dependencies  0.02s
        [stuck] clone the repository
        ");
    }

    #[test]
    fn a_step_that_had_nothing_to_do_has_no_line() {
        let idle = What::Step {
            index: 0,
            state: StepState::Applied,
            label: "fetch main".into(),
            took: Some(Duration::from_millis(20)),
            idle: true,
        };
        let note = What::Note {
            index: 1,
            text: "nothing has changed".into(),
        };
        assert_eq!(rendered(&[idle, note]), "[note] nothing has changed");
    }

    #[test]
    fn each_place_in_a_queue_has_a_line() {
        let waiting = |ahead, minutes| What::Waiting {
            waiting: Some(Waiting {
                resource: WaitingFor::Turn,
                of: None,
                ahead,
                work: Some("install".into()),
                email: None,
                minutes,
                text: format!("waiting for a turn: {ahead} ahead (install, {minutes} min)"),
            }),
        };
        let over = What::Waiting { waiting: None };
        assert_eq!(
            rendered(&[waiting(2, 1), waiting(2, 2), waiting(1, 3), over]),
            "[note] waiting for a turn: 2 ahead (install, 1 min)\n\
             [note] waiting for a turn: 1 ahead (install, 3 min)"
        );
    }

    #[test]
    fn a_job_cancelled_between_steps_blames_none() {
        let undoing = What::Job {
            state: JobState::Undoing,
            failed_step: None,
        };
        assert_eq!(
            rendered(&[step(StepState::Applied, "a", 10), undoing]),
            "[ok] a  0.01s"
        );
    }

    #[test]
    fn of_steps_that_run_together_the_one_to_blame_is_named() {
        let undoing = What::Job {
            state: JobState::Undoing,
            failed_step: Some(1),
        };
        assert_eq!(
            rendered(&[
                step_at(1, StepState::Observed, "release", 0),
                step_at(2, StepState::Observed, "publish", 0),
                step_at(2, StepState::Applied, "publish", 10),
                undoing,
            ]),
            "[ok] publish  0.01s\n[failed] release"
        );
    }
}
