use crate::{
    error::{Answer, Refusal},
    i18n::{Lang, Said},
    page::{self, Frame},
    visitor::Visitor,
};
use askama::Template;
use axum::{
    http::{StatusCode, header::SET_COOKIE},
    response::Response,
};
use cid_client::{Error, Health, Job, Person, Project, Stage, Workspace, WorkspaceState};
use futures::future;

/// How many of a person's own jobs their page tells of.
const JOBS: usize = 5;

/// What is put into the form when it is shown again.
#[derive(Debug, Default)]
pub struct Again {
    /// The address as it was typed.
    pub email: String,
    /// The project that was chosen.
    pub project: Option<String>,
    /// The branch that was named.
    pub base: String,
    /// What the daemon says about it.
    pub error: Option<Error>,
}

impl Again {
    fn status(&self) -> StatusCode {
        match self.error {
            None => StatusCode::OK,
            Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }
}

/// Shows the empty form and the table.
pub async fn show(visitor: Visitor, lang: Lang) -> Answer {
    render(&visitor, lang, Again::default()).await
}

/// Shows the form, filled in again where it was refused, and what the visitor may see.
pub async fn render(visitor: &Visitor, lang: Lang, again: Again) -> Answer {
    let daemon = &visitor.daemon;
    let (visit, projects, workspaces) =
        future::try_join3(daemon.who_am_i(), daemon.projects(), daemon.list(None))
            .await
            .map_err(|err| Refusal(lang, err.into()))?;
    let frame = Frame {
        person: visit.person,
        form: visitor.form_token(),
    };
    let Some(person) = frame.person.clone() else {
        return Ok(open(lang, again, frame, projects, workspaces));
    };
    // The page is of use without them.
    let (stages, jobs) = future::join(
        daemon.stages(None),
        daemon.jobs(Some(&person.email), None, JOBS),
    )
    .await;
    let more = (stages.unwrap_or_default(), jobs.unwrap_or_default());
    let mut page = start(lang, again, (frame, person), projects, workspaces, more);
    // The daemon has renewed the session; the browser keeps its cookie as long.
    let cookie = visitor.session.as_deref().map(|s| visitor.cookie.keep(s));
    if let Some(Ok(cookie)) = cookie {
        page.headers_mut().insert(SET_COOKIE, cookie);
    }
    Ok(page)
}

/// The page of a front that asks nobody who they are.
fn open(
    t: Lang,
    again: Again,
    frame: Frame,
    projects: Vec<Project>,
    workspaces: Vec<Workspace>,
) -> Response {
    let several = projects.len() > 1;
    let status = again.status();
    let home = Home {
        t,
        email: again.email,
        project: again.project.unwrap_or_default(),
        base: again.base,
        wrong: again.error.as_ref().map(|error| Wrong::of(t, error)),
        projects: projects.into_iter().filter(is_usable).collect(),
        several,
        for_self: false,
        person: None,
        frame,
        workspaces,
    };
    page::html(t, status, &home)
}

/// The page of who is signed in.
fn start(
    t: Lang,
    again: Again,
    (frame, person): (Frame, Person),
    projects: Vec<Project>,
    mut workspaces: Vec<Workspace>,
    (stages, jobs): (Vec<Stage>, Vec<Job>),
) -> Response {
    let status = again.status();
    let for_self = !person.may_create_for_others;
    // Administrators are shown those of others on a page of its own.
    workspaces.retain(|w| w.email == person.email);
    let has_one =
        |project: &Project| for_self && workspaces.iter().any(|w| w.project == project.name);
    let (usable, broken): (Vec<_>, Vec<_>) = projects.into_iter().partition(is_usable);
    let (had, left): (Vec<_>, Vec<_>) = usable.into_iter().partition(has_one);
    let start = Start {
        t,
        email: match again.email.is_empty() || for_self {
            true => person.email.clone(),
            false => again.email,
        },
        project: again.project.unwrap_or_default(),
        base: again.base,
        wrong: again.error.as_ref().map(|error| Wrong::of(t, error)),
        is_over: left.is_empty() && !had.is_empty(),
        projects: left,
        for_self,
        person: Some(person),
        frame,
        workspaces,
        stages,
        jobs,
        broken,
    };
    page::html(t, status, &start)
}

fn is_usable(project: &Project) -> bool {
    project.error.is_none()
}

#[derive(Template)]
#[template(path = "home.html")]
struct Home {
    t: Lang,
    frame: Frame,
    email: String,
    project: String,
    base: String,
    wrong: Option<Wrong>,
    projects: Vec<Project>,
    several: bool,
    /// The only address they may ask for is their own.
    for_self: bool,
    /// Who is signed in.
    person: Option<Person>,
    workspaces: Vec<Workspace>,
}

#[derive(Template)]
#[template(path = "start.html")]
struct Start {
    t: Lang,
    frame: Frame,
    email: String,
    project: String,
    base: String,
    wrong: Option<Wrong>,
    /// Those of which another workspace can be had.
    projects: Vec<Project>,
    /// They have one of each.
    is_over: bool,
    for_self: bool,
    person: Option<Person>,
    workspaces: Vec<Workspace>,
    stages: Vec<Stage>,
    /// Their own, newest first.
    jobs: Vec<Job>,
    /// Those that cannot be used.
    broken: Vec<Project>,
}

struct Wrong {
    /// Whether it is the address that is wrong, and not, say, the project.
    email: bool,
    sentence: Said,
    hint: Option<Said>,
}

impl Wrong {
    fn of(t: Lang, error: &Error) -> Self {
        let fields = &error.violations;
        Self {
            email: fields.iter().any(|v| v.field.ends_with("email")),
            sentence: t.daemon_says(&error.message),
            hint: error.hint.as_deref().map(|hint| t.daemon_says(hint)),
        }
    }
}
