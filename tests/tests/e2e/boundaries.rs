//! kill -9 at every journal boundary, of a create and of a delete, there and back. The points are
//! those that the engine passes in a run of its own; none is in the shipped daemon.

use crate::stage::{ANNA, BERT, Stage};
use cid_testkit::Tree;
use std::{
    collections::BTreeSet,
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread::{self, JoinHandle, sleep},
    time::Duration,
};

#[test]
fn of_a_create() {
    let stage = Stage::of(&Tree::on_socket(), "");
    at_every_point(stage, &["create", ANNA, "--no-wait"], Fate::Free);
}

#[test]
fn of_a_create_that_is_taken_back() {
    let stage = Stage::hello();
    at_every_point(stage, &["create", ANNA, "--no-wait"], Fate::PushIsRejected);
}

#[test]
fn of_a_delete() {
    let stage = Stage::of(&Tree::on_socket(), "");
    at_every_point(
        stage,
        &["delete", ANNA, "--yes", "--with-branch", "--no-wait"],
        Fate::Free,
    );
}

#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Free,
    PushIsRejected,
}

/// Runs a job once to see which points it passes, then once for each of them, killing the daemon
/// there. Afterwards the workspace answers or is gone without a trace, doctor has nothing to say,
/// and the neighbour has never stopped answering.
fn at_every_point(mut stage: Stage, job: &[&str], fate: Fate) {
    stage.create(BERT);
    let is_delete = job[0] == "delete";
    let nothing = stage.snapshot();
    if fate == Fate::PushIsRejected {
        stage.server.reject_pushes("not today").unwrap();
    }
    let points = points(&mut stage, job, is_delete);
    assert!(points.len() > 10, "{points:?}");
    if is_delete {
        stage.assert_same(&nothing);
    }
    let neighbour = Neighbour::watch(&stage);
    for point in points {
        if is_delete {
            stage.create(ANNA);
        }
        stage.sandbox.kill_9().unwrap();
        stage
            .sandbox
            .spawn_crashing(("CID_CRASH_AT", &point))
            .unwrap();
        stage.sandbox.wait_until_ready().unwrap();
        stage.cictl(job);
        stage.sandbox.wait_for_end().unwrap_or_else(|error| {
            panic!(
                "the daemon did not come to {point}: {error}\n{}",
                stage.sandbox.log()
            )
        });
        stage.sandbox.start().unwrap();
        stage.jobs_are_over();
        let list = stage.json(&["list"]);
        let anna = list
            .as_array()
            .unwrap()
            .iter()
            .find(|w| w["email"] == ANNA)
            .cloned();
        match anna {
            Some(workspace) => {
                assert_eq!(workspace["state"], "ready", "{point}");
                assert!(fate == Fate::Free, "{point}: a rejected push and yet ready");
                stage.answers_soon(&stage.show(ANNA));
                stage.delete(ANNA);
            }
            None => assert!(
                is_delete || fate == Fate::PushIsRejected,
                "{point}: a create was lost"
            ),
        }
        stage.assert_same(&nothing);
        stage.cictl_ends(0, &["doctor"]);
        neighbour.has_always_answered(&point);
    }
}

/// The points that this job passes.
fn points(stage: &mut Stage, job: &[&str], is_delete: bool) -> BTreeSet<String> {
    if is_delete {
        stage.create(ANNA);
    }
    let trace = stage.sandbox.home().unwrap().join("points");
    let path = trace.to_str().unwrap().to_owned();
    stage.sandbox.kill_9().unwrap();
    stage
        .sandbox
        .spawn_crashing(("CID_CRASH_TRACE", &path))
        .unwrap();
    stage.sandbox.wait_until_ready().unwrap();
    stage.cictl(job);
    stage.jobs_are_over();
    let points = fs::read_to_string(&trace).unwrap();
    if !is_delete && stage.json(&["list"]).as_array().unwrap().len() == 2 {
        stage.delete(ANNA);
    }
    points.lines().map(str::to_owned).collect()
}

/// Asks for the neighbour's page again and again.
struct Neighbour {
    asked: Arc<AtomicU32>,
    missed: Arc<AtomicU32>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Neighbour {
    fn watch(stage: &Stage) -> Self {
        let host = stage.show(BERT).host();
        let port = stage.sandbox.http_port();
        let mut neighbour = Self {
            asked: Arc::default(),
            missed: Arc::default(),
            stopping: Arc::default(),
            thread: None,
        };
        let (asked, missed) = (Arc::clone(&neighbour.asked), Arc::clone(&neighbour.missed));
        let stopping = Arc::clone(&neighbour.stopping);
        neighbour.thread = Some(thread::spawn(move || {
            while !stopping.load(Ordering::Relaxed) {
                let answer = cid_testkit::http_get(port, &host, "/");
                asked.fetch_add(1, Ordering::Relaxed);
                if !answer.is_ok_and(|(status, _)| status == 200) {
                    missed.fetch_add(1, Ordering::Relaxed);
                }
                sleep(Duration::from_millis(50));
            }
        }));
        neighbour
    }

    #[track_caller]
    fn has_always_answered(&self, when: &str) {
        assert!(self.asked.load(Ordering::Relaxed) > 0);
        assert_eq!(self.missed.load(Ordering::Relaxed), 0, "{when}");
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
