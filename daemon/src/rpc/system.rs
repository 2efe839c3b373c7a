//! Service `System`.

use super::{only_looks, page_size, page_token, viewer};
use crate::{cid::Cid, doctor, error::Error, operation};
use cid_proto::v1::{self, system_server::System};
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl System for Cid {
    async fn version(
        &self,
        _: Request<v1::VersionRequest>,
    ) -> Result<Response<v1::VersionResponse>, Status> {
        Ok(Response::new(v1::VersionResponse {
            version: env!("CARGO_PKG_VERSION").into(),
            mode: self.mode.into(),
            front_url: self
                .sign_in
                .front_url()
                .unwrap_or_else(|| self.front_url.clone()),
        }))
    }

    async fn doctor(
        &self,
        request: Request<v1::DoctorRequest>,
    ) -> Result<Response<v1::DoctorResponse>, Status> {
        let by_front = viewer(&request)?.is_guest();
        if !request.get_ref().repair {
            only_looks(&request);
        }
        let repair = request.into_inner().repair;
        if repair && by_front {
            return Err(Error::Denied {
                message: "the web front repairs nothing".into(),
                hint: Some("on the server: cictl doctor --repair".into()),
            }
            .into());
        }
        let findings = doctor::examine(self, repair).await?;
        Ok(Response::new(v1::DoctorResponse {
            findings: findings.into_iter().map(Into::into).collect(),
        }))
    }

    async fn prune(
        &self,
        request: Request<v1::PruneRequest>,
    ) -> Result<Response<v1::PruneResponse>, Status> {
        if request.get_ref().dry_run {
            only_looks(&request);
        }
        let v1::PruneRequest { project, dry_run } = request.into_inner();
        let unused = operation::prune(self, &project, dry_run).await?.into_iter();
        let unused = unused.map(|one| v1::Unused {
            sort: one.sort.into(),
            project: one.project.map(|name| name.to_string()).unwrap_or_default(),
            path: one.path.to_string_lossy().into_owned(),
            bytes: one.bytes,
            kept: one.kept,
        });
        Ok(Response::new(v1::PruneResponse {
            unused: unused.collect(),
        }))
    }

    async fn enable_front(
        &self,
        request: Request<v1::EnableFrontRequest>,
    ) -> Result<Response<v1::EnableFrontResponse>, Status> {
        let asked = request.into_inner();
        let wanted = operation::WantedFront {
            host: asked.host,
            tls: [asked.certificate, asked.key],
            is_behind_tls: asked.behind_tls,
        };
        let enabled = operation::enable_front(self, &wanted).await?;
        Ok(Response::new(v1::EnableFrontResponse {
            url: enabled.url,
            remarks: enabled.remarks,
        }))
    }

    async fn disable_front(
        &self,
        _: Request<v1::DisableFrontRequest>,
    ) -> Result<Response<v1::DisableFrontResponse>, Status> {
        let was_enabled = operation::disable_front(self).await?;
        Ok(Response::new(v1::DisableFrontResponse { was_enabled }))
    }

    async fn audit(
        &self,
        request: Request<v1::AuditRequest>,
    ) -> Result<Response<v1::AuditResponse>, Status> {
        let request = request.into_inner();
        let limit = page_size(request.page_size, 100)?;
        let since = request.since.map(time).transpose()?;
        let before = page_token(&request.page_token)?;
        let lines = self
            .store
            .audit(since, before, limit)
            .await
            .map_err(Error::from)?;
        let next_page_token = match lines.last() {
            Some(last) if lines.len() == limit => last.id.to_string(),
            _ => String::new(),
        };
        Ok(Response::new(v1::AuditResponse {
            lines: lines.into_iter().map(Into::into).collect(),
            next_page_token,
        }))
    }
}

fn time(at: prost_types::Timestamp) -> Result<jiff::Timestamp, Error> {
    jiff::Timestamp::new(at.seconds, at.nanos)
        .map_err(|_| Error::invalid("since", "this is no time that cid can count with"))
}
