//! A job's journal as it grows.

use super::jobs::{about, job_to_see};
use crate::{
    authz::{Decision, Viewer},
    cid::{Cid, streams::Kind},
    domain::{
        Opener,
        event::{Event, What},
    },
    engine::Plan,
    error::Error,
    store::JobRow,
    system::queue::Waiting,
};
use cid_protocol::budget::{LOG_BATCH, WATCH_BATCH};
use std::{mem, path::Path, time::Duration};
use tokio::{
    fs::File,
    io::{AsyncBufReadExt, BufReader},
    sync::mpsc::{self, error::SendError},
};
use tokio_stream::wrappers::ReceiverStream;
use uuid::Uuid;

/// A watcher looks again after this time, even without a notification.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// What a watcher is told.
#[derive(Debug)]
pub enum Watched {
    /// A line of the journal.
    Line(Event),
    /// After the line with this number: what the job waits for; `None` if it continues.
    Waiting(u64, Option<Waiting>),
    /// The daemon goes down.
    Cut,
}

/// A job that is watched.
pub struct Watch {
    /// The job.
    pub job: Uuid,
    /// Its plan.
    pub plan: Plan,
    /// What happens, until the job is at rest.
    pub news: ReceiverStream<Result<Watched, Error>>,
}

type Sender = mpsc::Sender<Result<Watched, Error>>;

/// The journal of a job after a line, then new lines, until the job is at rest. Output is left out for a viewer
/// who may not see it. With `whole` it has what the journal has no room for.
///
/// # Errors
/// There is no such job, its plan cannot be read, or too many are watched.
pub async fn watch_job(
    cid: &Cid,
    viewer: &Viewer,
    id: Uuid,
    after: u64,
    whole: bool,
) -> Result<Watch, Error> {
    let opener = Opener::new(viewer.uid(), viewer.person());
    let place = cid.streams.begin(opener, Kind::Watches)?;
    let row = job_to_see(cid, viewer, id).await?;
    let subject = about(cid, &row);
    let with_output = viewer.may_see_output(&subject).await == Decision::Allowed;
    if with_output {
        viewer.has_read(&subject).await;
    }
    let plan = serde_json::from_value(row.plan.clone()).map_err(crate::store::StoreError::from)?;
    // The unread output is at most one chunk that was read at once, and one line.
    let (sender, receiver) = mpsc::channel(1);
    let cid = cid.clone();
    tokio::spawn(async move {
        let _place = place;
        if let Err(error) = tell(&cid, row, after, (with_output, whole), &sender).await {
            let _ = sender.send(Err(error)).await;
        }
    });
    Ok(Watch {
        job: id,
        plan,
        news: ReceiverStream::new(receiver),
    })
}

async fn tell(
    cid: &Cid,
    row: JobRow,
    mut after: u64,
    (with_output, whole): (bool, bool),
    sender: &Sender,
) -> Result<(), Error> {
    let mut told = None;
    loop {
        // Subscribe first, then read: a line written between the two is still announced.
        let news = cid.engine.follow(row.id);
        let events = cid.store.events(row.id, after, WATCH_BATCH.most).await?;
        let is_all = events.is_empty();
        for event in events {
            after = event.seq;
            let is_output = matches!(event.what, What::Output { .. } | What::LeftOut { .. });
            if is_output && !with_output {
                continue;
            }
            let told = match event.what {
                What::LeftOut { step, lines } if whole => {
                    let file = cid.layout.job_output(&row.id.to_string(), step);
                    tell_left_out(&file, &event, (step, lines), sender).await
                }
                _ => sender.send(Ok(Watched::Line(event))).await,
            };
            if told.is_err() {
                return Ok(());
            }
        }
        if !is_all {
            continue;
        }
        let state = cid.engine.job(row.id).await?.state;
        if state.is_at_rest() && cid.store.events(row.id, after, 1).await?.is_empty() {
            return Ok(());
        }
        let waiting = cid.engine.waiting(row.id);
        if waiting != told {
            let message = Watched::Waiting(after, waiting.clone());
            if sender.send(Ok(message)).await.is_err() {
                return Ok(());
            }
            told = waiting;
        }
        let changed = async {
            match news {
                Some(mut news) => {
                    let _ = news.wait_for(|seq| *seq > after).await;
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = changed => {}
            () = tokio::time::sleep(LOOK_AGAIN) => {}
            () = sender.closed() => return Ok(()),
            () = cid.stopping.cancelled() => {
                let _ = sender.send(Ok(Watched::Cut)).await;
                return Ok(());
            }
        }
    }
}

/// What stands in the place of lines that are nowhere.
pub fn gap(lines: u64) -> String {
    format!("[... {lines} lines left out ...]")
}

/// The lines that the journal has no room for, from their file, and how many of them it has not.
async fn tell_left_out(
    file: &Path,
    event: &Event,
    (step, lines): (usize, u64),
    sender: &Sender,
) -> Result<(), SendError<Result<Watched, Error>>> {
    // Who comes back after a part gets all of it again.
    let part = |seq, lines: &mut Vec<String>| {
        let lines = mem::take(lines);
        let what = What::Output { step, lines };
        Ok(Watched::Line(Event {
            seq,
            what,
            ..event.clone()
        }))
    };
    let (mut read, mut batch, mut bytes) = (0, Vec::new(), 0);
    if let Ok(file) = File::open(file).await {
        let mut kept = BufReader::new(file).lines();
        while let Ok(Some(line)) = kept.next_line().await {
            (read, bytes) = (read + 1, bytes + line.len() + 1);
            batch.push(line);
            if bytes >= LOG_BATCH.most {
                sender.send(part(event.seq - 1, &mut batch)).await?;
                bytes = 0;
            }
        }
    }
    if read < lines {
        batch.push(gap(lines - read));
    }
    sender.send(part(event.seq, &mut batch)).await
}
