//! A front under test, and short ways to ask it.

use crate::fake::{self, Fake};
use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode, request},
};
use cid_client::Client;
use cid_web::app::{App, router};
use http_body_util::BodyExt;
use tempfile::TempDir;
use tokio::sync::watch;
use tower::ServiceExt;

pub struct Front {
    pub daemon: Fake,
    pub app: App,
    pub closing: watch::Sender<bool>,
    router: Router,
    _dir: TempDir,
}

/// An answer, read to its end.
pub struct Page {
    pub status: StatusCode,
    pub headers: axum::http::HeaderMap,
    pub body: String,
}

impl Front {
    /// A front whose daemon has one project, `pressa`.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("web.sock");
        let daemon = Fake::start(&socket).unwrap();
        daemon.change(|world| world.projects.push(fake::project("pressa")));
        let (closing, closing_rx) = watch::channel(false);
        let app = App::new(Client::lazy(&socket), closing_rx);
        Self {
            daemon,
            router: router(app.clone()),
            app,
            closing,
            _dir: dir,
        }
    }

    pub async fn get(&self, path: &str) -> Page {
        self.ask(Request::get(path)).await
    }

    pub async fn ask(&self, request: request::Builder) -> Page {
        self.send(request.body(Body::empty()).unwrap()).await
    }

    /// Submits the form as a browser does that shows this site.
    pub async fn submit(&self, form: &'static str) -> Page {
        self.send(submission(form, "same-origin")).await
    }

    pub async fn send(&self, request: Request<Body>) -> Page {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Page {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8(body.into()).unwrap(),
        }
    }
}

/// The form, submitted from a page of this site (`same-origin`) or another.
pub fn submission(form: impl Into<Body>, site: &str) -> Request<Body> {
    Request::post("/workspaces")
        .header("host", "cid.example.org")
        .header("content-type", "application/x-www-form-urlencoded")
        .header("sec-fetch-site", site)
        .body(form.into())
        .unwrap()
}

impl Page {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    #[track_caller]
    pub fn has(&self, part: &str) {
        assert!(self.body.contains(part), "no {part:?} in:\n{}", self.body);
    }

    #[track_caller]
    pub fn has_not(&self, part: &str) {
        assert!(!self.body.contains(part), "{part:?} in:\n{}", self.body);
    }
}
