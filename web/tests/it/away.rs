//! What visitors get in the place of an app that does not answer.

use crate::{fake, front::Front};
use axum::http::{Request, StatusCode};
use cid_proto::v1::WorkspaceState;
use data_encoding::BASE64;
use sha2::{Digest, Sha256};

const HOST: &str = "anna---example-com.pressa.example.org";

fn asked(path: &str) -> axum::http::request::Builder {
    Request::get(path)
        .header("host", HOST)
        .header("accept", "text/html,application/xhtml+xml,*/*;q=0.8")
}

#[tokio::test]
async fn a_browser_gets_a_page_that_goes_on_by_itself_and_tells_strangers_nothing() {
    let front = Front::new();
    front.daemon.change(|world| {
        let anna = fake::workspace("anna@example.com", "pressa", WorkspaceState::Ready);
        world.workspaces.push(anna);
    });
    let page = front
        .ask(asked("/.cid/away").header("x-cid-method", "GET"))
        .await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(page.header("retry-after"), "5");
    assert_eq!(page.header("cache-control"), "no-store");
    page.has("<noscript><meta http-equiv=\"refresh\"");
    page.has(&format!("href=\"https://ci.example.org/at/{HOST}\""));
    for secret in ["anna@example.com", "/srv/", "cid=", "csrf"] {
        page.has_not(secret);
    }
    assert_eq!(page.header("set-cookie"), "");
    // The browser runs what is in the page, and nothing else.
    let policy = page.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    for tag in ["style", "script"] {
        let (_, rest) = page.body.split_once(&format!("<{tag}>")).unwrap();
        let (text, _) = rest.split_once(&format!("</{tag}>")).unwrap();
        let hash = BASE64.encode(&Sha256::digest(text));
        let source = format!("{tag}-src 'sha256-{hash}'");
        assert!(policy.contains(&source), "{source}: {policy}");
    }

    // The owner follows the link, at the front.
    let at = front.get(&format!("/at/{HOST}")).await;
    assert_eq!(at.status, StatusCode::SEE_OTHER);
    assert_eq!(at.header("location"), "/workspaces/pressa/anna@example.com");
    for other in ["x.example.org", "anna---example-com", "%2Fevil"] {
        let page = front.get(&format!("/at/{other}")).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{other}");
    }
}

#[tokio::test]
async fn what_was_sent_is_not_sent_again_and_programs_get_a_line() {
    let front = Front::new();
    let page = front
        .ask(asked("/.cid/away").header("x-cid-method", "POST"))
        .await;
    page.has("send it again");
    page.has_not("refresh");
    page.has_not("<script>");
    let russian = asked("/.cid/away").header("accept-language", "ru");
    let page = front.ask(russian).await;
    page.has("<html lang=\"ru\">");
    page.has("Сейчас здесь никто не отвечает");
    for accept in ["*/*", "application/json", "text/plain"] {
        let request = Request::get("/.cid/away").header("accept", accept);
        let page = front.ask(request).await;
        assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(page.header("retry-after"), "5");
        assert!(page.header("x-cid-away") == "1" && !page.body.contains('<'));
    }
    let page = front.ask(asked("/.cid/nobody")).await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    page.has("No such workspace");
    page.has_not("<script>");
    let hostile = Request::get("/.cid/away")
        .header("accept", "text/html")
        .header("host", "\"><script>x");
    let page = front.ask(hostile).await;
    page.has_not("<script>x");
    page.has_not("/at/");
}

#[tokio::test]
async fn all_who_come_to_a_stopped_workspace_ask_once_and_go_where_the_daemon_says() {
    use cid_proto::v1::visit_response::Outcome;
    let front = Front::new();
    let come = |path: &'static str, unit: &str| {
        let request = asked(path)
            .header("x-cid-unit", unit)
            .header("x-cid-method", "GET");
        front.ask(request)
    };
    front.daemon.change(|world| world.visited = Outcome::Woken);
    let all = futures::future::join_all((0..20).map(|_| come("/.cid/wake", "pressa.a--b"))).await;
    for answer in all {
        assert_eq!(answer.header("x-accel-redirect"), "@app");
    }
    let times = |unit: &str| {
        let unit = format!("visit {unit}");
        let mut count = 0;
        front
            .daemon
            .change(|world| count = world.acts.iter().filter(|act| **act == unit).count());
        count
    };
    assert_eq!(times("pressa.a--b"), 1);
    // It has begun to run since nginx looked; one that nginx did ask is silent all the same.
    front.daemon.change(|world| world.visited = Outcome::Runs);
    let answer = come("/.cid/wake", "pressa.c--d").await;
    assert_eq!(answer.header("x-accel-redirect"), "@app");
    let answer = come("/.cid/away", "pressa.c--d").await;
    assert_eq!(answer.header("x-accel-redirect"), "");
    answer.has("Nothing answers here");
    front
        .daemon
        .change(|world| world.visited = Outcome::Stopped);
    let answer = come("/.cid/wake", "pressa.e--f").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    answer.has("This workspace is stopped");
    assert_eq!(answer.header("x-cid-away"), "1");
    // Who comes a moment later costs the daemon nothing.
    come("/.cid/wake", "pressa.e--f").await;
    assert_eq!(times("pressa.e--f"), 1);
}
