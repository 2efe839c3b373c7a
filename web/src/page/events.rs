use crate::{
    ansi,
    app::App,
    error::{Problem, Refusal},
    i18n::Lang,
    limits,
    text::printable,
    visitor::Visitor,
};
use axum::{
    extract::{Path, Query, State},
    http::{HeaderMap, HeaderName},
    response::{
        IntoResponse, Response,
        sse::{Event as Sent, KeepAlive, Sse},
    },
};
use cid_client::{Event, What};
use futures::{Stream, StreamExt, future, stream};
use serde::Deserialize;
use serde_json::json;
use std::{convert::Infallible, time::Duration};
use tokio::time::{sleep, timeout};

/// nginx would otherwise collect events before it passes them on.
pub const UNBUFFERED: (HeaderName, &str) = (HeaderName::from_static("x-accel-buffering"), "no");
/// After how long a browser resumes a stream that broke.
const RESUME_AFTER: Duration = Duration::from_secs(1);

/// After how many seconds who has too many streams may try again.
pub const STREAM_PAUSE: u64 = 5;

/// Where to begin, for a page that opens a new stream after it lost one.
#[derive(Debug, Deserialize)]
pub struct From {
    /// The number of the last event it has seen.
    #[serde(default)]
    after: u64,
}

/// Sends a job's journal, beginning after the last event the browser has seen, until the job
/// comes to rest; the event `end` says so.
pub async fn stream(
    State(app): State<App>,
    visitor: Visitor,
    lang: Lang,
    Path(id): Path<String>,
    Query(from): Query<From>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let refuse = |problem| Refusal(lang, problem);
    let place = app
        .places
        .stream(limits::Stream::Progress, visitor.session.as_deref());
    let place = place.ok_or_else(|| refuse(Problem::TooMany(STREAM_PAUSE)))?;

    let after = last_event_id(&headers).and_then(|id| id.parse().ok());
    let after = after.unwrap_or(from.after);
    let events = timeout(
        limits::REQUEST_TIMEOUT,
        visitor.daemon.watch(&id, after, false),
    )
    .await
    .map_err(|_| refuse(Problem::Busy))?
    .map_err(|err| refuse(Problem::or_missing(err, Problem::NoJob)))?;

    let is_signed_in = visitor.session.is_some();
    let end = Sent::default().event("end").data("{}");
    let journal = events
        .map(Some)
        .chain(stream::iter([None]))
        .scan((), move |(), item| {
            future::ready(match item {
                Some(Ok(event)) => Some(show(lang, &event, is_signed_in)),
                // Without an `end`, so that the browser comes back for the rest.
                Some(Err(err)) => {
                    tracing::debug!("a stream of events broke: {err}");
                    None
                }
                None => Some(Some(end.clone())),
            })
        })
        .filter_map(future::ready);

    Ok(send(&app, place, journal))
}

/// The answer that sends events until they end, the front stops, or the stream has been open for long. `place` is
/// held until then.
pub fn send(
    app: &App,
    place: impl Send + 'static,
    events: impl Stream<Item = Sent> + Send + 'static,
) -> Response {
    let hello = Sent::default().retry(RESUME_AFTER).comment("cid");
    let mut closing = app.closing.clone();
    let closed = async move {
        tokio::select! {
            _ = closing.wait_for(|closing| *closing) => {}
            () = sleep(limits::STREAM_LIFETIME) => {}
        }
    };
    let sent = stream::iter([hello])
        .chain(events)
        .take_until(Box::pin(closed))
        .map(move |event| {
            // Held for as long as the stream is.
            let _ = &place;
            Ok::<_, Infallible>(event)
        });
    let alive = KeepAlive::new().interval(limits::HEARTBEAT).text("alive");
    ([UNBUFFERED], Sse::new(sent).keep_alive(alive)).into_response()
}

/// The id of the last event that a browser has seen, when it resumes a stream.
pub fn last_event_id(headers: &HeaderMap) -> Option<&str> {
    headers.get("last-event-id")?.to_str().ok()
}

/// An event as the page's script wants it, in the page's language.
fn show(lang: Lang, event: &Event, is_signed_in: bool) -> Option<Sent> {
    let (name, data) = match &event.what {
        What::Job { state, .. } => ("job", json!({ "state": state })),
        What::Step {
            index, state, took, ..
        } => {
            let text = lang.step_state(state);
            let took = took.map(|took| lang.took(took));
            let data = json!({ "index": index, "state": state, "text": text, "took": took });
            ("step", data)
        }
        What::Note { index, text } => {
            let data = json!({ "index": index, "text": printable(text) });
            ("note", data)
        }
        What::Waiting { waiting } => {
            let text = waiting.as_ref().map(|waiting| lang.waiting(waiting));
            ("waiting", json!({ "text": text }))
        }
        // The daemon sends these to those who may read the workspace's logs; a visitor is nobody to it.
        What::Output { .. } if !is_signed_in => return None,
        What::Output { index, lines } => {
            let lines: Vec<_> = lines.iter().map(|line| ansi::pieces(line)).collect();
            ("output", json!({ "index": index, "lines": lines }))
        }
        What::Unknown => return None,
    };
    let id = event.seq.to_string();
    Some(Sent::default().id(id).event(name).data(data.to_string()))
}
