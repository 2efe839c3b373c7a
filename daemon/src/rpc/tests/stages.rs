//! Builds on their way through stages.

use super::stage::Stage;
use crate::{
    authz::{Claim, table::Action},
    config::{Project, Settings},
    domain::ProjectName,
    error::Error,
    operation,
    system::fake::Answer,
};
use cid_kernel::fs;
use cid_proto::v1::{self, FollowUp};
use cid_protocol::request::Request;
use prost::Message as _;
use serde_json::json;
use std::sync::Arc;
use tonic::Code;

const TABLES: &str = "[app]\ntest = [[\"check\"]]\n[stages.one]\nkeep = 3\n[stages.two]";

impl Stage {
    pub(super) fn demo(&self) -> Arc<Project> {
        self.cid.projects.get("demo").unwrap()
    }

    /// A person's build of the base branch.
    pub(super) async fn build(&self, again: bool) {
        let request = v1::StartBuildRequest {
            again,
            ..v1::StartBuildRequest::default()
        };
        let request = request.encode_to_vec();
        let code = self.call(1000, "/cid.v1.Builds/Start", &request).await;
        assert_eq!(code, Code::Ok);
        self.cid.engine.idle().await;
    }

    pub(super) async fn promote(&self, stage: &str, number: u32) -> Result<(), Error> {
        let (claim, number) = (claim(), Some(number));
        operation::promote(&self.cid, claim, "demo", stage, number, false).await?;
        self.cid.engine.idle().await;
        Ok(())
    }

    pub(super) async fn roll_back(&self, stage: &str) -> Result<u32, Error> {
        let begun = operation::roll_back(&self.cid, claim(), "demo", stage, None).await?;
        self.cid.engine.idle().await;
        Ok(begun.build)
    }

    async fn onward(&self) -> Vec<(String, u32)> {
        let found = operation::onward(&self.cid, &self.demo()).await.unwrap();
        let told = found.into_iter();
        told.map(|(stage, number)| (stage.to_string(), number))
            .collect()
    }

    /// Has the disks count as full for what must not begin then.
    fn fill_disks(&mut self) {
        self.cid.settings = Arc::new(Settings {
            min_free_mib: u64::MAX >> 30,
            ..Settings::default()
        });
    }
}

pub(super) fn claim() -> Claim {
    Claim::of_trigger(ProjectName::parse("demo").unwrap(), Action::Promote)
}

fn checks_end_with(status: i32) -> impl Fn(&Request) -> Answer {
    move |request| match request {
        Request::RunCommand(ask) if ask.command[0] == "check" => {
            Some(Box::pin(async move { Ok(json!({ "status": status })) }))
        }
        _ => None,
    }
}

#[tokio::test]
async fn a_build_that_was_asked_for_until_it_passed_does_not_go_on_by_itself() {
    let stage = Stage::new();
    stage.says("", TABLES);
    stage.fake.answer(checks_end_with(1));
    let pushed: Vec<FollowUp> = stage.fetch().await.unwrap();
    assert!(
        pushed[0].message.starts_with("build 1 begins"),
        "{pushed:?}"
    );
    stage.cid.engine.idle().await;
    stage.fake.answer(checks_end_with(0));
    stage.build(true).await;
    let builds = stage.cid.store.builds(None, None, 9).await.unwrap();
    assert!(builds[0].verdict.as_ref().unwrap().passed);
    assert!(stage.onward().await.is_empty());
    stage.promote("one", 2).await.unwrap();
    // The first of its commit is as good as the push's own.
    let stage = Stage::new();
    stage.says("", TABLES);
    stage.build(false).await;
    let pushed = stage.fetch().await.unwrap();
    assert!(
        pushed[0].message.contains("it has been built"),
        "{pushed:?}"
    );
    assert_eq!(stage.onward().await, [("one".into(), 1), ("two".into(), 1)]);
}

#[tokio::test]
async fn the_only_project_that_has_a_stage_need_not_be_named() {
    let stage = Stage::new();
    stage.says("", TABLES);
    stage.build(false).await;
    let other = stage.cid.layout.projects_dir().join("other.toml");
    let text = "domain = \"other.localhost\"\n[git]\nurl = \"/srv/other.git\"\n";
    std::fs::write(other, text).unwrap();
    stage.cid.projects.reload().unwrap();
    let promote =
        async |name| operation::promote(&stage.cid, claim(), "", name, Some(1), false).await;
    let told = promote("nine").await.unwrap_err().to_string();
    assert!(told.contains("several projects"), "{told}");
    assert_eq!(promote("one").await.unwrap().build, 1);
    stage.cid.engine.idle().await;
}

