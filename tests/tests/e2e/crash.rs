//! The daemon is killed at moments nobody chose. The moments somebody did choose, one per journal
//! boundary, are `cid-crash`'s.

use crate::stage::{ANNA, Stage};
use std::{thread::sleep, time::Duration};

/// Spread over what a workspace of this project takes.
const MOMENTS: u32 = 12;

#[test]
fn a_create_is_finished_or_taken_back() {
    let mut stage = Stage::hello();
    let before = stage.snapshot();
    let start = std::time::Instant::now();
    stage.create(ANNA);
    let whole = start.elapsed();
    stage.delete(ANNA);
    for i in 0..MOMENTS {
        stage.cictl_ends(0, &["create", ANNA, "--no-wait"]);
        sleep(whole * i / MOMENTS);
        stage.sandbox.kill_9().unwrap();
        stage.sandbox.start().unwrap();
        stage.jobs_are_over();
        let list = stage.json(&["list"]);
        if list.as_array().unwrap().is_empty() {
            stage.assert_same(&before);
        } else {
            assert_eq!(list[0]["state"], "ready", "moment {i}");
            stage.answers_soon(&stage.show(ANNA));
            stage.delete(ANNA);
            stage.assert_same(&before);
        }
    }
}

#[test]
fn a_delete_is_finished_or_taken_back() {
    let mut stage = Stage::hello();
    let before = stage.snapshot();
    stage.create(ANNA);
    let start = std::time::Instant::now();
    stage.delete(ANNA);
    let whole = start.elapsed().max(Duration::from_millis(100));
    for i in 0..MOMENTS {
        stage.create(ANNA);
        stage.cictl_ends(0, &["delete", ANNA, "--yes", "--with-branch", "--no-wait"]);
        sleep(whole * i / MOMENTS);
        stage.sandbox.kill_9().unwrap();
        stage.sandbox.start().unwrap();
        stage.jobs_are_over();
        let list = stage.json(&["list"]);
        if !list.as_array().unwrap().is_empty() {
            assert_eq!(list[0]["state"], "ready", "moment {i}");
            stage.answers_soon(&stage.show(ANNA));
            stage.delete(ANNA);
        }
        stage.assert_same(&before);
    }
}
