//! Templates: who begins with one, and who does not.

use super::{super::NoHooks, Kind, Stage, stage::PUSHED};
use crate::{
    domain::{BuildState, JobKind, JobState, ProjectName, event::What},
    system::fake::{Answer, COMMIT},
};
use cid_protocol::{
    fault::Fault,
    request::{Request, RunCommand, TakenMade},
};
use serde_json::json;
use std::sync::Arc;
use uuid::Uuid;

/// A project whose new workspaces begin with a template.
pub(super) const TEMPLATED: &str = "[app]\nbuild = [[\"make\"]]\ntemplate = true\nseed = [[\"fill\"]]\n\
     personal = [[\"name\", \"{host}\"]]\n";

/// What was run in templates, or in workspaces.
fn run(stage: &Stage, alone: bool) -> Vec<String> {
    let requests = stage.fake.requests().into_iter();
    let runs = requests.filter_map(|request| match request {
        Request::RunCommand(ask) if ask.alone == alone => Some(ask.command.join(" ")),
        _ => None,
    });
    runs.collect()
}

fn is_placed(stage: &Stage) -> bool {
    let requests = stage.fake.requests();
    let mut requests = requests.iter();
    requests.any(|request| matches!(request, Request::PlaceMade(_)))
}

async fn state(stage: &Stage) -> BuildState {
    let project = ProjectName::parse("demo").unwrap();
    let all = stage.store.templates(project).await.unwrap();
    all[0].state
}

/// What a job told people.
async fn notes(stage: &Stage, job: Uuid) -> String {
    let events = stage.store.events(job, 0, usize::MAX).await.unwrap();
    let notes = events.into_iter().filter_map(|event| match event.what {
        What::Note { text, .. } => Some(text),
        _ => None,
    });
    notes.collect::<Vec<_>>().join("; ")
}

const ALL: [&str; 3] = ["make", "/bin/sh -c migrate", "fill"];
const PERSONAL: &str = "name anna---example-com.demo.localhost";

#[tokio::test]
async fn a_workspace_begins_with_its_commits_template() {
    let stage = Stage::with(TEMPLATED);
    assert_eq!(stage.run(Kind::Template).await.1, JobState::Done);
    assert_eq!(state(&stage).await, BuildState::Passed);
    assert_eq!(run(&stage, true), ALL);
    let (job, state) = stage.run(Kind::Create).await;
    assert_eq!(state, JobState::Done);
    assert!(is_placed(&stage));
    assert_eq!(run(&stage, false), [PERSONAL]);
    assert_eq!(notes(&stage, job).await, "");
    // A deployment has its data already.
    stage.fake.push("anna---example-com", PUSHED, 1);
    assert_eq!(
        stage.run(Kind::Stay(JobKind::Deploy)).await.1,
        JobState::Done
    );
    let deployed = run(&stage, false);
    assert_eq!(deployed[1..], ["make", "/bin/sh -c migrate", PERSONAL]);
}

#[tokio::test]
async fn a_branch_elsewhere_and_a_file_that_asks_for_none_begin_without() {
    let without = TEMPLATED.replace("template = true\n", "");
    for (file, is_elsewhere) in [(TEMPLATED, true), (without.as_str(), false)] {
        let stage = Stage::with(file);
        assert_eq!(stage.run(Kind::Template).await.1, JobState::Done);
        if is_elsewhere {
            stage.fake.push("anna---example-com", PUSHED, 1);
        }
        assert_eq!(stage.run(Kind::Create).await.1, JobState::Done);
        assert!(!is_placed(&stage));
        assert_eq!(run(&stage, false)[..3], ALL);
        assert_eq!(run(&stage, false)[3..], [PERSONAL]);
    }
}

