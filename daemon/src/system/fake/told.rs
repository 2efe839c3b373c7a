//! What the made-up machine's helpers were asked, and answers that a test wants instead of its own.

use crate::system::probe::{Page, PageAnswer};
use cid_protocol::{fault::Fault, request::Request};
use futures::future::BoxFuture;
use serde_json::Value;
use std::sync::{Arc, Mutex, PoisonError};

/// An answer to a request; `None`: the machine's own.
pub type Answer = Option<BoxFuture<'static, Result<Value, Fault>>>;

/// Requests, and who answers. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Told {
    requests: Arc<Mutex<Vec<Request>>>,
    script: Arc<Mutex<Option<Script>>>,
    pages: Arc<Mutex<Option<Pages>>>,
}

type Script = Box<dyn Fn(&Request) -> Answer + Send>;
type Pages = Box<dyn Fn(Page<'_>, &str) -> Option<PageAnswer> + Send>;

impl Told {
    /// Notes a request; gives the answer that a test wants.
    pub(super) fn hear(&self, request: &Request) -> Answer {
        let requests = self.requests.lock();
        requests
            .unwrap_or_else(PoisonError::into_inner)
            .push(request.clone());
        let script = self.script.lock();
        let script = script.unwrap_or_else(PoisonError::into_inner);
        script.as_ref().and_then(|script| script(request))
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        let requests = self.requests.lock();
        requests.unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn answer(&self, script: impl Fn(&Request) -> Answer + Send + 'static) {
        let present = self.script.lock();
        *present.unwrap_or_else(PoisonError::into_inner) = Some(Box::new(script));
    }

    /// The page that a test wants, by these cookies.
    pub(super) fn page(&self, page: Page<'_>, cookies: &str) -> Option<PageAnswer> {
        let pages = self.pages.lock();
        let pages = pages.unwrap_or_else(PoisonError::into_inner);
        pages.as_ref().and_then(|pages| pages(page, cookies))
    }

    pub(super) fn show(
        &self,
        pages: impl Fn(Page<'_>, &str) -> Option<PageAnswer> + Send + 'static,
    ) {
        let present = self.pages.lock();
        *present.unwrap_or_else(PoisonError::into_inner) = Some(Box::new(pages));
    }
}