/// Builds 1 to 3, which came to run in the stage `one` one after the other.
async fn with_three_builds() -> Stage {
    let stage = Stage::new();
    stage.says("", TABLES);
    for number in 1..=3 {
        stage.build(true).await;
        stage.promote("one", number).await.unwrap();
    }
    stage
}

#[tokio::test]
async fn a_rollback_goes_to_a_build_that_is_there() {
    let stage = with_three_builds().await;
    let store = &stage.cid.store;
    let previous = async || {
        let shown = operation::stages(&stage.cid, "demo").await.unwrap();
        shown[0].previous
    };
    assert_eq!(previous().await, Some(2));
    let forget = async |number: u32| {
        let project = ProjectName::parse("demo").unwrap();
        let build = store.build(project, number).await.unwrap().unwrap();
        assert_eq!(store.forget_build(build.id, None).await.unwrap(), None);
    };
    forget(2).await;
    assert_eq!(previous().await, Some(1));
    assert_eq!(stage.roll_back("one").await.unwrap(), 1);
    stage.promote("one", 3).await.unwrap();
    forget(1).await;
    assert_eq!(previous().await, None);
    let told = stage.roll_back("one").await.unwrap_err().to_string();
    assert!(told.contains("no older build ran in one"), "{told}");
}

#[tokio::test]
async fn on_a_full_disk_one_can_go_back_and_all_else_says_so_for_itself() {
    let mut stage = with_three_builds().await;
    stage.fill_disks();
    let refused = stage.promote("one", 3).await.unwrap_err();
    assert!(matches!(refused, Error::Exhausted { .. }), "{refused}");
    assert_eq!(stage.roll_back("one").await.unwrap(), 2);
    // Two stages wait for a build of the push.
    let mut stage = Stage::new();
    stage.says("", TABLES);
    stage.fetch().await.unwrap();
    stage.cid.engine.idle().await;
    stage.fill_disks();
    let errors = crate::trigger::carry(&stage.cid, &stage.demo()).await;
    assert_eq!(errors.len(), 2, "{errors:?}");
    stage.cid.settings = Arc::default();
    let errors = crate::trigger::carry(&stage.cid, &stage.demo()).await;
    assert!(errors.is_empty(), "{errors:?}");
}

#[tokio::test]
async fn a_stage_that_the_file_lost_goes_back_by_what_it_last_said() {
    let stage = with_three_builds().await;
    let name = crate::domain::Name::of_stage("one").unwrap();
    let secrets = stage.cid.layout.state_dir.join("secrets");
    fs::write_atomic(&secrets, b"KEY=a-s3cret-of-one\n", 0o600).unwrap();
    let table = format!("{TABLES}\n[stages.three]").replace(
        "keep = 3",
        &format!(
            "keep = 3\nenv = {{ MODE = \"one\" }}\nsecrets_file = \"{}\"",
            secrets.display()
        ),
    );
    stage.says("", &table);
    stage.says("", "[app]\ntest = [[\"check\"]]\n[stages.two]");
    let refused = stage.promote("one", 3).await.unwrap_err().to_string();
    assert!(refused.contains("no stage"), "{refused}");
    // A copy outlives the daemon.
    let again = crate::config::Projects::load(&stage.cid.layout).unwrap();
    let with = again.with_stage(again.get("demo").unwrap(), &name);
    assert!(with.stage(&name).unwrap().secrets_file.is_some());
    let shown = operation::stages(&stage.cid, "demo").await.unwrap();
    let lost = shown.iter().find(|one| one.name == name).unwrap();
    assert_eq!(lost.previous, Some(2));
    // The file that it named is gone: nothing begins, and what runs can be restarted.
    fs::remove_file(&secrets).unwrap();
    let refused = operation::roll_back(&stage.cid, claim(), "demo", "one", None).await;
    let refused = refused.unwrap_err().to_string();
    assert!(
        refused.contains("nothing can be deployed to one"),
        "{refused}"
    );
    fs::write_atomic(&secrets, b"KEY=a-s3cret-of-one\n", 0o600).unwrap();
    let begun = operation::roll_back(&stage.cid, claim(), "demo", "one", None).await;
    let begun = begun.unwrap();
    assert!(
        begun
            .notes
            .iter()
            .any(|note| note.contains("does not name one any more"))
    );
    stage.cid.engine.idle().await;
    let row = stage
        .cid
        .store
        .stage(stage.demo().name.clone(), name.clone())
        .await;
    let row = row.unwrap().unwrap();
    let past = stage.cid.store.deployments(row.id, 1).await.unwrap();
    assert_eq!(past[0].build, 2);
    let run_file = stage.cid.layout.run_file(&row.instance());
    let run_file = cid_protocol::run_file::RunFile::read(&run_file).unwrap();
    assert_eq!(
        (&*run_file.env["MODE"], &*run_file.env["KEY"]),
        ("one", "a-s3cret-of-one")
    );
    // Named again, the file's word counts.
    stage.says("", TABLES);
    let names = fs::names(&stage.cid.layout.last_good_dir()).unwrap();
    assert_eq!(names, ["demo.three.lost", "demo.toml"]);
    stage.promote("one", 3).await.unwrap();
}

