//! Webhooks that the front passes on.

use super::Client;
use crate::Result;
use cid_proto::v1::{self as pb, deliver_request::Message};
use futures::{Stream, StreamExt as _, stream};

/// What the headers of a webhook say; empty for a header that is missing.
#[derive(Debug, Clone, Default)]
pub struct Delivery {
    /// Whose hook it is for.
    pub project: String,
    /// What the sender calls its kind.
    pub event: String,
    /// What the sender calls it.
    pub delivery: String,
    /// `webhook-id`
    pub webhook_id: String,
    /// `webhook-timestamp`
    pub webhook_timestamp: String,
    /// `webhook-signature`
    pub webhook_signature: String,
    /// `x-hub-signature-256`
    pub hub_signature_256: String,
    /// `x-forgejo-signature` or `x-gitea-signature`
    pub gitea_signature: String,
    /// `x-hub-signature`
    pub hub_signature: String,
    /// `x-gitlab-token`
    pub gitlab_token: String,
}

impl Client {
    /// Passes a webhook on, its body piece by piece, none longer than 32 KiB; for the front alone.
    ///
    /// # Errors
    ///
    /// [`Kind::NotFound`](crate::Kind::NotFound) where the project takes none,
    /// [`Kind::Denied`](crate::Kind::Denied) where the signature is wrong, and
    /// [`Kind::Invalid`](crate::Kind::Invalid) where the body is too long.
    pub async fn deliver(
        &self,
        delivery: Delivery,
        body: impl Stream<Item = Vec<u8>> + Send + 'static,
    ) -> Result<()> {
        let start = Message::Start(pb::DeliverStart {
            project: delivery.project,
            event: delivery.event,
            delivery: delivery.delivery,
            webhook_id: delivery.webhook_id,
            webhook_timestamp: delivery.webhook_timestamp,
            webhook_signature: delivery.webhook_signature,
            hub_signature_256: delivery.hub_signature_256,
            gitea_signature: delivery.gitea_signature,
            hub_signature: delivery.hub_signature,
            gitlab_token: delivery.gitlab_token,
        });
        let requests = stream::once(async { start })
            .chain(body.map(Message::Chunk))
            .map(|message| pb::DeliverRequest {
                message: Some(message),
            });
        let mut service = self.hooks_service();
        self.answer(service.deliver(requests)).await.map(drop)
    }
}
