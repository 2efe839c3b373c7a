//! Following a job across restarts of the daemon.

use super::Patience;
use crate::{Client, Error, Event, JobState, Kind, Result, Stream, What};
use futures::{StreamExt as _, stream};
use std::time::Duration;
use tokio::time::timeout;

/// A stuck job that was retried goes on in the next line of its journal; where
/// none follows within this time, it is stuck still.
const STUCK_FOR_GOOD: Duration = Duration::from_secs(2);

impl Client {
    /// A job's journal from the beginning until the job has come to rest. When
    /// the connection breaks, goes on where it was as soon as the daemon is
    /// back; gives up when it has been away for 60 s.
    #[must_use]
    pub fn watch_resuming(&self, job: &str) -> Stream<Event> {
        self.resuming(job, false)
    }

    /// The same, with the output that the journal has no room for.
    #[must_use]
    pub fn whole_output(&self, job: &str) -> Stream<Event> {
        self.resuming(job, true)
    }

    fn resuming(&self, job: &str, whole_output: bool) -> Stream<Event> {
        let watch = Watch {
            client: self.clone(),
            job: job.to_owned(),
            whole_output,
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
}

/// A watch that is taken up again when it breaks.
struct Watch {
    client: Client,
    job: String,
    whole_output: bool,
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
                    if let What::Job { state, .. } = event.what {
                        self.state = state;
                        self.over = state.is_ended();
                    }
                    return Some(Ok(event));
                }
                // The daemon ends the stream when the job is at rest, and also
                // when it stops itself.
                Ok(None) if self.state.is_at_rest() => return None,
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
            None => self.events.insert(
                self.client
                    .watch(&self.job, self.seen, self.whole_output)
                    .await?,
            ),
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
