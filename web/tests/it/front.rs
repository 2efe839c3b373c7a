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

    /// Signs somebody in and answers the cookie of their session.
    pub fn sign_in(&self, email: &str, is_administrator: bool) -> String {
        let person = cid_proto::v1::Person {
            email: email.to_owned(),
            is_administrator,
            may_create_for_others: is_administrator,
        };
        let token = format!("session-of-{email}");
        self.daemon
            .change(|world| world.people.push((token.clone(), person)));
        format!("cid={token}")
    }

    /// A page, as who has this cookie sees it.
    pub async fn get_as(&self, cookie: &str, path: &str) -> Page {
        self.ask(Request::get(path).header("cookie", cookie)).await
    }

    /// Submits a form to a path, with what this session's pages put into it.
    pub async fn post_as(&self, cookie: &str, path: &str, form: &str) -> Page {
        let page = self.get_as(cookie, "/").await;
        let token = form_token(&page.body);
        self.post_with(cookie, path, &format!("form={token}&{form}"))
            .await
    }

    /// Submits a form to a path as it is.
    pub async fn post_with(&self, cookie: &str, path: &str, form: &str) -> Page {
        let mut request = submission(form.to_owned(), "same-origin");
        *request.uri_mut() = path.parse().unwrap();
        let cookie = cookie.parse().unwrap();
        request.headers_mut().insert("cookie", cookie);
        self.send(request).await
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

/// What a page puts into its forms.
pub fn form_token(page: &str) -> String {
    let rest = page
        .split("name=\"form\" value=\"")
        .nth(1)
        .unwrap_or_default();
    rest.split('"').next().unwrap_or_default().to_owned()
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
