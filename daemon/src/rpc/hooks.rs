//! Service `Hooks`: webhooks, which the front passes on piece by piece.

use crate::{
    cid::Cid,
    error::Error,
    trigger::{Headers, Hook, Said},
};
use cid_proto::v1::{self, deliver_request::Message, hooks_server::Hooks};
use std::time::Duration;
use tokio::time::timeout;
use tonic::{Request, Response, Status, Streaming};

/// How long a delivery may take to come.
const LIMIT: Duration = Duration::from_secs(20);

#[tonic::async_trait]
impl Hooks for Cid {
    async fn deliver(
        &self,
        request: Request<Streaming<v1::DeliverRequest>>,
    ) -> Result<Response<v1::DeliverResponse>, Status> {
        let read = read(self, request.into_inner());
        let taken = timeout(LIMIT, read).await;
        taken.map_err(|_| Status::deadline_exceeded("the delivery came too slowly"))??;
        Ok(Response::new(v1::DeliverResponse {}))
    }
}

async fn read(cid: &Cid, mut pieces: Streaming<v1::DeliverRequest>) -> Result<(), Status> {
    let first = pieces.message().await?.and_then(|request| request.message);
    let Some(Message::Start(start)) = first else {
        let message = "the first message must be `start`";
        return Err(Error::invalid("start", message).into());
    };
    let project = start.project.clone();
    let mut hook = Hook::begin(cid, &project, said(start))?;
    // The body of one that is not believed is not waited for.
    while hook.doubt().is_none()
        && let Some(request) = pieces.message().await?
    {
        match request.message {
            Some(Message::Chunk(chunk)) => hook.update(&chunk)?,
            _ => return Err(Error::invalid("chunk", "only the first message is `start`").into()),
        }
    }
    Ok(hook.end(cid)?)
}

fn said(start: v1::DeliverStart) -> Said {
    Said {
        headers: Headers {
            webhook_id: start.webhook_id.clone(),
            webhook_timestamp: start.webhook_timestamp,
            webhook_signature: start.webhook_signature,
            hub_256: start.hub_signature_256,
            gitea: start.gitea_signature,
            hub: start.hub_signature,
            gitlab_token: start.gitlab_token,
        },
        event: start.event,
        id: match start.delivery.is_empty() {
            true => start.webhook_id,
            false => start.delivery,
        },
    }
}
