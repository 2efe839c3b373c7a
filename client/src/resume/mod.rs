//! What outlives the daemon: it goes on after the daemon was restarted.

mod start;
mod watch;

use crate::{Error, Result};
use std::{future::Future, time::Duration};
use tokio::time::{Instant, sleep};

/// How long a daemon may be away before waiting for it is given up.
const LIMIT: Duration = Duration::from_secs(60);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Asks a question again while the connection breaks or the daemon is away, for up to 60 s. Only for
/// what changes nothing: it may be asked twice.
///
/// # Errors
///
/// Any other error at once; the last one when the daemon stays away.
pub async fn persistently<T, F>(ask: impl Fn() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let mut patience = Patience::default();
    loop {
        match ask().await {
            Err(error) if error.kind.is_connection() => patience.pause(error).await?,
            answer => return answer,
        }
    }
}

/// Waits between attempts, longer each time, until it is not worth it any more.
#[derive(Debug, Default)]
struct Patience {
    since: Option<Instant>,
    pause: Option<Duration>,
}

impl Patience {
    /// Waits before the next attempt, or gives the error back.
    async fn pause(&mut self, error: Error) -> Result<()> {
        let since = *self.since.get_or_insert_with(Instant::now);
        let pause = self.pause.unwrap_or(FIRST_PAUSE);
        if since.elapsed() + pause > LIMIT {
            return Err(error);
        }
        self.pause = Some((pause * 2).min(LONGEST_PAUSE));
        sleep(pause).await;
        Ok(())
    }
}
