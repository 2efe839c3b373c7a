use crate::{
    error::{Answer, Refusal},
    i18n::Lang,
    page::{self, Frame},
    text::printable,
    visitor::Visitor,
};
use askama::Template;
use axum::{
    http::{StatusCode, header::SET_COOKIE},
    response::Response,
};
use cid_client::{Error, Health, Person, Project, Workspace, WorkspaceState};
use futures::future;

/// What is put into the form when it is shown again.
#[derive(Debug, Default)]
pub struct Again {
    /// The address as it was typed.
    pub email: String,
    /// The project that was chosen.
    pub project: Option<String>,
    /// What the daemon says about it.
    pub error: Option<Error>,
}

/// Shows the empty form and the table.
pub async fn show(visitor: Visitor, lang: Lang) -> Answer {
    render(&visitor, lang, Again::default()).await
}

/// Shows the form, filled in again where it was refused, and the table of what the visitor may see.
pub async fn render(visitor: &Visitor, lang: Lang, again: Again) -> Answer {
    let daemon = &visitor.daemon;
    let (visit, projects, workspaces) =
        future::try_join3(daemon.who_am_i(), daemon.projects(), daemon.list(None))
            .await
            .map_err(|err| Refusal(lang, err.into()))?;
    let frame = Frame {
        person: visit.person,
        form: visitor.form_token(),
        has_address: again.error.is_none(),
    };
    let mut page = page(lang, again, frame, projects, workspaces);
    // The daemon has renewed the session; the browser keeps its cookie as long.
    let cookie = visitor.session.as_deref().map(|s| visitor.cookie.keep(s));
    if let Some(Ok(cookie)) = cookie {
        page.headers_mut().insert(SET_COOKIE, cookie);
    }
    Ok(page)
}

fn page(
    t: Lang,
    again: Again,
    frame: Frame,
    projects: Vec<Project>,
    workspaces: Vec<Workspace>,
) -> Response {
    let several = projects.len() > 1;
    let usable = projects.into_iter().filter(|p| p.error.is_none());
    let status = match again.error {
        None => StatusCode::OK,
        Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let person = frame.person.clone();
    let own = person.as_ref().map(|person| person.email.clone());
    let home = Home {
        t,
        email: match again.email.is_empty() {
            true => own.unwrap_or_default(),
            false => again.email,
        },
        project: again.project.unwrap_or_default(),
        wrong: again.error.map(Wrong::from),
        projects: usable.map(|p| p.name).collect(),
        several,
        sees_all: person.as_ref().is_none_or(|person| person.is_administrator),
        for_self: person
            .as_ref()
            .is_some_and(|person| !person.may_create_for_others),
        person,
        frame,
        workspaces,
    };
    page::html(t, status, &home)
}

#[derive(Template)]
#[template(path = "home.html")]
struct Home {
    t: Lang,
    frame: Frame,
    email: String,
    project: String,
    wrong: Option<Wrong>,
    projects: Vec<String>,
    several: bool,
    /// Others' workspaces are in the table too.
    sees_all: bool,
    /// The only address they may ask for is their own.
    for_self: bool,
    /// Who is signed in.
    person: Option<Person>,
    workspaces: Vec<Workspace>,
}

struct Wrong {
    /// Whether it is the address that is wrong, and not, say, the project.
    email: bool,
    sentence: String,
    hint: Option<String>,
}

impl From<Error> for Wrong {
    fn from(error: Error) -> Self {
        let fields = &error.violations;
        Self {
            email: fields.iter().any(|v| v.field.ends_with("email")),
            sentence: printable(&error.message),
            hint: error.hint.as_deref().map(printable),
        }
    }
}
