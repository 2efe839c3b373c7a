//! Apps that are for people alone: from the app's site to the front, and back with a cookie.

use crate::front::{Front, Page};
use axum::http::{Request, StatusCode};

const UNIT: &str = "pressa.anna---example-com";

fn at_site(path: &str) -> axum::http::request::Builder {
    Request::get(path)
        .header("host", "anna---example-com.pressa.example.org")
        .header("x-cid-unit", UNIT)
        .header("x-cid-method", "GET")
        .header("x-forwarded-proto", "https")
}

fn cookies(page: &Page) -> Vec<String> {
    let all = page.headers.get_all("set-cookie").iter();
    all.map(|cookie| cookie.to_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_browser_goes_to_the_front_and_comes_back_known() {
    let front = Front::new();
    front.daemon.change(|world| world.asks_to_sign_in = true);
    // Not known yet.
    let page = front.ask(at_site("/.cid/check")).await;
    assert_eq!(page.status, StatusCode::UNAUTHORIZED);
    let asked = at_site("/.cid/visitor")
        .header("accept", "text/html")
        .header("x-cid-state", "0123abcd")
        .header("x-cid-uri", "/x?y=1&z=2");
    let page = front.ask(asked).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    let to = page.header("location").to_owned();
    assert_eq!(
        to,
        format!("https://ci.example.org/visit/{UNIT}?state=0123abcd&to=%2Fx%3Fy%3D1%26z%3D2")
    );
    assert_eq!(
        cookies(&page),
        ["__Host-cid-visit-state=0123abcd; Path=/; Max-Age=1800; HttpOnly; SameSite=Lax; Secure"]
    );
    // At the front: to sign in first, and then with a ticket back.
    let path = to.strip_prefix("https://ci.example.org").unwrap();
    let page = front.get(path).await;
    assert_eq!(page.header("location"), "/sign-in");
    let anna = front.sign_in("anna@example.com", false);
    let page = front.get_as(&anna, path).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    let back = page.header("location").to_owned();
    let site = "http://anna---example-com.pressa.example.org";
    let entered = back.strip_prefix(site).unwrap().to_owned();
    assert!(entered.starts_with("/.cid/enter?ticket="), "{back}");
    assert!(entered.ends_with("&to=%2Fx%3Fy%3D1%26z%3D2"), "{back}");
    // Another browser's state is not enough.
    for state in ["", "ffff"] {
        let page = front
            .ask(at_site(&entered).header("x-cid-state", state))
            .await;
        assert_eq!(page.status, StatusCode::FORBIDDEN);
        assert_eq!(cookies(&page), Vec::<String>::new());
    }
    let page = front
        .ask(at_site(&entered).header("x-cid-state", "0123abcd"))
        .await;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.body);
    assert_eq!(page.header("location"), "/x?y=1&z=2");
    let token = format!("anna@example.com~{UNIT}");
    let set = cookies(&page);
    assert!(
        set[0].starts_with(&format!("__Host-cid-visit={token}; Path=/; ")),
        "{set:?}"
    );
    assert!(
        set[0].ends_with("; HttpOnly; SameSite=Lax; Secure"),
        "{set:?}"
    );
    assert!(
        set[1].starts_with("__Host-cid-visit-state=; Path=/; Max-Age=0"),
        "{set:?}"
    );
    // Known, and the daemon is not asked for each request.
    let mut before = 0;
    front.daemon.change(|world| before = world.acts.len());
    for _ in 0..5 {
        let page = front
            .ask(at_site("/.cid/check").header("x-cid-visit", &token))
            .await;
        assert_eq!(page.status, StatusCode::NO_CONTENT);
        assert_eq!(page.header("x-cid-person"), "anna@example.com");
    }
    front
        .daemon
        .change(|world| assert_eq!(world.acts.len(), before + 1));
    let elsewhere = Request::get("/.cid/check")
        .header("x-cid-unit", "pressa.bob---example-com")
        .header("x-cid-visit", &token);
    assert_eq!(front.ask(elsewhere).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn programs_are_refused_and_the_way_back_leads_to_no_other_site() {
    let front = Front::new();
    for (method, accept) in [
        ("POST", "text/html"),
        ("GET", "*/*"),
        ("GET", "application/json"),
    ] {
        let asked = Request::get("/.cid/visitor")
            .header("x-cid-unit", UNIT)
            .header("x-cid-method", method)
            .header("x-cid-state", "00")
            .header("x-cid-uri", "/x")
            .header("accept", accept);
        let page = front.ask(asked).await;
        assert_eq!(page.status, StatusCode::UNAUTHORIZED, "{method} {accept}");
        assert_eq!(cookies(&page), Vec::<String>::new());
    }
    let ticket = format!("anna@example.com%20{UNIT}%2000");
    for (to, leads) in [
        ("", "/"),
        ("%2F%2Fevil.example%2F", "/"),
        ("https:%2F%2Fevil.example%2F", "/"),
        ("%2F%5Cevil.example", "/"),
        ("%2F.cid%2Fenter", "/"),
        ("%2Fgood%3Fx", "/good?x"),
    ] {
        let path = format!("/.cid/enter?ticket={ticket}&to={to}");
        let page = front.ask(at_site(&path).header("x-cid-state", "00")).await;
        assert_eq!(page.header("location"), leads, "{to}: {}", page.body);
    }
}
