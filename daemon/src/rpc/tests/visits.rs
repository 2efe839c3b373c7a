//! Visitors of apps that are for people alone: tickets, and the tokens they become.

use super::{
    people::stage,
    stage::{Stage, create},
};
use crate::authz::Door;
use cid_proto::v1;
use tonic::{Code, Status};

const UNIT: &str = "demo.anna---example-com";
const STATE: &str = "0123456789abcdef";

async fn admit(stage: &Stage, asked: v1::AdmitRequest) -> Result<v1::AdmitResponse, Status> {
    stage
        .ask(Door::Front, "/cid.v1.People/Admit", None, &asked)
        .await
}

fn with_ticket(unit: &str, ticket: &str, state: &str) -> v1::AdmitRequest {
    v1::AdmitRequest {
        unit: unit.into(),
        ticket: ticket.into(),
        state: state.into(),
        token: String::new(),
    }
}

fn with_token(unit: &str, token: &str) -> v1::AdmitRequest {
    v1::AdmitRequest {
        unit: unit.into(),
        token: token.into(),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_ticket_is_good_for_one_site_and_browser_and_its_token_for_as_long_as_the_session() {
    let stage = stage();
    let made = stage
        .call(1000, "/cid.v1.Workspaces/Create", &create())
        .await;
    assert_eq!(made, Code::Ok);
    stage.cid.engine.idle().await;
    // Ben visits Anna's workspace: being signed in is enough.
    let ben = stage.sign_in("ben@example.com").await;
    let asked = |unit: &str| v1::TicketRequest {
        unit: unit.into(),
        state: STATE.into(),
    };
    let ticket = async |session: Option<&str>, unit: &str| {
        let rpc = "/cid.v1.People/Ticket";
        let request = asked(unit);
        let answer = stage.ask::<v1::TicketResponse>(Door::Front, rpc, session, &request);
        answer.await.map_err(|status| status.code())
    };
    assert_eq!(ticket(None, UNIT).await, Err(Code::Unauthenticated));
    assert_eq!(ticket(Some("x"), UNIT).await, Err(Code::Unauthenticated));
    let good = ticket(Some(&ben), UNIT).await.unwrap();
    assert!(good.url.contains("anna---example-com"), "{}", good.url);
    let ticket = good.ticket;
    let (begin, proof) = ticket.rsplit_once('.').unwrap();
    let later = {
        let (number, until) = begin.split_once('.').unwrap();
        format!("{number}.{}.{proof}", until.parse::<i64>().unwrap() + 1)
    };
    for (unit, ticket, state) in [
        ("demo.carol---example-com", &*ticket, STATE),
        ("shop.anna---example-com", &ticket, STATE),
        (UNIT, &ticket, "fedcba9876543210"),
        (UNIT, &ticket, ""),
        (UNIT, begin, STATE),
        (UNIT, &later, STATE),
        (UNIT, "1.2.3", STATE),
        (UNIT, "x", STATE),
    ] {
        let refused = admit(&stage, with_ticket(unit, ticket, state)).await;
        assert_eq!(
            refused.unwrap_err().code(),
            Code::Unauthenticated,
            "{ticket}"
        );
    }
    let entered = admit(&stage, with_ticket(UNIT, &ticket, STATE))
        .await
        .unwrap();
    assert_eq!(entered.email, "ben@example.com");
    let token = entered.token;
    let known = admit(&stage, with_token(UNIT, &token)).await.unwrap();
    assert_eq!(known.email, "ben@example.com");
    // Neither elsewhere, nor a ticket or a session in its place.
    for (unit, token) in [
        ("demo.carol---example-com", &*token),
        (UNIT, &ticket),
        (UNIT, &ben),
        (UNIT, ""),
        (UNIT, "1.AAAA"),
        (UNIT, "999.AAAA"),
    ] {
        let refused = admit(&stage, with_token(unit, token)).await;
        assert_eq!(
            refused.unwrap_err().code(),
            Code::Unauthenticated,
            "{token}"
        );
    }
    // The token does not hold the session's, and does not sign in.
    let as_session: Result<v1::ListResponse, _> = stage
        .ask(
            Door::Front,
            "/cid.v1.Workspaces/List",
            Some(&token),
            &v1::ListRequest::default(),
        )
        .await;
    assert_eq!(as_session.unwrap_err().code(), Code::Unauthenticated);
    stage.sign_out(&ben).await;
    let refused = admit(&stage, with_token(UNIT, &token)).await;
    assert_eq!(refused.unwrap_err().code(), Code::Unauthenticated);
}
