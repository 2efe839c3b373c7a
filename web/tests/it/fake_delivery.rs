//! Stages, builds, and what administrators ask the daemon about.

use super::{Answer, Answers, Fake};
use cid_proto::v1::{self as pb, builds_server, stages_server, system_server};
use futures::{StreamExt, stream};
use tonic::{Request, Response, Status};

/// What belongs to a project is for administrators to change.
const PROJECTS: &str = "";

impl Fake {
    fn stage(&self, at: Option<pb::StageRef>) -> Result<pb::Stage, Status> {
        let at = at.unwrap_or_default();
        let world = self.world();
        let mut stages = world.stages.iter();
        let found = stages.find(|stage| stage.name == at.name && stage.project == at.project);
        found
            .cloned()
            .ok_or_else(|| Status::not_found(format!("{} has no stage {:?}", at.project, at.name)))
    }

    fn built(&self, at: Option<pb::BuildRef>) -> Result<pb::Build, Status> {
        let at = at.unwrap_or_default();
        let world = self.world();
        let mut builds = world.builds.iter();
        let found = builds.find(|build| build.number == at.number && build.project == at.project);
        found
            .cloned()
            .ok_or_else(|| Status::not_found(format!("{} has no build {}", at.project, at.number)))
    }
}

#[tonic::async_trait]
impl stages_server::Stages for Fake {
    async fn list(
        &self,
        request: Request<pb::ListStagesRequest>,
    ) -> Answer<pb::ListStagesResponse> {
        self.signed_in(&request)?;
        let project = request.into_inner().project;
        let world = self.world();
        let stages = world.stages.iter();
        let stages = stages.filter(|stage| project.is_empty() || stage.project == project);
        let stages = stages.cloned().collect();
        Ok(Response::new(pb::ListStagesResponse { stages }))
    }

    async fn promote(&self, request: Request<pb::PromoteRequest>) -> Answer<pb::PromoteResponse> {
        let asked = request.get_ref().clone();
        let stage = self.stage(asked.stage)?;
        let what = format!(
            "promote {} {} older={}",
            stage.name, asked.build, asked.older
        );
        self.act(&request, PROJECTS, what)?;
        let job = self.begin("", &stage.project);
        let build = asked.build;
        Ok(Response::new(pb::PromoteResponse { job, build }))
    }

    async fn roll_back(
        &self,
        request: Request<pb::RollBackRequest>,
    ) -> Answer<pb::RollBackResponse> {
        let asked = request.get_ref().clone();
        let stage = self.stage(asked.stage)?;
        self.act(
            &request,
            PROJECTS,
            format!("roll back {} {}", stage.name, asked.build),
        )?;
        Ok(Response::new(pb::RollBackResponse {
            job: self.begin("", &stage.project),
            build: asked.build,
            notes: Vec::new(),
        }))
    }

    async fn preview(&self, request: Request<pb::PreviewRequest>) -> Answer<pb::PreviewResponse> {
        self.signed_in(&request)?;
        let asked = request.into_inner();
        let stage = self.stage(asked.stage)?;
        let build = match (asked.build, asked.back) {
            (0, true) => stage.previous,
            (0, false) => stage.promotable,
            (number, _) => number,
        };
        if build == 0 {
            return Err(Status::aborted(format!(
                "no older build ran in {}",
                stage.name
            )));
        }
        let commits = vec![
            commit("Greet guests by name", "anna@example.com"),
            commit("Show <b>where</b> a guest comes from", "boris@example.com"),
        ];
        let (added, removed) = match asked.back {
            true => (Vec::new(), commits),
            false => (commits, Vec::new()),
        };
        let note = "release commands ran since, of build 7: what they changed in the database is not taken back";
        Ok(Response::new(pb::PreviewResponse {
            build,
            running: stage.build,
            added,
            removed,
            notes: asked.back.then(|| note.to_owned()).into_iter().collect(),
            releases: !asked.back,
            backs_up: !asked.back,
            ..Default::default()
        }))
    }
}

fn commit(subject: &str, author: &str) -> pb::ChangedCommit {
    pb::ChangedCommit {
        commit: "fedcba9876543210fedcba9876543210fedcba98".to_owned(),
        subject: subject.to_owned(),
        author: author.to_owned(),
    }
}

#[tonic::async_trait]
impl builds_server::Builds for Fake {
    async fn start(
        &self,
        request: Request<pb::StartBuildRequest>,
    ) -> Answer<pb::StartBuildResponse> {
        let asked = request.get_ref().clone();
        self.act(&request, PROJECTS, format!("build {:?}", asked.revision))?;
        let build = self.world().builds.first().cloned();
        Ok(Response::new(pb::StartBuildResponse {
            build,
            existed: false,
        }))
    }

    async fn list(
        &self,
        request: Request<pb::ListBuildsRequest>,
    ) -> Answer<pb::ListBuildsResponse> {
        self.signed_in(&request)?;
        let asked = request.into_inner();
        let world = self.world();
        let builds = world.builds.iter();
        let builds =
            builds.filter(|build| asked.project.is_empty() || build.project == asked.project);
        Ok(Response::new(pb::ListBuildsResponse {
            builds: builds.take(asked.page_size as usize).cloned().collect(),
            next_page_token: String::new(),
        }))
    }

    async fn get(&self, request: Request<pb::GetBuildRequest>) -> Answer<pb::GetBuildResponse> {
        self.signed_in(&request)?;
        let build = Some(self.built(request.into_inner().build)?);
        Ok(Response::new(pb::GetBuildResponse { build }))
    }

    async fn logs(
        &self,
        request: Request<pb::BuildLogsRequest>,
    ) -> Answer<Answers<pb::BuildLogsResponse>> {
        let build = self.built(request.get_ref().build.clone())?;
        self.act(
            &request,
            PROJECTS,
            format!("output of build {}", build.number),
        )?;
        let text = "\u{1b}[31mFAILED\u{1b}[0m tests/test_guests.py::test_names - assert 2 == 3\n\u{1b}[32m7 passed\u{1b}[0m, 1 failed\n";
        let chunk = text.as_bytes().to_vec();
        let chunks = stream::iter([Ok(pb::BuildLogsResponse { chunk })]);
        Ok(Response::new(chunks.boxed()))
    }
}

#[tonic::async_trait]
impl system_server::System for Fake {
    async fn version(&self, _: Request<pb::VersionRequest>) -> Answer<pb::VersionResponse> {
        Ok(Response::new(pb::VersionResponse::default()))
    }

    async fn doctor(&self, request: Request<pb::DoctorRequest>) -> Answer<pb::DoctorResponse> {
        self.act(&request, PROJECTS, "doctor".into())?;
        let findings = self.world().findings.clone();
        Ok(Response::new(pb::DoctorResponse { findings }))
    }

    async fn audit(&self, request: Request<pb::AuditRequest>) -> Answer<pb::AuditResponse> {
        self.act(&request, PROJECTS, "audit".into())?;
        let lines = self.world().audit.clone();
        Ok(Response::new(pb::AuditResponse {
            lines,
            next_page_token: String::new(),
        }))
    }
}
