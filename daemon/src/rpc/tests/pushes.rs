//! What follows from pushes, from the look at the remote to the jobs.

use super::stage::{EMAIL, Stage, create};
use crate::{
    authz::Door,
    domain::{BuildState, JobKind, JobState},
    rpc::server,
};
use cid_proto::v1::{self, FollowUp};
use cid_protocol::request::{RepositoryWork, WorkReport};
use http_body_util::BodyExt as _;
use prost::Message as _;
use tonic::{Code, Status};

const GATE: &str = "[app]\ntest = [[\"make\", \"test\"]]";
const DEPLOYS: &str = "deploy_workspaces = true\npoll = \"off\"";
const BRANCH: &str = "anna---example-com";

impl Stage {
    /// What followed from a look at the remote.
    async fn fetch(&self) -> Result<Vec<FollowUp>, Status> {
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
    async fn follows(&self, branch: &str) -> FollowUp {
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

    async fn create(&self) {
        let code = self
            .call(1000, "/cid.v1.Workspaces/Create", &create())
            .await;
        assert_eq!(code, Code::Ok);
        self.cid.engine.idle().await;
    }
}

/// Longer than the grace in the project's file.
async fn after_grace() {
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
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
        crate::system::queue::Resource::Build(crate::domain::ProjectName::parse("demo").unwrap()),
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
    assert_eq!(states, [BuildState::Passed, BuildState::Error]);
    assert_eq!(
        stage.jobs(JobKind::Build).await,
        [JobState::Done, JobState::Cancelled]
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
