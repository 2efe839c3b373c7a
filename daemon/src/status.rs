//! What systemd is told of the daemon while it runs: that it lives, and what it does.

use crate::rpc::Api;
use sd_notify::NotifyState;
use std::time::Duration;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// Between two lines of status; a burst of jobs tells its last state.
const PAUSE: Duration = Duration::from_millis(100);
/// systemd is told again after that, in case it has lost one.
const AGAIN: Duration = Duration::from_secs(60);

/// Tells systemd that jobs can go on: the ledger, which every step of theirs waits for, has answered.
/// A daemon that systemd hears nothing of is killed and started again.
pub(crate) async fn feed_watchdog(api: Api) {
    let Some(limit) = sd_notify::watchdog_enabled() else {
        return;
    };
    loop {
        if api.store.live_jobs().await.is_ok() {
            sd_notify::notify(&[NotifyState::Watchdog]).ok();
        }
        tokio::select! {
            () = sleep(limit / 3) => {}
            () = api.stopping.cancelled() => return,
        }
    }
}

/// Keeps what `systemctl status` says of the jobs true, until the daemon stops.
pub(crate) async fn keep_told(running: watch::Receiver<usize>, stopping: CancellationToken) {
    tokio::select! {
        () = tell(running, |status| {
            sd_notify::notify(&[NotifyState::Status(status)]).ok();
        }) => {}
        () = stopping.cancelled() => {
            sd_notify::notify(&[NotifyState::Status("stopping")]).ok();
        }
    }
}

async fn tell(mut running: watch::Receiver<usize>, mut say: impl FnMut(&str)) {
    loop {
        let jobs = *running.borrow_and_update();
        say(&line(jobs));
        sleep(PAUSE).await;
        if let Ok(Err(_)) = timeout(AGAIN, running.changed()).await {
            return;
        }
    }
}

fn line(jobs: usize) -> String {
    match jobs {
        0 => "idle".to_owned(),
        1 => "1 job at work".to_owned(),
        jobs => format!("{jobs} jobs at work"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[tokio::test]
    async fn a_change_is_told_at_once_and_a_burst_by_its_last_state() {
        let jobs = watch::Sender::new(0);
        let said = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&said);
        let telling = tokio::spawn(tell(jobs.subscribe(), move |status| {
            heard.lock().unwrap().push(status.to_owned());
        }));
        sleep(PAUSE * 3).await;
        jobs.send_replace(1);
        sleep(PAUSE / 2).await;
        assert_eq!(*said.lock().unwrap(), ["idle", "1 job at work"]);
        for count in 2..50 {
            jobs.send_replace(count);
        }
        jobs.send_replace(0);
        sleep(PAUSE * 3).await;
        assert_eq!(*said.lock().unwrap(), ["idle", "1 job at work", "idle"]);
        drop(jobs);
        telling.await.unwrap();
    }
}
