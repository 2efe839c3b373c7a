//! `/hooks/PROJECT`: passes webhooks on to the daemon, which alone knows their secrets. No body is held here.

use crate::{app::App, visitor::client_of};
use axum::{
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::IntoResponse,
};
use cid_client::{Delivery, Kind};
use futures::{Stream, StreamExt as _, stream};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::time::timeout;

/// How long a delivery may take, waiting for its place included.
const LIMIT: Duration = Duration::from_secs(20);
/// How long it may pause.
const PAUSE: Duration = Duration::from_secs(3);
/// What is passed on at once; a request to the daemon holds no more than 64 KiB.
const PIECE: usize = 32 * 1024;
/// The longest body.
const BODY: usize = 25 << 20;
/// A header longer than this is no signature.
const HEADER: usize = 1024;

/// Takes a delivery: 202 when it is believed.
pub async fn take(
    State(app): State<App>,
    Path(project): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> impl IntoResponse {
    let taken = timeout(LIMIT, pass_on(app, project, headers, body)).await;
    let status = taken.unwrap_or(StatusCode::REQUEST_TIMEOUT);
    let line = match status {
        StatusCode::ACCEPTED => "accepted\n",
        StatusCode::NOT_FOUND => "no hook here\n",
        StatusCode::UNAUTHORIZED => "not believed\n",
        StatusCode::PAYLOAD_TOO_LARGE => "too large\n",
        StatusCode::REQUEST_TIMEOUT => "too slow\n",
        _ => "try again later\n",
    };
    (status, line)
}

async fn pass_on(app: App, project: String, headers: HeaderMap, body: Body) -> StatusCode {
    let length = headers
        .get("content-length")
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > BODY) {
        return StatusCode::PAYLOAD_TOO_LARGE;
    }
    let Some(_places) = app.places.hook(&client_of(&headers)).await else {
        return StatusCode::SERVICE_UNAVAILABLE;
    };
    let text = |names: &[&str]| {
        let found = names
            .iter()
            .find_map(|name| headers.get(*name)?.to_str().ok());
        found
            .filter(|text| text.len() <= HEADER)
            .unwrap_or_default()
            .to_owned()
    };
    let delivery = Delivery {
        project,
        // Gitea and Forgejo send GitHub's header too.
        event: text(&[
            "x-forgejo-event",
            "x-gitea-event",
            "x-github-event",
            "x-gitlab-event",
            "x-event-key",
        ]),
        delivery: text(&[
            "x-forgejo-delivery",
            "x-gitea-delivery",
            "x-github-delivery",
            "x-gitlab-event-uuid",
            "x-request-uuid",
        ]),
        webhook_id: text(&["webhook-id"]),
        webhook_timestamp: text(&["webhook-timestamp"]),
        webhook_signature: text(&["webhook-signature"]),
        hub_signature_256: text(&["x-hub-signature-256"]),
        gitea_signature: text(&["x-forgejo-signature", "x-gitea-signature"]),
        hub_signature: text(&["x-hub-signature"]),
        gitlab_token: text(&["x-gitlab-token"]),
    };
    let pauses = Arc::new(AtomicBool::new(false));
    let pieces = pieces(body, Arc::clone(&pauses));
    match app.daemon.deliver(delivery, pieces).await {
        Ok(()) => StatusCode::ACCEPTED,
        Err(_) if pauses.load(Ordering::Relaxed) => StatusCode::REQUEST_TIMEOUT,
        Err(error) => match error.kind {
            Kind::NotFound => StatusCode::NOT_FOUND,
            Kind::Denied => StatusCode::UNAUTHORIZED,
            Kind::Invalid => StatusCode::PAYLOAD_TOO_LARGE,
            Kind::Timeout => StatusCode::REQUEST_TIMEOUT,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        },
    }
}

/// A body that breaks off, or pauses for long, ends early, and no signature is good for it.
/// `pauses` is set then.
fn pieces(body: Body, pauses: Arc<AtomicBool>) -> impl Stream<Item = Vec<u8>> + Send + 'static {
    let parts = stream::unfold(
        (body.into_data_stream(), pauses),
        |(mut body, pauses)| async move {
            let Ok(part) = timeout(PAUSE, body.next()).await else {
                pauses.store(true, Ordering::Relaxed);
                return None;
            };
            Some((part?.ok()?, (body, pauses)))
        },
    );
    parts.flat_map(|part| {
        let pieces: Vec<Vec<u8>> = part.chunks(PIECE).map(<[u8]>::to_vec).collect();
        stream::iter(pieces)
    })
}
