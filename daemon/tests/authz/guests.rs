//! Every RPC, every sort of guest of the front, as one reviewed table.

use crate::{
    matrix::{host, short},
    people::subject,
};
use cid_daemon::{
    authz::{Call, Caller, Door, Guest, Person, table::TABLE},
    domain::Email,
};
use std::{fmt::Write as _, sync::Arc};

/// The front's own account.
const FRONT: u32 = 61_007;

fn guests() -> [(&'static str, Guest); 6] {
    let guest = |email: &str, is_administrator, may_create_for_others| Guest {
        is_open: false,
        person: Some(Person {
            email: Email::parse(email).unwrap(),
            is_administrator,
            may_create_for_others,
        }),
    };
    let open = Guest {
        is_open: true,
        person: None,
    };
    [
        ("visitor", Guest::default()),
        ("open", open),
        (
            "owner",
            guest(subject().owner.unwrap().as_str(), false, false),
        ),
        ("other", guest("ben@example.com", false, false)),
        ("lead", guest("lead@example.com", false, true)),
        ("admin", guest("root@example.com", true, true)),
    ]
}

/// What becomes of a call about anna's workspace; `+` where its service shows only what is theirs.
async fn cell(rpc: &str, uid: u32, guest: &Guest) -> &'static str {
    let gate = host();
    let caller = Caller {
        uid,
        gid: uid,
        process: None,
        door: Door::Front,
    };
    let call = Arc::new(Call::new(caller, rpc, false).of_guest(guest.clone()));
    match gate.admit(&call).await {
        Ok(None) if gate.viewer(&call).only().is_some() => "+",
        Ok(None) => "yes",
        Ok(Some(claim)) => match claim.bind(subject()).await {
            Ok(_) => "yes",
            Err(_) => "-",
        },
        Err(_) => "-",
    }
}

/// What each of them may; the test of the other table compares it.
pub async fn table() -> String {
    let mut table = format!("{:<26}", "the workspace is owner's");
    for (title, _) in guests() {
        write!(table, "{title:<9}").unwrap();
    }
    for row in TABLE {
        write!(table, "\n{:<26}", short(row.rpc)).unwrap();
        for (_, guest) in guests() {
            write!(table, "{:<9}", cell(row.rpc, FRONT, &guest).await).unwrap();
        }
    }
    table
}

/// A session is worth something only in the front's hands.
#[tokio::test]
async fn a_session_gives_nothing_to_other_accounts() {
    let (_, admin) = &guests()[5];
    for row in TABLE {
        for uid in [61_001, 61_002, 61_004, 61_005, 61_006] {
            assert_eq!(cell(row.rpc, uid, admin).await, "-", "{} {uid}", row.rpc);
        }
    }
}
