use crate::{
    ansi::{self, Piece},
    error::{Answer, Problem, Refusal},
    i18n::Lang,
    page::{self, Frame, delivery, logs},
    visitor::Visitor,
};
use askama::Template;
use axum::{
    extract::{Path, Query},
    http::StatusCode,
};
use cid_client::{Client, Health, Job, JobState, LogLine, StepState, Workspace, WorkspaceState};
use futures::future;
use serde::Deserialize;

/// How many of a workspace's last jobs its page tells of.
const JOBS: usize = 5;

/// What of the page is wanted.
#[derive(Debug, Default, Deserialize)]
pub struct Wanted {
    /// Whose log it shows.
    process: Option<String>,
    /// Only what changes by itself: the page's script asks again and again.
    #[serde(default)]
    brief: bool,
}

/// Shows one workspace, by its address or by its name.
pub async fn show(
    visitor: Visitor,
    lang: Lang,
    Path((project, who)): Path<(String, String)>,
    Query(wanted): Query<Wanted>,
) -> Answer {
    let refuse = |problem| Refusal(lang, problem);
    let daemon = &visitor.daemon;
    let frame = Frame::of(&visitor, lang).await?;
    let found = find(daemon, &project, &who).await.map_err(refuse)?;
    if wanted.brief {
        let jobs = daemon.jobs(Some(&found.email), Some(&found.project), 1);
        let jobs = jobs.await.unwrap_or_default();
        let part = Now {
            t: lang,
            path: page::workspace_path(&found),
            may_act: frame.may_act_for(&found.email),
            frame,
            is_moving: is_moving(&found),
            mark: mark(&found, &jobs),
            at_work: at_work(&jobs).cloned(),
            w: found,
        };
        return Ok(page::html(lang, StatusCode::OK, &part));
    }
    let process = wanted.process.or_else(|| first_process(&found));
    let (email, project) = (found.email.as_str(), found.project.as_str());
    let lines = async {
        match (&process, frame.may_act_for(email)) {
            (Some(process), true) => logs::tail(&visitor, email, project, process).await,
            _ => None,
        }
    };
    let (looked, clone_command, jobs, lines) = future::join4(
        daemon.show(email, Some(project)),
        clone_command(daemon, &found),
        jobs_of(daemon, email, project),
        lines,
    )
    .await;
    let workspace = looked.unwrap_or(found);
    let extras = Extras {
        clone_command,
        jobs,
        process,
        lines,
    };
    let page = shown(lang, frame, workspace, extras);
    Ok(page::html(lang, StatusCode::OK, &page))
}

/// What stands for all that the page shows and a script does not ask for again and again: when it changes, the whole
/// page is fetched once more.
fn mark(workspace: &Workspace, jobs: &[Job]) -> String {
    let newest = jobs.first();
    let job = newest.map(|job| format!("{} {}", job.id, job.state));
    format!(
        "{} {}",
        job.unwrap_or_default(),
        workspace.branch_gone_at.is_some()
    )
}

/// The newest job, while it goes on.
fn at_work(jobs: &[Job]) -> Option<&Job> {
    jobs.first().filter(|job| !job.state.is_ended())
}

/// The workspace of an address or a name, or a stage by its name.
///
/// # Errors
/// The visitor may see no such workspace.
pub async fn find(daemon: &Client, project: &str, who: &str) -> Result<Workspace, Problem> {
    let missing = |err| Problem::or_missing(err, Problem::NoWorkspace);
    // A workspace's name has two hyphens in a row, a stage's has not.
    if who.contains('@') || !who.contains("--") {
        return daemon.get(who, Some(project)).await.map_err(missing);
    }
    let workspaces = daemon.list(Some(project)).await.map_err(missing)?;
    let mut workspaces = workspaces.into_iter();
    workspaces
        .find(|w| w.name == who && w.project == project)
        .ok_or(Problem::NoWorkspace)
}

/// How to get the workspace's branch onto another machine; `None` when the project does not say.
pub async fn clone_command(daemon: &Client, workspace: &Workspace) -> Option<String> {
    let project = daemon.project(&workspace.project).await.ok()?;
    let (url, branch) = (quoted(&project.git_url)?, quoted(&workspace.branch)?);
    Some(format!("git clone --branch {branch} {url}"))
}

/// The newest jobs with their steps; those that cannot be told are left out.
async fn jobs_of(daemon: &Client, email: &str, project: &str) -> Vec<Job> {
    let newest = daemon.jobs(Some(email), Some(project), JOBS).await;
    let ids = newest.unwrap_or_default();
    let whole = ids.iter().map(|job| daemon.job(&job.id));
    let whole = future::join_all(whole).await;
    whole.into_iter().flatten().collect()
}

