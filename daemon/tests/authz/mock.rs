//! What is sent to polkit, word by word, seen by one that is made up.

use crate::{
    bus::{Bus, process_of, wait_for},
    people::{person, subject},
};
use cid_daemon::authz::{
    Action, Authority, Call, Caller, Decision, Denial, Door, Polkit, Process, Question,
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};
use tokio::net::UnixStream;
use zbus::{OwnedVariant, connection::Builder, fdo, interface};

const GONE: &str = "the process that asked is gone";

#[derive(Debug, Clone)]
struct Check {
    kind: String,
    peer: HashMap<String, String>,
    action: String,
    details: HashMap<String, String>,
    flags: u32,
    id: String,
}

#[derive(Clone, Default)]
struct Seen {
    checks: Arc<Mutex<Vec<Check>>>,
    cancelled: Arc<Mutex<Vec<String>>>,
}

/// Answers as it is told to.
struct Mock {
    version: &'static str,
    answer: Answer,
    seen: Seen,
}

#[derive(Clone, Copy)]
enum Answer {
    Never,
    /// Whether it is allowed, whether somebody could allow it, and the names of details.
    Says(bool, bool, &'static [&'static str]),
    /// Its rules ask for a password, and the one that was given is wrong.
    WrongPassword,
    Fails(&'static str),
}

#[interface(name = "org.freedesktop.PolicyKit1.Authority")]
impl Mock {
    async fn check_authorization(
        &self,
        subject: (String, HashMap<String, OwnedVariant>),
        action: String,
        details: HashMap<String, String>,
        flags: u32,
        id: String,
    ) -> fdo::Result<(bool, bool, HashMap<String, String>)> {
        let peer = subject.1.into_iter();
        let check = Check {
            kind: subject.0,
            peer: peer
                .map(|(key, value)| (key, value.value_signature().to_string()))
                .collect(),
            action,
            details,
            flags,
            id,
        };
        self.seen.checks.lock().unwrap().push(check);
        let (is_authorized, is_challenge, details) = match self.answer {
            Answer::Never => return std::future::pending().await,
            Answer::Says(is_authorized, is_challenge, details) => {
                (is_authorized, is_challenge, details)
            }
            Answer::WrongPassword => (false, flags == 0, &[][..]),
            Answer::Fails(words) => return Err(fdo::Error::Failed(words.into())),
        };
        let details = details
            .iter()
            .map(|key| ((*key).to_owned(), "1".to_owned()));
        Ok((is_authorized, is_challenge, details.collect()))
    }

    fn cancel_check_authorization(&self, id: String) {
        self.seen.cancelled.lock().unwrap().push(id);
    }

    #[zbus(property)]
    fn backend_version(&self) -> String {
        self.version.to_owned()
    }
}

impl Mock {
    async fn start(self, bus: &Bus) -> zbus::Connection {
        Builder::address(bus.address().as_str())
            .serve_at("/org/freedesktop/PolicyKit1/Authority", self)
            .name("org.freedesktop.PolicyKit1")
            .build()
            .await
            .unwrap()
    }
}

async fn ask(bus: &Bus, caller: Caller, is_interactive: bool) -> Decision {
    let call = Call::new(caller, "/cid.v1.Workspaces/Delete", is_interactive);
    let subject = subject();
    let question = Question {
        call: &call,
        action: Action::DeleteAny,
        subject: Some((&subject, false)),
    };
    Polkit::on_bus(bus.address()).decide(question).await
}

