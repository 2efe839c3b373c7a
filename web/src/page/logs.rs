use crate::{
    ansi,
    app::App,
    error::{Answer, Problem, Refusal},
    i18n::Lang,
    limits::{self, Place},
    page::{events, workspace::find},
    text::printable,
    visitor::Visitor,
};
use axum::{
    body::{Body, Bytes},
    extract::{Path, Query, State},
    http::{
        HeaderMap, HeaderValue,
        header::{CONTENT_DISPOSITION, CONTENT_TYPE},
    },
    response::{IntoResponse, sse::Event as Sent},
};
use cid_client::{LogLine, LogOptions, LogPlace};
use futures::{StreamExt, stream};
use serde::Deserialize;
use serde_json::json;
use std::{convert::Infallible, time::Duration};
use tokio::time::timeout;

/// The lines of a page that follows none of them.
pub const TAIL: u32 = 200;
/// The lines of a download.
const WHOLE: u32 = 10_000;
/// A download that nobody reads ends after this time.
const DOWNLOAD: Duration = Duration::from_mins(5);

type Of = Path<(String, String, String)>;

/// Where to go on, for a page that opens a new stream after it closed one.
#[derive(Debug, Deserialize)]
pub struct From {
    /// The place that the last line was told with.
    after: Option<String>,
}

/// What a process wrote, as a text to keep, without escape sequences.
pub async fn download(
    State(app): State<App>,
    visitor: Visitor,
    lang: Lang,
    Path((project, who, process)): Of,
) -> Answer {
    let place = place(&app, &visitor, lang)?;
    let options = LogOptions {
        process: Some(process.clone()),
        lines: WHOLE,
        ..LogOptions::default()
    };
    let lines = open(&visitor, lang, &project, &who, options).await?;
    let text = lines
        .take_while(|line| futures::future::ready(line.is_ok()))
        .map(move |line| {
            let _ = &place;
            let line = line.map(|line| text(&line)).unwrap_or_default();
            Ok::<_, Infallible>(Bytes::from(printable(&line) + "\n"))
        })
        .take_until(Box::pin(tokio::time::sleep(DOWNLOAD)));
    let mut headers = HeaderMap::new();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    let plain = |c: char| match c.is_ascii_alphanumeric() || "-_".contains(c) {
        true => c,
        false => '-',
    };
    let name = [&project, &who, &process].map(|part| {
        let part: String = part.chars().map(plain).take(64).collect();
        part
    });
    let disposition = format!("attachment; filename=\"{}.log\"", name.join("."));
    if let Ok(disposition) = HeaderValue::try_from(disposition) {
        headers.insert(CONTENT_DISPOSITION, disposition);
    }
    Ok((headers, Body::from_stream(text)).into_response())
}

/// Sends what a process writes, beginning after the last line that the browser has seen. A line's id is the
/// place in the log where it ends.
pub async fn stream(
    State(app): State<App>,
    visitor: Visitor,
    lang: Lang,
    Path((project, who, process)): Of,
    Query(from): Query<From>,
    headers: HeaderMap,
) -> Answer {
    let place = place(&app, &visitor, lang)?;
    let after = events::last_event_id(&headers).or(from.after.as_deref());
    let after = after.and_then(read_place);
    let options = LogOptions {
        process: Some(process),
        follow: true,
        lines: TAIL,
        after,
    };
    let lines = open(&visitor, lang, &project, &who, options).await?;
    let file = after.map(|place| place.file);
    let shown = lines
        .take_while(|line| futures::future::ready(line.is_ok()))
        .filter_map(|line| futures::future::ready(line.ok()))
        .scan(file, |file, line| {
            // The log that the browser has read is another file by now: there may be a gap.
            let is_new = file.is_some_and(|file| file != line.end.file);
            *file = Some(line.end.file);
            let gap = is_new.then(|| Sent::default().event("gap").data("{}"));
            let sent = [gap, Some(show(&line))];
            futures::future::ready(Some(stream::iter(sent.into_iter().flatten())))
        })
        .flatten();
    Ok(events::send(&app, place, shown))
}

/// The last lines, for a page; `None`: the visitor may not read them, or there are none.
pub async fn tail(
    visitor: &Visitor,
    email: &str,
    project: &str,
    process: &str,
) -> Option<Vec<LogLine>> {
    let options = LogOptions {
        process: Some(process.to_owned()),
        lines: TAIL,
        ..LogOptions::default()
    };
    let read = async {
        let lines = visitor.daemon.logs(email, Some(project), options).await;
        let lines: Vec<_> = lines.ok()?.collect().await;
        Some(lines.into_iter().flatten().collect())
    };
    timeout(Duration::from_secs(3), read).await.ok()?
}

/// A line's text, with what is not UTF-8 replaced.
pub fn text(line: &LogLine) -> String {
    String::from_utf8_lossy(&line.line).into_owned()
}

/// A place as a line's id.
pub fn id(place: LogPlace) -> String {
    format!("{}-{}", place.file, place.offset)
}

fn read_place(id: &str) -> Option<LogPlace> {
    let (file, offset) = id.split_once('-')?;
    Some(LogPlace {
        file: file.parse().ok()?,
        offset: offset.parse().ok()?,
    })
}

fn show(line: &LogLine) -> Sent {
    let pieces = ansi::pieces(&text(line));
    let data = json!({ "pieces": pieces });
    Sent::default()
        .id(id(line.end))
        .event("line")
        .data(data.to_string())
}

/// One of the places for logs, of which nobody takes all.
fn place(app: &App, visitor: &Visitor, lang: Lang) -> Result<Place, Refusal> {
    let place = app
        .places
        .stream(limits::Stream::Log, visitor.session.as_deref());
    place.ok_or(Refusal(lang, Problem::TooMany(events::STREAM_PAUSE)))
}

async fn open(
    visitor: &Visitor,
    lang: Lang,
    project: &str,
    who: &str,
    options: LogOptions,
) -> Result<cid_client::Stream<LogLine>, Refusal> {
    let refuse = |problem| Refusal(lang, problem);
    let workspace = find(&visitor.daemon, project, who).await.map_err(refuse)?;
    let (email, project) = (&workspace.email, Some(workspace.project.as_str()));
    let lines = timeout(
        limits::REQUEST_TIMEOUT,
        visitor.daemon.logs(email, project, options),
    )
    .await
    .map_err(|_| refuse(Problem::Busy))?;
    lines.map_err(|err| refuse(Problem::or_missing(err, Problem::NoPage)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_told() {
        let place = LogPlace {
            file: 7,
            offset: 12,
        };
        assert_eq!(read_place(&id(place)), Some(place));
        for bad in [
            "",
            "7",
            "7-",
            "-12",
            "a-b",
            "7-12-3",
            "99999999999999999999-1",
        ] {
            assert_eq!(read_place(bad), None, "{bad}");
        }
    }
}
