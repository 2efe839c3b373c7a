//! What follows from pushes, from the look at the remote to the jobs.

use super::stage::{EMAIL, Stage, create};
use crate::{
    authz::{Action, Claim, Door},
    domain::{BuildState, JobKind, JobState, ProjectName},
    operation,
    rpc::server,
    system::queue::Resource,
};
use cid_proto::v1::{self, FollowUp};
use cid_protocol::{
    fault::Fault,
    request::{ListBranches, RepositoryWork, Request, WorkReport},
};
use http_body_util::BodyExt as _;
use prost::Message as _;
use std::time::Duration;
use tonic::{Code, Status};

pub(super) const GATE: &str = "[app]\ntest = [[\"make\", \"test\"]]";
const DEPLOYS: &str = "deploy_workspaces = true\npoll = \"off\"";
const BRANCH: &str = "anna---example-com";

impl Stage {
    /// What followed from a look at the remote.
    pub(super) async fn fetch(&self) -> Result<Vec<FollowUp>, Status> {
        let request = v1::FetchProjectRequest::default().encode_to_vec();
        let (services, rpc) = (server::routes(&self.cid), "/cid.v1.Projects/Fetch");
        let answer = self
            .answer(services, 1000, Door::People, rpc, &request)
            .await;
        if let Some(status) =
            Status::from_header_map(answer.headers()).filter(|s| s.code() != Code::Ok)
        {
            return Err(status);
        }
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        Ok(v1::FetchProjectResponse::decode(&body[5..])
            .unwrap()
            .follow_ups)
    }

    /// One follow-up, about this branch.
    pub(super) async fn follows(&self, branch: &str) -> FollowUp {
        let mut found = self.fetch().await.unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].branch, branch);
        found.remove(0)
    }

    async fn nothing_follows(&self) {
        let found = self.fetch().await.unwrap();
        assert!(found.is_empty(), "{found:?}");
    }

    async fn jobs(&self, kind: JobKind) -> Vec<JobState> {
        let jobs = self.cid.store.jobs(Default::default(), 99).await.unwrap();
        let of_kind = jobs.into_iter().filter(|job| job.kind == kind);
        of_kind.map(|job| job.state).collect()
    }

    pub(super) async fn create(&self) {
        let code = self
            .call(1000, "/cid.v1.Workspaces/Create", &create())
            .await;
        assert_eq!(code, Code::Ok);
        self.cid.engine.idle().await;
    }
}

/// Longer than the grace in the project's file.
async fn after_grace() {
    tokio::time::sleep(Duration::from_millis(5)).await;
}

fn commit(digit: char) -> String {
    digit.to_string().repeat(40)
}

#[tokio::test]
async fn a_push_to_the_base_branch_is_built_once() {
    let stage = Stage::new();
    let idle = stage.follows("main").await;
    assert!(idle.message.contains("nothing to do") && idle.job.is_empty());
    stage.nothing_follows().await;
    stage.says("", GATE);
    stage.fake.push("main", &commit('1'), 0);
    let built = stage.follows("main").await;
    assert!(built.message.starts_with("build 1 begins"), "{built:?}");
    assert!(!built.job.is_empty() && built.commit == commit('1'));
    stage.cid.engine.idle().await;
    stage.nothing_follows().await;
    assert_eq!(stage.jobs(JobKind::Build).await, [JobState::Done]);
    // The made-up server gives the same commit again.
    stage.fake.push("main", &commit('2'), 0);
    let again = stage.follows("main").await;
    assert!(
        again.message.contains("build 1") && again.job.is_empty(),
        "{again:?}"
    );
    let lines = stage.lines().await;
    let own: Vec<_> = lines.iter().filter(|line| line.door == "trigger").collect();
    assert_eq!(own.len(), 1);
    assert_eq!(
        (&*own[0].action, &*own[0].job),
        ("org.cid.build", &*built.job)
    );
    let asked = lines.iter().filter(|line| line.action == "org.cid.fetch");
    assert_eq!(asked.count(), 5);
}