#[tokio::test]
async fn a_missing_secrets_file_refuses_deployments_alone_and_doctor_names_it() {
    let stage = Stage::new();
    let secrets = stage.cid.layout.state_dir.join("secrets");
    fs::write_atomic(&secrets, b"KEY=x\n", 0o600).unwrap();
    let table = format!("keep = 3\nsecrets_file = \"{}\"", secrets.display());
    stage.says("", &TABLES.replace("keep = 3", &table));
    for number in 1..=2 {
        stage.build(true).await;
        stage.promote("one", number).await.unwrap();
    }
    let doctor = async || {
        let found = crate::doctor::examine(&stage.cid, false).await.unwrap();
        let found = found.into_iter().map(v1::Finding::from);
        let about = found.filter(|one| one.subject == "stages.one.secrets_file of demo");
        about.map(|one| one.message).collect::<Vec<_>>().join("; ")
    };
    assert_eq!(doctor().await, "");
    for mode in [Some(0o644), None] {
        fs::remove_file(&secrets).unwrap();
        if let Some(mode) = mode {
            fs::write_atomic(&secrets, b"KEY=x\n", mode).unwrap();
        }
        assert!(!doctor().await.is_empty(), "{mode:?}");
        for refused in [
            stage.promote("one", 2).await.unwrap_err(),
            stage.roll_back("one").await.unwrap_err(),
        ] {
            let told = refused.to_string();
            assert!(told.contains("nothing can be deployed to one"), "{told}");
        }
    }
    let begun = restart(&stage, "one").await.unwrap();
    stage.cid.engine.idle().await;
    let job = stage.cid.store.job(begun.job).await.unwrap().unwrap();
    assert_eq!(
        job.state,
        crate::domain::JobState::Done,
        "{:?}",
        job.failure
    );
}

/// Begins to restart a stage of the project `demo`.
pub(super) async fn restart(stage: &Stage, name: &str) -> Result<operation::Begun, Error> {
    let claim = Claim::of_trigger(ProjectName::parse("demo").unwrap(), Action::Restart);
    let named = operation::Named {
        owner: crate::domain::Owner::Stage(crate::domain::Name::of_stage(name).unwrap()),
        project: "demo".into(),
    };
    operation::stay(&stage.cid, claim, &named, &operation::Staying::RESTART).await
}

#[tokio::test]
async fn a_project_whose_file_is_good_again_is_looked_at() {
    let stage = Stage::new();
    let taken = || stage.cid.projects.take_mended();
    assert!(taken().is_empty(), "the first reading mends nothing");
    stage.says("", TABLES);
    assert!(taken().is_empty());
    let file = stage.cid.layout.projects_dir().join("demo.toml");
    let good = std::fs::read_to_string(&file).unwrap();
    let demo = [ProjectName::parse("demo").unwrap()];
    for bad in [Some("domain = ["), None] {
        match bad {
            Some(bad) => std::fs::write(&file, bad).unwrap(),
            None => std::fs::remove_file(&file).unwrap(),
        }
        stage.cid.projects.reload().unwrap();
        assert!(taken().is_empty());
        std::fs::write(&file, &good).unwrap();
        stage.cid.projects.reload().unwrap();
        assert_eq!(taken(), demo.clone().into(), "{bad:?}");
    }
}
