//! Asking for a link by mail: what the answer tells, and what it does not.

use super::people;
use crate::{
    authz::Door,
    config::{Settings, SignIn as Mode},
    domain::Email,
    sign_in::SignIn,
};
use cid_proto::v1;
use cid_protocol::budget::{ASKS_OF_ADDRESS, ASKS_OF_CLIENT};
use std::sync::Arc;
use tonic::Code;

const FRONT: &str = "[front]\nurl = \"https://ci.example.org\"\n";
const MAIL: &str = "[mail]\nfrom = \"cid@example.org\"\nhost = \"localhost\"\ntls = \"none\"\n";

/// What the daemon answers to one request of the front.
async fn ask(stage: &super::stage::Stage, email: &str, client: &str) -> Code {
    let request = v1::AskForLinkRequest {
        email: email.into(),
        client: client.into(),
        language: "en".into(),
    };
    let rpc = "/cid.v1.People/AskForLink";
    let answer: Result<v1::AskForLinkResponse, _> =
        stage.ask(Door::Front, rpc, None, &request).await;
    answer.map_or_else(|status| status.code(), |_| Code::Ok)
}

fn stage(text: &str) -> super::stage::Stage {
    let mut stage = people::stage();
    let mut settings: Settings = toml::from_str(text).unwrap();
    settings.people.addresses = [Email::parse("anna@example.com").unwrap()].into();
    let store = stage.cid.store.clone();
    stage.cid.sign_in = SignIn::new(store, Arc::new(settings), Mode::Verified);
    stage
}

/// The link begins with what the operator wrote; without that no link is made.
#[tokio::test]
async fn nothing_is_sent_where_nothing_says_how_or_where_to() {
    for text in ["", FRONT, MAIL] {
        let stage = stage(text);
        let code = ask(&stage, "anna@example.com", "").await;
        assert_eq!(code, Code::FailedPrecondition, "{text}");
    }
}

#[tokio::test]
async fn an_address_that_may_and_one_that_may_not_get_the_same_answers() {
    let stage = stage(&format!("{FRONT}{MAIL}"));
    let mut codes = Vec::new();
    for email in ["anna@example.com", "eve@example.com"] {
        let mut of_email = Vec::new();
        for number in 0..=ASKS_OF_ADDRESS.most {
            // Each from a client of its own.
            let client = format!("192.0.2.{number}");
            of_email.push(ask(&stage, email, &client).await);
        }
        codes.push(of_email);
    }
    assert_eq!(codes[0], codes[1]);
    assert_eq!(codes[0].last(), Some(&Code::ResourceExhausted));
    assert_eq!(codes[0][0], Code::Ok);
    // No mail is delivered here, so all that was accepted waits.
    assert_eq!(stage.cid.sign_in.post().waiting, 2 * ASKS_OF_ADDRESS.most);
}

#[tokio::test]
async fn one_client_asks_only_so_often() {
    let stage = stage(&format!("{FRONT}{MAIL}"));
    for number in 0..ASKS_OF_CLIENT.most {
        let email = format!("a{number}@example.com");
        assert_eq!(ask(&stage, &email, "192.0.2.1").await, Code::Ok);
    }
    let more = ask(&stage, "more@example.com", "192.0.2.1").await;
    assert_eq!(more, Code::ResourceExhausted);
    assert_eq!(ask(&stage, "more@example.com", "192.0.2.2").await, Code::Ok);
}

#[tokio::test]
async fn what_is_no_address_is_refused_before_anything_waits() {
    let stage = stage(&format!("{FRONT}{MAIL}"));
    for bad in [
        "",
        "anna",
        "anna@example.com\r\nBcc: eve@example.com",
        "anna@example.com,eve@example.com",
        "\"anna\"@example.com",
        "m\u{131}ke@example.com",
    ] {
        assert_eq!(ask(&stage, bad, "").await, Code::InvalidArgument, "{bad:?}");
    }
    assert_eq!(stage.cid.sign_in.post().waiting, 0);
}
