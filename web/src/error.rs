use crate::{
    i18n::{Lang, Said},
    page::{self, Frame},
    visitor::Cookie,
};
use askama::Template;
use axum::{
    http::{
        HeaderValue, StatusCode,
        header::{RETRY_AFTER, SET_COOKIE},
    },
    response::{AppendHeaders, IntoResponse, Redirect, Response},
};
use cid_client::{Error, Kind};

/// Why another page is shown than the one that was requested.
#[derive(Debug)]
pub enum Problem {
    /// Nothing is served at this path.
    NoPage,
    /// The daemon knows no such workspace.
    NoWorkspace,
    /// The daemon knows no such job.
    NoJob,
    /// The daemon knows no such project.
    NoProject,
    /// The daemon knows no such build.
    NoBuild,
    /// The page is for administrators.
    NotAdministrator,
    /// The page is for those who are signed in.
    SignedOut,
    /// The daemon does not know what is asked about, and says so.
    Missing(Box<Error>),
    /// The form is not one of the front's.
    BadForm(StatusCode),
    /// The request came from another site.
    Foreign,
    /// The form is of a page that was shown before the visitor signed in or out.
    OldForm,
    /// There were too many of this client's in a short time; the seconds after which there may be more.
    TooMany(u64),
    /// There is no place left, or no time.
    Busy,
    /// The daemon refused, or could not be asked.
    Daemon(Error),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::Daemon(error)
    }
}

impl Problem {
    /// The same; a thing that the daemon does not know becomes `missing`.
    pub fn or_missing(error: Error, missing: Self) -> Self {
        match error.kind {
            // An invalid name is the name of nothing.
            Kind::NotFound | Kind::Invalid => missing,
            _ => Self::Daemon(error),
        }
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NoPage
            | Self::NoWorkspace
            | Self::NoJob
            | Self::NoProject
            | Self::NoBuild
            | Self::Missing(_) => StatusCode::NOT_FOUND,
            Self::BadForm(status) => *status,
            Self::Foreign | Self::OldForm | Self::NotAdministrator => StatusCode::FORBIDDEN,
            Self::SignedOut => StatusCode::UNAUTHORIZED,
            Self::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Daemon(error) => match error.kind {
                Kind::Unreachable
                | Kind::Disconnected
                | Kind::Timeout
                | Kind::Unavailable
                | Kind::Cancelled => StatusCode::SERVICE_UNAVAILABLE,
                Kind::Busy => StatusCode::TOO_MANY_REQUESTS,
                Kind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
                Kind::NotFound => StatusCode::NOT_FOUND,
                Kind::SignedOut => StatusCode::UNAUTHORIZED,
                Kind::Denied => StatusCode::FORBIDDEN,
                Kind::Conflict | Kind::Refused => StatusCode::CONFLICT,
                Kind::Internal => StatusCode::BAD_GATEWAY,
            },
        }
    }

    /// The page that says so, in this language.
    pub fn page(self, lang: Lang) -> Response {
        if self.status() == StatusCode::UNAUTHORIZED {
            // A session that has ended is worth nothing: the browser forgets it.
            let forget = AppendHeaders(Cookie::cleared().map(|cookie| (SET_COOKIE, cookie)));
            return (forget, Redirect::to(page::sign_in::PATH)).into_response();
        }
        let status = self.status();
        if let Self::Daemon(error) = &self
            && status.is_server_error()
        {
            tracing::warn!(kind = ?error.kind, "{error}");
        }
        let pause = match (&self, status) {
            (Self::TooMany(pause), _) => Some(*pause),
            (_, StatusCode::SERVICE_UNAVAILABLE) => Some(5),
            (_, StatusCode::TOO_MANY_REQUESTS) => Some(60),
            _ => None,
        };
        let mut response = page::html(lang, status, &self.describe(lang));
        if let Some(pause) = pause {
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from(pause));
        }
        response
    }

    fn describe(self, t: Lang) -> ProblemPage {
        let plain = |title, text| ProblemPage {
            text,
            ..ProblemPage::titled(t, title)
        };
        match self {
            Self::NoPage => plain(t.no_page(), None),
            Self::NoWorkspace => plain(t.no_workspace(), None),
            Self::NoJob => plain(t.no_job(), None),
            Self::NoProject => plain(t.no_project(), None),
            Self::NoBuild => plain(t.no_build(), None),
            Self::NotAdministrator => plain(t.not_administrator(), None),
            Self::SignedOut => plain(t.sign_in(), None),
            Self::Missing(error) => ProblemPage::of(t, t.not_found(), *error),
            Self::BadForm(_) => plain(t.bad_form(), Some(t.bad_form_text())),
            Self::Foreign => plain(t.foreign(), Some(t.foreign_text())),
            Self::OldForm => plain(t.old_form(), Some(t.old_form_text())),
            Self::TooMany(_) => plain(t.too_many(), Some(t.too_many_text())),
            Self::Busy => plain(t.busy(), Some(t.busy_text())),
            Self::Daemon(error) => match error.kind {
                Kind::Unreachable | Kind::Disconnected | Kind::Timeout => {
                    // The daemon's path and the client's hints are for the operator, in the log.
                    plain(t.unreachable(), Some(t.unreachable_text()))
                }
                Kind::Busy => ProblemPage::of(t, t.too_many(), error),
                Kind::Denied => ProblemPage::of(t, t.denied(), error),
                Kind::Conflict => {
                    let conflict = error.conflict.as_ref();
                    let title = match conflict {
                        Some(conflict) if conflict.url.is_some() => t.exists(),
                        Some(conflict) if conflict.job.is_some() => t.in_the_way(),
                        _ => t.trouble(),
                    };
                    ProblemPage::of(t, title, error)
                }
                _ => ProblemPage::of(t, t.trouble(), error),
            },
        }
    }
}

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage {
    t: Lang,
    frame: Frame,
    title: &'static str,
    text: Option<&'static str>,
    sentence: Option<Said>,
    hint: Option<Said>,
    url: Option<String>,
    job_path: Option<String>,
}

impl ProblemPage {
    fn titled(t: Lang, title: &'static str) -> Self {
        Self {
            t,
            frame: Frame::bare(),
            title,
            text: None,
            sentence: None,
            hint: None,
            url: None,
            job_path: None,
        }
    }

    fn of(t: Lang, title: &'static str, error: Error) -> Self {
        let conflict = error.conflict.unwrap_or_default();
        Self {
            sentence: Some(t.daemon_says(&error.message)),
            hint: error.hint.as_deref().map(|hint| t.daemon_says(hint)),
            url: conflict.url.filter(|url| page::is_web_address(url)),
            job_path: conflict.job.as_deref().map(page::job_path),
            ..Self::titled(t, title)
        }
    }
}

/// A page, or the page that says why there is none.
pub type Answer = Result<Response, Refusal>;

/// A [`Problem`] with the language to tell it in.
#[derive(Debug)]
pub struct Refusal(pub Lang, pub Problem);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        self.1.page(self.0)
    }
}
