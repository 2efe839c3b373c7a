use crate::{
    app::App,
    error::{Answer, Refusal},
    i18n::Lang,
    page,
    text::printable,
};
use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use cid_client::{Error, Health, Project, Workspace, WorkspaceState};
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
pub async fn show(State(app): State<App>, lang: Lang) -> Answer {
    render(&app, lang, Again::default()).await
}

/// Shows the form, filled in again where it was refused, and the table.
pub async fn render(app: &App, lang: Lang, again: Again) -> Answer {
    let (projects, workspaces) = future::try_join(app.daemon.projects(), app.daemon.list(None))
        .await
        .map_err(|err| Refusal(lang, err.into()))?;
    Ok(page(lang, again, projects, workspaces))
}

fn page(t: Lang, again: Again, projects: Vec<Project>, workspaces: Vec<Workspace>) -> Response {
    let several = projects.len() > 1;
    let usable = projects.into_iter().filter(|p| p.error.is_none());
    let status = match again.error {
        None => StatusCode::OK,
        Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let home = Home {
        t,
        email: again.email,
        project: again.project.unwrap_or_default(),
        wrong: again.error.map(Wrong::from),
        projects: usable.map(|p| p.name).collect(),
        several,
        workspaces,
    };
    page::html(t, status, &home)
}

#[derive(Template)]
#[template(path = "home.html")]
struct Home {
    t: Lang,
    email: String,
    project: String,
    wrong: Option<Wrong>,
    projects: Vec<String>,
    several: bool,
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