#[tokio::test]
async fn a_newer_push_takes_the_place_of_one_that_waits() {
    let stage = Stage::new();
    stage.says("", GATE);
    // Another build of the project has the turn.
    let (held, who) = (
        Resource::Build(ProjectName::parse("demo").unwrap()),
        std::sync::Arc::default(),
    );
    let turn = stage
        .cid
        .sys
        .queues
        .take(held, &who, &stage.cid.stopping)
        .await
        .unwrap();
    stage.follows("main").await;
    stage.says("", &GATE.replace("test\"]]", "check\"]]"));
    stage.fake.push("main", &commit('1'), 0);
    let newer = stage.follows("main").await;
    assert!(
        newer.message.contains("build 2 begins in place of"),
        "{newer:?}"
    );
    drop(turn);
    stage.cid.engine.idle().await;
    let builds = stage.cid.store.builds(None, None, 9).await.unwrap();
    let states: Vec<_> = builds.iter().map(|build| build.state).collect();
    assert_eq!(states, [BuildState::Passed, BuildState::Superseded]);
    assert_eq!(builds[1].superseded_by, Some(2));
    // Its commit may be built after all.
    stage.says("", GATE);
    stage.fake.push("main", &commit('2'), 0);
    let again = stage.follows("main").await;
    assert!(again.message.contains("build 3 begins"), "{again:?}");
    stage.cid.engine.idle().await;
    assert_eq!(
        stage.jobs(JobKind::Build).await,
        [JobState::Done, JobState::Done, JobState::Cancelled]
    );
    let lines = stage.cid.store.audit(None, None, 9).await.unwrap();
    let built = lines.iter().filter(|line| line.action == "org.cid.build");
    assert_eq!(built.map(|line| line.build).collect::<Vec<_>>(), [3, 2, 1]);
}

const STAGES: &str = "[app]\ntest = [[\"make\", \"test\"]]\n[stages.test]\n[stages.live]\nafter = \"test\"\npromote = \"auto\"\n";

impl Stage {
    /// What cid would carry on by itself.
    async fn goes_on(&self) -> Vec<(String, u32)> {
        let project = self.cid.projects.get("demo").unwrap();
        let found = operation::onward(&self.cid, &project).await.unwrap();
        found
            .into_iter()
            .map(|(stage, build)| (stage.to_string(), build))
            .collect()
    }

    async fn carry_on(&self, stage: &str, build: u32) -> Result<(), crate::error::Error> {
        let claim = Claim::of_trigger(ProjectName::parse("demo").unwrap(), Action::Promote);
        let begun = operation::promote(&self.cid, claim, "demo", stage, Some(build), false);
        let begun = begun.await.map(drop);
        self.cid.engine.idle().await;
        begun
    }
}

#[tokio::test]
async fn a_commit_that_was_pushed_away_goes_no_further_by_itself() {
    let stage = Stage::new();
    stage.says("", STAGES);
    stage.fake.push("main", &commit('1'), 0);
    stage.follows("main").await;
    stage.cid.engine.idle().await;
    assert_eq!(stage.goes_on().await, [("test".to_owned(), 1)]);
    stage.fake.answer(|request| match request {
        Request::IsAncestor(_) => Some(Box::pin(async { Ok(serde_json::json!(false)) })),
        _ => None,
    });
    assert!(stage.goes_on().await.is_empty());
    // git is not asked again and again.
    let asked = |stage: &Stage| {
        let requests = stage.fake.requests().into_iter();
        requests
            .filter(|request| matches!(request, Request::IsAncestor(_)))
            .count()
    };
    let before = asked(&stage);
    assert!(stage.goes_on().await.is_empty());
    assert_eq!(asked(&stage), before);
}

#[tokio::test]
async fn a_build_is_carried_on_once_and_only_from_where_it_still_runs() {
    let stage = Stage::new();
    stage.says("", STAGES);
    stage.fake.push("main", &commit('1'), 0);
    stage.follows("main").await;
    stage.cid.engine.idle().await;
    stage.carry_on("test", 1).await.unwrap();
    assert_eq!(stage.jobs(JobKind::Deploy).await, [JobState::Done]);
    // What has been overtaken is not carried on, however far the decision had come.
    let refused = stage.carry_on("live", 2).await.unwrap_err();
    assert!(refused.to_string().contains("another build"), "{refused}");
    // It is known after the job is forgotten.
    let later = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
    stage.cid.store.forget_jobs(later).await.unwrap();
    let build = stage
        .cid
        .store
        .builds(None, None, 1)
        .await
        .unwrap()
        .remove(0);
    let name = |text: &str| crate::domain::Name::of_stage(text).unwrap();
    for (stage_name, tried) in [("test", true), ("live", false)] {
        let found = stage.cid.store.was_tried(name(stage_name), build.clone());
        assert_eq!(found.await.unwrap(), tried, "{stage_name}");
    }
    let shop = ProjectName::parse("demo").unwrap();
    assert_eq!(
        stage.cid.store.pushed_builds(shop).await.unwrap(),
        [1].into()
    );
}

