//! Requests about projects and about the daemon itself.

use super::{Client, PAGE_SIZE, SURVEY_LIMIT};
use crate::{
    AuditLine, CheckItem, EnabledFront, Finding, FollowUp, HookDelivery, Project, RemovedProject,
    Result, Unused, Version,
    convert::{instant, required},
};
use cid_proto::v1 as pb;
use jiff::Timestamp;

impl Client {
    /// All projects, also those that cannot be used.
    ///
    /// # Errors
    ///
    /// As every call.
    pub async fn projects(&self) -> Result<Vec<Project>> {
        let mut all = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = pb::ListProjectsRequest {
                page_size: PAGE_SIZE,
                page_token,
            };
            let page = self.answer(self.projects_service().list(request)).await?;
            all.extend(page.projects.into_iter().map(Project::from));
            if page.next_page_token.is_empty() {
                return Ok(all);
            }
            page_token = page.next_page_token;
        }
    }

    /// Switches the web front on. `tls` is certificate and key.
    ///
    /// # Errors
    ///
    /// [`Kind::Refused`](crate::Kind::Refused) where sessions could be read on their way, or in a sandbox.
    pub async fn enable_front(
        &self,
        host: &str,
        tls: Option<(&str, &str)>,
        behind_tls: bool,
    ) -> Result<EnabledFront> {
        let (certificate, key) = tls.unwrap_or_default();
        let request = pb::EnableFrontRequest {
            host: host.to_owned(),
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            behind_tls,
        };
        let mut service = self.system_service();
        let answer = self.answer(service.enable_front(request)).await?;
        Ok(EnabledFront {
            url: answer.url,
            remarks: answer.remarks,
        })
    }

    /// Switches the web front off. Answers whether it was on.
    ///
    /// # Errors
    ///
    /// As every call.
    pub async fn disable_front(&self) -> Result<bool> {
        let mut service = self.system_service();
        let call = service.disable_front(pb::DisableFrontRequest {});
        Ok(self.answer(call).await?.was_enabled)
    }

    /// One project.
    ///
    /// # Errors
    ///
    /// [`Kind::NotFound`](crate::Kind::NotFound) when there is none.
    pub async fn project(&self, name: &str) -> Result<Project> {
        let request = pb::GetProjectRequest {
            name: name.to_owned(),
        };
        let answer = self.answer(self.projects_service().get(request)).await?;
        Ok(required(answer.project, "no project")?.into())
    }

    /// Has the daemon read a project's file again, or all of them, and say what
    /// is wrong. Waits up to 5 minutes, as the daemon asks the git server too.
    ///
    /// # Errors
    ///
    /// As every call; what is wrong with the project is no error.
    pub async fn check(&self, project: Option<&str>) -> Result<Vec<CheckItem>> {
        let request = pb::CheckProjectRequest {
            name: project.unwrap_or_default().to_owned(),
        };
        let mut service = self.projects_service();
        let answer = self.answer_within(SURVEY_LIMIT, service.check(request));
        Ok(answer
            .await?
            .items
            .into_iter()
            .map(CheckItem::from)
            .collect())
    }

    /// Has the daemon look at a project's remote now and begin what follows; `project` may be left out where there is
    /// one only. Waits up to 5 minutes, as the daemon asks the git server.
    ///
    /// # Errors
    ///
    /// As every call; and the remote does not answer.
    pub async fn fetch(&self, project: Option<&str>) -> Result<Vec<FollowUp>> {
        let request = pb::FetchProjectRequest {
            name: project.unwrap_or_default().to_owned(),
        };
        let mut service = self.projects_service();
        let answer = self.answer_within(SURVEY_LIMIT, service.fetch(request));
        let followed = answer.await?.follow_ups.into_iter();
        Ok(followed.map(FollowUp::from).collect())
    }

    /// The webhooks of a project that came since the daemon started, newest first; `project` may be left out where
    /// there is one only.
    ///
    /// # Errors
    ///
    /// As every call; and the project takes none.
    pub async fn hooks(&self, project: Option<&str>) -> Result<Vec<HookDelivery>> {
        let request = pb::ProjectHooksRequest {
            name: project.unwrap_or_default().to_owned(),
        };
        let answer = self.answer(self.projects_service().hooks(request)).await?;
        answer
            .deliveries
            .into_iter()
            .map(TryInto::try_into)
            .collect()
    }

    /// Takes a project away that has no workspaces. Waits up to 5 minutes; what takes
    /// longer goes on, and the same again tells how it ended.
    ///
    /// # Errors
    ///
    /// [`Kind::Refused`](crate::Kind::Refused) while it has workspaces.
    pub async fn remove_project(&self, name: &str) -> Result<RemovedProject> {
        self.removal(name, false).await
    }

    /// Asks whether anything but its workspaces keeps a project from being taken away. Nothing is changed.
    ///
    /// # Errors
    ///
    /// [`Kind::Refused`](crate::Kind::Refused) when something does.
    pub async fn check_removal(&self, name: &str) -> Result<()> {
        self.removal(name, true).await.map(drop)
    }

    async fn removal(&self, name: &str, only_check: bool) -> Result<RemovedProject> {
        let request = pb::RemoveProjectRequest {
            name: name.to_owned(),
            only_check,
        };
        let mut service = self.projects_service();
        let answer = self.answer_within(SURVEY_LIMIT, service.remove(request));
        Ok(answer.await?.into())
    }

    /// What the daemon says about itself.
    ///
    /// # Errors
    ///
    /// As every call.
    pub async fn version(&self) -> Result<Version> {
        let mut service = self.system_service();
        let answer = self.answer(service.version(pb::VersionRequest {})).await?;
        Ok(answer.into())
    }

    /// Has the daemon compare its ledger with the machine and, with `repair`,
    /// repair what can be repaired without losing anything. Waits up to 5 minutes.
    ///
    /// # Errors
    ///
    /// As every call; what was found is no error.
    pub async fn doctor(&self, repair: bool) -> Result<Vec<Finding>> {
        let request = pb::DoctorRequest { repair };
        let mut service = self.system_service();
        let answer = self.answer_within(SURVEY_LIMIT, service.doctor(request));
        Ok(answer
            .await?
            .findings
            .into_iter()
            .map(Finding::from)
            .collect())
    }

    /// What of a project, or of all, nobody uses; it is removed, unless `only_look`. Waits up to 5 minutes.
    ///
    /// # Errors
    ///
    /// As every call; what cannot be removed says so and is no error.
    pub async fn prune(&self, project: Option<&str>, only_look: bool) -> Result<Vec<Unused>> {
        let request = pb::PruneRequest {
            project: project.unwrap_or_default().to_owned(),
            dry_run: only_look,
        };
        let mut service = self.system_service();
        let answer = self.answer_within(SURVEY_LIMIT, service.prune(request));
        Ok(answer.await?.unused.into_iter().map(Unused::from).collect())
    }

    /// Who did what, newest first: at most `limit` requests, none before `since`.
    ///
    /// # Errors
    ///
    /// As every call.
    pub async fn audit(&self, since: Option<Timestamp>, limit: usize) -> Result<Vec<AuditLine>> {
        let mut lines = Vec::new();
        let mut page_token = String::new();
        while lines.len() < limit {
            let left = u32::try_from(limit - lines.len()).unwrap_or(u32::MAX);
            let request = pb::AuditRequest {
                since: since.map(instant),
                page_size: left.min(PAGE_SIZE),
                page_token,
            };
            let page = self.answer(self.system_service().audit(request)).await?;
            for line in page.lines {
                lines.push(line.try_into()?);
            }
            if page.next_page_token.is_empty() {
                break;
            }
            page_token = page.next_page_token;
        }
        lines.truncate(limit);
        Ok(lines)
    }
}
