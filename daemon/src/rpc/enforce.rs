//! The layer every call goes through: asks the gate, writes the audit line, leaves the permit.

use crate::authz::{Caller, Gate, Permit};
use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};
use tonic::{Status, body::Body, codegen::http};
use tower::{Layer, Service};

/// The permit of one call, until somebody takes it.
#[derive(Clone)]
pub(super) struct PermitSlot(Arc<Mutex<Option<Permit>>>);

impl PermitSlot {
    pub(super) fn take(&self) -> Option<Permit> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Puts [`Enforcer`] before a service.
#[derive(Clone)]
pub struct Enforce {
    gate: Gate,
}

impl Enforce {
    /// Lets in what this gate permits.
    pub fn new(gate: Gate) -> Self {
        Self { gate }
    }
}

impl<S> Layer<S> for Enforce {
    type Service = Enforcer<S>;
    fn layer(&self, inner: S) -> Enforcer<S> {
        Enforcer {
            gate: self.gate.clone(),
            inner,
        }
    }
}

/// A service behind the gate.
#[derive(Clone)]
pub struct Enforcer<S> {
    gate: Gate,
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
        let gate = self.gate.clone();
        // The one that is ready must be the one that is called.
        let fresh = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, fresh);
        Box::pin(async move {
            let rpc = request.uri().path().to_owned();
            let Some(caller) = request.extensions().get::<Caller>().cloned() else {
                tracing::warn!(rpc, "denied: no credentials");
                return Ok(Status::permission_denied("the caller is unknown").into_http());
            };
            match gate.permit(&caller, &rpc).await {
                Ok(permit) => {
                    tracing::debug!(rpc, uid = caller.uid, pid = caller.pid, "allowed");
                    request
                        .extensions_mut()
                        .insert(PermitSlot(Arc::new(Mutex::new(Some(permit)))));
                    inner.call(request).await
                }
                Err(error) => Ok(error.into_status().into_http()),
            }
        })
    }
}
