//! Apps that are for people alone. At the front, a signed-in person gets a ticket for an app's site; at that site, below
//! `/.cid/`, the ticket becomes a cookie of this site's own, by which nginx asks whom each request is of.

use crate::{
    app::App,
    error::{Answer, Problem, Refusal},
    i18n::Lang,
    page,
    visitor::Visitor,
    wanted,
};
use axum::{
    extract::{Path, Query, State},
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode,
        header::{ACCEPT, CACHE_CONTROL, SET_COOKIE},
    },
    response::{AppendHeaders, IntoResponse, Redirect, Response},
};
use cid_client::Kind;
use serde::Deserialize;
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;

/// By nginx's word: whose site it is, what was asked for there, and what the browser keeps.
const UNIT: &str = "x-cid-unit";
const URI: &str = "x-cid-uri";
const METHOD: &str = "x-cid-method";
const STATE: &str = "x-cid-state";
const VISIT: &str = "x-cid-visit";
const SCHEME: &str = "x-forwarded-proto";
/// For nginx, which passes it on to the app.
const PERSON: HeaderName = HeaderName::from_static("x-cid-person");

/// How long an answer of the daemon's counts: so long after a sign-out somebody may still get in.
const FRESH: Duration = Duration::from_secs(5);
/// So many answers are kept.
const KEPT: usize = 10_000;
/// For how many seconds a browser has the time to sign in.
const STATE_AGE: u32 = 30 * 60;
/// As long as a session at the front may last.
const VISIT_AGE: u32 = 30 * 24 * 60 * 60;

/// How many tokens the daemon is asked about at once: who makes tokens up keeps nobody from its other pages.
const AT_ONCE: usize = 32;

/// Whom tokens stand for, as the daemon said a moment ago.
#[derive(Debug)]
pub struct Known {
    known: Mutex<HashMap<(String, String), (Instant, String)>>,
    asking: Semaphore,
}

impl Default for Known {
    fn default() -> Self {
        Self {
            known: Mutex::default(),
            asking: Semaphore::new(AT_ONCE),
        }
    }
}

impl Known {
    fn get(&self, key: &(String, String)) -> Option<String> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (when, email) = known.get(key)?;
        (when.elapsed() < FRESH).then(|| email.clone())
    }

    fn put(&self, key: (String, String), email: String) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KEPT {
            known.retain(|_, (when, _)| when.elapsed() < FRESH);
        }
        if known.len() < KEPT {
            known.insert(key, (Instant::now(), email));
        }
    }
}

