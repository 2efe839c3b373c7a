//! Requests about builds.

use super::{Client, LOOK_LIMIT, PAGE_SIZE};
use crate::{Build, Result, Stream, convert::required};
use cid_proto::v1 as pb;

/// Bytes of what a build's tests printed.
pub struct Output(pub Vec<u8>);

impl From<pb::BuildLogsResponse> for Output {
    fn from(from: pb::BuildLogsResponse) -> Self {
        Self(from.chunk)
    }
}

/// Here and below `project` may be left out where there is one only.
impl Client {
    /// Starts the job that builds a commit, by default the base branch's newest. The second value is false
    /// where there is a build of it already. Waits up to 150 s, as the daemon asks the git server.
    ///
    /// # Errors
    ///
    /// [`Kind::NotFound`](crate::Kind::NotFound) when the repository has no such commit.
    pub async fn build(
        &self,
        project: Option<&str>,
        revision: Option<&str>,
        again: bool,
    ) -> Result<(Build, bool)> {
        let request = pb::StartBuildRequest {
            project: project.unwrap_or_default().to_owned(),
            revision: revision.unwrap_or_default().to_owned(),
            again,
        };
        let mut service = self.builds_service();
        let answer = self
            .answer_within(LOOK_LIMIT, service.start(request))
            .await?;
        let build = required(answer.build, "no build")?.try_into()?;
        Ok((build, !answer.existed))
    }

    /// The newest builds, newest first, at most `limit`.
    ///
    /// # Errors
    ///
    /// As every call.
    pub async fn builds(&self, project: Option<&str>, limit: usize) -> Result<Vec<Build>> {
        let mut all = Vec::new();
        let mut page_token = String::new();
        loop {
            let left = u32::try_from(limit - all.len()).unwrap_or(PAGE_SIZE);
            let request = pb::ListBuildsRequest {
                project: project.unwrap_or_default().to_owned(),
                page_size: left.min(PAGE_SIZE),
                page_token,
            };
            let page = self.answer(self.builds_service().list(request)).await?;
            for build in page.builds {
                all.push(build.try_into()?);
            }
            if page.next_page_token.is_empty() || all.len() >= limit {
                return Ok(all);
            }
            page_token = page.next_page_token;
        }
    }

    /// One build.
    ///
    /// # Errors
    ///
    /// [`Kind::NotFound`](crate::Kind::NotFound) when there is none.
    pub async fn show_build(&self, project: Option<&str>, number: u32) -> Result<Build> {
        let build = reference(project, number);
        let request = pb::GetBuildRequest { build };
        let answer = self.answer(self.builds_service().get(request)).await?;
        required(answer.build, "no build")?.try_into()
    }

    /// All that a build's tests printed.
    ///
    /// # Errors
    ///
    /// As [`Client::show_build`].
    pub async fn build_logs(&self, project: Option<&str>, number: u32) -> Result<Stream<Output>> {
        let build = reference(project, number);
        let request = pb::BuildLogsRequest { build };
        self.stream(self.builds_service().logs(request)).await
    }

    /// Removes a build with its files. Waits up to 150 s.
    ///
    /// # Errors
    ///
    /// As [`Client::show_build`]; or it is being made.
    pub async fn delete_build(&self, project: Option<&str>, number: u32) -> Result<()> {
        let build = reference(project, number);
        let request = pb::DeleteBuildRequest { build };
        let mut service = self.builds_service();
        let answer = self.answer_within(LOOK_LIMIT, service.delete(request));
        answer.await.map(drop)
    }
}

fn reference(project: Option<&str>, number: u32) -> Option<pb::BuildRef> {
    let project = project.unwrap_or_default().to_owned();
    Some(pb::BuildRef { project, number })
}
