//! Tables and lists without borders or colours, one thing a line, fit for `grep` and `awk`. Columns are
//! left out only in a terminal that is too narrow, and the list says which.

mod delivery;
mod projects;
mod store;

pub(crate) use delivery::{build, builds, stage, stages};
pub(crate) use projects::{checks, follow_ups, hooks, project, projects};
pub(crate) use store::unused;

use super::fit::{Narrow, fit};
use super::left::size;
use super::text::{clean, clean_lines, time, took, took_by};
use cid_client::{
    AuditLine, FailedDeployment, Finding, Job, Process, SignedIn, Standing, StepState, Workspace,
    WorkspaceState,
};
use comfy_table::{ContentArrangement, Table, presets};

/// Workspaces, one a line; nothing when there are none.
pub(crate) fn workspaces(workspaces: &[Workspace], width: Option<usize>) -> String {
    list(
        width,
        Narrow {
            drop: &["CREATED", "PROJECT", "STATE"],
            cut: None,
        },
        ["EMAIL", "PROJECT", "STATE", "HEALTH", "URL", "CREATED"],
        workspaces.iter().map(|workspace| {
            [
                workspace.email.clone(),
                workspace.project.clone(),
                workspace.state.to_string(),
                // A workspace that is not ready has no health, and the column before this one may be left out.
                match workspace.state {
                    WorkspaceState::Ready => listed_health(workspace),
                    state => state.to_string(),
                },
                workspace.url.clone().unwrap_or_default(),
                time(workspace.created_at),
            ]
        }),
    )
}

/// Its health in a word, and what else its owner should look at.
fn listed_health(workspace: &Workspace) -> String {
    let mut words = vec![workspace.health.to_string()];
    words.extend(workspace.branch_gone_at.map(|_| "branch gone".to_owned()));
    let failed = workspace.failed_deployment.as_ref();
    words.extend(failed.map(|_| "deploy failed".to_owned()));
    words.join(", ")
}

/// What was to be deployed and was not, when, and why.
pub(super) fn not_deployed(failed: &FailedDeployment) -> String {
    let what = match failed.build {
        Some(build) => format!("build {build} was not deployed"),
        None => "the last deployment failed".to_owned(),
    };
    format!(
        "{what} at {}: {} (cictl jobs show {})",
        time(failed.at),
        clean(&failed.message),
        failed.job
    )
}

/// One workspace: a member a line, then its processes.
pub(crate) fn workspace(workspace: &Workspace) -> String {
    let standing = workspace.standing.as_ref();
    let mut members = vec![
        ("email", workspace.email.clone()),
        ("project", workspace.project.clone()),
        ("name", workspace.name.clone()),
        ("state", workspace.state.to_string()),
        ("health", health(workspace)),
        ("url", workspace.url.clone().unwrap_or_default()),
        (
            "port",
            workspace
                .port
                .map(|port| port.to_string())
                .unwrap_or_default(),
        ),
        ("directory", workspace.directory.clone()),
        ("branch", branch(workspace)),
        ("commit", workspace.commit.clone().unwrap_or_default()),
    ];
    if let Some(standing) = standing {
        members.push(("head", head(standing, workspace.branch_gone_at.is_some())));
        if !standing.stale.is_empty() {
            members.push(("not in effect", clean(&standing.stale.join(", "))));
        }
        if let Some(why) = &standing.left_alone {
            let at = standing.left_alone_at.map(time).unwrap_or_default();
            members.push(("left alone", format!("{at}: {}", clean(why))));
        }
    }
    if let Some(failed) = &workspace.failed_deployment {
        members.push(("failed", not_deployed(failed)));
    }
    members.extend([
        ("created", time(workspace.created_at)),
        ("creator", workspace.creator.clone().unwrap_or_default()),
        ("job", workspace.job.clone().unwrap_or_default()),
    ]);
    let members = pairs(members);
    with_processes(members, &workspace.processes)
}

/// Adds processes, and the last lines of those that crash.
fn with_processes(members: String, all: &[Process]) -> String {
    if all.is_empty() {
        return members;
    }
    let mut text = format!("{members}\n\n{}", processes(all));
    let with_lines = |process: &&Process| !process.last_lines.is_empty();
    for process in all.iter().filter(with_lines) {
        text.push_str(&format!("\n\nlast lines of {}:", clean(&process.name)));
        for line in &process.last_lines {
            text.push_str(&format!("\n    {}", clean(line)));
        }
    }
    text
}