/// nginx asks whom a request is of.
pub async fn check(State(app): State<App>, headers: HeaderMap) -> Response {
    let [unit, token] = [UNIT, VISIT].map(|name| text(&headers, name).to_owned());
    if unit.is_empty() || token.is_empty() {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let key = (unit, token);
    let email = match app.visitors.get(&key) {
        Some(email) => email,
        None => match ask(&app, &key).await {
            Ok(email) => {
                app.visitors.put(key, email.clone());
                email
            }
            Err(error) if error.kind == Kind::SignedOut || error.kind == Kind::Invalid => {
                return StatusCode::UNAUTHORIZED.into_response();
            }
            Err(error) => {
                tracing::warn!("cannot ask who visits: {error}");
                return StatusCode::BAD_GATEWAY.into_response();
            }
        },
    };
    match HeaderValue::try_from(email) {
        Ok(email) => (StatusCode::NO_CONTENT, [(PERSON, email)]).into_response(),
        Err(_) => StatusCode::UNAUTHORIZED.into_response(),
    }
}

async fn ask(app: &App, (unit, token): &(String, String)) -> Result<String, cid_client::Error> {
    // The semaphore is never closed; were it, the daemon would be asked all the same.
    let _place = app.visitors.asking.acquire().await;
    app.daemon.visitor(unit, token).await
}

/// Leads a browser from an app's site to the front; a program gets a refusal.
pub async fn visitor(State(app): State<App>, headers: HeaderMap) -> Response {
    let is_page =
        text(&headers, METHOD) == "GET" && text(&headers, ACCEPT.as_str()).contains("text/html");
    let front = match is_page {
        true => app.own_address.get(&app).await,
        false => None,
    };
    let front = front.filter(|front| page::is_web_address(front));
    let (unit, state) = (text(&headers, UNIT), text(&headers, STATE));
    let (Some(front), false) = (front, state.is_empty()) else {
        let plain = "Sign in at the front of cid first.\n";
        return (StatusCode::UNAUTHORIZED, uncached(), plain).into_response();
    };
    let to = format!(
        "{}/visit/{}?state={}&to={}",
        front.trim_end_matches('/'),
        page::segment(unit),
        page::segment(state),
        page::segment(text(&headers, URI)),
    );
    let cookie = cookie(&headers, "-state", state, STATE_AGE);
    let cookies = cookie.into_iter().map(|cookie| (SET_COOKIE, cookie));
    (AppendHeaders(cookies), uncached(), Redirect::to(&to)).into_response()
}

/// What the front is asked for an app's site.
#[derive(Debug, Deserialize)]
pub struct Asked {
    /// What the browser keeps at that site.
    state: String,
    /// Where it leads to there.
    #[serde(default)]
    to: String,
}

/// At the front: leads a signed-in person's browser back to an app's site, with a ticket.
pub async fn ticket(
    visitor: Visitor,
    lang: Lang,
    Path(unit): Path<String>,
    Query(asked): Query<Asked>,
) -> Answer {
    let refuse = |problem| Refusal(lang, problem);
    if visitor.session.is_none() {
        return Err(refuse(Problem::SignedOut));
    }
    let told = visitor.daemon.ticket(&unit, &asked.state).await;
    let (ticket, url) =
        told.map_err(|err| refuse(Problem::or_missing(err, Problem::NoWorkspace)))?;
    let to = format!(
        "{}/.cid/enter?ticket={}&to={}",
        url.trim_end_matches('/'),
        page::segment(&ticket),
        page::segment(&asked.to),
    );
    Ok(Redirect::to(&to).into_response())
}

/// What a browser brings back to an app's site.
#[derive(Debug, Deserialize)]
pub struct Brought {
    ticket: String,
    #[serde(default)]
    to: String,
}

/// Gives a browser the cookie of an app's site, and leads it to where it was going.
pub async fn enter(
    State(app): State<App>,
    headers: HeaderMap,
    Query(brought): Query<Brought>,
) -> Response {
    let (unit, state) = (text(&headers, UNIT), text(&headers, STATE));
    let to = match wanted::is_own(&brought.to) && !brought.to.starts_with("/.cid/") {
        true => brought.to.as_str(),
        false => "/",
    };
    match app.daemon.enter(unit, &brought.ticket, state).await {
        Ok(token) => {
            let cookies = [
                cookie(&headers, "", &token, VISIT_AGE),
                cookie(&headers, "-state", "", 0),
            ];
            let cookies = cookies.into_iter().flatten();
            let cookies = cookies.map(|cookie| (SET_COOKIE, cookie));
            (AppendHeaders(cookies), uncached(), Redirect::to(to)).into_response()
        }
        Err(error) if error.kind == Kind::SignedOut || error.kind == Kind::Invalid => {
            let plain =
                "This way in is not good any more. Open the address of the application again.\n";
            (StatusCode::FORBIDDEN, uncached(), plain).into_response()
        }
        Err(error) => {
            tracing::warn!("cannot let a visitor in: {error}");
            (
                StatusCode::SERVICE_UNAVAILABLE,
                uncached(),
                "Try again in a moment.\n",
            )
                .into_response()
        }
    }
}

fn uncached() -> [(HeaderName, &'static str); 1] {
    [(CACHE_CONTROL, "no-store")]
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default()
}

/// A cookie that no other site can set where the site answers over HTTPS alone, and that no script reads. nginx knows
/// its name, too.
fn cookie(headers: &HeaderMap, end: &str, value: &str, seconds: u32) -> Option<HeaderValue> {
    let (begin, secure) = match text(headers, SCHEME) {
        "https" => ("__Host-", "; Secure"),
        _ => ("", ""),
    };
    let cookie = format!(
        "{begin}cid-visit{end}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"
    );
    HeaderValue::try_from(cookie).ok()
}
