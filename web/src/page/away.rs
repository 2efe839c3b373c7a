//! What nginx shows in the place of an app that does not answer, and for a name that nobody has. It is on the
//! workspace's own site, so nothing of the front's is there: no session, no file, no word about anybody's workspace.

use crate::{
    app::App,
    error::{Answer, Problem, Refusal},
    i18n::Lang,
    page::{self, delivery},
    visitor::Visitor,
};
use askama::Template;
use axum::{
    extract::{Path, State},
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode,
        header::{
            ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, REFERRER_POLICY, RETRY_AFTER,
            VARY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
        },
    },
    response::{IntoResponse, Redirect, Response},
};
use cid_client::Visited;
use data_encoding::BASE64;
use sha2::{Digest, Sha256};
use std::{
    sync::{LazyLock, Mutex, PoisonError},
    time::{Duration, Instant},
};

const CSS: &str = include_str!("../../static/away.css");
const JS: &str = include_str!("../../static/away.js");
/// By this the page's script sees that it is still the front who answers.
const MARK: HeaderName = HeaderName::from_static("x-cid-away");
/// By which method the visitor came, by nginx's word.
const METHOD: &str = "x-cid-method";
/// Whose visitor it is, by nginx's word: `PROJECT.NAME`.
const UNIT: &str = "x-cid-unit";
/// nginx goes on to what it names, with the request as it came.
const TO_APP: &str = "x-accel-redirect";
/// For how many seconds programs are told to wait.
const PAUSE: u64 = 5;
/// How long the front's own address is remembered: a visitor costs the daemon nothing.
const FRESH: Duration = Duration::from_mins(1);

static POLICY: LazyLock<String> = LazyLock::new(|| {
    let of = |text: &str| BASE64.encode(&Sha256::digest(text));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        of(CSS),
        of(JS)
    )
});

#[derive(Template)]
#[template(path = "away.html")]
struct Page {
    t: Lang,
    title: &'static str,
    text: &'static str,
    /// Where the owner sees more.
    own: Option<String>,
    comes_back: bool,
    css: &'static str,
    js: &'static str,
}

/// Where people reach the front, by the daemon's word, and when it was asked.
#[derive(Debug, Default)]
pub struct OwnAddress(Mutex<Option<(Instant, Option<String>)>>);

impl OwnAddress {
    pub(super) async fn get(&self, app: &App) -> Option<String> {
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((when, url)) = &*known()
            && when.elapsed() < FRESH
        {
            return url.clone();
        }
        let before = known().as_ref().and_then(|(_, url)| url.clone());
        // Others who come meanwhile do not ask too.
        *known() = Some((Instant::now(), before));
        let url = app.daemon.who_am_i().await.ok()?.front_url;
        *known() = Some((Instant::now(), url.clone()));
        url
    }
}

/// The app of a workspace was asked, and does not answer: it may have fallen asleep meanwhile.
pub async fn silent(State(app): State<App>, lang: Lang, headers: HeaderMap) -> Response {
    instead(&app, lang, &headers, true).await
}

/// The processes of a workspace are stopped, or were when nginx looked.
pub async fn stopped(State(app): State<App>, lang: Lang, headers: HeaderMap) -> Response {
    instead(&app, lang, &headers, false).await
}

/// Sends nginx back to an app that was woken, or shows a page in its place. `has_tried`: nginx has asked it.
async fn instead(app: &App, lang: Lang, headers: &HeaderMap, has_tried: bool) -> Response {
    let unit = headers.get(UNIT).and_then(|unit| unit.to_str().ok());
    let visited = match unit {
        Some(unit) => app.wakes.visit(app, unit, has_tried).await,
        None => Visited::Silent,
    };
    match visited {
        Visited::Woken => [(TO_APP, "@app")].into_response(),
        Visited::Stopped => page_instead(app, lang, headers, true).await,
        Visited::Runs | Visited::Silent => page_instead(app, lang, headers, false).await,
    }
}

