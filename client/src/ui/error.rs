//! Failures, printed once, on standard error: what cannot be done and what to do
//! about it.

use super::{
    left,
    text::{clean, clean_lines, say, styled},
};
use crate::cli::{Failure, Format};
use anstyle::{AnsiColor, Style};
use cid_client::{Error, Job, JobKind, JobState, LostWork};
use serde_json::{Value, json};

const ERROR: Style = AnsiColor::Red.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();
const DIM: Style = Style::new().dimmed();

/// Prints why a verb failed.
pub(crate) fn print(failure: &Failure, format: Format) {
    if failure.is_broken_pipe() {
        return;
    }
    match format {
        Format::Human | Format::Wide => say(&human(failure)),
        Format::Json => say(&json!({ "error": document(failure) }).to_string()),
    }
}

fn human(failure: &Failure) -> String {
    match failure {
        Failure::Request(error) => request(error),
        Failure::Job(job) => trouble(job),
        Failure::Detached(job) => format!("detached; the job goes on: cictl jobs watch {job}"),
        Failure::Io(what, error) => format!("{}: {what}: {error}", styled(ERROR, "error")),
    }
}

fn request(error: &Error) -> String {
    let mut lines = vec![titled(ERROR, "error", &error.message)];
    for violation in &error.violations {
        // The daemon's sentence mostly says it already.
        if !error.message.contains(&violation.description) {
            lines.push(format!(
                "  {}: {}",
                clean(&violation.field),
                clean_lines(&violation.description)
            ));
        }
    }
    let mut loses_work = false;
    if let Some(conflict) = &error.conflict {
        if let Some(url) = &conflict.url {
            lines.push(format!("workspace: {}", clean(url)));
        }
        if let Some(job) = &conflict.job {
            lines.push(format!(
                "job in the way: {0} (cictl jobs watch {0})",
                clean(job)
            ));
        }
        for work in &conflict.work {
            lines.extend(lost(work));
        }
        list(
            &mut lines,
            "cannot be looked at",
            &conflict.unseen,
            conflict.more_unseen,
        );
        lines.extend(left::lines(&conflict.files));
        loses_work = !conflict.work.is_empty() || !conflict.unseen.is_empty();
    }
    // The daemon knows which of the two options would lose it.
    let lost = "--discard deletes the workspace and loses this work";
    let hint = error.hint.as_deref().or(loses_work.then_some(lost));
    lines.extend(hint.map(|hint| titled(HINT, "hint", hint)));
    lines.join("\n")
}

/// Why a job is not done, what is owed, and how to go on; nothing for a job
/// without trouble.
pub(crate) fn trouble(job: &Job) -> String {
    let mut lines = Vec::new();
    if let Some(failure) = &job.failure {
        lines.push(titled(ERROR, "error", &failure.message));
        if let Some(step) = &failure.step_label {
            lines.push(format!("step: {}", clean(step)));
        }
        if !failure.output.is_empty() {
            lines.push("output:".to_owned());
            lines.extend(
                failure
                    .output
                    .iter()
                    .map(|line| format!("  {} {}", styled(DIM, "|"), clean(line))),
            );
        }
        if let Some(why) = &failure.output_withheld {
            lines.push(format!("output: {}", clean(why)));
        }
        if let Some(hint) = &failure.hint {
            lines.push(titled(HINT, "hint", hint));
        }
    } else if job.state.is_at_rest() && job.state != JobState::Done {
        lines.push(titled(ERROR, "error", &default_message(job)));
    }
    for owed in &job.owed {
        lines.push(format!("owed: {} (see: cictl doctor)", clean(owed)));
    }
    match job.state {
        JobState::Undone => lines.push(taken_back(job)),
        JobState::Stuck => lines.push(format!(
            "the job is stuck; when the cause is mended, go on with: cictl jobs retry {}",
            job.id
        )),
        _ => {}
    }
    lines.join("\n")
}

/// What a failed job leaves.
fn taken_back(job: &Job) -> String {
    let what = match job.kind {
        JobKind::Restart => "a restart takes nothing back: cictl show says what runs",
        JobKind::Stop | JobKind::Sleep => "the processes run as before",
        JobKind::Start => "the processes are stopped as before",
        JobKind::RepairAccess => "what was changed stays",
        JobKind::Deploy => "visitors have what they had before",
        _ => "everything was taken back",
    };
    format!("{what} (job {})", job.id)
}

fn default_message(job: &Job) -> String {
    let what = match job.kind {
        JobKind::Build | JobKind::Template => {
            format!("cannot make {} of {}", job.name, job.project)
        }
        kind => format!(
            "cannot {kind} the workspace of {} in {}",
            job.email, job.project
        ),
    };
    match job.state {
        JobState::Cancelled => format!("{what}: the job was cancelled; {}", taken_back(job)),
        JobState::Stuck => format!("{what}: the job is stuck"),
        _ => format!("{what}: the job failed"),
    }
}

/// What is in one repository and nowhere else.
fn lost(work: &LostWork) -> Vec<String> {
    let mut lines = vec![format!("in {}:", clean(&work.repository))];
    let mut inner = Vec::new();
    list(
        &mut inner,
        "uncommitted",
        &work.uncommitted,
        work.more_uncommitted,
    );
    list(&mut inner, "unpushed", &work.unpushed, work.more_unpushed);
    inner.extend(work.remarks.iter().map(|remark| clean(remark)));
    lines.extend(inner.into_iter().map(|line| format!("  {line}")));
    lines
}

