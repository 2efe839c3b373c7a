use crate::i18n::Lang;
use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use cid_client::{Error, Kind};
use std::sync::Arc;

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
    /// It belongs to somebody else.
    NotYours,
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
            Self::Foreign | Self::OldForm | Self::NotAdministrator | Self::NotYours => {
                StatusCode::FORBIDDEN
            }
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

    /// Whether asking the daemon who visits would cost what is short, or be in vain.
    pub fn is_cheap(&self) -> bool {
        matches!(self, Self::Foreign | Self::TooMany(_) | Self::Busy) || self.is_out_of_reach()
    }

    /// Whether the daemon could not be asked.
    pub fn is_out_of_reach(&self) -> bool {
        matches!(self, Self::Daemon(error) if matches!(
            error.kind,
            Kind::Unreachable | Kind::Disconnected | Kind::Timeout
        ))
    }
}

impl IntoResponse for Problem {
    /// Its page is made by [`crate::refusal::tell`], which knows who asked and for what.
    fn into_response(self) -> Response {
        let status = self.status();
        let mut response = status.into_response();
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

/// A page, or the page that says why there is none.
pub type Answer = Result<Response, Refusal>;

/// A [`Problem`] with the language to tell it in.
#[derive(Debug)]
pub struct Refusal(pub Lang, pub Problem);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        self.1.into_response()
    }
}
