use anyhow::{Result, bail};
use std::{
    thread::sleep,
    time::{Duration, Instant},
};

/// Asks until there is an answer.
///
/// # Errors
/// There is none after `limit`; `what` says what was waited for.
pub fn wait_until<T>(what: &str, limit: Duration, mut ask: impl FnMut() -> Option<T>) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return Ok(answer);
        }
        if start.elapsed() > limit {
            bail!("waited {} s in vain for: {what}", limit.as_secs());
        }
        sleep(Duration::from_millis(25));
    }
}
