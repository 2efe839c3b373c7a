//! Many at once.

use crate::stage::{ANNA, Stage};
use std::{os::unix::net::UnixStream, sync::Barrier, thread, time::Duration};

#[test]
fn one_of_two_hundred_gets_the_address() {
    const CALLERS: usize = 200;
    let stage = Stage::hello();
    let before = stage.snapshot();
    let together = Barrier::new(CALLERS);
    let statuses: Vec<i32> = thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS)
            .map(|_| {
                scope.spawn(|| {
                    together.wait();
                    stage.cictl(&["create", ANNA, "--no-wait"]).status
                })
            })
            .collect();
        callers
            .into_iter()
            .map(|caller| caller.join().unwrap())
            .collect()
    });
    let count = |status: i32| statuses.iter().filter(|found| **found == status).count();
    assert_eq!((count(0), count(5)), (1, CALLERS - 1), "{statuses:?}");
    stage.jobs_are_over();
    stage.answers(&stage.show(ANNA));
    assert_eq!(stage.json(&["list"]).as_array().unwrap().len(), 1);
    stage.delete(ANNA);
    stage.assert_same(&before);
}

#[test]
fn workspaces_come_and_go_side_by_side() {
    const PEOPLE: usize = 12;
    let stage = Stage::hello();
    let before = stage.snapshot();
    let emails: Vec<String> = (0..PEOPLE).map(|i| format!("p{i}@example.com")).collect();
    each(&emails, |email| drop(stage.create(email)));
    let mut ports: Vec<u16> = emails
        .iter()
        .map(|email| stage.show(email).port())
        .collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), PEOPLE);
    each(&emails, |email| stage.answers(&stage.show(email)));
    each(&emails, |email| stage.delete(email));
    stage.assert_same(&before);
}

#[test]
fn connections_over_the_cap_wait_and_none_is_refused() {
    let mut stage = Stage::hello();
    stage.sandbox.kill_9().unwrap();
    stage
        .sandbox
        .configure("max_connections_per_uid = 20\n")
        .unwrap();
    stage.sandbox.start().unwrap();
    let socket = stage.sandbox.socket();
    let idle: Vec<UnixStream> = (0..511)
        .map(|i| UnixStream::connect(&socket).unwrap_or_else(|error| panic!("{i}: {error}")))
        .collect();
    thread::scope(|scope| {
        let list = scope.spawn(|| stage.cictl(&["list"]));
        thread::sleep(Duration::from_secs(2));
        assert!(!list.is_finished(), "one over the cap did not wait");
        drop(idle);
        assert_eq!(list.join().unwrap().status, 0);
    });
}

#[test]
fn a_job_in_the_way_is_named() {
    let stage = Stage::hello();
    stage.cictl_ends(0, &["create", ANNA, "--no-wait"]);
    let refused = stage.cictl(&["delete", ANNA, "--yes", "--no-wait"]);
    // On a very quick machine the workspace is ready already.
    if refused.status != 0 {
        assert_eq!(refused.status, 5, "{refused}");
        let job = stage.newest_job();
        assert!(
            refused.text().contains(job["id"].as_str().unwrap()),
            "{refused}"
        );
    }
    stage.jobs_are_over();
}

fn each(emails: &[String], act: impl Fn(&str) + Sync) {
    thread::scope(|scope| {
        for email in emails {
            scope.spawn(|| act(email));
        }
    });
}
