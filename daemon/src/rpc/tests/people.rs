//! Signing in, by the real service behind the enforcing layer.

use super::{super::server, stage::Stage};
use crate::{
    authz::Door,
    config::{People, Settings, SignIn as Mode},
    domain::Email,
    sign_in::SignIn,
    store::Verdict,
};
use cid_proto::v1;
use cid_protocol::budget::ATTEMPTS_OF_ADDRESS;
use futures::{StreamExt as _, stream};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Bytes, Frame};
use prost::Message;
use std::{convert::Infallible, sync::Arc, time::Duration};
use tonic::{
    Code, Status,
    body::Body,
    codegen::http::{Request, Response},
};
use tower::service_fn;

pub(super) const ADMIN: &str = "root@example.com";

/// A stage whose settings let anna, ben and an administrator sign in.
pub(super) fn stage() -> Stage {
    let mut stage = Stage::new();
    let email = |text: &str| Email::parse(text).unwrap();
    let settings = Settings {
        people: People {
            addresses: ["anna@example.com", "ben@example.com"].map(email).into(),
            administrators: [ADMIN].map(email).into(),
            ..People::default()
        },
        ..Settings::default()
    };
    let store = stage.cid.store.clone();
    stage.cid.sign_in = SignIn::new(store, Arc::new(settings), Mode::Verified);
    stage.cid.front_url = "http://localhost:8080/".into();
    stage
}

impl Stage {
    /// The real services' answer to one call with one answer.
    pub(super) async fn ask<T: Message + Default>(
        &self,
        door: Door,
        rpc: &str,
        session: Option<&str>,
        message: &impl Message,
    ) -> Result<T, Status> {
        let services = server::routes(&self.cid);
        let message = message.encode_to_vec();
        let response = self
            .answer_for(services, 1000, door, rpc, session, &message)
            .await;
        if let Some(status) = Status::from_header_map(response.headers()) {
            return Err(status);
        }
        let body = response.into_body().collect().await.unwrap();
        if let Some(status) = body.trailers().and_then(Status::from_header_map)
            && status.code() != Code::Ok
        {
            return Err(status);
        }
        let bytes = body.to_bytes();
        Ok(T::decode(&bytes[5..]).unwrap())
    }

    pub(super) async fn sign_out(&self, session: &str) {
        let request = v1::SignOutRequest { everywhere: false };
        let rpc = "/cid.v1.People/SignOut";
        let ended = self.ask::<v1::SignOutResponse>(Door::Front, rpc, Some(session), &request);
        ended.await.unwrap();
    }

    pub(super) async fn link(&self, email: &str) -> Result<v1::LinkResponse, Status> {
        let email = email.to_owned();
        let request = v1::LinkRequest { email };
        self.ask(Door::People, "/cid.v1.People/Link", None, &request)
            .await
    }

    async fn redeem(&self, request: &v1::RedeemRequest) -> Result<v1::RedeemResponse, Status> {
        self.ask(Door::Front, "/cid.v1.People/Redeem", None, request)
            .await
    }

    /// The token of a new session of this address.
    pub(super) async fn sign_in(&self, email: &str) -> String {
        let link = self.link(email).await.unwrap();
        let answer = self.redeem(&by_link(&link)).await.unwrap();
        assert_eq!(answer.person.unwrap().email, email);
        answer.session
    }

    async fn who_am_i(&self, session: Option<&str>) -> Result<v1::WhoAmIResponse, Status> {
        let request = v1::WhoAmIRequest {};
        self.ask(Door::Front, "/cid.v1.People/WhoAmI", session, &request)
            .await
    }
}

fn by_link(link: &v1::LinkResponse) -> v1::RedeemRequest {
    let token = link.url.rsplit_once('/').unwrap().1.to_owned();
    v1::RedeemRequest {
        token,
        ..Default::default()
    }
}