async fn page_instead(app: &App, lang: Lang, headers: &HeaderMap, is_stopped: bool) -> Response {
    // A form that was sent is not sent again by itself.
    let is_get = headers
        .get(METHOD)
        .is_none_or(|method| method == "GET" || method == "HEAD");
    let front = match is_page(headers) {
        true => app.own_address.get(app).await,
        false => None,
    };
    let page = Page {
        t: lang,
        title: match is_stopped {
            true => lang.stopped_title(),
            false => lang.silent_title(),
        },
        text: match (is_get, is_stopped) {
            (true, true) => lang.stopped_text(),
            (true, false) => lang.silent_text(),
            (false, _) => lang.silent_not_sent(),
        },
        // A stage's visitors are the public: the way to the front is not for them.
        own: front.filter(|_| !is_of_stage(headers)).and_then(|front| {
            let host = host(headers).filter(|_| page::is_web_address(&front))?;
            Some(format!("{}/at/{host}", front.trim_end_matches('/')))
        }),
        comes_back: is_get,
        css: CSS,
        js: JS,
    };
    let plain = match is_stopped {
        true => "This workspace is stopped.\n",
        false => "Nothing answers here at the moment.\n",
    };
    let mut response = answer(headers, lang, StatusCode::SERVICE_UNAVAILABLE, &page, plain);
    let headers = response.headers_mut();
    headers.insert(RETRY_AFTER, HeaderValue::from(PAUSE));
    response
}

/// Whether nginx asks for a stage; a workspace's name has two hyphens in a row.
fn is_of_stage(headers: &HeaderMap) -> bool {
    let unit = headers.get(UNIT).and_then(|unit| unit.to_str().ok());
    let name = unit.and_then(|unit| unit.split_once('.'));
    name.is_some_and(|(_, name)| !name.contains("--"))
}

/// Nobody has a workspace of this name.
pub async fn nobody(lang: Lang, headers: HeaderMap) -> Response {
    let page = Page {
        t: lang,
        title: lang.nobody_title(),
        text: lang.nobody_text(),
        own: None,
        comes_back: false,
        css: CSS,
        js: JS,
    };
    let plain = "No such workspace.\n";
    answer(&headers, lang, StatusCode::NOT_FOUND, &page, plain)
}

/// Leads to the page of the workspace or stage that answers under a host name, if the visitor sees it.
pub async fn at(visitor: Visitor, lang: Lang, Path(host): Path<String>) -> Answer {
    let daemon = &visitor.daemon;
    let all = daemon.list(None).await;
    let all = all.map_err(|err| Refusal(lang, err.into()))?;
    let is_it = |url: &str| {
        let rest = url.split_once("://").map_or("", |(_, rest)| rest);
        rest.split([':', '/']).next() == Some(&host)
    };
    let workspace = all.iter().find(|one| one.url.as_deref().is_some_and(is_it));
    let path = match workspace {
        Some(workspace) => Some(page::workspace_path(workspace)),
        None => {
            let stages = daemon.stages(None).await.unwrap_or_default();
            let stage = stages.iter().find(|one| is_it(&one.url));
            stage.map(|one| delivery::path(&one.project))
        }
    };
    match path {
        Some(path) => Ok(Redirect::to(&path).into_response()),
        // Whether it is another's, or nobody's, is told to nobody who does not see it.
        None if visitor.session.is_some() => Err(Refusal(lang, Problem::NotYours)),
        None => Err(Refusal(lang, Problem::NoPage)),
    }
}

fn answer(
    asked: &HeaderMap,
    lang: Lang,
    status: StatusCode,
    page: &Page,
    plain: &'static str,
) -> Response {
    let mut response = match is_page(asked) {
        true => page::html(lang, status, page),
        false => (status, plain).into_response(),
    };
    let headers = response.headers_mut();
    if let Ok(policy) = HeaderValue::from_str(&POLICY) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    for (name, value) in [
        (MARK, "1"),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (VARY, "accept, accept-language"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Whether a browser asks for a page, and not a program or a page's script.
fn is_page(headers: &HeaderMap) -> bool {
    let accept = headers.get(ACCEPT).and_then(|text| text.to_str().ok());
    accept.is_some_and(|text| text.contains("text/html"))
}

/// The workspace's host name, without a port, if it is one.
fn host(headers: &HeaderMap) -> Option<&str> {
    let host = headers.get(HOST)?.to_str().ok()?;
    let host = host.split(':').next()?;
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    (!host.is_empty() && host.len() <= 253 && host.bytes().all(is_plain)).then_some(host)
}
