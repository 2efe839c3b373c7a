//! What outlives the daemon, and how errors are read.

use crate::daemon::{Daemon, Memory, URL, pb_time};
use cid_client::{Client, Error, Event, JobState, Kind, What};
use futures::StreamExt as _;
use tokio::runtime::Runtime;

/// Runs something that talks to the daemon, in a thread of its own.
fn meanwhile<T: Send + 'static>(
    daemon: &Daemon,
    talk: impl AsyncFnOnce(Client) -> T + Send + 'static,
) -> std::thread::JoinHandle<T> {
    let socket = daemon.socket().to_owned();
    std::thread::spawn(move || {
        Runtime::new()
            .unwrap()
            .block_on(async { talk(Client::connect(&socket).await.unwrap()).await })
    })
}

async fn watch(client: Client, job: &str) -> Vec<Event> {
    client
        .watch_resuming(job)
        .map(|event| event.unwrap())
        .collect()
        .await
}

fn seqs(events: &[Event]) -> Vec<u64> {
    events.iter().map(|event| event.seq).collect()
}

#[test]
fn watching_goes_on_where_it_was_after_a_restart() {
    let mut daemon = Daemon::start();
    daemon.memory.lock().unwrap().silent_after = Some(2);
    let watching = meanwhile(&daemon, async |client| watch(client, "good").await);
    daemon.wait_until(|memory| !memory.watched_after.is_empty());
    std::thread::sleep(std::time::Duration::from_millis(200));
    daemon.kill();
    std::thread::sleep(std::time::Duration::from_millis(300));
    daemon.memory.lock().unwrap().silent_after = None;
    daemon.start_again();
    let events = watching.join().unwrap();
    assert_eq!(seqs(&events), [1, 2, 3, 4, 5]);
    assert_eq!(daemon.memory.lock().unwrap().watched_after, [0, 2]);
}

#[test]
fn a_job_that_was_stuck_once_is_watched_to_its_real_end() {
    let daemon = Daemon::start();
    let events = meanwhile(&daemon, async |client| watch(client, "retried").await)
        .join()
        .unwrap();
    let done = What::Job {
        state: JobState::Done,
        failed_step: None,
    };
    assert_eq!(events.last().unwrap().what, done);
}

#[test]
fn a_stuck_job_ends_the_watch_even_where_the_stream_goes_on() {
    let daemon = Daemon::start();
    daemon.memory.lock().unwrap().silent_after = Some(100);
    let events = meanwhile(&daemon, async |client| watch(client, "stuck").await)
        .join()
        .unwrap();
    assert_eq!(seqs(&events), [1, 2, 3, 4, 5]);
}

/// Creates, the daemon being killed before it answers and changed before it is back.
fn create_across_a_restart(meddle: impl FnOnce(&mut Memory)) -> (Result<String, Error>, u32) {
    let mut daemon = Daemon::start();
    daemon.memory.lock().unwrap().swallows_create = true;
    let creating = meanwhile(&daemon, async |client| {
        client.create_resuming("good@example.com", None, None).await
    });
    daemon.wait_until(|memory| memory.creates == 1);
    daemon.kill();
    {
        let mut memory = daemon.memory.lock().unwrap();
        memory.swallows_create = false;
        meddle(&mut memory);
    }
    daemon.start_again();
    let answer = creating.join().unwrap();
    let creates = daemon.memory.lock().unwrap().creates;
    (answer, creates)
}

#[test]
fn a_create_whose_answer_was_lost_is_found_again() {
    let (answer, creates) = create_across_a_restart(|_| {});
    assert_eq!(answer.unwrap(), "good");
    assert_eq!(creates, 1);
}

#[test]
fn a_create_that_was_lost_is_asked_for_again() {
    let (answer, creates) = create_across_a_restart(|memory| memory.created_at = None);
    assert_eq!(answer.unwrap(), "good");
    assert_eq!(creates, 2);
}

#[test]
fn a_live_job_that_creates_is_taken_over_after_a_restart() {
    let (answer, _) = create_across_a_restart(|memory| {
        memory.created_at = Some(pb_time::Time::default());
        memory.in_the_way = "good".into();
    });
    assert_eq!(answer.unwrap(), "good");
}

#[test]
fn a_workspace_that_was_there_before_is_a_conflict_even_after_a_restart() {
    let (answer, _) = create_across_a_restart(|memory| {
        memory.created_at = Some(pb_time::Time::default());
    });
    let error = answer.unwrap_err();
    assert_eq!(error.kind, Kind::Conflict);
    assert_eq!(error.conflict.unwrap().url.as_deref(), Some(URL));
}

#[test]
fn a_live_job_in_the_way_of_a_plain_create_is_a_conflict() {
    let daemon = Daemon::start();
    {
        let mut memory = daemon.memory.lock().unwrap();
        memory.created_at = Some(pb_time::now());
        memory.in_the_way = "good".into();
    }
    let creating = meanwhile(&daemon, async |client| {
        client.create_resuming("good@example.com", None, None).await
    });
    assert_eq!(creating.join().unwrap().unwrap_err().kind, Kind::Conflict);
}

#[test]
fn a_client_outlives_the_daemon() {
    let mut daemon = Daemon::start();
    let (restart, restarted) = std::sync::mpsc::channel::<()>();
    let (ask, asked) = std::sync::mpsc::channel();
    let calling = meanwhile(&daemon, async move |client| {
        assert_eq!(client.version().await.unwrap().version, "0.1.0");
        ask.send(()).unwrap();
        restarted.recv().unwrap();
        // The second where the end of the connection has not been noticed yet.
        let kind = client.version().await.unwrap_err().kind;
        assert!(
            matches!(kind, Kind::Unreachable | Kind::Disconnected),
            "{kind:?}"
        );
        ask.send(()).unwrap();
        restarted.recv().unwrap();
        client.version().await.unwrap()
    });
    asked.recv().unwrap();
    daemon.kill();
    restart.send(()).unwrap();
    asked.recv().unwrap();
    daemon.start_again();
    restart.send(()).unwrap();
    assert_eq!(calling.join().unwrap().mode, "sandbox");
}

#[test]
fn all_pages_are_listed() {
    let daemon = Daemon::start();
    let listing = meanwhile(&daemon, async |client| client.list(None).await.unwrap());
    assert_eq!(listing.join().unwrap().len(), 3);
}

#[test]
fn a_refusal_brings_its_details() {
    let daemon = Daemon::start();
    let errors = meanwhile(&daemon, async |client| {
        (
            client.create("nonsense", None, None).await.unwrap_err(),
            client.restart("good@example.com", None).await.unwrap_err(),
        )
    });
    let (invalid, conflict) = errors.join().unwrap();
    assert_eq!(invalid.kind, Kind::Invalid);
    assert_eq!(invalid.violations[0].field, "workspace.email");
    assert_eq!(invalid.violations[0].description, "there is no @");
    assert_eq!(conflict.kind, Kind::Conflict);
    assert_eq!(conflict.reason.as_deref(), Some("IN_THE_WAY"));
    assert_eq!(conflict.hint.as_deref(), Some("try another way"));
    assert_eq!(conflict.conflict.unwrap().job.as_deref(), Some("good"));
}