fn by_code(email: &str, code: &str) -> v1::RedeemRequest {
    v1::RedeemRequest {
        email: email.into(),
        code: code.into(),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_link_signs_in_once_and_so_does_its_code() {
    let stage = stage();
    let link = stage.link("Anna@example.com").await.unwrap();
    assert!(
        link.url.starts_with("http://localhost:8080/sign-in/"),
        "{}",
        link.url
    );
    let session = stage.redeem(&by_link(&link)).await.unwrap().session;
    let who = stage.who_am_i(Some(&session)).await.unwrap();
    let anna = who.person.unwrap();
    assert_eq!(anna.email, "anna@example.com");
    assert!(!anna.is_administrator && !anna.may_create_for_others);
    for used in [by_link(&link), by_code("anna@example.com", &link.code)] {
        let status = stage.redeem(&used).await.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated);
    }
    let link = stage.link(ADMIN).await.unwrap();
    let typed = by_code(ADMIN, &link.code.to_lowercase());
    let session = stage.redeem(&typed).await.unwrap().session;
    let admin = stage.who_am_i(Some(&session)).await.unwrap().person;
    assert!(admin.unwrap().is_administrator);
    assert!(stage.redeem(&by_link(&link)).await.is_err());
    let lines = stage.lines().await;
    let signed_in: Vec<_> = lines
        .iter()
        .filter(|line| line.rpc.ends_with("/Redeem") && line.outcome == "OK")
        .map(|line| (line.email.as_str(), line.door.as_str(), line.verdict))
        .collect();
    let (anna, front) = ("anna@example.com", "front");
    assert_eq!(
        signed_in,
        [
            (anna, front, Verdict::Allowed),
            (ADMIN, front, Verdict::Allowed)
        ]
    );
}

/// Nobody learns from an answer whether an address may sign in, or has a link or session.
#[tokio::test]
async fn every_wrong_proof_gets_the_same_answer() {
    let stage = stage();
    let link = stage.link("anna@example.com").await.unwrap();
    stage.sign_in("ben@example.com").await;
    let good = by_link(&link);
    let mut flipped = good.clone();
    flipped.token = match good.token.strip_prefix('A') {
        Some(rest) => format!("B{rest}"),
        None => format!("A{}", &good.token[1..]),
    };
    let mut answers = Vec::new();
    for wrong in [
        flipped,
        v1::RedeemRequest::default(),
        v1::RedeemRequest {
            token: "x".repeat(20_000),
            ..Default::default()
        },
        by_code("anna@example.com", "AAAAAAAA"),
        by_code("anna@example.com", "no code"),
        by_code("ben@example.com", &link.code),
        by_code("nobody@example.com", &link.code),
        by_code("stranger@elsewhere.org", &link.code),
        by_code("no address", &link.code),
        by_code("", ""),
    ] {
        let status = stage.redeem(&wrong).await.unwrap_err();
        answers.push((
            status.code(),
            status.message().to_owned(),
            status.details().to_vec(),
        ));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert!(stage.redeem(&good).await.is_ok());
}

#[tokio::test]
async fn a_session_is_worth_nothing_after_sign_out() {
    let stage = stage();
    let first = stage.sign_in("anna@example.com").await;
    let second = stage.sign_in("anna@example.com").await;
    let ben = stage.sign_in("ben@example.com").await;
    let unused = stage.link("anna@example.com").await.unwrap();
    let out = |session: String, everywhere| {
        let stage = &stage;
        async move {
            let request = v1::SignOutRequest { everywhere };
            let rpc = "/cid.v1.People/SignOut";
            let answer: Result<v1::SignOutResponse, _> =
                stage.ask(Door::Front, rpc, Some(&session), &request).await;
            answer.unwrap();
        }
    };
    out(first.clone(), false).await;
    let status = stage.who_am_i(Some(&first)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert!(stage.who_am_i(Some(&second)).await.is_ok());
    // Neither a session that has ended nor one that never was can end others'.
    out(first, true).await;
    out("x".into(), true).await;
    assert!(stage.who_am_i(Some(&second)).await.is_ok());
    out(second.clone(), true).await;
    assert!(stage.who_am_i(Some(&second)).await.is_err());
    assert!(stage.redeem(&by_link(&unused)).await.is_err());
    let request = v1::EndSessionsRequest {
        email: "ben@example.com".into(),
    };
    let ended: v1::EndSessionsResponse = stage
        .ask(Door::People, "/cid.v1.People/EndSessions", None, &request)
        .await
        .unwrap();
    assert_eq!(ended.ended, 1);
    assert!(stage.who_am_i(Some(&ben)).await.is_err());
    assert_eq!(stage.who_am_i(None).await.unwrap().person, None);
}

/// Who is struck off the settings is signed out, and gets no link.
#[tokio::test]
async fn only_those_in_the_settings_sign_in() {
    let mut stage = stage();
    for stranger in ["eve@example.com", "anna@sub.example.com"] {
        let status = stage.link(stranger).await.unwrap_err();
        assert_eq!(status.code(), Code::FailedPrecondition);
    }
    let session = stage.sign_in("anna@example.com").await;
    let link = stage.link("anna@example.com").await.unwrap();
    let store = stage.cid.store.clone();
    stage.cid.sign_in = SignIn::new(store, Arc::default(), Mode::Verified);
    let status = stage.who_am_i(Some(&session)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert!(stage.redeem(&by_link(&link)).await.is_err());
}

#[tokio::test]
async fn guesses_are_counted_by_address_and_by_client() {
    let stage = stage();
    let code = stage.link("anna@example.com").await.unwrap().code;
    let guess = |email: &str, client: &str| {
        let mut request = by_code(email, "AAAAAAAA");
        request.client = client.into();
        request
    };
    for number in 0..ATTEMPTS_OF_ADDRESS.most {
        let request = guess("anna@example.com", &format!("192.0.2.{number}"));
        let status = stage.redeem(&request).await.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated);
    }
    let mut right = by_code("anna@example.com", &code);
    right.client = "192.0.2.99".into();
    let status = stage.redeem(&right).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    for _ in 0..30 {
        let request = v1::RedeemRequest {
            token: "x".into(),
            client: "198.51.100.1".into(),
            ..Default::default()
        };
        let status = stage.redeem(&request).await.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated);
    }
    let status = stage
        .redeem(&guess("ben@example.com", "198.51.100.1"))
        .await;
    assert_eq!(status.unwrap_err().code(), Code::ResourceExhausted);
}

/// What the front gets for each RPC about anna's workspace and its job, on behalf of this session.
async fn codes(stage: &Stage, session: Option<&str>, job: &str) -> Vec<(String, Code)> {
    let about = super::stage::requests(job).into_iter();
    let id = job.to_owned();
    let get = v1::GetRequest {
        workspace: super::stage::anna(),
        look: false,
    };
    let (shown, watched) = (
        v1::GetJobRequest { id: id.clone() }.encode_to_vec(),
        v1::WatchJobRequest {
            id,
            ..Default::default()
        }
        .encode_to_vec(),
    );
    let others = [
        ("/cid.v1.Workspaces/Get", get.encode_to_vec()),
        ("/cid.v1.Workspaces/List", Vec::new()),
        ("/cid.v1.Jobs/Get", shown),
        ("/cid.v1.Jobs/Watch", watched),
        ("/cid.v1.Jobs/List", Vec::new()),
        ("/cid.v1.Projects/List", Vec::new()),
        ("/cid.v1.Projects/Check", Vec::new()),
        ("/cid.v1.People/List", Vec::new()),
        ("/cid.v1.System/Audit", Vec::new()),
        ("/cid.v1.System/Doctor", Vec::new()),
    ];
    let mut codes = Vec::new();
    let mut all: Vec<_> = about.chain(others).collect();
    // Last, for it may be allowed.
    all.sort_by_key(|(rpc, _)| rpc.ends_with("/Delete"));
    for (rpc, message) in all {
        let services = server::routes(&stage.cid);
        let response = stage
            .answer_for(services, 1000, Door::Front, rpc, session, &message)
            .await;
        let status = Status::from_header_map(response.headers());
        let code = status.map_or(Code::Ok, |status| status.code());
        let rpc = rpc.trim_start_matches("/cid.v1.").to_owned();
        codes.push((rpc, code));
        stage.cid.engine.idle().await;
    }
    codes
}

async fn annas_job(stage: &Stage) -> String {
    let create = super::stage::create();
    let code = stage.call(1000, "/cid.v1.Workspaces/Create", &create).await;
    assert_eq!(code, Code::Ok);
    stage.cid.engine.idle().await;
    let jobs = stage.cid.store.jobs(Default::default(), 9).await.unwrap();
    jobs[0].id.to_string()
}

/// A front that was taken over gets nothing for itself, and for nobody whose session has ended.
#[tokio::test]
async fn without_a_session_that_lasts_the_front_gets_nothing() {
    let stage = stage();
    let job = annas_job(&stage).await;
    let session = stage.sign_in("anna@example.com").await;
    let email = Email::parse("anna@example.com").unwrap();
    stage.cid.sign_in.end_sessions_of(email).await.unwrap();
    let forged = "A".repeat(43);
    for session in [
        None,
        Some(session.as_str()),
        Some(&forged),
        Some(""),
        Some("x"),
    ] {
        for (rpc, code) in codes(&stage, session, &job).await {
            // What no session opens is refused for that.
            let is_refused = matches!(code, Code::Unauthenticated | Code::PermissionDenied);
            assert!(is_refused, "{rpc} {session:?}: {code:?}");
        }
    }
    let jobs = stage.cid.store.jobs(Default::default(), 9).await.unwrap();
    assert_eq!(jobs.len(), 1);
}

/// What is somebody else's looks as if it did not exist.
#[tokio::test]
async fn a_person_gets_what_is_theirs_and_learns_nothing_of_others() {
    let stage = stage();
    let ben = stage.sign_in("ben@example.com").await;
    let nothing = "00000000-0000-7000-8000-000000000000";
    let before = codes(&stage, Some(&ben), nothing).await;
    let job = annas_job(&stage).await;
    let after = codes(&stage, Some(&ben), &job).await;
    assert_eq!(before, after);
    for (rpc, code) in after {
        let may = ["Workspaces/List", "Jobs/List", "Projects/List"].contains(&rpc.as_str());
        let expected = if may {
            Code::Ok
        } else {
            Code::PermissionDenied
        };
        assert_eq!(code, expected, "{rpc}");
    }
    let list = |session: String| {
        let stage = &stage;
        async move {
            let (rpc, request) = ("/cid.v1.Workspaces/List", v1::ListRequest::default());
            let answer: Result<v1::ListResponse, _> =
                stage.ask(Door::Front, rpc, Some(&session), &request).await;
            answer.unwrap().workspaces.len()
        }
    };
    let jobs = |session: String, email: &'static str| {
        let stage = &stage;
        async move {
            let request = v1::ListJobsRequest {
                email: email.into(),
                ..Default::default()
            };
            let rpc = "/cid.v1.Jobs/List";
            let answer: Result<v1::ListJobsResponse, _> =
                stage.ask(Door::Front, rpc, Some(&session), &request).await;
            answer
                .map(|answer| answer.jobs.len())
                .map_err(|status| status.code())
        }
    };
    assert_eq!(jobs(ben.clone(), "").await, Ok(0));
    assert_eq!(
        jobs(ben.clone(), "anna@example.com").await,
        Err(Code::PermissionDenied)
    );
    assert_eq!(
        jobs(ben.clone(), "none@example.com").await,
        Err(Code::PermissionDenied)
    );
    let anna = stage.sign_in("anna@example.com").await;
    assert_eq!(jobs(anna.clone(), "").await, Ok(1));
    assert_eq!(jobs(anna, "anna@example.com").await, Ok(1));
    assert_eq!(list(ben).await, 0);
    assert_eq!(list(stage.sign_in(ADMIN).await).await, 1);
    let anna = stage.sign_in("anna@example.com").await;
    assert_eq!(list(anna.clone()).await, 1);
    for (rpc, code) in codes(&stage, Some(&anna), &job).await {
        let may_not = [
            "Workspaces/RepairAccess",
            "Workspaces/Run",
            "Projects/Check",
            "People/List",
            "System/Audit",
            "System/Doctor",
        ];
        let is_denied = code == Code::PermissionDenied;
        assert_eq!(
            is_denied,
            may_not.contains(&rpc.as_str()),
            "{rpc}: {code:?}"
        );
    }
}

/// Local accounts are who the kernel says: a session is nothing to them.
#[tokio::test]
async fn a_session_changes_nothing_for_local_accounts() {
    let stage = stage();
    let admin = stage.sign_in(ADMIN).await;
    stage.deny(&[crate::authz::table::Action::ManagePeople]);
    let request = v1::ListPeopleRequest {};
    let answer: Result<v1::ListPeopleResponse, _> = stage
        .ask(Door::People, "/cid.v1.People/List", Some(&admin), &request)
        .await;
    assert_eq!(answer.unwrap_err().code(), Code::PermissionDenied);
}

/// The same for a stream that is open: logs are not sent on to who has signed out.
#[tokio::test]
async fn a_stream_breaks_off_when_its_session_ends() {
    let stage = stage();
    let session = stage.sign_in("anna@example.com").await;
    // An answer that says one thing and never ends.
    let endless = service_fn(|_: Request<Body>| async {
        let first = Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"line")));
        let frames = stream::iter([first]).chain(stream::pending());
        Ok::<_, Infallible>(Response::new(Body::new(StreamBody::new(frames))))
    });
    let watch = "/cid.v1.Jobs/Watch";
    let open = || stage.answer_for(endless, 1000, Door::Front, watch, Some(&session), &[]);
    let mut body = open().await.into_body();
    assert!(body.frame().await.is_some());
    let still = tokio::time::timeout(Duration::from_millis(2500), body.frame()).await;
    assert!(still.is_err(), "it ended while its session was good");
    stage.sign_out(&session).await;
    let ended = tokio::time::timeout(Duration::from_secs(10), body.frame()).await;
    assert!(ended.unwrap().is_none(), "it goes on");
    // Another one does not begin.
    let refused = open().await;
    let status = Status::from_header_map(refused.headers()).unwrap();
    assert_eq!(status.code(), Code::Unauthenticated);
}
