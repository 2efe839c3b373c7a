use crate::{
    fake::{self, Fake},
    front::{Front, submission},
};
use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use cid_client::Client;
use cid_proto::v1::WorkspaceState;
use cid_web::app::{App, router};
use tokio::sync::watch;
use tower::ServiceExt;

fn workspaces(daemon: &Fake) -> usize {
    let mut count = 0;
    daemon.change(|world| count = world.workspaces.len());
    count
}

#[tokio::test]
async fn a_wish_leads_to_its_job() {
    let front = Front::new();
    let page = front.submit("email=anna%40example.com").await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    assert_eq!(page.header("location"), "/jobs/job-1");
    assert_eq!(workspaces(&front.daemon), 1);
    front.get("/jobs/job-1").await.has("anna@example.com");
}

#[tokio::test]
async fn another_branch_to_begin_from_is_passed_on() {
    let front = Front::new();
    let acts = || {
        let mut acts = Vec::new();
        front.daemon.change(|world| acts.clone_from(&world.acts));
        acts
    };
    front.submit("email=anna%40example.com&base=").await;
    assert_eq!(acts(), Vec::<String>::new());
    front
        .submit("email=ben%40example.com&base=+release-2+")
        .await;
    assert_eq!(acts(), ["create from release-2"]);
}

#[tokio::test]
async fn an_invalid_address_comes_back_with_the_daemons_sentence() {
    let front = Front::new();
    let page = front.submit("email=%22%3E%3Cscript%3Eanna").await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    page.has(r#"id="email-error""#);
    page.has("Cannot use this as an e-mail address: it has no @");
    page.has(r#"value="&#34;&#62;&#60;script&#62;anna""#);
    page.has(r#"aria-describedby="email-error""#);
    page.has_not("<script>");
}

#[tokio::test]
async fn an_address_that_has_a_workspace_is_led_to_it() {
    let front = Front::new();
    front.daemon.change(|world| {
        let anna = fake::workspace("anna@example.com", "pressa", WorkspaceState::Ready);
        world.workspaces.push(anna);
    });
    let page = front.submit("email=anna%40example.com").await;
    assert_eq!(page.status, StatusCode::CONFLICT);
    page.has(r#"id="workspace-url" href="http://anna---example-com.pressa.example.org/""#);
    page.has("anna@example.com has a workspace already");
}

#[tokio::test]
async fn only_the_fronts_own_form_is_read() {
    let front = Front::new();
    for form in [
        "",
        "name=anna",
        "email=anna%40example.com&email=boris%40example.com",
        "email=anna%40example.com&project=pressa&project=atlas",
        "email=anna%40example.com&admin=1",
    ] {
        let page = front.submit(form).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{form}");
    }
    let long = format!("email={}", "a".repeat(9000));
    let page = front.send(submission(long, "same-origin")).await;
    assert_eq!(page.status, StatusCode::PAYLOAD_TOO_LARGE);

    let json = Request::post("/workspaces")
        .header("content-type", "application/json")
        .body(Body::from(r#"{"email":["a@b.example"]}"#))
        .unwrap();
    let page = front.send(json).await;
    assert_eq!(page.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(workspaces(&front.daemon), 0);
}

#[tokio::test]
async fn forms_of_other_sites_are_refused() {
    let front = Front::new();
    let form = "email=anna%40example.com";
    for site in ["cross-site", "same-site"] {
        let page = front.send(submission(form, site)).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{site}");
        page.has("another site");
    }
    for (origin, status) in [
        ("http://anna.cid.example.org", StatusCode::FORBIDDEN),
        ("http://cid.example.org.evil.example", StatusCode::FORBIDDEN),
        ("null", StatusCode::FORBIDDEN),
        ("http://cid.example.org", StatusCode::SEE_OTHER),
    ] {
        let mut old_browser = submission(form, "");
        let headers = old_browser.headers_mut();
        headers.remove("sec-fetch-site");
        headers.insert("origin", origin.parse().unwrap());
        assert_eq!(front.send(old_browser).await.status, status, "{origin}");
    }
    assert_eq!(workspaces(&front.daemon), 1);
}

#[tokio::test]
async fn a_get_changes_nothing() {
    let front = Front::new();
    let page = front.get("/workspaces?email=anna%40example.com").await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    assert_eq!(page.header("location"), "/");
    assert_eq!(workspaces(&front.daemon), 0);
}

#[tokio::test]
async fn every_answer_carries_the_headers() {
    let front = Front::new();
    for (path, cache) in [
        ("/", "no-store"),
        ("/none", "no-store"),
        ("/workspaces", "no-store"),
        ("/static/cid.css", "public, max-age=31536000, immutable"),
        ("/static/live.js", "public, max-age=31536000, immutable"),
    ] {
        let page = front.get(path).await;
        let policy = page.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'"), "{path}");
        assert!(policy.contains("frame-ancestors 'none'"), "{path}");
        assert!(!policy.contains("unsafe"), "{path}");
        assert_eq!(page.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(page.header("x-frame-options"), "DENY", "{path}");
        assert_eq!(page.header("referrer-policy"), "strict-origin", "{path}");
        assert_eq!(page.header("cache-control"), cache, "{path}");
    }
    let page = front.get("/").await;
    page.has_not("style=");
    page.has_not("onclick");
}

#[tokio::test]
async fn a_daemon_that_does_not_answer_is_named() {
    let (_closing, closing) = watch::channel(false);
    let nobody = Client::lazy("/nonexistent/web.sock".as_ref());
    let router = router(App::new(nobody, closing));
    for path in [
        "/",
        "/jobs/j",
        "/workspaces/p/a@b.example",
        "/jobs/j/events",
    ] {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert!(response.headers().contains_key("retry-after"), "{path}");
        let body = axum::body::to_bytes(response.into_body(), 1 << 20)
            .await
            .unwrap();
        let body = String::from_utf8(body.into()).unwrap();
        assert!(body.contains("cid does not answer"), "{path}: {body}");
        assert!(!body.contains("/nonexistent"), "{path}");
    }
}

#[tokio::test]
async fn a_flood_of_forms_is_refused_with_the_time_to_come_back() {
    let front = Front::new();
    let of = |client: &str| {
        let mut request = submission("email=nonsense", "same-origin");
        let client = client.parse().unwrap();
        request.headers_mut().insert("x-forwarded-for", client);
        front.send(request)
    };
    for _ in 0..cid_web::rate::OF_CLIENT {
        assert_eq!(
            of("192.0.2.1").await.status,
            StatusCode::UNPROCESSABLE_ENTITY
        );
    }
    // What the client itself wrote before nginx's entry is ignored.
    for client in ["192.0.2.1", "1.2.3.4, 192.0.2.1"] {
        let page = of(client).await;
        assert_eq!(page.status, StatusCode::TOO_MANY_REQUESTS);
        assert!((1..=60).contains(&page.header("retry-after").parse::<u64>().unwrap()));
    }
    assert_eq!(
        of("192.0.2.2").await.status,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    assert_eq!(front.get("/").await.status, StatusCode::OK);
}
