//! What a caller is told. [`Fault`] is for the outside failing inside a step; [`Error`] is for a
//! request that cannot be taken. [`Error::into_status`] is the one way to the wire.

mod work;

pub(crate) use work::{files, summary};

use crate::domain::JobKind;
use cid_proto::v1::{ConflictDetail, LostWork};
use cid_protocol::{
    budget::{self, ERROR_TEXT, Over},
    fault::Fault,
    request::WorkReport,
};
use prost::Message;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};
use uuid::Uuid;

/// A request that cannot be taken; nothing has been changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A field of the request breaks a rule.
    #[error("{message}")]
    Invalid {
        /// Path of the field in the request, e.g. `workspace.email`.
        field: &'static str,
        /// Which rule.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// No such workspace, project or job.
    #[error("{message}")]
    NotFound {
        /// What does not exist.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// The caller may not.
    #[error("{message}")]
    Denied {
        /// Why not.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// There is no session, or it has ended.
    #[error("you are not signed in")]
    SignedOut,
    /// A link or code to sign in is wrong, used or out of date. Nothing says which.
    #[error("this link or code is not good: it may have been used, or be too old")]
    NotGood,
    /// The address has a workspace of that project already.
    #[error("{email} has a workspace of {project} already: {url}")]
    Exists {
        /// Whose.
        email: String,
        /// Of what.
        project: String,
        /// Where it answers.
        url: String,
        /// Its live job, if one runs.
        job: Option<Uuid>,
    },
    /// A live job of the same workspace.
    #[error("a {kind} job is still at work there: {job}")]
    JobInTheWay {
        /// Which.
        job: Uuid,
        /// What it does.
        kind: JobKind,
    },
    /// A delete that would lose work.
    #[error("deleting {email} would lose work that is nowhere else: {}", work::summary(.report))]
    WorkWouldBeLost {
        /// Whose workspace.
        email: String,
        /// What.
        report: Box<WorkReport>,
    },
    /// A remote branch that is to go, with commits that are not in base.
    #[error(
        "deleting the branch {branch} would lose {ahead} of its commits: they are not in {base}"
    )]
    BranchWouldBeLost {
        /// Which.
        branch: String,
        /// The base branch.
        base: String,
        /// How many commits.
        ahead: usize,
    },
    /// The request fits the state of things only later, or never.
    #[error("{message}")]
    Precondition {
        /// Why not now.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// What is asked for is not to be had as things are; nothing is wrong with the request.
    #[error("{message}")]
    Conflict {
        /// Why not.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// A bound is reached.
    #[error("{message}")]
    Exhausted {
        /// Which.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// The outside failed.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The ledger failed.
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
}

impl Error {
    /// A field that breaks a rule.
    pub fn invalid(field: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid {
            field,
            message: message.into(),
            hint: None,
        }
    }

    /// A field with more in it than a bound allows.
    pub fn over(field: &'static str, over: &Over) -> Self {
        Self::Invalid {
            field,
            message: over.to_string(),
            hint: Some(Over::HINT.into()),
        }
    }

    /// No such thing.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::NotFound {
            message: message.into(),
            hint: None,
        }
    }

    fn code_and_reason(&self) -> (Code, &'static str) {
        match self {
            Self::Invalid { .. } => (Code::InvalidArgument, "INVALID"),
            Self::NotFound { .. } => (Code::NotFound, "NOT_FOUND"),
            Self::Denied { .. } => (Code::PermissionDenied, "DENIED"),
            Self::SignedOut => (Code::Unauthenticated, "SIGNED_OUT"),
            Self::NotGood => (Code::Unauthenticated, "NOT_GOOD"),
            Self::Exists { .. } => (Code::AlreadyExists, "WORKSPACE_EXISTS"),
            Self::JobInTheWay { .. } => (Code::Aborted, "JOB_IN_THE_WAY"),
            Self::WorkWouldBeLost { .. } | Self::BranchWouldBeLost { .. } => {
                (Code::FailedPrecondition, "WORK_WOULD_BE_LOST")
            }
            Self::Precondition { .. } => (Code::FailedPrecondition, "PRECONDITION"),
            Self::Conflict { .. } => (Code::Aborted, "CONFLICT"),
            Self::Exhausted { .. } => (Code::ResourceExhausted, "EXHAUSTED"),
            Self::Fault(_) => (Code::Internal, "FAULT"),
            Self::Store(_) => (Code::Internal, "LEDGER"),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Invalid { hint, .. }
            | Self::NotFound { hint, .. }
            | Self::Denied { hint, .. }
            | Self::Precondition { hint, .. }
            | Self::Conflict { hint, .. }
            | Self::Exhausted { hint, .. } => hint.clone(),
            Self::SignedOut => Some("sign in first".into()),
            Self::NotGood => Some(
                "ask for a new one: an administrator makes it with cictl people link ADDRESS"
                    .into(),
            ),
            Self::Exists { job: Some(job), .. } => {
                Some(format!("watch it being made: cictl jobs watch {job}"))
            }
            Self::JobInTheWay { job, .. } => Some(format!(
                "wait for it (cictl jobs watch {job}) or cancel it (cictl jobs cancel {job})"
            )),
            Self::WorkWouldBeLost { report, .. } => Some(work::hint(report)),
            Self::BranchWouldBeLost { .. } => {
                Some("merge it, leave --with-branch away, or lose them with --force".into())
            }
            Self::Fault(fault) => fault.hint.clone(),
            Self::Store(error) => error.hint(),
            Self::Exists { .. } => None,
        }
    }

    fn conflict(&self) -> Option<ConflictDetail> {
        match self {
            Self::Exists { url, job, .. } => Some(ConflictDetail {
                url: url.clone(),
                job: job.map(|job| job.to_string()).unwrap_or_default(),
                ..ConflictDetail::default()
            }),
            Self::JobInTheWay { job, .. } => Some(ConflictDetail {
                job: job.to_string(),
                ..ConflictDetail::default()
            }),
            Self::WorkWouldBeLost { report, .. } => Some(work::detail(report)),
            Self::BranchWouldBeLost {
                branch,
                base,
                ahead,
            } => Some(ConflictDetail {
                work: vec![LostWork {
                    repository: "the remote".into(),
                    unpushed: vec![match ahead {
                        1 => format!("1 commit of {branch} that is not in {base}"),
                        _ => format!("{ahead} commits of {branch} that are not in {base}"),
                    }],
                    ..LostWork::default()
                }],
                ..ConflictDetail::default()
            }),
            _ => None,
        }
    }

    /// The status with its structured details: ErrorInfo (reason, hint), BadRequest, ConflictDetail. It
    /// goes into headers, of which clients take no more than 16 KiB; so long texts are cut.
    pub fn into_status(self) -> Status {
        let (code, reason) = self.code_and_reason();
        let message = shortened(self.to_string());
        let mut metadata = std::collections::HashMap::new();
        if let Some(hint) = self.hint() {
            metadata.insert("hint".to_owned(), shortened(hint));
        }
        let mut details = ErrorDetails::with_error_info(reason, "cid", metadata);
        if let Self::Invalid { field, .. } = &self {
            details.add_bad_request_violation(*field, &message);
        }
        let Some(conflict) = self.conflict() else {
            return Status::with_error_details(code, message, details);
        };
        with_conflict(
            Status::with_error_details(code, message, details),
            &conflict,
        )
    }
}

fn shortened(mut text: String) -> String {
    if text.len() > ERROR_TEXT.most {
        text.truncate(budget::cut(&text, ERROR_TEXT.most - 4).len());
        text.push_str(" ...");
    }
    text
}

/// tonic-types knows Google's details only; ours joins them in the same `google.rpc.Status`.
fn with_conflict(status: Status, conflict: &ConflictDetail) -> Status {
    let Ok(mut whole) = tonic_types::Status::decode(status.details()) else {
        return status;
    };
    whole.details.push(prost_types::Any {
        type_url: "type.googleapis.com/cid.v1.ConflictDetail".into(),
        value: conflict.encode_to_vec(),
    });
    Status::with_details(
        status.code(),
        status.message(),
        whole.encode_to_vec().into(),
    )
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        error.into_status()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a status takes as headers, with the message's percent signs and the details' base64.
    fn header_bytes(error: Error) -> usize {
        let headers = error.into_status().into_http::<()>().headers().clone();
        headers
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len() + 32)
            .sum()
    }

    #[test]
    fn no_error_is_longer_than_clients_take() {
        const CLIENTS_TAKE: usize = 16 * 1024;
        let long = "\u{e4}".repeat(60_000);
        for error in [
            Error::invalid("process", long.clone()),
            Error::not_found(long.clone()),
            Error::Fault(Fault::new(long.clone()).hint(long.clone())),
            Error::WorkWouldBeLost {
                email: "anna@example.com".into(),
                report: Box::new(work::tests::much()),
            },
        ] {
            let bytes = header_bytes(error);
            assert!(bytes < CLIENTS_TAKE, "{bytes}");
        }
    }

    #[test]
    fn what_is_short_stays_whole_and_the_rest_is_counted() {
        assert_eq!(
            shortened("a".repeat(ERROR_TEXT.most)).len(),
            ERROR_TEXT.most
        );
        let cut = shortened("a".repeat(ERROR_TEXT.most + 1));
        assert!(cut.len() <= ERROR_TEXT.most && cut.ends_with("a ..."));
    }
}