fn list(lines: &mut Vec<String>, title: &str, items: &[String], more: u64) {
    if !items.is_empty() {
        lines.push(format!("{title}:"));
        lines.extend(items.iter().map(|item| format!("  {}", clean(item))));
        if more > 0 {
            lines.push(format!("  and {more} more"));
        }
    }
}

fn titled(style: Style, title: &str, text: &str) -> String {
    format!("{}: {}", styled(style, title), clean_lines(text))
}

/// The failure as the member `error` of a JSON document.
fn document(failure: &Failure) -> Value {
    match failure {
        Failure::Request(error) => json!(error),
        Failure::Job(job) => {
            let failure = job.failure.as_ref();
            json!({
                "kind": "job_failed",
                "message": failure.map_or_else(|| default_message(job), |f| f.message.clone()),
                "hint": failure.and_then(|failure| failure.hint.as_ref()),
                "job": job.id,
                "state": job.state,
                "step": failure.and_then(|failure| failure.step_kind.as_ref()),
                "output": failure.map_or(&[][..], |failure| &failure.output),
                "output_withheld": failure.and_then(|failure| failure.output_withheld.as_ref()),
                "owed": job.owed,
            })
        }
        Failure::Detached(job) => json!({
            "kind": "detached",
            "message": "stopped waiting; the job goes on",
            "hint": format!("cictl jobs watch {job}"),
            "job": job,
        }),
        Failure::Io(what, error) => json!({
            "kind": "io",
            "message": format!("{what}: {error}"),
            "hint": null,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::sample;
    use cid_client::{Conflict, Kind};

    fn plain(failure: &Failure) -> String {
        anstream::adapter::strip_str(&human(failure)).to_string()
    }

    fn lost_work() -> Failure {
        let mut error = Error::new(Kind::Conflict, "cannot delete: work would be lost");
        error.conflict = Some(Box::new(Conflict {
            work: vec![
                LostWork {
                    repository: "src".into(),
                    uncommitted: vec!["app/views.py".into()],
                    more_uncommitted: 7,
                    unpushed: vec!["a1b2c3d Fix \x1b[31mit".into()],
                    ..LostWork::default()
                },
                LostWork {
                    repository: "home/tool".into(),
                    remarks: vec!["cannot ask https://git.example.org/x: no answer".into()],
                    ..LostWork::default()
                },
            ],
            unseen: vec!["home/closed: Permission denied".into()],
            ..Conflict::default()
        }));
        Failure::Request(error)
    }

    #[test]
    fn work_that_would_be_lost_is_named() {
        insta::assert_snapshot!(plain(&lost_work()), @r"
        error: cannot delete: work would be lost
        in src:
          uncommitted:
            app/views.py
            and 7 more
          unpushed:
            a1b2c3d Fix it
        in home/tool:
          cannot ask https://git.example.org/x: no answer
        cannot be looked at:
          home/closed: Permission denied
        hint: --discard deletes the workspace and loses this work
        ");
    }

    #[test]
    fn the_daemons_hint_is_the_only_one() {
        let hint = "merge it, leave --with-branch away, or lose them with --force";
        let mut error = Error::new(Kind::Conflict, "cannot delete").with_hint(hint);
        error.conflict = Some(Box::new(Conflict {
            work: vec![LostWork {
                unpushed: vec!["2 commits of anna that are not in main".into()],
                ..LostWork::default()
            }],
            ..Conflict::default()
        }));
        let said = plain(&Failure::Request(error));
        assert_eq!(said.matches("hint:").count(), 1, "{said}");
        assert!(said.contains(hint) && !said.contains("--discard"), "{said}");
    }

    #[test]
    fn a_failed_job_tells_its_story() {
        insta::assert_snapshot!(plain(&Failure::Job(Box::new(sample::failed_job()))), @r"
        error: cannot install: no such package
        step: install dependencies
        output:
          | Collecting nonsense
          | ERROR: not found
        hint: look at requirements.txt
        owed: delete the branch anna---example-com (see: cictl doctor)
        everything was taken back (job 0190)
        ");
    }

    #[test]
    fn output_that_is_not_shown_is_said_to_be_there() {
        let mut job = sample::failed_job();
        let failure = job.failure.as_mut().unwrap();
        failure.output.clear();
        failure.output_withheld = Some("not shown: ask an administrator".into());
        let said = plain(&Failure::Job(Box::new(job)));
        assert!(
            said.contains("output: not shown: ask an administrator"),
            "{said}"
        );
    }

    #[test]
    fn errors_in_json_have_kind_message_and_hint() {
        let document = document(&lost_work());
        assert_eq!(document["kind"], "conflict");
        assert_eq!(document["hint"], Value::Null);
        assert_eq!(
            document["conflict"]["work"][0]["uncommitted"][0],
            "app/views.py"
        );
        let document = super::document(&Failure::Job(Box::new(sample::failed_job())));
        assert_eq!(document["kind"], "job_failed");
        assert_eq!(document["step"], "install.v1");
        assert_eq!(
            super::document(&Failure::Detached("01".into()))["job"],
            "01"
        );
    }
}
