//! From every state that a tool can be killed in.

use super::*;
use crate::system::accounts::tables::{Lock, User};

fn account() -> Account {
    Account {
        name: "cidw-1".into(),
        uid: 70_000,
    }
}

fn wanted() -> Wanted {
    Wanted::workspace(&account(), Some("cid-shop".into()))
}

fn whole() -> Traces {
    Traces {
        user: Some(User {
            uid: 70_000,
            gid: 70_000,
            comment: WORKSPACE.into(),
            home: NO_HOME.into(),
            shell: NO_LOGIN.into(),
        }),
        lock: Some(Lock {
            is_locked: true,
            has_expired: true,
        }),
        group: Some(70_000),
        has_group_secret: true,
        keeps_group_secrets: true,
        member_of: ["cid-shop".to_owned()].into(),
        secret_member_of: ["cid-shop".to_owned()].into(),
        has_sub_ids: false,
    }
}

/// What a tool does to the tables, as the real ones were seen to do from every state.
fn run(tool: &[String], traces: &mut Traces) {
    let full = whole();
    match tool[0].as_str() {
        "useradd" => {
            (traces.user, traces.lock) = (full.user, full.lock);
            if traces.group.is_none() {
                assert!(tool.iter().any(|word| word == "--user-group"), "{tool:?}");
                (traces.group, traces.has_group_secret) = (full.group, true);
            }
            if tool.iter().any(|word| word == "--groups") {
                traces.member_of = full.member_of;
                traces.secret_member_of = full.secret_member_of;
            }
        }
        "usermod" => {
            assert!(traces.user.is_some());
            (traces.user, traces.lock) = (full.user, full.lock);
        }
        "groupadd" => (traces.group, traces.has_group_secret) = (full.group, true),
        "gpasswd" if tool[1] == "--restrict" => {
            assert!(traces.group.is_some());
            traces.has_group_secret = true;
        }
        "gpasswd" => {
            assert!(traces.user.is_some());
            (traces.member_of, traces.secret_member_of) = (full.member_of, full.secret_member_of);
        }
        "userdel" => {
            assert!(traces.user.is_some());
            let has_group = traces.group.is_some();
            *traces = Traces {
                has_group_secret: traces.has_group_secret && !has_group,
                keeps_group_secrets: true,
                ..Traces::default()
            };
        }
        "groupdel" => {
            assert!(traces.group.is_some() && traces.user.is_none());
            (traces.group, traces.has_group_secret) = (None, false);
        }
        other => panic!("{other}"),
    }
}

/// Every state that a killed tool can leave: each piece there or not.
fn states() -> Vec<Traces> {
    let state = |bits: u32| {
        let (has, full) = (|bit: u32| bits & (1 << bit) != 0, whole());
        Traces {
            user: full.user.filter(|_| has(0)),
            lock: full.lock.filter(|_| has(1)),
            group: full.group.filter(|_| has(2)),
            has_group_secret: has(3),
            member_of: if has(4) {
                full.member_of
            } else {
                Default::default()
            },
            secret_member_of: if has(5) {
                full.secret_member_of
            } else {
                Default::default()
            },
            has_sub_ids: has(6),
            keeps_group_secrets: true,
        }
    };
    (0..128).map(state).collect()
}

#[test]
fn an_account_is_completed_from_whatever_a_killed_tool_left_of_it() {
    for begin in states() {
        let mut traces = begin.clone();
        let mut rounds = 0;
        while let Some(lack) = wanted().lacks(&traces).into_iter().next() {
            run(&wanted().tool(&lack, &traces).unwrap(), &mut traces);
            rounds += 1;
            assert!(rounds <= 5, "{begin:?}");
        }
        traces.has_sub_ids = false;
        assert_eq!(traces, whole(), "{begin:?}");
    }
}

#[test]
fn an_account_is_removed_from_whatever_a_killed_tool_left_of_it() {
    for begin in states() {
        let mut traces = begin.clone();
        let mut rounds = 0;
        while let Some(left) = Wanted::left(&traces) {
            run(&wanted().removal(left, &traces).unwrap(), &mut traces);
            rounds += 1;
            assert!(rounds <= 5, "{begin:?}");
        }
        assert!(traces.is_empty(), "{begin:?}");
    }
}

#[test]
fn an_account_that_somebody_could_use_is_closed() {
    let told = |change: fn(&mut User, &mut Lock)| {
        let mut traces = whole();
        change(traces.user.as_mut().unwrap(), traces.lock.as_mut().unwrap());
        let lacks = wanted().lacks(&traces);
        let tool = lacks.first().and_then(|lack| wanted().tool(lack, &traces));
        (lacks.len(), tool.unwrap_or_default().join(" "))
    };
    let close =
        "usermod --home /nonexistent --shell /usr/sbin/nologin --password ! --expiredate 1 cidw-1";
    for change in [
        (|user, _| user.home = "/srv/cid/shop/anna/home".into()) as fn(&mut User, &mut Lock),
        |user, _| user.shell = "/bin/sh".into(),
        |_, lock| lock.is_locked = false,
        |_, lock| lock.has_expired = false,
    ] {
        assert_eq!(told(change), (1, close.to_owned()));
    }
    assert_eq!(told(|_, _| ()), (0, String::new()));
}

#[test]
fn what_the_package_makes_is_closed_and_not_made() {
    let tools = Wanted::package("cid-tools");
    let nothing = Traces::default();
    assert_eq!(tools.lacks(&nothing), [Lack::User]);
    assert_eq!(tools.tool(&Lack::User, &nothing), None);
    // Its groups are the package's business.
    let mut alone = whole();
    (alone.group, alone.has_group_secret, alone.member_of) = (None, false, [].into());
    assert_eq!(tools.lacks(&alone), []);
    alone.lock = None;
    assert_eq!(tools.lacks(&alone).len(), 1);
}
