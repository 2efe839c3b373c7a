//! What the daemon tells systemd while it runs: that it lives, and what it does.

use crate::{
    cid::Cid,
    store::Silent,
    system::queue::{Queues, Waiting},
};
use futures::{FutureExt as _, future::BoxFuture};
use sd_notify::NotifyState;
use std::{sync::Arc, time::Duration};
use tokio::{sync::watch, time::sleep};

/// Pause between two status lines; of a burst of changes only the last state is sent.
const PAUSE: Duration = Duration::from_millis(100);
/// The status is sent again after this time, in case systemd has lost one.
const AGAIN: Duration = Duration::from_secs(60);

/// Tells systemd that jobs can make progress: the ledger, which every step needs, has answered. systemd kills
/// and restarts a daemon that it does not hear from.
pub(crate) async fn feed_watchdog(cid: Cid) {
    let Some(limit) = sd_notify::watchdog_enabled() else {
        return;
    };
    loop {
        if cid.store.live_jobs().await.is_ok() {
            sd_notify::notify(&[NotifyState::Watchdog]).ok();
        }
        tokio::select! {
            () = sleep(limit / 3) => {}
            () = cid.stopping.cancelled() => return,
        }
    }
}

/// Keeps the jobs in `systemctl status` up to date until the daemon stops.
pub(crate) async fn keep_told(cid: Cid) {
    let Cid {
        engine,
        store,
        sys,
        stopping,
        ..
    } = cid;
    let silent = || {
        let store = store.clone();
        async move { store.silent_remotes().await.unwrap_or_default() }.boxed()
    };
    tokio::select! {
        () = tell(engine.watch_running(), &sys.queues, silent, |status| {
            sd_notify::notify(&[NotifyState::Status(status)]).ok();
        }) => {}
        () = stopping.cancelled() => {
            sd_notify::notify(&[NotifyState::Status("stopping")]).ok();
        }
    }
}

async fn tell(
    mut running: watch::Receiver<usize>,
    queues: &Arc<Queues>,
    silent: impl Fn() -> BoxFuture<'static, Vec<Silent>>,
    mut say: impl FnMut(&str),
) {
    let mut turns = queues.watch();
    let mut said = String::new();
    loop {
        let jobs = *running.borrow_and_update();
        turns.borrow_and_update();
        let line = line(
            jobs,
            &queues.all_waiting().into_values().collect::<Vec<_>>(),
            &silent().await,
        );
        let is_new = line != said;
        if is_new {
            say(&line);
            said = line;
        }
        sleep(PAUSE).await;
        tokio::select! {
            changed = running.changed() => if changed.is_err() {
                return;
            },
            _ = turns.changed() => {}
            () = sleep(AGAIN) => said.clear(),
        }
    }
}

/// How many jobs there are, the reason of the first one that waits, and the remote that has been silent longest.
fn line(jobs: usize, waiting: &[Waiting], silent: &[Silent]) -> String {
    let mut line = at_work(jobs, waiting);
    if let Some(first) = silent.iter().min_by_key(|one| one.since) {
        let told = format!("; the remote of {} {first}", first.project);
        // systemd takes one line.
        line.push_str(&told.replace(char::is_control, " "));
        if silent.len() > 1 {
            line.push_str(&format!("; {} more are silent", silent.len() - 1));
        }
    }
    line
}

fn at_work(jobs: usize, waiting: &[Waiting]) -> String {
    let at_work = match jobs {
        0 => return "idle".to_owned(),
        1 => "1 job at work".to_owned(),
        jobs => format!("{jobs} jobs at work"),
    };
    match waiting.iter().min_by_key(|waiting| waiting.ahead) {
        Some(first) => format!("{at_work}, {} of them {first}", waiting.len()),
        None => at_work,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::queue::{Ahead, Resource};
    use std::sync::Mutex;

    #[test]
    fn of_those_that_wait_the_first_one_is_told() {
        let waiting = |ahead| Waiting {
            resource: Resource::Core,
            ahead,
            first: Some(Ahead {
                work: "install".into(),
                owner: crate::domain::Owner::parse("ben@example.com").ok(),
                project: crate::domain::ProjectName::parse("shop"),
                minutes: 3,
            }),
        };
        assert_eq!(
            line(5, &[waiting(3), waiting(2)], &[]),
            "5 jobs at work, 2 of them waiting for a turn: 2 ahead (install of ben@example.com in shop, 3 min)"
        );
        assert_eq!(line(1, &[], &[]), "1 job at work");
        assert_eq!(line(0, &[], &[]), "idle");
    }

    #[test]
    fn the_remote_that_is_silent_longest_is_told() {
        let silent = |project: &str, second| Silent {
            project: crate::domain::ProjectName::parse(project).unwrap(),
            since: jiff::Timestamp::from_second(second).unwrap(),
            reason: format!("{project} is away"),
        };
        assert_eq!(
            line(0, &[], &[silent("blog", 60), silent("shop", 1)]),
            "idle; the remote of shop has not answered since 1970-01-01 00:00:01 UTC: shop is away; 1 more are silent"
        );
    }

    #[tokio::test]
    async fn a_change_is_told_at_once_and_a_burst_by_its_last_state() {
        let jobs = watch::Sender::new(0);
        let said = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&said);
        let running = jobs.subscribe();
        let telling = tokio::spawn(async move {
            let queues = Arc::new(Queues::new(1, 1));
            tell(
                running,
                &queues,
                || async { Vec::new() }.boxed(),
                move |status| {
                    heard.lock().unwrap().push(status.to_owned());
                },
            )
            .await;
        });
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
