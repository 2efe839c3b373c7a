//! Every RPC, every sort of guest of the front, as one reviewed table.

use crate::{matrix::host, people::subject};
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
            guest(subject().email.unwrap().as_str(), false, false),
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

#[tokio::test]
async fn guests_may_what_is_written_here() {
    let mut table = format!("{:<26}", "the workspace is owner's");
    for (title, _) in guests() {
        write!(table, "{title:<9}").unwrap();
    }
    for row in TABLE {
        let rpc = row.rpc.rsplit_once("v1.").unwrap().1;
        let rpc = rpc.replace("ServerReflection/", "");
        write!(table, "\n{rpc:<26}").unwrap();
        for (_, guest) in guests() {
            write!(table, "{:<9}", cell(row.rpc, FRONT, &guest).await).unwrap();
        }
    }
    let lines: Vec<&str> = table.lines().map(str::trim_end).collect();
    let expected = "\
the workspace is owner's  visitor  open     owner    other    lead     admin
Workspaces/Create         -        yes      yes      -        yes      yes
Workspaces/Get            -        yes      +        +        +        yes
Workspaces/List           -        yes      +        +        +        yes
Workspaces/Delete         -        -        yes      -        -        yes
Workspaces/Restart        -        -        yes      -        -        yes
Workspaces/Deploy         -        -        yes      -        -        yes
Workspaces/RepairAccess   -        -        -        -        -        -
Workspaces/Logs           -        -        yes      -        -        yes
Workspaces/Run            -        -        -        -        -        -
Workspaces/Test           -        -        yes      -        -        yes
Builds/Start              -        -        -        -        -        yes
Builds/List               -        -        +        +        +        yes
Builds/Get                -        -        +        +        +        yes
Builds/Logs               -        -        -        -        -        yes
Builds/Delete             -        -        -        -        -        -
Stages/List               -        -        +        +        +        yes
Stages/Promote            -        -        -        -        -        yes
Stages/RollBack           -        -        -        -        -        yes
Stages/Preview            -        -        +        +        +        yes
Jobs/Get                  -        yes      +        +        +        yes
Jobs/List                 -        yes      +        +        +        yes
Jobs/Watch                -        yes      +        +        +        yes
Jobs/Cancel               -        -        yes      -        -        yes
Jobs/Retry                -        -        yes      -        -        yes
People/Link               -        -        -        -        -        -
People/AskForLink         yes      yes      +        +        +        yes
People/Redeem             yes      yes      +        +        +        yes
People/WhoAmI             yes      yes      +        +        +        yes
People/SignOut            yes      yes      +        +        +        yes
People/List               -        -        -        -        -        yes
People/EndSessions        -        -        -        -        -        yes
Projects/List             -        yes      +        +        +        yes
Projects/Get              -        yes      +        +        +        yes
Projects/Check            -        -        -        -        -        -
Projects/Fetch            -        -        -        -        -        -
Projects/Hooks            -        -        -        -        -        -
Projects/Remove           -        -        -        -        -        -
Hooks/Deliver             yes      yes      +        +        +        yes
System/Version            yes      yes      +        +        +        yes
System/Doctor             -        -        -        -        -        yes
System/EnableFront        -        -        -        -        -        -
System/DisableFront       -        -        -        -        -        -
System/Audit              -        -        -        -        -        yes
Health/Check              yes      yes      +        +        +        yes
Health/List               yes      yes      +        +        +        yes
Health/Watch              -        -        -        -        -        -
ServerReflectionInfo      -        -        -        -        -        -";
    assert_eq!(lines.join("\n"), expected);
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
