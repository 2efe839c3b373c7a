//! The real polkitd with the shipped rules, and what becomes of a check that goes wrong.

use crate::{
    bus::{Bus, process_of},
    people::{Answer, PEOPLE, call, person, shipped_rules, subject},
};
use cid_daemon::authz::{
    Action, Authority, Call, Decision, Denial, Door, Polkit, Process, Question, Subject,
};
use nix::sys::signal::Signal;
use std::{sync::Arc, time::Duration};

fn about<'a>(call: &'a Call, action: Action, subject: Option<(&'a Subject, bool)>) -> Question<'a> {
    Question {
        call,
        action,
        subject,
    }
}

/// A call by this process.
fn call_of(title: &str, pid: u32) -> Call {
    call(person(title).caller(Door::People, Process::of(pid)))
}

async fn may_list(polkit: &Polkit, call: &Call) -> Decision {
    polkit.decide(about(call, Action::List, None)).await
}

fn reason(decision: Decision) -> String {
    match decision {
        Decision::Denied(Denial { reason, .. }) => reason,
        Decision::Allowed => panic!("allowed"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shipped_rules_say_what_the_matrix_says() {
    let Some(bus) = Bus::start().await else {
        return;
    };
    let Some(_polkitd) = bus.polkitd().await else {
        return;
    };
    let polkit = Polkit::on_bus(bus.address());
    let subject = subject();
    for person in &PEOPLE {
        let process = process_of(person.uid);
        let call = call(person.caller(Door::People, Process::of(process.pid())));
        for action in Action::ALL {
            for is_own in [true, false] {
                let decision = polkit
                    .decide(about(&call, action, Some((&subject, is_own))))
                    .await;
                let answer = match decision {
                    Decision::Allowed => Answer::Yes,
                    Decision::Denied(Denial { reason, hint }) if reason.contains("password") => {
                        assert!(hint.unwrap().contains("--interactive"));
                        Answer::Password
                    }
                    Decision::Denied(Denial { reason, .. }) => {
                        assert!(reason.starts_with("polkit does not allow"), "{reason}");
                        Answer::No
                    }
                };
                let expected = shipped_rules(person, action, is_own);
                assert_eq!(answer, expected, "{person:?} {action:?} own: {is_own}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_in_as_somebody_else() {
    let Some(bus) = Bus::start().await else {
        return;
    };
    let Some(_polkitd) = bus.polkitd().await else {
        return;
    };
    let polkit = Polkit::on_bus(bus.address());
    let anna = process_of(person("owner").uid);
    assert_eq!(
        may_list(&polkit, &call_of("owner", anna.pid())).await,
        Decision::Allowed
    );
    // The user id is the socket's word: carl's connection stays carl's, whatever process has the number now.
    reason(may_list(&polkit, &call_of("other", anna.pid())).await);
    // Nobody knows the process.
    let unknown = call(person("owner").caller(Door::People, None));
    assert!(reason(may_list(&polkit, &unknown).await).contains("which process"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_polkitd_that_is_killed_in_mid_check_means_no() {
    let Some(bus) = Bus::start().await else {
        return;
    };
    let anna = process_of(person("owner").uid);
    let polkit = Arc::new(Polkit::on_bus(bus.address()));
    let Some(mut polkitd) = bus.polkitd().await else {
        return;
    };
    polkitd.signal(Signal::SIGSTOP);
    let asked = tokio::spawn({
        let (polkit, call) = (Arc::clone(&polkit), call_of("owner", anna.pid()));
        async move { may_list(&polkit, &call).await }
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!asked.is_finished());
    polkitd.kill();
    assert!(reason(asked.await.unwrap()).starts_with("cannot ask polkit"));
    // The same connection works with the next polkitd.
    let Some(_polkitd) = bus.polkitd().await else {
        return;
    };
    let call = call_of("owner", anna.pid());
    assert_eq!(may_list(&polkit, &call).await, Decision::Allowed);
}

#[tokio::test(flavor = "multi_thread")]
async fn whenever_polkitd_is_killed_nobody_gets_in_who_should_not() {
    let Some(bus) = Bus::start().await else {
        return;
    };
    let carl = process_of(person("other").uid);
    let polkit = Arc::new(Polkit::on_bus(bus.address()));
    for offset in 0..50 {
        let Some(mut polkitd) = bus.polkitd().await else {
            return;
        };
        let checks: Vec<_> = (0..8)
            .map(|_| {
                let (polkit, call) = (Arc::clone(&polkit), call_of("other", carl.pid()));
                tokio::spawn(async move { may_list(&polkit, &call).await })
            })
            .collect();
        tokio::time::sleep(Duration::from_micros(offset * 100)).await;
        polkitd.kill();
        for check in checks {
            reason(check.await.unwrap());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_polkit_and_no_bus_mean_no() {
    let Some(bus) = Bus::start().await else {
        return;
    };
    let me = call_of("root", std::process::id());
    for address in [
        bus.address(),
        "unix:path=/nonexistent/bus".into(),
        "nonsense".into(),
    ] {
        let polkit = Polkit::on_bus(address);
        assert!(reason(may_list(&polkit, &me).await).starts_with("cannot ask polkit"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_polkitd_that_does_not_answer_means_no_in_time() {
    let Some(bus) = Bus::start().await else {
        return;
    };
    let Some(polkitd) = bus.polkitd().await else {
        return;
    };
    let anna = process_of(person("owner").uid);
    let polkit = Polkit::on_bus(bus.address());
    polkitd.signal(Signal::SIGSTOP);
    let limit = Duration::from_secs(20);
    let call = call_of("owner", anna.pid());
    let answer = may_list(&polkit, &call);
    let answer = tokio::time::timeout(limit, answer).await.unwrap();
    assert_eq!(reason(answer), "polkit gave no answer within 5 s");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_died_before_or_during_the_check_gets_nothing() {
    let Some(bus) = Bus::start().await else {
        return;
    };
    let Some(polkitd) = bus.polkitd().await else {
        return;
    };
    let polkit = Arc::new(Polkit::on_bus(bus.address()));
    let mut anna = process_of(person("owner").uid);
    let before = call_of("owner", anna.pid());
    anna.kill();
    let gone = "the process that asked is gone";
    assert_eq!(reason(may_list(&polkit, &before).await), gone);

    let mut anna = process_of(person("owner").uid);
    let during = call_of("owner", anna.pid());
    polkitd.signal(Signal::SIGSTOP);
    let asked = tokio::spawn(async move { may_list(&polkit, &during).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    anna.kill();
    polkitd.signal(Signal::SIGCONT);
    assert_eq!(reason(asked.await.unwrap()), gone);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_may_ask_at_once() {
    let Some(bus) = Bus::start().await else {
        return;
    };
    let Some(_polkitd) = bus.polkitd().await else {
        return;
    };
    let polkit = Arc::new(Polkit::on_bus(bus.address()));
    let processes =
        ["admin", "owner", "member"].map(|title| (title, process_of(person(title).uid)));
    // More than a bus takes of one connection.
    let checks: Vec<_> = (0..150)
        .flat_map(|_| &processes)
        .map(|(title, process)| {
            let (polkit, call) = (Arc::clone(&polkit), call_of(title, process.pid()));
            tokio::spawn(async move { may_list(&polkit, &call).await })
        })
        .collect();
    for check in checks {
        assert_eq!(check.await.unwrap(), Decision::Allowed);
    }
}
