//! Builds and branches that others are told of, from the job to the requests of the helper.

use super::stage::{EMAIL, Stage, create};
use crate::{
    domain::{Channel, Email},
    notify,
};
use cid_kernel::fs;
use cid_proto::v1;
use cid_protocol::{
    fault::Fault,
    request::{MailTaken, Post, Posted, Request, RunCommand, SendMail},
};
use prost::Message as _;
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU16, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::time::sleep;
use tonic::Code;

/// The project's file has a table `[notify]`, and its tests fail while the flag is set.
pub(super) struct Told {
    pub(super) stage: Stage,
    /// The status that its tests and its release commands end with.
    pub(super) red: Arc<AtomicUsize>,
    /// What the forge answers.
    answers: Arc<AtomicU16>,
}

impl Told {
    pub(super) fn new(notify: &str) -> Self {
        let mut stage = Stage::new();
        let mail = "[mail]\nfrom = \"cid@example.org\"\nhost = \"localhost\"\ntls = \"none\"\n";
        stage.cid.settings = Arc::new(toml::from_str(mail).unwrap());
        let token = stage.cid.layout.state_dir.join("token");
        fs::write_atomic(&token, b"a-s3cret-of-the-forge", 0o600).unwrap();
        let notify = notify.replace("TOKEN", &token.display().to_string());
        stage.says(
            "",
            &format!("[app]\ntest = [[\"make\", \"test\"]]\n[notify]\n{notify}"),
        );
        let (red, answers) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicU16::new(201)));
        let (fails, status) = (Arc::clone(&red), Arc::clone(&answers));
        stage.fake.answer(move |request| match request {
            Request::RunCommand(RunCommand { command, .. })
                if ["make", "migrate"].contains(&&*command[0]) =>
            {
                let failed = fails.load(Ordering::Relaxed);
                let exited = json!({ "status": failed, "signal": null });
                Some(Box::pin(async move { Ok(exited) }))
            }
            Request::Post(_) => {
                let posted = Posted {
                    status: status.load(Ordering::Relaxed),
                    said: "bad credentials".into(),
                };
                Some(Box::pin(async move { Ok(json!(posted)) }))
            }
            Request::SendMail(mail) => {
                let is_full = mail.to.starts_with("full@");
                Some(Box::pin(async move {
                    match is_full {
                        true => Err(Fault::new("452 the mailbox is full")),
                        false => Ok(json!(MailTaken::Taken)),
                    }
                }))
            }
            _ => None,
        });
        tokio::spawn(notify::tell_forever(stage.cid.clone()));
        Self {
            stage,
            red,
            answers,
        }
    }

    /// Builds again; `red`: with tests that fail.
    async fn build(&self, red: bool) {
        self.red.store(usize::from(red), Ordering::Relaxed);
        let request = v1::StartBuildRequest {
            again: true,
            ..Default::default()
        };
        let rpc = "/cid.v1.Builds/Start";
        let code = self.stage.call(0, rpc, &request.encode_to_vec()).await;
        assert_eq!(code, Code::Ok);
        self.stage.cid.engine.idle().await;
    }

    /// Nothing waits to be told.
    pub(super) async fn all_told(&self) {
        for _ in 0..200 {
            let store = &self.stage.cid.store;
            let waits = store.first_notices().await.unwrap();
            if store.news().await.unwrap().is_empty() && waits.is_empty() {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
        panic!("something is not told");
    }

    pub(super) fn posts(&self) -> Vec<Post> {
        let all = self.stage.fake.requests().into_iter();
        all.filter_map(|request| match request {
            Request::Post(post) => Some(post),
            _ => None,
        })
        .collect()
    }

    pub(super) fn mails(&self) -> Vec<SendMail> {
        let all = self.stage.fake.requests().into_iter();
        all.filter_map(|request| match request {
            Request::SendMail(mail) => Some(mail),
            _ => None,
        })
        .collect()
    }
}

const STATUS: &str = "status = { forge = \"gitea\", url = \"https://git.example.org\", token_file = \"TOKEN\", repository = \"team/demo\" }";

#[tokio::test]
async fn a_builds_commit_gets_its_verdict_and_a_refused_token_is_a_note() {
    let told = Told::new(STATUS);
    told.build(false).await;
    told.all_told().await;
    let posts = told.posts();
    let last: Value = serde_json::from_str(&posts.last().unwrap().body).unwrap();
    assert_eq!(
        (&last["state"], &last["context"]),
        (&json!("success"), &json!("cid/build"))
    );
    told.answers.store(401, Ordering::Relaxed);
    told.build(true).await;
    told.all_told().await;
    let builds = told.stage.cid.store.builds(None, None, 9).await.unwrap();
    assert_eq!(
        builds[0].state.to_string(),
        "failed",
        "the verdict is the tests'"
    );
    let troubles = told.stage.cid.store.notice_troubles().await.unwrap();
    assert_eq!(troubles.len(), 1);
    assert_eq!(troubles[0].channel, Channel::Status);
    let reason = &troubles[0].reason;
    assert!(
        reason.contains("refuses the token") && reason.contains("401"),
        "{reason}"
    );
    assert!(!reason.contains("s3cret"), "{reason}");
    // No attempt follows a refusal.
    let (asked, lost) = (told.posts().len(), troubles[0].lost);
    assert!((1..=2).contains(&lost), "{lost}");
    assert_eq!(asked - posts.len(), usize::try_from(lost).unwrap());
    told.answers.store(201, Ordering::Relaxed);
    told.build(false).await;
    told.all_told().await;
    assert!(
        told.stage
            .cid
            .store
            .notice_troubles()
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn a_forge_that_is_away_is_tried_again_and_holds_up_nothing() {
    let told = Told::new(STATUS);
    told.answers.store(503, Ordering::Relaxed);
    told.build(false).await;
    let builds = told.stage.cid.store.builds(None, None, 9).await.unwrap();
    assert_eq!(builds[0].state.to_string(), "passed");
    for _ in 0..100 {
        if !told
            .stage
            .cid
            .store
            .notice_troubles()
            .await
            .unwrap()
            .is_empty()
        {
            break;
        }
        sleep(Duration::from_millis(50)).await;
    }
    let waits = told.stage.cid.store.first_notices().await.unwrap();
    assert!(
        waits.len() == 1 && waits[0].due > jiff::Timestamp::now(),
        "{waits:?}"
    );
    told.answers.store(201, Ordering::Relaxed);
    told.all_told().await;
    let last: Value = serde_json::from_str(&told.posts().last().unwrap().body).unwrap();
    assert_eq!(last["state"], "success");
}

#[tokio::test]
async fn failures_and_the_first_success_after_them_are_mailed() {
    let told = Told::new("mail = [\"team@example.com\", \"boss@example.com\"]");
    for red in [false, true, true, false, false] {
        told.build(red).await;
    }
    told.all_told().await;
    let mails = told.mails();
    let team = mails.iter().filter(|mail| mail.to == "team@example.com");
    let subjects: Vec<_> = team.map(|mail| mail.subject.as_str()).collect();
    assert_eq!(
        subjects,
        [
            "demo: build 2 of main failed",
            "demo: build 3 of main failed",
            "demo: build 4 of main is good again"
        ]
    );
    assert_eq!(mails.len(), 6, "each address gets its own");
    assert!(
        mails[0]
            .text
            .expose()
            .contains("cictl builds logs 2 -p demo")
    );
}

#[tokio::test]
async fn a_full_mailbox_holds_up_no_other() {
    let told = Told::new("mail = [\"full@example.com\", \"team@example.com\"]");
    for _ in 0..3 {
        told.build(true).await;
    }
    let mut sent = 0;
    for _ in 0..600 {
        let mails = told.mails();
        let team = mails.iter().filter(|mail| mail.to == "team@example.com");
        sent = team.count();
        if sent == 3 {
            break;
        }
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(sent, 3);
    let store = &told.stage.cid.store;
    let troubles = store.notice_troubles().await.unwrap();
    let full = Channel::Mail(Email::parse("full@example.com").unwrap());
    assert_eq!(troubles.len(), 1, "{troubles:?}");
    assert_eq!(troubles[0].channel, full);
    let waits = store.first_notices().await.unwrap();
    assert_eq!(waits.len(), 1, "{waits:?}");
    assert_eq!(waits[0].notice.channel(), full);
}

#[tokio::test]
async fn the_owner_of_a_workspace_is_told_once_that_its_branch_is_gone() {
    let told = Told::new("");
    let code = told
        .stage
        .call(1000, "/cid.v1.Workspaces/Create", &create())
        .await;
    assert_eq!(code, Code::Ok);
    told.stage.cid.engine.idle().await;
    told.stage.fake.remove_branch("anna---example-com");
    let fetch = v1::FetchProjectRequest::default().encode_to_vec();
    for _ in 0..2 {
        let code = told
            .stage
            .call(1000, "/cid.v1.Projects/Fetch", &fetch)
            .await;
        assert_eq!(code, Code::Ok);
        told.stage.cid.engine.idle().await;
    }
    told.all_told().await;
    let mails = told.mails();
    assert_eq!(mails.len(), 1, "{mails:?}");
    assert_eq!(
        (&*mails[0].to, &*mails[0].subject),
        (EMAIL, "demo: the branch anna---example-com is gone")
    );
    assert!(
        mails[0]
            .text
            .expose()
            .contains(&format!("cictl delete {EMAIL} -p demo"))
    );
}
