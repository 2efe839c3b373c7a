//! A push is followed: by a look that somebody asks for, and by cid itself.

use crate::stage::{ANNA, SOON, Stage};
use cid_testkit::{Tree, git, wait_until};
use serde_json::Value;

const TABLES: &str = "poll = \"off\"\ndeploy_workspaces = true\n[app]\ntest = [[\"true\"]]\n";

fn fetch(stage: &Stage) -> Vec<Value> {
    let found = stage.json(&["project", "fetch"]);
    found.as_array().unwrap().clone()
}

/// Waits until no job is at work.
fn rest(stage: &Stage) {
    wait_until("all jobs to end", SOON, || {
        let jobs = stage.json(&["jobs", "list"]);
        let ended = |job: &Value| {
            ["done", "undone", "cancelled"]
                .contains(&job["state"].as_str()?)
                .then_some(())
        };
        jobs.as_array()?
            .iter()
            .all(|job| ended(job).is_some())
            .then_some(())
    })
    .unwrap();
}

#[test]
fn a_look_builds_deploys_and_marks() {
    let stage = Stage::of(&Tree::hello(), TABLES);
    let workspace = stage.create(ANNA);
    let first = fetch(&stage);
    assert_eq!(first.len(), 1, "{first:?}");
    rest(&stage);
    assert_eq!(stage.json(&["builds", "show", "1"])["state"], "passed");
    assert!(fetch(&stage).is_empty());

    // Many branches, and a push to the workspace's.
    let branch = workspace.json["branch"].as_str().unwrap().to_owned();
    for number in 0..20 {
        git(
            stage.server.path(),
            &["branch", &format!("b{number}"), "main"],
        )
        .unwrap()
        .ok()
        .unwrap();
    }
    stage
        .server
        .commit_file(&branch, "note.txt", "new")
        .unwrap();
    let moved = fetch(&stage);
    assert_eq!(moved.len(), 1, "{moved:?}");
    assert_eq!(moved[0]["branch"], branch.as_str());
    rest(&stage);
    let shown = stage.show(ANNA);
    assert_eq!(shown.json["commit"], moved[0]["commit"]);
    assert!(shown.json["branch_gone_at"].is_null());

    git(stage.server.path(), &["branch", "-D", &branch])
        .unwrap()
        .ok()
        .unwrap();
    assert_eq!(fetch(&stage).len(), 1);
    assert!(stage.show(ANNA).json["branch_gone_at"].is_string());
    let list = stage.cictl_ends(0, &["list"]).stdout;
    assert!(list.contains("branch gone"), "{list}");
    stage.answers(&workspace);

    // By itself.
    let polls = TABLES.replace("off", "5s");
    let toml = stage.server.project_toml("hello", &polls);
    stage.sandbox.write_project("hello", &toml).unwrap();
    stage.cictl_ends(0, &["project", "check"]);
    stage.server.commit_file("main", "more.txt", "new").unwrap();
    wait_until("the poll to build", SOON, || {
        let builds = stage.json(&["builds"]);
        builds
            .as_array()?
            .iter()
            .find(|build| build["id"] == 2)
            .map(drop)
    })
    .unwrap();
    rest(&stage);
    let audit = stage.cictl_ends(0, &["audit"]).stdout;
    assert!(audit.contains("trigger"), "{audit}");
}