#[tokio::test]
async fn a_push_to_a_workspaces_branch_deploys_it() {
    let stage = Stage::new();
    stage.create().await;
    stage.follows("main").await;
    stage.fake.push(BRANCH, &commit('3'), 0);
    let off = stage.follows(BRANCH).await;
    assert!(off.message.contains("deploy_workspaces") && off.job.is_empty());
    stage.says(DEPLOYS, "");
    stage.nothing_follows().await;
    stage.fake.push(BRANCH, &commit('4'), 0);
    let on = stage.follows(BRANCH).await;
    assert!(!on.job.is_empty(), "{on:?}");
    // While that job is at work a further push waits, and is not forgotten.
    stage.fake.push(BRANCH, &commit('5'), 0);
    let waits = stage.follows(BRANCH).await;
    assert!(waits.message.contains("cid tries again"), "{waits:?}");
    stage.cid.engine.idle().await;
    let then = stage.follows(BRANCH).await;
    assert!(!then.job.is_empty(), "{then:?}");
    stage.cid.engine.idle().await;
    stage.nothing_follows().await;
    assert_eq!(stage.jobs(JobKind::Deploy).await.len(), 2);
}

#[tokio::test]
async fn a_branch_that_is_gone_marks_its_workspace_and_one_that_is_back_does_not() {
    let stage = Stage::new();
    stage.create().await;
    let marked = async || {
        let all = stage.cid.store.workspaces(None, 0, 9).await.unwrap();
        all[0].branch_gone_at
    };
    stage.follows("main").await;
    let commit = stage.fake.branch(BRANCH).unwrap();
    stage.fake.remove_branch(BRANCH);
    let gone = stage.follows(BRANCH).await;
    assert!(
        gone.message.contains("stays") && gone.commit.is_empty(),
        "{gone:?}"
    );
    let since = marked().await.unwrap();
    stage.nothing_follows().await;
    assert_eq!(marked().await, Some(since), "it is not gone anew");
    stage.fake.push(BRANCH, &commit, 0);
    stage.nothing_follows().await;
    assert_eq!(marked().await, None);
    // Gone again, and the file has it deleted, after a moment.
    stage.fake.remove_branch(BRANCH);
    stage.says("on_branch_deleted = \"delete\"", "");
    let told = stage.follows(BRANCH).await;
    assert!(told.message.contains("after the grace"), "{told:?}");
    stage.nothing_follows().await;
    stage.says("on_branch_deleted = \"delete\"\ngrace = \"1ms\"", "");
    after_grace().await;
    let deleted = stage.follows(BRANCH).await;
    assert!(
        deleted.message.contains(EMAIL) && !deleted.job.is_empty(),
        "{deleted:?}"
    );
    stage.cid.engine.idle().await;
    assert!(
        stage
            .cid
            .store
            .workspaces(None, 0, 9)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn work_keeps_a_workspace_whose_branch_is_gone() {
    let stage = Stage::new();
    stage.create().await;
    stage.follows("main").await;
    stage.fake.leave_work(WorkReport {
        repositories: vec![RepositoryWork::default()],
        ..WorkReport::default()
    });
    stage.fake.remove_branch(BRANCH);
    stage.says("on_branch_deleted = \"delete\"\ngrace = \"1ms\"", "");
    stage.follows(BRANCH).await;
    after_grace().await;
    let kept = stage.follows(BRANCH).await;
    assert!(
        kept.message.starts_with("cannot delete") && kept.job.is_empty(),
        "{kept:?}"
    );
    assert_eq!(
        stage.cid.store.workspaces(None, 0, 9).await.unwrap().len(),
        1
    );
    // It is not tried at each look.
    stage.nothing_follows().await;
}

#[tokio::test]
async fn a_remote_that_does_not_answer_or_is_another_one_changes_nothing() {
    let stage = Stage::new();
    stage.create().await;
    stage.follows("main").await;
    let down = async |stage: &Stage| stage.fetch().await.unwrap_err().message().to_owned();
    let main = stage.fake.branch("main").unwrap();
    for branch in ["main", BRANCH] {
        stage.fake.remove_branch(branch);
    }
    let said = down(&stage).await;
    assert!(said.contains("cannot find the branch main"), "{said}");
    let silent = stage.cid.store.silent_remotes().await.unwrap();
    assert_eq!(silent.len(), 1);
    let all = stage.cid.store.workspaces(None, 0, 9).await.unwrap();
    assert_eq!(
        all[0].branch_gone_at, None,
        "an empty remote deletes nothing"
    );
    stage.fake.push("main", &main, 0);
    stage.follows(BRANCH).await;
    assert!(stage.cid.store.silent_remotes().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_build_that_a_person_cancels_is_made_for_the_push() {
    let stage = Stage::new();
    stage.says("", GATE);
    let (held, who) = (
        Resource::Build(ProjectName::parse("demo").unwrap()),
        std::sync::Arc::default(),
    );
    let queues = &stage.cid.sys.queues;
    let turn = queues.take(held, &who, &stage.cid.stopping).await.unwrap();
    let start = v1::StartBuildRequest::default().encode_to_vec();
    let code = stage.call(1000, "/cid.v1.Builds/Start", &start).await;
    assert_eq!(code, Code::Ok);
    for _ in 0..2 {
        let waits = stage.follows("main").await;
        assert_eq!(waits.message, "build 1 is being made; cid looks again");
    }
    let jobs = stage.cid.store.jobs(Default::default(), 9).await.unwrap();
    let cancel = v1::CancelJobRequest {
        id: jobs[0].id.to_string(),
    };
    let cancel = cancel.encode_to_vec();
    let code = stage.call(1000, "/cid.v1.Jobs/Cancel", &cancel).await;
    assert_eq!(code, Code::Ok);
    drop(turn);
    stage.cid.engine.idle().await;
    let then = stage.follows("main").await;
    assert!(then.message.starts_with("build 2 begins"), "{then:?}");
    stage.cid.engine.idle().await;
    stage.nothing_follows().await;
}

#[tokio::test]
async fn a_pushed_commit_that_could_not_be_built_is_built_once_more() {
    let stage = Stage::new();
    stage.says("", GATE);
    stage.fake.answer(|request| match request {
        Request::ExportCommit(_) => Some(Box::pin(async { Err(Fault::new("cannot: lost")) })),
        _ => None,
    });
    let waiting = async || {
        let projects = stage.cid.store.projects_to_build_again().await.unwrap();
        projects.len()
    };
    stage.follows("main").await;
    assert_eq!(waiting().await, 0, "it is being made");
    stage.cid.engine.idle().await;
    assert_eq!(waiting().await, 1);
    let again = stage.follows("main").await;
    assert!(again.message.starts_with("build 2 begins"), "{again:?}");
    stage.cid.engine.idle().await;
    assert_eq!(waiting().await, 0, "twice is enough");
    stage.nothing_follows().await;
    assert_eq!(stage.jobs(JobKind::Build).await, [JobState::Undone; 2]);
}

#[tokio::test]
async fn a_branch_that_is_back_after_the_look_for_work_keeps_its_workspace() {
    let stage = Stage::new();
    stage.create().await;
    stage.follows("main").await;
    let commit = stage.fake.branch(BRANCH).unwrap();
    stage.fake.remove_branch(BRANCH);
    stage.says("on_branch_deleted = \"delete\"\ngrace = \"1ms\"", "");
    stage.follows(BRANCH).await;
    after_grace().await;
    let fake = stage.fake.clone();
    stage.fake.answer(move |request| {
        if matches!(request, Request::WorkStatus(_)) {
            fake.push(BRANCH, &commit, 0);
        }
        None
    });
    let back = stage.follows(BRANCH).await;
    assert!(back.message.starts_with("it is back"), "{back:?}");
    assert!(back.job.is_empty());
    stage.nothing_follows().await;
    let all = stage.cid.store.workspaces(None, 0, 9).await.unwrap();
    assert_eq!((all.len(), all[0].branch_gone_at), (1, None));
}

#[tokio::test]
async fn what_follows_in_some_projects_keeps_no_other_waiting() {
    let stage = Stage::new();
    let names = ["slow-1", "slow-2", "slow-3", "slow-4", "slow-5", "zebra"];
    for name in names {
        let text = format!(
            "domain = \"{name}.localhost\"\n[git]\nurl = \"/srv/{name}.git\"\npoll = \"off\"\n{GATE}\n"
        );
        let file = stage.cid.layout.projects_dir().join(format!("{name}.toml"));
        std::fs::write(file, text).unwrap();
    }
    stage.cid.projects.reload().unwrap();
    // The fetch before a build does not end.
    stage.fake.answer(|request| match request {
        Request::Fetch(_) => Some(Box::pin(std::future::pending())),
        _ => None,
    });
    let asked = || {
        let requests = stage.fake.requests();
        let names = requests.into_iter().filter_map(|request| match request {
            Request::ListBranches(ListBranches { mirror, .. }) => Some(mirror),
            _ => None,
        });
        names.collect::<Vec<_>>()
    };
    let watch = tokio::spawn(crate::trigger::watch_forever(stage.cid.clone()));
    let until = async |count: usize| {
        for _ in 0..300 {
            if asked().len() >= count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{:?} were asked", asked());
    };
    for name in &names[..5] {
        stage.cid.looks.hint(&ProjectName::parse(name).unwrap());
    }
    until(5).await;
    let zebra = ProjectName::parse("zebra").unwrap();
    stage.cid.looks.hint(&zebra);
    until(6).await;
    assert!(asked().contains(&stage.cid.layout.mirror(&zebra)));
    stage.cid.stopping.cancel();
    watch.await.unwrap();
}
