//! Templates are wanted by pushes and creations, made once, and tidied; what nobody uses is pruned.

use super::stage::Stage;
use crate::{
    domain::{JobKind, JobState, ProjectName},
    keeper::{Unused, tidy_templates},
    operation::{self, make_template},
    system::{fake::COMMIT, templates::WantedTemplate},
};
use futures::FutureExt as _;
use std::fs;

const TEMPLATED: &str = "[app]\ntemplate = true";

fn demo() -> ProjectName {
    ProjectName::parse("demo").unwrap()
}

fn of(commit: &str) -> WantedTemplate {
    WantedTemplate {
        commit: commit.to_owned(),
        again: false,
    }
}

/// What is wanted now.
fn wanted(stage: &Stage) -> Option<WantedTemplate> {
    let next = stage.cid.sys.templates.next().now_or_never();
    next.map(|(_, wanted)| wanted)
}

impl Stage {
    async fn templates(&self) -> Vec<JobState> {
        let jobs = self.cid.store.jobs(Default::default(), 99).await.unwrap();
        let of_kind = jobs.into_iter().filter(|job| job.kind == JobKind::Template);
        of_kind.map(|job| job.state).collect()
    }
}

#[tokio::test]
async fn a_push_and_a_creation_want_a_template_that_is_made_once() {
    let stage = Stage::new();
    stage.says("", TEMPLATED);
    stage.create().await;
    assert_eq!(wanted(&stage), Some(of(COMMIT)));
    // Now it is seen for the first time where the base branch is.
    stage.fetch().await.unwrap();
    assert_eq!(wanted(&stage), Some(of(COMMIT)));
    stage.fetch().await.unwrap();
    assert_eq!(wanted(&stage), None, "nothing has moved");
    let pushed = "1".repeat(40);
    stage.fake.push("main", &pushed, 0);
    stage.fetch().await.unwrap();
    assert_eq!(wanted(&stage), Some(of(&pushed)));
    let job = make_template(&stage.cid, &demo(), &of(COMMIT)).await;
    assert!(job.unwrap().is_some());
    stage.cid.engine.idle().await;
    let again = make_template(&stage.cid, &demo(), &of(COMMIT)).await;
    assert_eq!(again.unwrap(), None);
    assert_eq!(stage.templates().await, [JobState::Done]);
    let builds = stage.cid.store.builds(None, None, 9).await.unwrap();
    assert!(builds.is_empty(), "it is no build for anybody");
}

#[tokio::test]
async fn a_project_that_has_none_makes_none() {
    let stage = Stage::new();
    for file in ["", "[app]\ntemplate = false"] {
        stage.says("", file);
        let job = make_template(&stage.cid, &demo(), &of(COMMIT)).await;
        assert_eq!(job.unwrap(), None, "{file}");
    }
    stage.create().await;
    assert_eq!(wanted(&stage), None);
}

#[tokio::test]
async fn the_newest_template_stays() {
    let stage = Stage::new();
    stage.says("", TEMPLATED);
    let again = WantedTemplate {
        again: true,
        ..of(COMMIT)
    };
    for _ in 0..2 {
        make_template(&stage.cid, &demo(), &again).await.unwrap();
        stage.cid.engine.idle().await;
    }
    let parent = stage.cid.layout.templates(&demo());
    fs::create_dir(parent.join("forgotten")).unwrap();
    tidy_templates(&stage.cid, &demo()).await.unwrap();
    // A creation may be about to take the other.
    assert!(parent.join("1").exists() && parent.join("2").exists());
    assert!(!parent.join("forgotten").exists());
    let unused = operation::prune(&stage.cid, "demo", true).await.unwrap();
    assert!(parent.join("1").exists());
    let sorts = |unused: &[Unused]| -> Vec<String> {
        let shown = unused.iter();
        shown
            .map(|one| {
                let name = one.path.file_name().unwrap().to_string_lossy();
                format!("{} {name}{}", one.sort, one.kept)
            })
            .collect()
    };
    // The made-up packages of the templates are used by nobody.
    assert_eq!(sorts(&unused), ["packages key", "template 1"]);
    let removed = operation::prune(&stage.cid, "demo", false).await.unwrap();
    assert_eq!(sorts(&removed), sorts(&unused));
    assert!(!parent.join("1").exists() && parent.join("2").exists());
    let nothing = operation::prune(&stage.cid, "", false).await.unwrap();
    assert!(nothing.is_empty(), "{nothing:?}");
    assert!(operation::prune(&stage.cid, "nobody", true).await.is_err());
}

#[tokio::test]
async fn what_a_workspace_or_a_job_uses_is_not_pruned() {
    let stage = Stage::new();
    stage.create().await;
    let state = &stage.cid.layout.state_dir;
    for folder in ["packages/demo/other", "tools/node-22", "tools/node-20"] {
        fs::create_dir_all(state.join(folder)).unwrap();
    }
    fs::write(state.join("built/demo/other"), "").unwrap();
    let run_file = stage.cid.layout.run_file_dir().join("demo.other.json");
    let text = format!("\"{}/bin\"", state.join("tools/node-22").display());
    fs::write(run_file, text).unwrap();
    let unused = operation::prune(&stage.cid, "", false).await.unwrap();
    let paths: Vec<_> = unused.iter().map(|one| one.path.clone()).collect();
    assert_eq!(
        paths,
        [
            state.join("packages/demo/other"),
            state.join("tools/node-20")
        ]
    );
    // Its workspace runs from these.
    assert!(state.join("packages/demo/key").exists());
    assert!(state.join("tools/node-22").exists());
}
