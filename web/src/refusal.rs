//! The one page that says why another one is not shown, or why something was not done: with the head of every page,
//! and the way back to the page it belongs to.

use crate::{
    app::App,
    error::Problem,
    i18n::{Lang, Said},
    page::{self, Frame, sign_in},
    visitor::{Cookie, Visitor},
    wanted,
};
use askama::Template;
use axum::{
    extract::{FromRequestParts, Request, State},
    http::{
        HeaderMap, HeaderValue, Method, StatusCode,
        header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER, SET_COOKIE},
    },
    middleware::Next,
    response::{AppendHeaders, IntoResponse, Redirect, Response},
};
use cid_client::{Error, Kind};
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;
use tower_http::csrf::ProtectionError;

/// How long a refusal waits for the daemon to say who visits.
const LIMIT: Duration = Duration::from_secs(2);
/// After how many seconds a page that cid does not answer is asked for again.
const AGAIN: u64 = 5;

/// Makes the page of every answer that is a [`Problem`], and of every refusal of the framework's: no page's address
/// answers with a bare line.
pub async fn tell(State(app): State<App>, lang: Lang, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let Ok(visitor) = Visitor::from_request_parts(&mut parts, &app).await;
    let asked = Asked {
        is_get: parts.method == Method::GET || parts.method == Method::HEAD,
        path: parts.uri.path().to_owned(),
        whole: parts.uri.to_string(),
        is_page: is_page(&parts.headers),
    };
    let response = next.run(Request::from_parts(parts, body)).await;
    let Some(problem) = problem_of(&response, &asked) else {
        return response;
    };
    if response.status() == StatusCode::METHOD_NOT_ALLOWED && asked.is_get {
        // The address of a form: of a bookmark, or of Enter in the address bar.
        return Redirect::to(&above(&asked.path)).into_response();
    }
    if problem.status() == StatusCode::UNAUTHORIZED {
        return to_sign_in(&visitor, &asked);
    }
    page_of(&problem, &visitor, lang, &asked).await
}

/// What was asked for.
struct Asked {
    is_get: bool,
    path: String,
    /// With the query.
    whole: String,
    /// A browser shows the answer to somebody.
    is_page: bool,
}

fn is_page(headers: &HeaderMap) -> bool {
    let accept = headers.get(ACCEPT).and_then(|text| text.to_str().ok());
    accept.is_some_and(|text| text.contains("text/html"))
}

fn problem_of(response: &Response, asked: &Asked) -> Option<Arc<Problem>> {
    if let Some(problem) = response.extensions().get::<Arc<Problem>>() {
        return Some(Arc::clone(problem));
    }
    if response.extensions().get::<ProtectionError>().is_some() {
        return Some(Arc::new(Problem::Foreign));
    }
    let kind = response.headers().get(CONTENT_TYPE);
    let is_bare = kind.is_none_or(|kind| kind.as_bytes().starts_with(b"text/plain"));
    // What git servers post is answered for programs.
    let is_ours = !asked.path.starts_with("/hooks/");
    (response.status().is_client_error() && is_bare && is_ours).then(|| {
        Arc::new(match asked.is_get {
            true => Problem::NoPage,
            false => Problem::BadForm(response.status()),
        })
    })
}

/// The session has ended, or there was none: after signing in, the visitor gets what they asked for.
fn to_sign_in(visitor: &Visitor, asked: &Asked) -> Response {
    let path = match visitor.session {
        Some(_) => sign_in::ENDED,
        None => sign_in::PATH,
    };
    // A session that has ended is worth nothing: the browser forgets it.
    let mut cookies: Vec<HeaderValue> = Cookie::cleared().into();
    let wanted = match asked.is_get {
        true => asked.whole.clone(),
        false => above(&asked.path),
    };
    cookies.extend(asked.is_page.then(|| wanted::keep(&wanted)).flatten());
    let cookies = cookies.into_iter().map(|cookie| (SET_COOKIE, cookie));
    (AppendHeaders(cookies), Redirect::to(path)).into_response()
}

async fn page_of(problem: &Problem, visitor: &Visitor, lang: Lang, asked: &Asked) -> Response {
    let status = problem.status();
    if let Problem::Daemon(error) = problem
        && status.is_server_error()
    {
        tracing::warn!(kind = ?error.kind, "{error}");
    }
    let frame = match problem.is_cheap() {
        true => None,
        false => timeout(LIMIT, Frame::of(visitor, lang)).await.ok(),
    };
    let shown = ProblemPage {
        frame: frame.and_then(Result::ok).unwrap_or_default(),
        back: above(&asked.path),
        again: (problem.is_out_of_reach() && asked.is_get).then_some(AGAIN),
        ..describe(problem, lang)
    };
    let pause = match (problem, status) {
        (Problem::TooMany(pause), _) => Some(*pause),
        (_, StatusCode::SERVICE_UNAVAILABLE) => Some(AGAIN),
        (_, StatusCode::TOO_MANY_REQUESTS) => Some(60),
        _ => None,
    };
    let mut response = page::html(lang, status, &shown);
    if let Some(pause) = pause {
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from(pause));
    }
    response
}

