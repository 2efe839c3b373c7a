//! Every RPC, everybody, by both sockets, as one reviewed table.

use crate::{
    guests,
    people::{FakePolkit, PEOPLE, Person, subject},
};
use cid_daemon::authz::{
    Accounts, Call, Caller, DenyList, Door, Gate, Host, Known, OwnerOnly, Right,
    table::{TABLE, Through},
};
use cid_daemon::domain::Creator;
use std::{fmt::Write as _, sync::Arc};

pub fn host() -> Gate {
    let accounts = Accounts::new(|uid| {
        let person = PEOPLE.iter().find(|person| person.uid == uid);
        Ok(person.map(|person| person.account.to_owned()))
    });
    let host = Host {
        uid: 0,
        front: 61_007,
        denied: DenyList::new(vec![61_006..=61_006], |name| {
            (name == "deploy").then(|| subject().project)
        }),
        accounts: accounts.clone(),
        polkit: Arc::new(FakePolkit),
    };
    Gate::with_accounts(Arc::new(host), accounts)
}

/// What becomes of a call, and of its claim.
async fn answer(gate: &Gate, rpc: &str, caller: Caller) -> (Result<(), String>, Known) {
    let call = Arc::new(Call::new(caller, rpc, false));
    let answer = match gate.admit(&call).await {
        Ok(None) => Ok(()),
        Ok(Some(claim)) => claim.bind(subject()).await.map(drop),
        Err(error) => Err(error),
    };
    (answer.map_err(|error| error.to_string()), call.known())
}

fn cell(answer: &Result<(), String>) -> &'static str {
    match answer {
        Ok(()) => "yes",
        Err(reason) if reason.ends_with("password") => "password",
        Err(_) => "-",
    }
}

#[tokio::test]
async fn everybody_may_what_is_written_here() {
    let gate = host();
    let mut table = format!("{:<34}{:<8}", "the workspace is owner's", "socket");
    for Person { title, .. } in &PEOPLE {
        write!(table, "{title:<11}").unwrap();
    }
    for row in TABLE {
        for door in [Door::People, Door::Front] {
            let rpc = short(row.rpc);
            write!(table, "\n{rpc:<34}{:<8}", door.as_str()).unwrap();
            for person in &PEOPLE {
                let (answer, known) = answer(&gate, row.rpc, person.caller(door, None)).await;
                assert!(known.decision.is_some(), "{} {person:?}", row.rpc);
                write!(table, "{:<11}", cell(&answer)).unwrap();
            }
        }
    }
    let table = format!("{table}\n\n{}", guests::table().await);
    let lines: Vec<&str> = table.lines().map(str::trim_end).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

/// An RPC as the tables write it.
pub fn short(rpc: &str) -> String {
    let (_, rpc) = rpc.rsplit_once("v1.").unwrap();
    rpc.replace("ServerReflection/", "")
}

#[tokio::test]
async fn what_is_not_in_the_table_is_for_nobody() {
    for rpc in [
        "/cid.v1.Workspaces/Destroy",
        "/",
        "",
        "/cid.v1.Workspaces/create",
    ] {
        for door in [Door::People, Door::Front] {
            let caller = PEOPLE[0].caller(door, None);
            assert!(answer(&host(), rpc, caller).await.0.is_err(), "{rpc}");
        }
    }
}

#[tokio::test]
async fn the_same_name_in_another_project_is_not_ones_own() {
    let gate = host();
    let owner = &crate::people::person("owner");
    let rpc = "/cid.v1.Workspaces/Delete";
    for account in [None, Some(String::new()), Some("bert".into())] {
        let call = Arc::new(Call::new(owner.caller(Door::People, None), rpc, false));
        let claim = gate.admit(&call).await.unwrap().unwrap();
        let theirs = cid_daemon::authz::Subject {
            account,
            ..subject()
        };
        assert!(claim.bind(theirs).await.is_err());
    }
}

#[tokio::test]
async fn who_made_a_workspace_may_cancel_and_delete_it_unless_it_is_somebody_elses() {
    let gate = host();
    let member = crate::people::person("member");
    let may = async |rpc: &str, account: Option<&str>, creator: Creator| {
        let call = Arc::new(Call::new(member.caller(Door::People, None), rpc, false));
        let claim = gate.admit(&call).await.unwrap().unwrap();
        let made = cid_daemon::authz::Subject {
            account: account.map(str::to_owned),
            creator: Some(creator),
            ..subject()
        };
        claim.bind(made).await.is_ok()
    };
    let bert = || Creator::User(member.uid);
    let by_form = || Creator::Address(subject().owner.unwrap().person().unwrap().clone());
    let is_about_one = |rpc: &str| {
        let of = ["/cid.v1.Workspaces/", "/cid.v1.Jobs/"];
        of.iter().any(|service| rpc.starts_with(service)) && !rpc.ends_with("/Create")
    };
    for row in TABLE {
        let rpc = row.rpc;
        if !is_about_one(rpc) || !matches!(row.right, Right::About { .. }) {
            continue;
        }
        let creators = [
            "/cid.v1.Workspaces/Delete",
            "/cid.v1.Jobs/Cancel",
            "/cid.v1.Jobs/Retry",
        ]
        .contains(&rpc);
        assert_eq!(may(rpc, None, bert()).await, creators, "{rpc}");
        assert!(!may(rpc, Some("anna"), bert()).await, "{rpc}: it is Anna's");
        assert!(
            may(rpc, Some("bert"), Creator::User(1)).await,
            "{rpc}: it is Bert's"
        );
        assert!(
            !may(rpc, None, Creator::User(member.uid + 1)).await,
            "{rpc}"
        );
        assert!(!may(rpc, None, by_form()).await, "{rpc}");
    }
}

#[tokio::test]
async fn an_account_that_cannot_be_looked_up_gets_nothing() {
    for name in [Ok(None), Err("no answer".to_owned())] {
        let accounts = Accounts::new(move |_| name.clone());
        let host = Host {
            uid: 0,
            front: 61_007,
            denied: DenyList::new(Vec::new(), |_| None),
            accounts: accounts.clone(),
            polkit: Arc::new(FakePolkit),
        };
        let gate = Gate::with_accounts(Arc::new(host), accounts);
        for rpc in ["/cid.v1.Workspaces/List", "/cid.v1.Workspaces/Create"] {
            let caller = crate::people::person("admin").caller(Door::People, None);
            assert!(answer(&gate, rpc, caller).await.0.is_err());
        }
    }
}

#[tokio::test]
async fn in_a_sandbox_its_owner_may_all_and_others_nothing() {
    let gate = Gate::new(Arc::new(OwnerOnly { uid: 61_003 }));
    for row in TABLE {
        for person in &PEOPLE {
            for door in [Door::People, Door::Front] {
                let (answer, _) = answer(&gate, row.rpc, person.caller(door, None)).await;
                // At the front they are visitors who have not signed in.
                let is_offered = match door {
                    Door::People => row.doors.contains(&door),
                    Door::Front => row.through == Through::Visitors,
                };
                let may = [0, 61_003].contains(&person.uid) && is_offered;
                assert_eq!(answer.is_ok(), may, "{} {person:?} {door:?}", row.rpc);
            }
        }
    }
}
