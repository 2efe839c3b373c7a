//! What can go wrong between a client and the daemon.
//!
//! There is one [`Error`] for every call. Ask its [`Kind`] to decide what to do;
//! its message is a whole sentence for people, and is printed once, as it is.

use crate::{LeftFiles, advice, connect::DialError};
use cid_proto::v1 as pb;
use prost::Message as _;
use serde::Serialize;
use std::{convert::Infallible, error::Error as StdError, path::Path, time::Duration};
use tonic::{Code, Status};
use tonic_types::RpcStatusExt as _;

/// The result of a call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A call that failed. In JSON the members that are empty are left out, but for the hint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What sort of failure it is.
    pub kind: Kind,
    /// What happened, for people.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The daemon's own name for the failure, e.g. `ALREADY_EXISTS`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Which parts of the request were refused, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub violations: Vec<Violation>,
    /// With [`Kind::Conflict`]: what is in the way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conflict: Option<Box<Conflict>>,
}

/// What sort of failure an [`Error`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The daemon could not be connected to; it never saw the request.
    Unreachable,
    /// The connection broke before the answer: the daemon may have carried the
    /// request out.
    Disconnected,
    /// No answer in time: the daemon may have carried the request out.
    Timeout,
    /// The daemon is there, but cannot answer now, e.g. because it stops.
    Unavailable,
    /// The daemon has as much to do as it takes on.
    Busy,
    /// The request cannot be right.
    Invalid,
    /// There is no such thing.
    NotFound,
    /// The caller may not.
    Denied,
    /// Nobody is signed in, or a link or code to sign in is not good.
    SignedOut,
    /// It exists already, a job is in the way, or work would be lost.
    Conflict,
    /// The thing is not in a state for this.
    Refused,
    /// The daemon gave the call up.
    Cancelled,
    /// A fault of the daemon, or an answer this client cannot read.
    Internal,
}

impl Kind {
    /// Whether trying again on a new connection can help.
    #[must_use]
    pub fn is_connection(self) -> bool {
        matches!(
            self,
            Self::Unreachable | Self::Disconnected | Self::Unavailable
        )
    }
}

/// One part of a request that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Which part, e.g. `workspace.email`.
    pub field: String,
    /// What is wrong with it.
    pub description: String,
}

/// What stands in a request's way.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Conflict {
    /// The live job in the way.
    pub job: Option<String>,
    /// The URL of the workspace that exists already.
    pub url: Option<String>,
    /// Work that would be lost, by repository.
    pub work: Vec<LostWork>,
    /// Places that could not be looked at, and why.
    pub unseen: Vec<String>,
    /// How many more such places there are.
    pub more_unseen: u64,
    /// Files that would go as well, and do not keep the workspace.
    pub files: LeftFiles,
}

/// What is in one repository and nowhere else.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct LostWork {
    /// Where the repository is, relative to the workspace's folder, e.g. `src`.
    pub repository: String,
    /// Changed and untracked paths, at most 100.
    pub uncommitted: Vec<String>,
    /// How many more there are.
    pub more_uncommitted: u64,
    /// Commits and stashes that no remote holds now, `<short id> <subject>`, at most 100.
    pub unpushed: Vec<String>,
    /// How many more there are.
    pub more_unpushed: u64,
    /// Which remotes could not be asked, and why.
    pub remarks: Vec<String>,
}

impl Error {
    /// An error without details.
    #[must_use]
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            hint: None,
            reason: None,
            violations: Vec::new(),
            conflict: None,
        }
    }

    /// The same error, with what to do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// An answer that this client cannot read.
    pub(crate) fn unreadable(what: &str) -> Self {
        Self::new(
            Kind::Internal,
            format!("cannot read the daemon's answer: {what}"),
        )
        .with_hint("are cictl and the daemon of the same version? compare `cictl version`")
    }

    /// The daemon cannot be connected to.
    pub(crate) fn unreachable(socket: &Path, reason: &(dyn StdError + 'static)) -> Self {
        Self::new(
            Kind::Unreachable,
            format!(
                "cannot reach the daemon at {}: {}",
                socket.display(),
                root_cause(reason)
            ),
        )
        .with_hint(advice::for_unreachable(socket, find::<DialError>(reason)))
    }

    /// No answer within the time limit.
    pub(crate) fn timeout(socket: &Path, limit: Duration) -> Self {
        Self::new(
            Kind::Timeout,
            format!(
                "cannot get an answer from the daemon at {} within {} s",
                socket.display(),
                limit.as_secs()
            ),
        )
        .with_hint(
            "`systemctl status cid` and `journalctl -u cid` tell whether it runs; a request that it has may still be \
             carried out: see `cictl jobs`",
        )
    }

    /// Reads what the daemon, or the connection to it, answered.
    pub(crate) fn from_status(status: &Status, socket: &Path) -> Self {
        // A status that came over the wire has no source; one that was made here
        // because the transport failed has.
        if let Some(source) = status.source() {
            return if let Some(dial) = find::<DialError>(source) {
                Self::unreachable(socket, dial)
            } else {
                Self::new(
                    Kind::Disconnected,
                    format!(
                        "cannot get the answer of the daemon at {}: the connection broke: {}",
                        socket.display(),
                        root_cause(source)
                    ),
                )
                .with_hint("the request may have been carried out: see `cictl jobs`")
            };
        }
        let details = tonic_types::Status::decode(status.details()).unwrap_or_default();
        let conflict = details
            .details
            .iter()
            .find(|any| any.type_url.ends_with("/cid.v1.ConflictDetail"))
            .and_then(|any| pb::ConflictDetail::decode(any.value.as_slice()).ok())
            .map(|detail| Box::new(Conflict::from(detail)));
        let standard = details.get_error_details();
        let info = standard.error_info();
        Self {
            kind: kind_of(status.code(), conflict.is_some()),
            message: if status.message().is_empty() {
                format!("cannot do that: the daemon says {:?}", status.code())
            } else {
                status.message().to_owned()
            },
            hint: info
                .and_then(|info| info.metadata.get("hint"))
                .filter(|hint| !hint.is_empty())
                .cloned(),
            reason: info
                .map(|info| info.reason.clone())
                .filter(|reason| !reason.is_empty()),
            violations: standard
                .bad_request()
                .map(|request| {
                    request
                        .field_violations
                        .iter()
                        .map(|violation| Violation {
                            field: violation.field.clone(),
                            description: violation.description.clone(),
                        })
                        .collect()
                })
                .unwrap_or_default(),
            conflict,
        }
    }
}