/// The page that an address belongs to, by the address alone: where its refusal leads back to.
fn above(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    match parts[..] {
        ["workspaces", project, who, _, ..] => format!("/workspaces/{project}/{who}"),
        ["projects", project, _, ..] => format!("/projects/{project}"),
        ["jobs", job, _, ..] => format!("/jobs/{job}"),
        ["admin", "people", _, ..] => "/admin/people".to_owned(),
        ["admin", _, ..] => page::admin::PATH.to_owned(),
        ["sign-in" | "ask-for-link", ..] => sign_in::PATH.to_owned(),
        _ => "/".to_owned(),
    }
}

fn describe(problem: &Problem, t: Lang) -> ProblemPage {
    let plain = |title, text| ProblemPage {
        text,
        ..ProblemPage::titled(t, title)
    };
    match problem {
        Problem::NoPage => plain(t.no_page(), None),
        Problem::NoWorkspace => plain(t.no_workspace(), None),
        Problem::NoJob => plain(t.no_job(), None),
        Problem::NoProject => plain(t.no_project(), None),
        Problem::NoBuild => plain(t.no_build(), None),
        Problem::NotAdministrator => plain(t.not_administrator(), None),
        Problem::NotYours => plain(t.not_yours(), Some(t.not_yours_text())),
        Problem::SignedOut => plain(t.sign_in(), None),
        Problem::Missing(error) => ProblemPage::of(t, t.not_found(), error),
        Problem::BadForm(_) => plain(t.bad_form(), Some(t.bad_form_text())),
        Problem::Foreign => plain(t.foreign(), Some(t.foreign_text())),
        Problem::OldForm => plain(t.old_form(), Some(t.old_form_text())),
        Problem::TooMany(_) => plain(t.too_many(), Some(t.too_many_text())),
        Problem::Busy => plain(t.busy(), Some(t.busy_text())),
        // The daemon's path and the client's hints are for the operator, in the log.
        problem if problem.is_out_of_reach() => plain(t.unreachable(), Some(t.unreachable_text())),
        Problem::Daemon(error) => {
            let title = match (error.kind, error.conflict.as_ref()) {
                (Kind::Busy, _) => t.too_many(),
                (Kind::Denied, _) => t.denied(),
                (Kind::Conflict, Some(conflict)) if conflict.url.is_some() => t.exists(),
                (Kind::Conflict, Some(conflict)) if conflict.job.is_some() => t.in_the_way(),
                _ => t.trouble(),
            };
            ProblemPage::of(t, title, error)
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
    /// Where the way leads back to.
    back: String,
    /// After how many seconds the browser asks again by itself.
    again: Option<u64>,
}

impl ProblemPage {
    fn titled(t: Lang, title: &'static str) -> Self {
        Self {
            t,
            frame: Frame::default(),
            title,
            text: None,
            sentence: None,
            hint: None,
            url: None,
            job_path: None,
            back: "/".to_owned(),
            again: None,
        }
    }

    fn of(t: Lang, title: &'static str, error: &Error) -> Self {
        let conflict = error.conflict.as_deref();
        let url = conflict.and_then(|conflict| conflict.url.clone());
        let job = conflict.and_then(|conflict| conflict.job.as_deref());
        Self {
            sentence: Some(t.daemon_says(&error.message).begun()),
            hint: error
                .hint
                .as_deref()
                .map(|hint| t.daemon_says(hint).begun()),
            url: url.filter(|url| page::is_web_address(url)),
            job_path: job.map(page::job_path),
            ..Self::titled(t, title)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::above;

    #[test]
    fn the_way_back_leads_to_the_page_that_an_address_belongs_to() {
        for (path, back) in [
            ("/", "/"),
            ("/none", "/"),
            ("/workspaces", "/"),
            ("/workspaces/p/a@b.c", "/"),
            ("/workspaces/p/a@b.c/restart", "/workspaces/p/a@b.c"),
            ("/workspaces/p/a@b.c/logs/web", "/workspaces/p/a@b.c"),
            ("/projects/p", "/"),
            ("/projects/p/stages/x/promote", "/projects/p"),
            ("/projects/p/builds", "/projects/p"),
            ("/jobs/1", "/"),
            ("/jobs/1/cancel", "/jobs/1"),
            ("/admin/audit", "/admin"),
            ("/admin/people/sign-out", "/admin/people"),
            ("/admin/workspaces/delete", "/admin"),
            ("/ask-for-link", "/sign-in"),
            ("/sign-in/x/y", "/sign-in"),
            ("//evil.example/x", "/"),
        ] {
            assert_eq!(above(path), back, "{path}");
        }
    }
}