/// Its name, and since when it is gone.
fn branch(workspace: &Workspace) -> String {
    match workspace.branch_gone_at {
        None => workspace.branch.clone(),
        Some(since) => format!(
            "{}, gone from the remote since {}",
            workspace.branch,
            time(since)
        ),
    }
}

/// In a word, and what is wrong since when.
fn health(workspace: &Workspace) -> String {
    if workspace.state.is_away() {
        return workspace.state.to_string();
    }
    let word = workspace.health.to_string();
    match (&workspace.health_message, workspace.health_since) {
        (None, _) => word,
        (Some(message), None) => format!("{word}: {message}"),
        (Some(message), Some(since)) => format!("{word} since {}: {message}", time(since)),
    }
}

fn processes(processes: &[Process]) -> String {
    table(
        [
            "PROCESS", "STATE", "SINCE", "RESTARTS", "MEMORY", "LAST END",
        ],
        processes.iter().map(|process| {
            let end = process.last_end.clone().unwrap_or_default();
            [
                process.name.clone(),
                process.state.to_string(),
                process.since.map(time).unwrap_or_default(),
                process.restarts.to_string(),
                process.memory.map(size).unwrap_or_default(),
                match process.last_ended_at {
                    Some(at) => format!("{end}, {}", time(at)),
                    None => end,
                },
            ]
        }),
    )
}

/// What is checked out, against the remote's branch as the clone last saw it.
fn head(standing: &Standing, is_branch_gone: bool) -> String {
    let commit = standing.head.as_deref().unwrap_or("no commit");
    let on = match &standing.branch {
        Some(branch) => format!(" on {}", clean(branch)),
        None => ", on no branch".to_owned(),
    };
    let counts = match (standing.ahead, standing.behind) {
        _ if is_branch_gone => String::new(),
        (Some(0), Some(0)) => ", as on the remote".to_owned(),
        (Some(ahead), Some(behind)) => format!(", {ahead} ahead and {behind} behind the remote"),
        _ => String::new(),
    };
    format!("{commit}{on}{counts}")
}

/// Jobs, one a line, then what the waiting ones wait for; nothing when there are none.
pub(crate) fn jobs(jobs: &[Job], width: Option<usize>) -> String {
    let mut text = job_lines(jobs, width);
    let waiting = jobs
        .iter()
        .filter_map(|job| Some((&job.id, job.waiting.as_ref()?)));
    for (at, (id, waiting)) in waiting.enumerate() {
        text.push_str(if at == 0 { "\n\n" } else { "\n" });
        text.push_str(&format!("{id}: {}", clean(&waiting.text)));
    }
    text
}

fn job_lines(jobs: &[Job], width: Option<usize>) -> String {
    list(
        width,
        Narrow {
            drop: &["CREATED", "PROJECT", "TOOK"],
            cut: Some("EMAIL"),
        },
        ["ID", "KIND", "STATE", "EMAIL", "PROJECT", "CREATED", "TOOK"],
        jobs.iter().map(|job| {
            [
                job.id.clone(),
                job.kind.to_string(),
                job.state.to_string(),
                job.email.clone(),
                job.project.clone(),
                time(job.created_at),
                took_by(job),
            ]
        }),
    )
}

/// One job: a member a line, then its steps, then why it failed and what it owes.
pub(crate) fn job(job: &Job) -> String {
    let mut text = pairs(vec![
        ("id", job.id.clone()),
        ("kind", job.kind.to_string()),
        ("state", job.state.to_string()),
        ("email", job.email.clone()),
        ("project", job.project.clone()),
        ("created", time(job.created_at)),
        ("ended", job.ended_at.map(time).unwrap_or_default()),
        ("took", took_by(job)),
    ]);
    if let Some(waiting) = &job.waiting {
        text.push_str("\n\n");
        text.push_str(&clean(&waiting.text));
    }
    if !job.steps.is_empty() {
        text.push_str("\n\n");
        text.push_str(&table(
            ["STEP", "STATE", "TOOK", "KIND"],
            job.steps.iter().map(|step| {
                [
                    step.label.clone(),
                    match step.state {
                        StepState::Undone if step.stays => "not taken back".to_owned(),
                        StepState::Observed => "running".to_owned(),
                        state => state.to_string(),
                    },
                    step.took.map(took).unwrap_or_default(),
                    step.kind.clone(),
                ]
            }),
        ));
    }
    for note in &job.notes {
        text.push_str(&format!("\n\nnote: {}", clean(note)));
    }
    let trouble = super::error::trouble(job);
    if !trouble.is_empty() {
        text.push_str("\n\n");
        text.push_str(&anstream::adapter::strip_str(&trouble).to_string());
    }
    text
}

