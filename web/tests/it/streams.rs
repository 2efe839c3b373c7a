use crate::{
    fake::{self, job_state, step},
    front::Front,
};
use axum::http::{Request, StatusCode};
use cid_proto::v1::{JobState, NoteEvent, OutputEvent, StepState, event::What};
use cid_web::limits;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// A front with a job `j` that has five lines in its journal: a step begun and ended, output,
/// a note, and the end.
fn front(end: bool) -> Front {
    let front = Front::new();
    front.daemon.change(|world| {
        let job = fake::job("j", "anna@example.com", "pressa", JobState::Running);
        world.jobs.push(job);
        world.journal("j", step(0, StepState::Observed, None));
        let lines = vec!["secret".to_owned()];
        world.journal("j", What::Output(OutputEvent { index: 0, lines }));
        let text = "data: <b>\u{1b}[1mused\u{1b}[0m\nid: 99".to_owned();
        world.journal("j", What::Note(NoteEvent { index: 0, text }));
        world.journal("j", step(0, StepState::Applied, Some(250)));
        if end {
            world.journal("j", job_state(JobState::Done));
        }
    });
    front
}

fn ids(body: &str) -> Vec<&str> {
    let ids = body.lines().filter_map(|line| line.strip_prefix("id: "));
    ids.collect()
}

#[tokio::test]
async fn a_stream_tells_the_journal_and_its_end() {
    let front = front(true);
    let page = front.get("/jobs/j/events").await;
    assert_eq!(page.status, StatusCode::OK);
    assert_eq!(page.header("content-type"), "text/event-stream");
    assert_eq!(page.header("x-accel-buffering"), "no");
    assert_eq!(ids(&page.body), ["1", "3", "4", "5"]);
    page.has("retry: 1000");
    page.has(r#"{"index":0,"state":"observed","text":"running","took":null}"#);
    page.has(r#"{"index":0,"state":"applied","text":"done","took":"0.2 s"}"#);
    page.has(r#"data: {"state":"done"}"#);
    page.has(r#"data: {"index":0,"text":"data: <b>usedid: 99"}"#);
    page.has("event: end\n");
    page.has_not("secret");
}

#[tokio::test]
async fn a_stream_resumes_after_the_last_event_seen() {
    let front = front(true);
    let request = Request::get("/jobs/j/events").header("last-event-id", "3");
    assert_eq!(ids(&front.ask(request).await.body), ["4", "5"]);

    let page = front.get("/jobs/j/events?after=4").await;
    assert_eq!(ids(&page.body), ["5"]);

    // What the browser knows is newer than what the page knew when it opened the stream.
    let request = Request::get("/jobs/j/events?after=1").header("last-event-id", "4");
    assert_eq!(ids(&front.ask(request).await.body), ["5"]);

    let request = Request::get("/jobs/j/events").header("last-event-id", "x");
    assert_eq!(ids(&front.ask(request).await.body).len(), 4);

    let page = front.get("/jobs/j/events?after=5").await;
    assert!(ids(&page.body).is_empty());
    page.has("event: end\n");
}

#[tokio::test]
async fn a_live_stream_goes_on_with_the_job() {
    let front = front(false);
    let daemon = front.daemon.clone();
    tokio::spawn(async move {
        sleep(Duration::from_millis(50)).await;
        daemon.change(|world| world.journal("j", step(1, StepState::Observed, None)));
        sleep(Duration::from_millis(50)).await;
        daemon.change(|world| world.journal("j", job_state(JobState::Undone)));
    });
    let page = timeout(Duration::from_secs(10), front.get("/jobs/j/events"));
    let page = page.await.unwrap();
    assert_eq!(ids(&page.body), ["1", "3", "4", "5", "6"]);
    page.has("event: end\n");
}

#[tokio::test]
async fn streams_are_counted_and_given_back() {
    let front = front(true);
    let take = || front.app.places.stream(limits::Stream::Progress, None);
    let held: Vec<_> = (0..limits::STREAMS).map(|_| take().unwrap()).collect();
    let page = front.get("/jobs/j/events").await;
    assert_eq!(page.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(page.header("retry-after"), "5");
    assert_eq!(front.get("/jobs/j").await.status, StatusCode::OK);

    drop(held);
    assert_eq!(front.get("/jobs/j/events").await.status, StatusCode::OK);
    let all: Vec<_> = (0..limits::STREAMS).map_while(|_| take()).collect();
    assert_eq!(all.len(), limits::STREAMS);
}

#[tokio::test]
async fn a_stopping_front_ends_its_streams_but_not_the_story() {
    let front = front(false);
    front.closing.send_replace(true);
    let page = timeout(Duration::from_secs(10), front.get("/jobs/j/events"));
    let page = page.await.unwrap();
    assert_eq!(page.status, StatusCode::OK);
    page.has_not("event: end");
}