#[tokio::test]
async fn the_commands_get_values_that_no_workspace_has() {
    let more = "[env]\nSITE = \"{url}\"\nPLACE = \"{directory}/x\"\n";
    let stage = Stage::with(&format!("{TEMPLATED}{more}"));
    assert_eq!(stage.run(Kind::Template).await.1, JobState::Done);
    let directory = stage.layout.state_dir.join("templates/demo/1");
    let requests = stage.fake.requests();
    let env = requests.iter().find_map(|request| match request {
        Request::RunCommand(RunCommand { env, .. }) => Some(env.clone()),
        _ => None,
    });
    let env = env.unwrap();
    let name = env["CID_WORKSPACE"].clone();
    assert!(name.starts_with("template---"), "{name}");
    assert!(env["SITE"].contains(&name) && env["CID_URL"].contains(&name));
    assert_eq!(env["PLACE"], directory.join("x").to_string_lossy());
    let take = requests.iter().find_map(|request| match request {
        Request::TakeMade(ask) => Some(ask),
        _ => None,
    });
    let take = take.unwrap();
    assert!(take.own.contains(&name) && !take.careful);
    let place = directory.to_string_lossy().into_owned();
    assert!(take.own.contains(&place));
    assert_eq!(take.commit, COMMIT);
    // What is not kept goes at once.
    assert!(directory.join("made").exists() && !directory.join("src").exists());
}

fn fails_in_template(request: &Request) -> Answer {
    match request {
        Request::RunCommand(ask) if ask.alone && ask.command[0] == "/bin/sh" => {
            Some(Box::pin(async { Ok(json!({ "status": 1 })) }))
        }
        _ => None,
    }
}

fn is_not_taken(request: &Request) -> Answer {
    match request {
        Request::TakeMade(_) => Some(Box::pin(async {
            Ok(json!(TakenMade {
                refusal: Some("key.txt looks like a secret".into()),
                ..TakenMade::default()
            }))
        })),
        _ => None,
    }
}

fn is_not_placed(request: &Request) -> Answer {
    match request {
        Request::PlaceMade(_) => Some(Box::pin(async { Err(Fault::new("cannot copy it")) })),
        _ => None,
    }
}

#[tokio::test]
async fn whatever_is_wrong_with_a_template_the_workspace_is_made() {
    type Script = fn(&Request) -> Answer;
    let cases: [(Script, JobState, BuildState, &str); 3] = [
        (
            fails_in_template,
            JobState::Undone,
            BuildState::Error,
            "there is no template of this commit",
        ),
        (is_not_taken, JobState::Done, BuildState::Failed, ""),
        (
            is_not_placed,
            JobState::Done,
            BuildState::Passed,
            "cannot copy it",
        ),
    ];
    for (script, ended, made, note) in cases {
        let stage = Stage::with(TEMPLATED);
        stage.fake.answer(script);
        let (template, as_expected) = stage.run(Kind::Template).await;
        assert_eq!((as_expected, state(&stage).await), (ended, made));
        let (job, created) = stage.run(Kind::Create).await;
        assert_eq!(created, JobState::Done);
        assert_eq!(run(&stage, false)[..3], ALL, "{note}");
        let told = notes(&stage, job).await;
        assert!(told.contains(note), "{told}");
        assert_eq!(told.is_empty(), note.is_empty(), "{told}");
        if made == BuildState::Error {
            assert!(told.contains(&template.to_string()), "{told}");
            let kept = stage.layout.state_dir.join("templates/demo/1");
            assert!(!kept.exists());
        }
    }
}

#[tokio::test]
async fn those_who_want_the_same_template_get_one() {
    let stage = Stage::with(TEMPLATED);
    let engine = stage.engine(Arc::new(NoHooks));
    let (job, is_new) = stage.submit_build(&engine, Kind::Template, false).await;
    let (same, is_newer) = stage.submit_build(&engine, Kind::Template, false).await;
    assert!(is_new && !is_newer);
    assert_eq!(job, same);
    assert_eq!(stage.ended(&engine, job).await, JobState::Done);
    // One that failed is not tried again at once, and a build has a number of its own.
    let stage = Stage::with(TEMPLATED);
    stage.fake.answer(fails_in_template);
    assert_eq!(stage.run(Kind::Template).await.1, JobState::Undone);
    let engine = stage.engine(Arc::new(NoHooks));
    assert!(!stage.submit_build(&engine, Kind::Template, false).await.1);
    assert_eq!(stage.run(Kind::Build).await.1, JobState::Done);
    let builds = stage.store.builds(None, None, 9).await.unwrap();
    let numbers: Vec<u32> = builds.iter().map(|build| build.number).collect();
    assert_eq!(numbers, [1]);
}