// For answers whose conversion cannot fail.
impl From<Infallible> for Error {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

fn kind_of(code: Code, has_conflict: bool) -> Kind {
    match code {
        Code::InvalidArgument | Code::OutOfRange => Kind::Invalid,
        Code::NotFound => Kind::NotFound,
        Code::PermissionDenied => Kind::Denied,
        Code::Unauthenticated => Kind::SignedOut,
        Code::AlreadyExists | Code::Aborted => Kind::Conflict,
        Code::FailedPrecondition if has_conflict => Kind::Conflict,
        Code::FailedPrecondition => Kind::Refused,
        Code::Unavailable => Kind::Unavailable,
        Code::ResourceExhausted => Kind::Busy,
        Code::DeadlineExceeded => Kind::Timeout,
        Code::Cancelled => Kind::Cancelled,
        Code::Ok | Code::Unknown | Code::Unimplemented | Code::Internal | Code::DataLoss => {
            Kind::Internal
        }
    }
}

fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// What the innermost error says: those around it only say 'transport error'.
fn root_cause(error: &(dyn StdError + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Exit;
    use tonic_types::{ErrorDetails, StatusExt as _};

    fn read(status: &Status) -> Error {
        Error::from_status(status, Path::new("/run/cid/cid.sock"))
    }

    #[test]
    fn each_code_has_its_kind_and_exit_status() {
        for (code, kind, exit) in [
            (Code::InvalidArgument, Kind::Invalid, 2),
            (Code::NotFound, Kind::NotFound, 3),
            (Code::PermissionDenied, Kind::Denied, 4),
            (Code::Unauthenticated, Kind::SignedOut, 4),
            (Code::AlreadyExists, Kind::Conflict, 5),
            (Code::Aborted, Kind::Conflict, 5),
            (Code::FailedPrecondition, Kind::Refused, 5),
            (Code::Unavailable, Kind::Unavailable, 6),
            (Code::ResourceExhausted, Kind::Busy, 5),
            (Code::Unimplemented, Kind::Internal, 1),
            (Code::Unknown, Kind::Internal, 1),
        ] {
            let error = read(&Status::new(code, "cannot do it"));
            assert_eq!(error.kind, kind, "{code:?}");
            assert_eq!(Exit::from(error.kind).code(), exit, "{code:?}");
            assert_eq!(error.to_string(), "cannot do it");
        }
    }

    #[test]
    fn a_failed_precondition_with_a_conflict_is_one() {
        let work = pb::LostWork {
            unpushed: vec!["a1b2c3d Fix it".into()],
            ..Default::default()
        };
        let detail = pb::ConflictDetail {
            work: vec![work],
            ..Default::default()
        };
        let details = tonic_types::Status {
            details: vec![prost_types::Any {
                type_url: "type.googleapis.com/cid.v1.ConflictDetail".into(),
                value: detail.encode_to_vec(),
            }],
            ..Default::default()
        };
        let bytes = details.encode_to_vec().into();
        let error = read(&Status::with_details(Code::FailedPrecondition, "no", bytes));
        assert_eq!(error.kind, Kind::Conflict);
        assert_eq!(error.conflict.unwrap().work[0].unpushed, ["a1b2c3d Fix it"]);
    }

    #[test]
    fn reason_and_hint_come_from_the_error_info() {
        let hint = [("hint".to_owned(), "do this".to_owned())];
        let info = ErrorDetails::with_error_info("NO_PROJECT", "cid", hint);
        let error = read(&Status::with_error_details(Code::NotFound, "no", info));
        assert_eq!(error.reason.as_deref(), Some("NO_PROJECT"));
        assert_eq!(error.hint.as_deref(), Some("do this"));
    }

    #[test]
    fn details_that_cannot_be_read_do_no_harm() {
        let bytes = vec![0xff; 7].into();
        let error = read(&Status::with_details(Code::NotFound, "no", bytes));
        assert_eq!((error.kind, error.hint), (Kind::NotFound, None));
    }

    #[test]
    fn a_failure_of_the_transport_is_a_lost_connection() {
        let broken = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        let mut status = Status::unknown("transport error");
        status.set_source(std::sync::Arc::new(broken));
        let error = read(&status);
        assert_eq!(error.kind, Kind::Disconnected);
        assert_eq!(
            error.message,
            "cannot get the answer of the daemon at /run/cid/cid.sock: \
             the connection broke: broken pipe"
        );
    }
}