fn me() -> Caller {
    person("root").caller(Door::People, Process::of(std::process::id()))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_polkit_is_told_number_start_time_and_uid() {
    let Some(bus) = Bus::start().await else {
        return;
    };
    let seen = Seen::default();
    let mock = Mock {
        version: "122",
        answer: Answer::Says(true, false, &[]),
        seen: seen.clone(),
    };
    let _mock = mock.start(&bus).await;
    // The user id must be an i32: polkit ignores any other type and looks it up by itself, racily.
    let expected = [("pid", "u"), ("start-time", "t"), ("uid", "i")];
    let expected: HashMap<String, String> = expected
        .map(|(key, kind)| (key.to_owned(), kind.to_owned()))
        .into();
    let (ours, _theirs) = UnixStream::pair().unwrap();
    for caller in [me(), Caller::of(&ours, Door::People).unwrap()] {
        assert_eq!(ask(&bus, caller, false).await, Decision::Allowed);
        let check = seen.checks.lock().unwrap().pop().unwrap();
        assert_eq!((&*check.kind, check.flags), ("unix-process", 0));
        assert_eq!(check.peer, expected);
        assert_eq!(check.action, "org.cid.delete-any");
        let details = [
            ("own", "no"),
            ("project", "shop"),
            ("workspace", "anna---example-com"),
        ];
        assert_eq!(check.details.len(), details.len());
        for (key, value) in details {
            assert_eq!(check.details[key], value);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_polkit_is_told_the_descriptor_the_kernel_gave() {
    let Some(bus) = Bus::start().await else {
        return;
    };
    let seen = Seen::default();
    let mock = Mock {
        version: "126",
        answer: Answer::Says(true, false, &[]),
        seen: seen.clone(),
    };
    let _mock = mock.start(&bus).await;
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let caller = Caller::of(&ours, Door::People).unwrap();
    let has_descriptor = caller.process.as_ref().unwrap().pidfd().is_some();
    assert_eq!(ask(&bus, caller, false).await, Decision::Allowed);
    let check = seen.checks.lock().unwrap().pop().unwrap();
    if has_descriptor {
        assert_eq!((&*check.peer["pidfd"], &*check.peer["uid"]), ("h", "i"));
        assert_eq!(check.peer.len(), 2);
    } else {
        assert_eq!(check.peer["pid"], "u");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_prompted_who_did_not_ask_and_never_by_the_front() {
    let Some(bus) = Bus::start().await else {
        return;
    };
    let seen = Seen::default();
    let mock = Mock {
        version: "122",
        answer: Answer::Says(false, true, &[]),
        seen: seen.clone(),
    };
    let _mock = mock.start(&bus).await;
    for (door, is_interactive, flags) in [
        (Door::People, false, 0),
        (Door::People, true, 1),
        (Door::Front, true, 0),
    ] {
        let decision = ask(&bus, Caller { door, ..me() }, is_interactive).await;
        assert!(matches!(decision, Decision::Denied(_)));
        assert_eq!(seen.checks.lock().unwrap().pop().unwrap().flags, flags);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dismissed_prompt_means_no() {
    let Some(bus) = Bus::start().await else {
        return;
    };
    let mock = Mock {
        version: "122",
        answer: Answer::Says(false, true, &["polkit.dismissed"]),
        seen: Seen::default(),
    };
    let _mock = mock.start(&bus).await;
    let Decision::Denied(Denial { reason, .. }) = ask(&bus, me(), true).await else {
        panic!("allowed");
    };
    assert!(reason.contains("dismissed"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_told_from_a_rule() {
    for (answer, is_interactive, told) in [
        (Answer::WrongPassword, true, "the one given was not right"),
        (
            Answer::WrongPassword,
            false,
            "needs an administrator's password",
        ),
        (
            Answer::Says(false, false, &[]),
            true,
            "polkit does not allow",
        ),
    ] {
        let Some(bus) = Bus::start().await else {
            return;
        };
        let mock = Mock {
            version: "122",
            answer,
            seen: Seen::default(),
        };
        let _mock = mock.start(&bus).await;
        let Decision::Denied(Denial { reason, .. }) = ask(&bus, me(), is_interactive).await else {
            panic!("allowed");
        };
        assert!(reason.contains(told), "{reason}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_nobody_waits_for_is_taken_back() {
    let Some(bus) = Bus::start().await else {
        return;
    };
    let seen = Seen::default();
    let mock = Mock {
        version: "122",
        answer: Answer::Never,
        seen: seen.clone(),
    };
    let _mock = mock.start(&bus).await;
    let asked = {
        let caller = me();
        let call = Call::new(caller, "/cid.v1.Workspaces/List", true);
        let polkit = Polkit::on_bus(bus.address());
        tokio::spawn(async move {
            let question = Question {
                call: &call,
                action: Action::List,
                subject: None,
            };
            polkit.decide(question).await
        })
    };
    wait_for(|| !seen.checks.lock().unwrap().is_empty()).await;
    asked.abort();
    let id = seen.checks.lock().unwrap()[0].id.clone();
    assert!(!id.is_empty());
    wait_for(|| *seen.cancelled.lock().unwrap() == [id.clone()]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_said_of_somebody_who_has_gone_is_a_no() {
    for answer in [
        Answer::Says(true, false, &[]),
        Answer::Says(false, true, &[]),
        // polkit 122 and 126, in words of their own.
        Answer::Fails("No such file or directory"),
        Answer::Fails("Process has been replaced"),
    ] {
        let Some(bus) = Bus::start().await else {
            return;
        };
        let mock = Mock {
            version: "126",
            answer,
            seen: Seen::default(),
        };
        let _mock = mock.start(&bus).await;
        let mut other = process_of(nix::unistd::geteuid().as_raw());
        let caller = person("root").caller(Door::People, Process::of(other.pid()));
        let reason = |decision| match decision {
            Decision::Denied(Denial { reason, .. }) => reason,
            Decision::Allowed => String::new(),
        };
        let of_the_living = reason(ask(&bus, caller.clone(), false).await);
        assert_ne!(of_the_living, GONE);
        let is_trouble = of_the_living.starts_with("cannot ask polkit: ");
        assert_eq!(is_trouble, matches!(answer, Answer::Fails(_)));
        other.kill();
        assert_eq!(reason(ask(&bus, caller, false).await), GONE);
    }
}
