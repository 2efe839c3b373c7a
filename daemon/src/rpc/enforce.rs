//! The layer that every call passes: it asks the gate, attaches the claim, checks that the claim was
//! used, and writes to the audit log.

use super::audit::Audit;
use crate::{
    authz::{Call, Caller, Claim, Decision, Denial, Door, Gate, Guest},
    cid::streams::{Kind, Streams},
    domain::Opener,
    error::Error,
    sign_in::SignIn,
};
use futures::StreamExt as _;
use http_body_util::{BodyExt, BodyStream, StreamBody};
use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};
use tonic::{
    Code, Status,
    body::Body,
    codegen::http::{self, HeaderMap},
};
use tower::{Layer, Service};

/// A client sends this when it can ask a person for a password.
const INTERACTIVE: &str = "cid-interactive";
/// The front sends the token of the session with this, on whose behalf it calls.
pub(super) const SESSION: &str = "cid-session";

/// Answers that may go on for long.
const LONG: [&str; 3] = [
    "/cid.v1.Workspaces/Logs",
    "/cid.v1.Workspaces/Test",
    "/cid.v1.Jobs/Watch",
];
/// The pause between two looks at the session of such an answer.
const SESSION_LOOK: Duration = Duration::from_secs(2);

/// The claim of one call, until it is taken.
#[derive(Clone)]
pub(super) struct ClaimSlot(Arc<Mutex<Option<Claim>>>);

impl ClaimSlot {
    pub(super) fn take(&self) -> Option<Claim> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Puts [`Enforcer`] before a service.
#[derive(Clone)]
pub struct Enforce {
    gate: Gate,
    audit: Audit,
    streams: Streams,
    sign_in: SignIn,
}

impl Enforce {
    /// Lets in what this gate permits, up to its limits, and writes to this log.
    pub fn new(gate: Gate, audit: Audit, streams: Streams, sign_in: SignIn) -> Self {
        Self {
            gate,
            audit,
            streams,
            sign_in,
        }
    }
}

impl<S> Layer<S> for Enforce {
    type Service = Enforcer<S>;
    fn layer(&self, inner: S) -> Enforcer<S> {
        Enforcer {
            enforce: self.clone(),
            inner,
        }
    }
}

/// A service behind the gate.
#[derive(Clone)]
pub struct Enforcer<S> {
    enforce: Enforce,
    inner: S,
}

type Answer<E> = Pin<Box<dyn Future<Output = Result<http::Response<Body>, E>> + Send>>;

impl<S, B> Service<http::Request<B>> for Enforcer<S>
where
    S: Service<http::Request<B>, Response = http::Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = S::Error;
    type Future = Answer<S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: http::Request<B>) -> Self::Future {
        let Enforce {
            gate,
            audit,
            streams,
            sign_in,
        } = self.enforce.clone();
        // The service that was polled ready must be the one that is called.
        let fresh = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, fresh);
        Box::pin(async move {
            let rpc = request.uri().path().to_owned();
            let Some(caller) = request.extensions().get::<Caller>().cloned() else {
                tracing::warn!(rpc, "denied: no credentials");
                return Ok(Status::permission_denied("the caller is unknown").into_http());
            };
            // Held until the answer is read or abandoned.
            let place = match streams.begin(Opener::new(caller.uid, None), Kind::Calls) {
                Ok(place) => place,
                Err(error) => return Ok(error.into_status().into_http()),
            };
            let session = session(request.headers()).map(str::to_owned);
            let is_interactive = request.headers().contains_key(INTERACTIVE);
            let guest = match caller.door {
                Door::People => Ok(Guest::default()),
                Door::Front => sign_in.guest(session.as_deref()).await,
            };
            let (guest, ended) = match guest {
                Ok(guest) => (guest, None),
                Err(error) => (Guest::default(), Some(error)),
            };
            let call = Call::new(caller, &rpc, is_interactive).of_guest(guest);
            let call = Arc::new(call);
            let told = Told {
                call: Arc::clone(&call),
                audit,
                outcome: Code::Cancelled,
            };
            request.extensions_mut().insert(Arc::clone(&call));
            let admitted = match ended {
                None => gate.admit(&call).await,
                // Signing out of a session that has ended is no fault.
                Some(_) if rpc.ends_with("/SignOut") => gate.admit(&call).await,
                Some(error) => {
                    call.decided(Decision::denied(error.to_string()));
                    Err(error)
                }
            };
            let answer = match admitted {
                Ok(None) => {
                    request.extensions_mut().insert(gate.viewer(&call));
                    inner.call(request).await?
                }
                Ok(Some(claim)) => {
                    let slot = ClaimSlot(Arc::new(Mutex::new(Some(claim))));
                    request.extensions_mut().insert(slot);
                    let answer = inner.call(request).await?;
                    settle(&gate, &call, answer).await
                }
                Err(error) => error.into_status().into_http(),
            };
            told.answered(answer.headers());
            let answer = match (call.caller.door, session) {
                (Door::Front, Some(session)) if LONG.contains(&rpc.as_str()) => {
                    answer.map(|body| until_sign_out(body, sign_in, session))
                }
                _ => answer,
            };
            Ok(answer.map(|body| {
                Body::new(body.map_frame(move |frame| {
                    let _held = &place;
                    frame
                }))
            }))
        })
    }
}

/// The session's token that came with a request. One that is no text is no session's.
fn session(headers: &HeaderMap) -> Option<&str> {
    let token = headers.get(SESSION)?;
    Some(token.to_str().unwrap_or_default())
}

/// The answer, which breaks off soon after the session has ended on whose behalf it was begun.
fn until_sign_out(body: Body, sign_in: SignIn, session: String) -> Body {
    let ended = async move {
        loop {
            tokio::time::sleep(SESSION_LOOK).await;
            if let Err(Error::SignedOut) = sign_in.person_of(&session).await {
                return;
            }
        }
    };
    let frames = BodyStream::new(body).take_until(Box::pin(ended));
    Body::new(StreamBody::new(frames))
}

/// A result whose permission was never asked for is withheld. So is the reason for a failure, from
/// callers who may not see what exists.
async fn settle(gate: &Gate, call: &Call, answer: http::Response<Body>) -> http::Response<Body> {
    if call.known().decision.is_some() {
        return answer;
    }
    if code(answer.headers()) == Code::Ok {
        tracing::error!(rpc = call.rpc, "answered without asking whether it may");
        let reason = "nobody decided about this call: a fault of cid";
        let denied = Decision::Denied(Denial {
            reason: reason.into(),
            hint: None,
        });
        call.decided(denied);
        return Status::permission_denied(reason).into_http();
    }
    match gate.may_hear(call).await {
        Ok(()) => answer,
        Err(error) => error.into_status().into_http(),
    }
}

/// An error is in the headers of an answer; without one the answer is good, or begins well.
fn code(head: &HeaderMap) -> Code {
    Status::from_header_map(head).map_or(Code::Ok, |status| status.code())
}

/// Writes a call to the audit log, even if the client left before the answer.
struct Told {
    call: Arc<Call>,
    audit: Audit,
    outcome: Code,
}

impl Told {
    fn answered(mut self, head: &HeaderMap) {
        self.outcome = code(head);
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        self.audit.tell(&self.call, self.outcome);
    }
}
