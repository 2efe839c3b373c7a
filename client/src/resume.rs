//! Requests that outlive the daemon: they go on after it was restarted.

use crate::{Client, Created, Error, Event, JobState, Kind, Result, Stream, What};
use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// How long a daemon may be away before waiting for it is given up.
const PATIENCE: Duration = Duration::from_secs(60);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// A stuck job that was retried goes on in the next line of its journal; where
/// none follows within this time, it is stuck still.
const STUCK_FOR_GOOD: Duration = Duration::from_secs(2);

impl Client {
    /// A job's journal from the beginning until the job has come to rest. When
    /// the connection breaks, goes on where it was as soon as the daemon is
    /// back; gives up when it has been away for 60 s.
    #[must_use]
    pub fn watch_resuming(&self, job: &str) -> Stream<Event> {
        let watch = Watch {
            client: self.clone(),
            job: job.to_owned(),
            seen: 0,
            state: JobState::Unknown,
            events: None,
            patience: Patience::default(),
            over: false,
        };
        stream::unfold(watch, async |mut watch| {
            let item = watch.next().await?;
            Some((item, watch))
        })
        .boxed()
    }

    /// As [`Client::create`], but when the connection breaks before the answer,
    /// waits for the daemon and finds out whether the request got through. A
    /// workspace that was there before is a conflict all the same.
    ///
    /// # Errors
    ///
    /// As [`Client::create`].
    pub async fn create_resuming(&self, email: &str, project: Option<&str>) -> Result<Created> {
        let asked_at = Timestamp::now();
        let mut patience = Patience::default();
        let mut unsure = false;
        loop {
            let error = match self.create(email, project).await {
                Ok(created) => return Ok(created),
                Err(error) => error,
            };
            match error.kind {
                Kind::Disconnected => unsure = true,
                kind if unsure && kind.is_connection() => {}
                Kind::Conflict if unsure => {
                    return self.created_since(email, project, asked_at, error).await;
                }
                _ => return Err(error),
            }
            patience.pause(error).await?;
        }
    }

    /// The workspace that our own request made, whose answer was lost; `conflict`
    /// where it is somebody else's or an older one.
    async fn created_since(
        &self,
        email: &str,
        project: Option<&str>,
        asked_at: Timestamp,
        conflict: Error,
    ) -> Result<Created> {
        let in_the_way = conflict
            .conflict
            .as_ref()
            .and_then(|detail| detail.job.clone());
        let workspace = self.get(email, project).await?;
        let job = in_the_way.or_else(|| {
            workspace
                .job
                .clone()
                .filter(|_| workspace.created_at >= asked_at)
        });
        match job {
            Some(job) => Ok(Created { workspace, job }),
            None => Err(conflict),
        }
    }
}

/// A watch that is taken up again when it breaks.
struct Watch {
    client: Client,
    job: String,
    /// The last line that was given out.
    seen: u64,
    /// The job's state as of that line.
    state: JobState,
    events: Option<Stream<Event>>,
    patience: Patience,
    over: bool,
}

impl Watch {
    async fn next(&mut self) -> Option<Result<Event>> {
        while !self.over {
            match self.read().await {
                Ok(Some(event)) => {
                    self.patience = Patience::default();
                    self.seen = event.seq;
                    if let What::Job { state } = event.what {
                        self.state = state;
                        self.over = state.is_final();
                    }
                    return Some(Ok(event));
                }
                // The daemon ends the stream when the job is at rest, and also
                // when it stops itself.
                Ok(None) if self.state.is_ended() => return None,
                Ok(None) => {
                    self.events = None;
                    let ended = Error::new(
                        Kind::Disconnected,
                        format!(
                            "cannot follow job {}: the daemon ended the stream",
                            self.job
                        ),
                    );
                    if let Err(error) = self.patience.pause(ended).await {
                        self.over = true;
                        return Some(Err(error));
                    }
                }
                Err(error) if error.kind.is_connection() => {
                    self.events = None;
                    if let Err(error) = self.patience.pause(error).await {
                        self.over = true;
                        return Some(Err(error));
                    }
                }
                Err(error) => {
                    self.over = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }

    async fn read(&mut self) -> Result<Option<Event>> {
        let events = match &mut self.events {
            Some(events) => events,
            None => self
                .events
                .insert(self.client.watch(&self.job, self.seen).await?),
        };
        if self.state == JobState::Stuck {
            timeout(STUCK_FOR_GOOD, events.next())
                .await
                .unwrap_or_default()
                .transpose()
        } else {
            events.next().await.transpose()
        }
    }
}

/// Waits between attempts, longer each time, until it is not worth it any more.
#[derive(Default)]
struct Patience {
    since: Option<Instant>,
    pause: Option<Duration>,
}

impl Patience {
    /// Waits before the next attempt, or gives the error back.
    async fn pause(&mut self, error: Error) -> Result<()> {
        let since = *self.since.get_or_insert_with(Instant::now);
        let pause = self.pause.unwrap_or(FIRST_PAUSE);
        if since.elapsed() + pause > PATIENCE {
            return Err(error);
        }
        self.pause = Some((pause * 2).min(LONGEST_PAUSE));
        sleep(pause).await;
        Ok(())
    }
}