/// Everyone who is signed in, one a line.
pub(crate) fn people(people: &[SignedIn], width: Option<usize>) -> String {
    list(
        width,
        Narrow {
            drop: &["SINCE"],
            cut: Some("EMAIL"),
        },
        ["EMAIL", "BROWSERS", "SINCE", "LAST-USED"],
        people.iter().map(|person| {
            [
                person.email.clone(),
                person.sessions.to_string(),
                time(person.since),
                time(person.used_at),
            ]
        }),
    )
}

/// Requests, one a line; nothing when there are none.
pub(crate) fn audit(lines: &[AuditLine], width: Option<usize>) -> String {
    list(
        width,
        Narrow {
            drop: &["JOB", "REASON", "OUTCOME"],
            cut: Some("WORKSPACE"),
        },
        [
            "TIME",
            "WHO",
            "REQUEST",
            "WORKSPACE",
            "DECISION",
            "OUTCOME",
            "JOB",
            "REASON",
        ],
        lines.iter().map(|line| {
            let who = line.account.as_deref().unwrap_or("?");
            let about = match (&line.email, &line.project) {
                (Some(email), Some(project)) => format!("{email} in {project}"),
                (None, Some(project)) => format!("in {project}"),
                _ => String::new(),
            };
            let rpc = line.rpc.strip_prefix("/cid.v1.").unwrap_or(&line.rpc);
            let request = match (&line.program, line.build) {
                (Some(program), _) => format!("{rpc} {program}"),
                (None, Some(build)) => format!("{rpc} {build}"),
                (None, None) => rpc.to_owned(),
            };
            [
                time(line.at),
                format!("{who} ({})", line.uid),
                request,
                about,
                line.decision.to_string(),
                line.outcome.clone(),
                line.job.clone().unwrap_or_default(),
                line.reason.clone().unwrap_or_default(),
            ]
        }),
    )
}

/// What `doctor` found, one a line, with its repair below.
pub(crate) fn findings(findings: &[Finding]) -> String {
    marked(findings.iter().map(|finding| {
        if finding.repaired {
            ("repaired", &finding.subject, &finding.message, None)
        } else {
            (
                finding.kind.as_str(),
                &finding.subject,
                &finding.message,
                finding.repair.as_ref(),
            )
        }
    }))
}

/// Names and values, a pair a line; `-` stands for an absent value.
pub(crate) fn pairs(pairs: Vec<(&str, String)>) -> String {
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let lines: Vec<String> = pairs
        .into_iter()
        .map(|(name, value)| format!("{name:width$}  {}", or_dash(&value)))
        .collect();
    lines.join("\n")
}

fn marked<'a>(
    items: impl Iterator<Item = (&'a str, &'a String, &'a String, Option<&'a String>)>,
) -> String {
    let lines: Vec<String> = items
        .map(|(mark, subject, message, remedy)| {
            let mut lines = format!("[{mark}] {}: {}", clean(subject), clean_lines(message));
            if let Some(remedy) = remedy {
                lines.push_str("\n    ");
                lines.push_str(&clean_lines(remedy));
            }
            lines
        })
        .collect();
    lines.join("\n")
}

/// A table that leaves out what does not fit into `width` columns, and says so.
fn list<const N: usize>(
    width: Option<usize>,
    narrow: Narrow,
    header: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> String {
    let Some(width) = width else {
        return table(header, rows);
    };
    let mut header = header.map(str::to_owned).to_vec();
    let shown = |row: [String; N]| row.map(|cell| or_dash(&cell)).to_vec();
    let mut rows: Vec<Vec<String>> = rows.map(shown).collect();
    let dropped = fit(&mut header, &mut rows, width, narrow);
    let mut text = drawn(header, rows.into_iter());
    if !text.is_empty() && !dropped.is_empty() {
        let dropped = dropped.join(", ");
        text.push_str(&format!("\n({dropped}: with -o wide)"));
    }
    text
}

fn table<const N: usize>(header: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let shown = |row: [String; N]| row.map(|cell| or_dash(&cell)).to_vec();
    drawn(header.map(str::to_owned).to_vec(), rows.map(shown))
}

fn drawn(header: Vec<String>, rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(header);
    for row in rows {
        table.add_row(row);
    }
    if table.is_empty() {
        return String::new();
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

fn or_dash(value: &str) -> String {
    if value.is_empty() {
        "-".to_owned()
    } else {
        clean(value)
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
