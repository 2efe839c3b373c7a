//! Ctrl-C as a question that can be asked, so that everything started is stopped in order.

use anyhow::{Context, Result};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};
use tokio::signal::unix::{SignalKind, signal};

/// Whether somebody wants this program to end.
#[derive(Clone, Debug)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// From now on SIGINT, SIGTERM and SIGHUP no longer end the program but are remembered; that
    /// stays so for as long as it runs.
    pub fn watch() -> Result<Self> {
        let came = Arc::new(AtomicBool::new(false));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()?;
        let guard = runtime.enter();
        let mut signals = [
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::hangup(),
        ]
        .map(signal)
        .into_iter()
        .collect::<Result<Vec<_>, _>>()
        .context("cannot watch for signals")?;
        drop(guard);
        let tell = Arc::clone(&came);
        thread::spawn(move || {
            runtime.block_on(async {
                let [a, b, c] = &mut signals[..] else { return };
                tokio::select! { _ = a.recv() => {} _ = b.recv() => {} _ = c.recv() => {} }
                tell.store(true, Ordering::SeqCst);
            });
        });
        Ok(Self(came))
    }

    /// Whether one came.
    pub fn came(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}
