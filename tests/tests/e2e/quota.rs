//! How many workspaces there may be.

use crate::stage::{ANNA, BERT, Stage};
use cid_testkit::Tree;

/// As many as no other bound is in the way of.
const MANY: u32 = 1000;

fn limited(project: u32, creator: u32, all: u32) -> Stage {
    Stage::prepared(&Tree::hello(), |stage| {
        let settings = format!(
            "[limits]\nworkspaces = {all}\nworkspaces_per_project = {project}\nworkspaces_per_creator = {creator}\n"
        );
        stage.sandbox.configure(&settings).unwrap();
        let toml = stage.server.project_toml("hello", "");
        stage.sandbox.write_project("hello", &toml).unwrap();
    })
}

/// Refused, with who is there and what to change.
#[track_caller]
fn refuses(stage: &Stage, email: &str, key: &str) {
    let before = stage.snapshot();
    let said = stage.cictl_ends(5, &["create", email]).text();
    assert!(said.contains("cannot make a workspace"), "{said}");
    assert!(said.contains(&format!("{ANNA} in hello")), "{said}");
    assert!(said.contains(key), "{said}");
    stage.assert_same(&before);
}

#[test]
fn each_bound_refuses_one_more_and_says_which_it_is() {
    for (bounds, key) in [
        ([1, MANY, MANY], "workspaces_per_project in cid.toml"),
        ([MANY, 1, MANY], "workspaces_per_creator under [limits]"),
        ([MANY, MANY, 1], "raise workspaces under [limits]"),
    ] {
        let [project, creator, all] = bounds;
        let stage = limited(project, creator, all);
        stage.create(ANNA);
        let shown = stage.show(ANNA).text("creator");
        assert!(!shown.is_empty());
        refuses(&stage, BERT, key);
        // The same again is told that it is there, and one that goes makes room.
        stage.cictl_ends(5, &["create", ANNA]);
        stage.delete(ANNA);
        stage.create(BERT);
    }
}

#[test]
fn a_project_may_have_a_bound_of_its_own() {
    let stage = Stage::of(&Tree::hello(), "[limits]\nworkspaces = 1\n");
    stage.create(ANNA);
    refuses(&stage, BERT, "[limits] in the project file");
}

#[test]
fn however_many_ask_at_once_there_are_never_more() {
    let stage = limited(MANY, 4, MANY);
    let asked: Vec<i32> = std::thread::scope(|scope| {
        let ask = |number: u32| {
            let email = format!("u{number}@example.com");
            let stage = &stage;
            scope.spawn(move || stage.cictl(&["create", "--no-wait", &email]).status)
        };
        let asking: Vec<_> = (0..30).map(ask).collect();
        asking.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(asked.iter().filter(|status| **status == 0).count(), 4);
    assert_eq!(asked.iter().filter(|status| **status == 5).count(), 26);
    stage.jobs_are_over();
    assert_eq!(stage.json(&["list"]).as_array().unwrap().len(), 4);
}
