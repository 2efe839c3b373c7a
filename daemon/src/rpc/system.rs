//! Service `System`.

use super::Api;
use crate::doctor;
use cid_proto::v1::{self, system_server::System};
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl System for Api {
    async fn version(
        &self,
        _: Request<v1::VersionRequest>,
    ) -> Result<Response<v1::VersionResponse>, Status> {
        Ok(Response::new(v1::VersionResponse {
            version: env!("CARGO_PKG_VERSION").into(),
            mode: self.mode.into(),
            front_url: self.front_url.clone(),
        }))
    }

    async fn doctor(
        &self,
        request: Request<v1::DoctorRequest>,
    ) -> Result<Response<v1::DoctorResponse>, Status> {
        let findings = doctor::examine(self, request.into_inner().repair).await?;
        Ok(Response::new(v1::DoctorResponse {
            findings: findings.into_iter().map(Into::into).collect(),
        }))
    }
}
