//! `POST /workspaces/{project}/{who}/test`: the project's tests, run in a workspace while the page is open.

use crate::{
    ansi,
    app::App,
    error::{Answer, Problem, Refusal},
    form::Posted,
    i18n::Lang,
    limits::{self, Stream},
    page::{self, Frame, events, workspace::find},
    text::Escaped,
};
use askama::Template;
use axum::{
    body::{Body, Bytes},
    extract::{Path, State},
    http::{StatusCode, header::CONTENT_TYPE},
    response::IntoResponse,
};
use cid_client::{Client, RunOutput, Workspace};
use futures::{StreamExt, stream};
use std::{convert::Infallible, fmt::Write};
use tokio::{sync::mpsc, time::timeout};

/// Where the output goes in the page.
const MARK: &str = "<!-- output -->";
/// A longer line is cut into several.
const LINE: usize = 16 * 1024;
/// Pieces of the page that wait to be sent.
const WAITING: usize = 4;

/// Runs the tests and shows what they print as it comes; without a script too. They end when the page is left.
pub async fn submit(
    State(app): State<App>,
    Path((project, who)): Path<(String, String)>,
    posted: Posted,
) -> Answer {
    let [] = posted.values([])?;
    let lang = posted.lang;
    let refuse = |problem| Refusal(lang, problem);
    let visitor = &posted.visitor;
    let place = app.places.stream(Stream::Log, visitor.session.as_deref());
    let place = place.ok_or_else(|| refuse(Problem::TooMany(events::STREAM_PAUSE)))?;
    let frame = Frame::of(visitor, lang).await?;
    let workspace = find(&visitor.daemon, &project, &who)
        .await
        .map_err(refuse)?;
    let project = visitor.daemon.project(&workspace.project).await;
    let tests = project.map_err(|err| refuse(err.into()))?.test;
    let page = TestPage {
        t: lang,
        frame,
        path: page::workspace_path(&workspace),
        has_tests: !tests.is_empty(),
        w: &workspace,
    };
    let Ok(whole) = page.render() else {
        return Ok(StatusCode::INTERNAL_SERVER_ERROR.into_response());
    };
    let (head, tail) = whole.split_once(MARK).unwrap_or((&whole, ""));
    let (head, tail) = (head.to_owned(), tail.to_owned());
    let (sender, receiver) = mpsc::channel(WAITING);
    let (daemon, closing) = (visitor.daemon.clone(), app.closing.clone());
    tokio::spawn(async move {
        let mut closing = closing;
        let run = run(&daemon, &workspace, &tests, lang, &sender);
        let limited = async {
            if timeout(limits::STREAM_LIFETIME, run).await.is_err() {
                let _ = sender.send(verdict(false, lang.test_too_long())).await;
            }
        };
        tokio::select! {
            () = limited => {}
            // The page was left.
            () = sender.closed() => {}
            _ = closing.wait_for(|closing| *closing) => {}
        }
        drop(place);
    });
    let output = stream::unfold(receiver, async |mut receiver: mpsc::Receiver<String>| {
        receiver.recv().await.map(|text| (text, receiver))
    });
    let parts = stream::iter([head])
        .chain(output)
        .chain(stream::iter([tail]))
        .map(|part| Ok::<_, Infallible>(Bytes::from(part)));
    let headers = [(CONTENT_TYPE, "text/html; charset=utf-8")];
    Ok(([events::UNBUFFERED], headers, Body::from_stream(parts)).into_response())
}

type Sender = mpsc::Sender<String>;

/// One test after the other, until one fails.
async fn run(daemon: &Client, workspace: &Workspace, tests: &[String], t: Lang, to: &Sender) {
    for (number, command) in (1..).zip(tests) {
        let title = format!(
            "<h2><code>{}</code></h2>\n",
            Escaped(&crate::text::printable(command))
        );
        let _ = to
            .send(title + "<pre class=\"log printed\" tabindex=\"0\">")
            .await;
        let ended = one(daemon, workspace, number, to).await;
        let (is_good, said) = match ended {
            Ok(Some(0)) => (true, t.test_passed().to_owned()),
            Ok(Some(status)) => (false, t.test_failed(status)),
            Ok(None) => (false, t.test_broke().to_owned()),
            Err(error) => (false, t.daemon_says(&error.message).to_string()),
        };
        let _ = to.send(verdict(is_good, &said)).await;
        if !is_good {
            return;
        }
    }
}

/// Ends a test's output with what came of it.
fn verdict(is_good: bool, said: &str) -> String {
    let class = if is_good { "good" } else { "bad" };
    format!("</pre>\n<p class=\"card {class} verdict\" role=\"status\">{said}</p>\n")
}

/// A test's output, line by line; answers its exit status.
async fn one(
    daemon: &Client,
    workspace: &Workspace,
    number: u32,
    to: &Sender,
) -> Result<Option<u8>, cid_client::Error> {
    let (email, project) = (&workspace.email, Some(workspace.project.as_str()));
    let mut answers = daemon.run_test(email, project, number).await?;
    let mut held = Vec::new();
    while let Some(answer) = answers.next().await {
        match answer? {
            RunOutput::Stdout(bytes) | RunOutput::Stderr(bytes) => held.extend(bytes),
            RunOutput::Exit(status) => {
                let _ = to.send(lines(&held)).await;
                return Ok(Some(status));
            }
        }
        let whole = held
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map(|at| at + 1);
        let whole = whole.or((held.len() > LINE).then_some(held.len()));
        if let Some(whole) = whole {
            let rest = held.split_off(whole);
            let _ = to.send(lines(&held)).await;
            held = rest;
        }
    }
    Ok(None)
}

/// Lines as the page shows them.
fn lines(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut shown = String::new();
    for line in text.lines() {
        for piece in ansi::pieces(line) {
            let text = Escaped(&piece.text);
            let _ = match piece.class.is_empty() {
                true => write!(shown, "{text}"),
                false => write!(shown, "<span class=\"{}\">{text}</span>", piece.class),
            };
        }
        shown.push('\n');
    }
    shown
}

#[derive(Template)]
#[template(path = "test.html")]
struct TestPage<'a> {
    t: Lang,
    frame: Frame,
    path: String,
    has_tests: bool,
    w: &'a Workspace,
}
