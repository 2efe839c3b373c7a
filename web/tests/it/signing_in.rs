use crate::{
    fake,
    front::{Front, Page, submission},
};
use axum::http::{Request, StatusCode};
use cid_proto::v1 as pb;

/// A front that asks visitors to sign in.
fn verified() -> Front {
    let front = Front::new();
    front.daemon.change(|world| world.asks_to_sign_in = true);
    front
}

async fn post(front: &Front, path: &str, form: &'static str, headers: &[(&str, &str)]) -> Page {
    let mut request = submission(form, "same-origin");
    *request.uri_mut() = path.parse().unwrap();
    for (name, value) in headers {
        let name: axum::http::HeaderName = name.parse().unwrap();
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    front.send(request).await
}

#[tokio::test]
async fn without_a_session_every_page_leads_to_the_sign_in_page() {
    let front = verified();
    front.daemon.change(|world| {
        let state = pb::WorkspaceState::Ready;
        let made = fake::workspace("anna@example.com", "pressa", state);
        world.workspaces.push(made);
        let job = fake::job("1", "anna@example.com", "pressa", pb::JobState::Running);
        world.jobs.push(job);
    });
    for path in [
        "/",
        "/workspaces/pressa/anna@example.com",
        "/workspaces/pressa/anna---example-com",
        "/jobs/1",
        "/jobs/1/events",
    ] {
        let page = front.get(path).await;
        assert_eq!(page.status, StatusCode::SEE_OTHER, "{path}");
        assert_eq!(page.header("location"), "/sign-in", "{path}");
        page.has_not("anna");
    }
    let page = front.submit("email=ben%40example.com").await;
    assert_eq!(page.header("location"), "/sign-in");
    let page = front.get("/sign-in").await;
    assert_eq!(page.status, StatusCode::OK);
    page.has("name=\"code\"");
    let request = Request::get("/sign-in").header("accept-language", "ru");
    front.ask(request).await.has("Войти");
}

/// Programs that look through mail open links.
#[tokio::test]
async fn opening_a_link_signs_nobody_in_and_its_button_does() {
    let front = verified();
    for _ in 0..10 {
        let page = front.get("/sign-in/good").await;
        assert_eq!(page.status, StatusCode::OK);
        assert_eq!(page.header("set-cookie"), "");
        page.has("value=\"good\"");
    }
    front
        .get("/sign-in/%22%3E%3Cscript%3E")
        .await
        .has_not("<script>");
    let page = post(&front, "/sign-in", "token=good", &[]).await;
    assert_eq!(page.header("location"), "/");
    let cookie = page.header("set-cookie").to_owned();
    assert!(cookie.starts_with("cid=session-0-;"), "{cookie}");
    assert!(cookie.contains("; HttpOnly; SameSite=Lax"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let home = front.ask(Request::get("/").header("cookie", &cookie)).await;
    assert_eq!(home.status, StatusCode::OK);
    home.has("<span id=\"who\">anna@example.com</span>");
    home.has("type=\"hidden\" id=\"email\" name=\"email\" value=\"anna@example.com\"");
    assert!(home.header("set-cookie").starts_with(&cookie));
    // Without what the page puts into its forms, nothing is done.
    let page = post(&front, "/sign-out", "", &[("cookie", &cookie)]).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    let page = front.post_as(&cookie, "/sign-out", "").await;
    assert_eq!(page.header("location"), "/sign-in");
    assert!(
        page.header("set-cookie")
            .starts_with("cid=; Path=/; Max-Age=0")
    );
    let home = front.ask(Request::get("/").header("cookie", &cookie)).await;
    assert_eq!(home.header("location"), "/sign-in?ended=yes");
    let told = front.get("/sign-in?ended=yes").await;
    told.has("id=\"ended\"");
}

#[tokio::test]
async fn who_has_a_dead_session_signs_in_again_and_a_live_one_is_ended() {
    let front = verified();
    let dead = "cid=dead";
    let home = front.get_as(dead, "/").await;
    assert_eq!(home.header("location"), "/sign-in?ended=yes");
    let cleared: Vec<_> = home.headers.get_all("set-cookie").iter().collect();
    assert_eq!(cleared.len(), 2, "{cleared:?}");
    assert!(
        cleared
            .iter()
            .all(|cookie| cookie.to_str().unwrap().contains("=; Path=/; Max-Age=0"))
    );
    // A browser that keeps it all the same.
    let page = front.get_as(dead, "/sign-in").await;
    let form = format!("form={}&token=good", crate::front::form_token(&page.body));
    let page = front.post_with(dead, "/sign-in", &form).await;
    assert_eq!(page.header("location"), "/", "{}", page.body);
    let first = page
        .header("set-cookie")
        .split(';')
        .next()
        .unwrap()
        .to_owned();
    assert_eq!(front.get_as(&first, "/").await.status, StatusCode::OK);
    // Signed in as somebody else here, the first session is over.
    let page = front
        .post_as(&first, "/sign-in", "email=ben%40example.com&code=good")
        .await;
    assert_eq!(page.header("location"), "/", "{}", page.body);
    assert_eq!(
        front.get_as(&first, "/").await.header("location"),
        "/sign-in?ended=yes"
    );
}

#[tokio::test]
async fn behind_tls_the_cookie_is_this_hosts_alone() {
    let front = verified();
    let headers = [
        ("x-forwarded-proto", "https"),
        ("x-forwarded-for", "192.0.2.1"),
    ];
    let form = "email=ben%40example.com&code=good";
    let page = post(&front, "/sign-in", form, &headers).await;
    let cookie = page.header("set-cookie");
    assert!(
        cookie.starts_with("__Host-cid=session-0-192.0.2.1; Path=/;"),
        "{cookie}"
    );
    assert!(
        cookie.ends_with("; Secure") && !cookie.contains("Domain"),
        "{cookie}"
    );
    // A neighbour's cookie is not taken for it.
    let request = Request::get("/")
        .header("x-forwarded-proto", "https")
        .header("cookie", "cid=session-0-192.0.2.1");
    assert_eq!(front.ask(request).await.header("location"), "/sign-in");
}

#[tokio::test]
async fn a_wrong_code_is_told_in_both_languages_and_keeps_the_address() {
    let front = verified();
    let form = "email=ben%40example.com&code=bad";
    let page = post(&front, "/sign-in", form, &[]).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(page.header("set-cookie"), "");
    page.has("value=\"ben@example.com\"");
    page.has("this link or code is not good");
    let page = post(&front, "/sign-in", form, &[("accept-language", "ru")]).await;
    page.has("Ссылка или код не подходят");
    page.has_not("this link");
    for bad in [
        "",
        "email=a%40b.c",
        "token=good&token=good",
        "token=good&x=y",
    ] {
        let page = post(&front, "/sign-in", bad, &[]).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{bad}");
    }
}

#[tokio::test]
async fn another_sites_form_neither_signs_in_nor_out() {
    let front = verified();
    for (path, form) in [
        ("/sign-in", "token=good"),
        ("/sign-out", ""),
        ("/ask-for-link", "email=anna%40example.com"),
    ] {
        for site in ["cross-site", "same-site"] {
            let mut request = submission(form, site);
            *request.uri_mut() = path.parse().unwrap();
            let page = front.send(request).await;
            assert_eq!(page.status, StatusCode::FORBIDDEN, "{path} {site}");
            assert_eq!(page.header("set-cookie"), "");
        }
    }
}

#[tokio::test]
async fn a_link_is_asked_for_by_mail_where_that_can_be_done() {
    let front = verified();
    front.get("/sign-in").await.has_not("/ask-for-link");
    front.daemon.change(|world| world.can_mail = true);
    front.get("/sign-in").await.has("action=\"/ask-for-link\"");
    let client = [("x-forwarded-for", "192.0.2.1"), ("accept-language", "ru")];
    let asked = |form| post(&front, "/ask-for-link", form, &client);
    let sent = async |form| {
        let page = asked(form).await;
        assert_eq!(page.status, StatusCode::SEE_OTHER);
        assert_eq!(page.header("location"), "/sign-in?sent=yes");
        let kept = page.header("set-cookie").split(';').next().unwrap();
        // To load that page again asks for nothing more.
        let request = Request::get("/sign-in?sent=yes")
            .header("cookie", kept)
            .header("accept-language", "ru");
        front.ask(request).await
    };
    let page = sent("email=anna%40example.com").await;
    assert_eq!(page.status, StatusCode::OK);
    page.has("Если этому адресу разрешён вход");
    page.has("<strong>anna@example.com</strong>");
    let other = sent("email=none%40example.com").await;
    // One answer for every address.
    let sameness = |page: &Page| page.body.replace("anna@", "none@");
    assert_eq!(sameness(&page), sameness(&other));
    let mut acts = Vec::new();
    front.daemon.change(|world| acts.clone_from(&world.acts));
    assert_eq!(acts[0], "mail anna@example.com 192.0.2.1 ru");
    for bad in [
        "",
        "email=anna%40example.com&email=eve%40example.com",
        "email=anna%40example.com&bcc=eve%40example.com",
        "email[]=anna%40example.com",
    ] {
        let page = post(&front, "/ask-for-link", bad, &[]).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{bad}");
    }
    let page = asked("email=anna").await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    front
        .daemon
        .change(|world| world.acts = vec![String::new(); 3]);
    let page = asked("email=anna%40example.com").await;
    assert_eq!(page.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(page.header("retry-after"), "60");
}

/// The cookies that an answer sets, by name.
fn cookies(page: &Page) -> Vec<(String, String)> {
    let all = page.headers.get_all("set-cookie").iter();
    let pair = |cookie: &axum::http::HeaderValue| {
        let text = cookie.to_str().unwrap();
        let (name, value) = text.split(';').next().unwrap().split_once('=').unwrap();
        (name.to_owned(), value.to_owned())
    };
    all.map(pair).collect()
}

#[tokio::test]
async fn who_was_on_the_way_to_a_page_gets_it_after_signing_in() {
    let front = verified();
    let wanted = "/workspaces/pressa/anna@example.com?process=web";
    let browser = |path: &str| Request::get(path).header("accept", "text/html,*/*");
    let page = front.ask(browser(wanted)).await;
    assert_eq!(page.header("location"), "/sign-in");
    let (_, kept) = cookies(&page)
        .into_iter()
        .find(|(name, _)| name == "cid-wanted")
        .unwrap();
    let headers = [("cookie", format!("cid-wanted={kept}"))];
    let headers = headers.each_ref().map(|(name, value)| (*name, &**value));
    // A wrong code changes nothing of it.
    let form = "email=anna%40example.com&code=bad";
    post(&front, "/sign-in", form, &headers).await;
    let page = post(&front, "/sign-in", "token=good", &headers).await;
    assert_eq!(page.header("location"), wanted);
    assert!(cookies(&page).contains(&("cid-wanted".to_owned(), String::new())));

    // A form leads to the page that it is on; what a script asks for, to nothing.
    let mut submitted = submission("", "same-origin");
    *submitted.uri_mut() = "/workspaces/pressa/anna@example.com/restart"
        .parse()
        .unwrap();
    let headers = submitted.headers_mut();
    headers.insert("accept", "text/html".parse().unwrap());
    let page = front.send(submitted).await;
    let kept = cookies(&page);
    let (_, kept) = kept.iter().find(|(name, _)| name == "cid-wanted").unwrap();
    let headers = [("cookie", &*format!("cid-wanted={kept}"))];
    let page = post(&front, "/sign-in", "token=good", &headers).await;
    assert_eq!(
        page.header("location"),
        "/workspaces/pressa/anna@example.com"
    );
    let page = front.get("/jobs/1/events").await;
    assert!(cookies(&page).iter().all(|(name, _)| name != "cid-wanted"));

    // What another site has put there leads nowhere.
    for evil in [
        "//evil.example/",
        "https://evil.example/",
        "/\\evil.example",
    ] {
        let kept = data_encoding::BASE64URL_NOPAD.encode(evil.as_bytes());
        let headers = [("cookie", &*format!("cid-wanted={kept}"))];
        let page = post(&front, "/sign-in", "token=good", &headers).await;
        assert_eq!(page.header("location"), "/", "{evil}");
    }
}
