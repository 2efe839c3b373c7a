//! One notice on its way, by a helper without rights.

use super::forge;
use crate::{
    cid::Cid,
    config::{ForgeStatus, Project, Webhook},
    domain::{CommitStatus, Email, Notice},
    system::{
        credential,
        helpers::{Identity, ask_once},
        mail,
    },
};
use cid_protocol::{
    fault::Fault,
    request::{Ask, MailTaken, Post, Posted, Secret},
};
use data_encoding::BASE64;
use hmac::{Hmac, Mac as _};
use jiff::Timestamp;
use sha2::Sha256;
use std::time::Duration;

/// How long one attempt may take.
const LIMIT: Duration = Duration::from_secs(40);

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// It is there.
    Arrived,
    /// The project file names no such place any more.
    Unwanted,
    /// It never will be: another attempt is of no use.
    Refused(String),
    /// The server is away or says to come back.
    Later(String),
}

/// Sends a notice to the place that the project file names now.
pub(super) async fn send(cid: &Cid, project: &Project, notice: &Notice) -> Sent {
    let notify = &project.notify;
    match notice {
        Notice::Status(status) => match &notify.status {
            Some(target) => set_status(cid, project, target, status).await,
            None => Sent::Unwanted,
        },
        Notice::Webhook { id, body } => match &notify.webhook {
            Some(target) => post_document(cid, target, id, body).await,
            None => Sent::Unwanted,
        },
        Notice::Mail { to, subject, text } => post_mail(cid, to, subject, text).await,
    }
}

async fn set_status(
    cid: &Cid,
    project: &Project,
    target: &ForgeStatus,
    status: &CommitStatus,
) -> Sent {
    let Some(repository) = target.repository(&project.git.url) else {
        return Sent::Unwanted;
    };
    let token = match credential::token(&target.token_file) {
        Ok(token) => token,
        Err(fault) => return Sent::Later(fault.message),
    };
    let post = forge::request(target, &repository, &token, status);
    match ask(cid, post).await {
        Err(fault) => Sent::Later(fault.message),
        Ok(Posted { status, .. }) if (200..300).contains(&status) => Sent::Arrived,
        Ok(Posted { status, said }) if forge::is_there_already(target.forge, status, &said) => {
            Sent::Arrived
        }
        // GitHub answers so where too much was asked for.
        Ok(posted) if posted.status == 403 && posted.said.to_lowercase().contains("rate limit") => {
            Sent::Later(told(&posted, "the forge takes no more at the moment"))
        }
        Ok(posted) => {
            let what = match posted.status {
                401 | 403 => "the forge refuses the token of notify.status",
                404 => "the forge knows no such repository or commit, or not for this token",
                _ => "the forge takes no status",
            };
            judged(&posted, what)
        }
    }
}

/// Signed as Standard Webhooks.
async fn post_document(cid: &Cid, target: &Webhook, id: &str, body: &str) -> Sent {
    let secret = match credential::webhook_key(&target.secret_file) {
        Ok(secret) => secret,
        Err(fault) => return Sent::Later(fault.message),
    };
    let at = Timestamp::now().as_second();
    let signature = sign(&secret, id, at, body);
    let headers = [
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", at.to_string()),
        ("webhook-signature", signature),
    ];
    let post = Post {
        url: target.url.as_str().to_owned(),
        headers: headers
            .into_iter()
            .map(|(name, value)| (name.to_owned(), Secret::new(value)))
            .collect(),
        body: body.to_owned(),
    };
    match ask(cid, post).await {
        Err(fault) => Sent::Later(fault.message),
        Ok(Posted { status, .. }) if (200..300).contains(&status) => Sent::Arrived,
        Ok(posted) if posted.status == 410 => {
            Sent::Refused("the webhook's receiver wants no more (410)".into())
        }
        // Its receiver may be about to be mended.
        Ok(posted) => Sent::Later(told(&posted, "the webhook's receiver does not take it")),
    }
}

/// `v1,` and the Base64 of an HMAC over id, time and body.
fn sign(key: &[u8], id: &str, at: i64, body: &str) -> String {
    // HMAC takes keys of any length.
    let mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(key);
    let code = mac.map(|mac| {
        mac.chain_update(format!("{id}.{at}.{body}"))
            .finalize()
            .into_bytes()
    });
    let code = code.map(|code| BASE64.encode(&code));
    format!("v1,{}", code.unwrap_or_default())
}

async fn post_mail(cid: &Cid, to: &Email, subject: &str, text: &str) -> Sent {
    let Some(settings) = &cid.settings.mail else {
        return Sent::Refused("cid sends no mail: there is no [mail] in cid.toml".into());
    };
    let letter = mail::letter(settings, to, subject.to_owned(), text.to_owned());
    let asked = match letter {
        Ok(letter) => ask(cid, letter).await,
        Err(fault) => Err(fault),
    };
    match asked {
        Ok(MailTaken::Taken) => Sent::Arrived,
        Ok(MailTaken::Refused(why)) => {
            Sent::Refused(format!("the mail server takes no mail to {to}: {why}"))
        }
        Err(fault) => Sent::Later(fault.message),
    }
}

async fn ask<A: Ask>(cid: &Cid, request: A) -> Result<A::Reply, Fault> {
    let (helpers, stopping) = (cid.sys.helpers.as_ref(), cid.stopping.clone());
    ask_once(helpers, Identity::Tools, LIMIT, stopping, request).await
}

/// What may pass is tried again.
fn judged(posted: &Posted, what: &str) -> Sent {
    let told = told(posted, what);
    match posted.status {
        408 | 425 | 429 | 500..=599 => Sent::Later(told),
        _ => Sent::Refused(told),
    }
}

fn told(Posted { status, said }: &Posted, what: &str) -> String {
    match said.as_str() {
        "" => format!("{what} ({status})"),
        said => format!("{what} ({status}): {said}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's own libraries.
    #[test]
    fn a_document_is_signed_as_standard_webhooks_says() {
        let key = BASE64.decode(b"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let (id, body) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", "{\"test\": 2432232314}");
        assert_eq!(
            sign(&key, id, 1_614_265_330, body),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn what_may_pass_is_tried_again_and_a_refusal_is_not() {
        let posted = |status| Posted {
            status,
            said: String::new(),
        };
        for status in [408, 429, 500, 502, 503] {
            assert!(
                matches!(judged(&posted(status), "x"), Sent::Later(_)),
                "{status}"
            );
        }
        for status in [301, 400, 401, 403, 404, 422] {
            assert!(
                matches!(judged(&posted(status), "x"), Sent::Refused(_)),
                "{status}"
            );
        }
    }
}