fn first_process(workspace: &Workspace) -> Option<String> {
    let mut processes = workspace.processes.iter();
    let web = processes.find(|process| process.name == "web");
    let first = web.or(workspace.processes.first())?;
    Some(first.name.clone())
}

/// A terminal in the workspace, for those who have an account on the server: as the workspace's own user, who has
/// none of their keys.
fn ssh_command(workspace: &Workspace) -> Option<String> {
    let host = page::host_of(workspace.url.as_deref()?)?;
    let (email, project) = (quoted(&workspace.email)?, quoted(&workspace.project)?);
    // Two shells would read it.
    let is_plain = !email.starts_with('\'');
    is_plain.then(|| format!("ssh -t {host} cictl shell {email} -p {project}"))
}

/// The text as one word of a shell; `None` if it is empty.
fn quoted(text: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@+,=".contains(c);
    match text {
        "" => None,
        text if text.chars().all(plain) => Some(text.to_owned()),
        text => Some(format!("'{}'", text.replace('\'', r"'\''"))),
    }
}

/// What only the whole page shows.
#[derive(Default)]
struct Extras {
    clone_command: Option<String>,
    jobs: Vec<Job>,
    process: Option<String>,
    lines: Option<Vec<LogLine>>,
}

fn shown(t: Lang, frame: Frame, w: Workspace, extras: Extras) -> WorkspacePage {
    let after = extras.lines.as_ref().and_then(|lines| lines.last());
    let standing = w.standing.as_ref();
    let counts = standing.and_then(|standing| standing.ahead.zip(standing.behind));
    // A branch that is gone has nothing to be compared with.
    let counts = counts.filter(|_| w.branch_gone_at.is_none());
    let is_stage = !w.email.contains('@');
    WorkspacePage {
        t,
        counts: counts.map(|(ahead, behind)| t.ahead_behind(ahead, behind)),
        path: page::workspace_path(&w),
        may_act: frame.may_act_for(&w.email),
        frame,
        is_moving: is_moving(&w),
        is_stage,
        back: match is_stage {
            true => delivery::path(&w.project),
            false => "/".to_owned(),
        },
        mark: mark(&w, &extras.jobs),
        at_work: at_work(&extras.jobs).cloned(),
        clone_command: extras.clone_command,
        ssh_command: ssh_command(&w).filter(|_| w.state == WorkspaceState::Ready),
        jobs: extras.jobs,
        process: extras.process,
        after: after.map(|line| logs::id(line.end)).unwrap_or_default(),
        lines: extras.lines.map(|lines| {
            let pieces = |line: &LogLine| ansi::pieces(&logs::text(line));
            lines.iter().map(pieces).collect()
        }),
        w,
    }
}

/// Whether a job makes it or removes it.
fn is_moving(workspace: &Workspace) -> bool {
    matches!(
        workspace.state,
        WorkspaceState::Creating | WorkspaceState::Deleting
    )
}

/// What of the page changes by itself.
#[derive(Template)]
#[template(path = "workspace_now.html")]
struct Now {
    t: Lang,
    frame: Frame,
    w: Workspace,
    path: String,
    may_act: bool,
    is_moving: bool,
    /// See [`mark`].
    mark: String,
    at_work: Option<Job>,
}

#[derive(Template)]
#[template(path = "workspace.html")]
struct WorkspacePage {
    t: Lang,
    frame: Frame,
    w: Workspace,
    path: String,
    may_act: bool,
    is_moving: bool,
    is_stage: bool,
    back: String,
    /// See [`mark`].
    mark: String,
    at_work: Option<Job>,
    /// How the clone compares with the server.
    counts: Option<String>,
    clone_command: Option<String>,
    ssh_command: Option<String>,
    jobs: Vec<Job>,
    /// Whose log is shown.
    process: Option<String>,
    lines: Option<Vec<Vec<Piece>>>,
    /// Where the last of the lines ends.
    after: String,
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn words_survive_a_shell() {
        let url = "git@git.example.org:team/pressa.git";
        assert_eq!(quoted(url).as_deref(), Some(url));
        assert_eq!(quoted("/srv/my repo").as_deref(), Some("'/srv/my repo'"));
        assert_eq!(quoted("a';b").as_deref(), Some(r"'a'\'';b'"));
        assert_eq!(quoted(""), None);
    }
}
