//! Signing in at the front, in a real browser, by links that `cictl people` makes.

use crate::{
    stage::{ANNA, BERT, SOON, Stage},
    web::{eventually, front, in_browser_of, screenshot},
};
use cid_testkit::{Tree, wait_until};
use thirtyfour::{By, WebDriver, error::WebDriverResult};

/// It says who visits it, by nginx's word, and which cookies it gets.
const APP: &str = r#"import http.server
import os


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        who, cookies = self.headers.get("X-Cid-Person"), self.headers.get("Cookie")
        body = f"hello from {os.environ['CID_WORKSPACE']}\nvisitor: {who}, cookies: {cookies}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"#;

/// A sandbox whose front asks visitors to sign in.
fn stage() -> Stage {
    Stage::prepared(&Tree::hello().with("app.py", APP), |stage| {
        let settings = "[people]\ndomains = [\"example.com\"]\n[front]\nsign_in = \"verified\"\n";
        stage.sandbox.configure(settings).unwrap();
        let project = stage.server.project_toml("hello", "");
        stage.sandbox.write_project("hello", &project).unwrap();
    })
}

fn link(stage: &Stage, email: &str) -> String {
    let link = stage.json(&["people", "link", email]);
    link["url"].as_str().unwrap().to_owned()
}

/// Opens a link and presses its button.
async fn sign_in(browser: &WebDriver, link: &str) -> WebDriverResult<()> {
    browser.goto(link).await?;
    browser.find(By::Id("sign-in")).await?.click().await
}

async fn text(browser: &WebDriver, id: &'static str) -> WebDriverResult<String> {
    eventually(async || browser.find(By::Id(id)).await?.text().await).await
}

#[test]
fn a_link_signs_in_and_its_person_sees_and_makes_their_own() {
    let stage = stage();
    let berts = stage.create(BERT);
    // From now on its apps are for people alone; the present ones follow.
    let table = "[visit]\nwho = \"people\"\nopen = [\"/healthz\"]\n";
    let project = stage.server.project_toml("hello", table);
    stage.sandbox.write_project("hello", &project).unwrap();
    stage.sandbox.hup().unwrap();
    wait_until("the site asks who visits", SOON, || {
        (stage.get(&berts, "/").status == 401).then_some(())
    })
    .unwrap();
    assert!(stage.get(&berts, "/healthz").body.contains("visitor: None"));
    // Its health is the app's own.
    let is_up = || (stage.show(BERT).text("health") == "up").then_some(());
    wait_until("the app to be well", SOON, is_up).unwrap();
    let anna = link(&stage, ANNA);
    assert!(
        anna.starts_with(&format!("{}sign-in/", front(&stage))),
        "{anna}"
    );
    let used = anna.clone();
    in_browser_of(&stage, "en", async |browser, stage| {
        browser.goto(front(stage)).await?;
        let page = browser.find(By::Css("main")).await?.text().await?;
        assert!(page.contains("Sign in") && !page.contains(BERT), "{page}");
        screenshot(&browser, "sign-in").await?;
        browser.goto(&anna).await?;
        screenshot(&browser, "sign-in-link").await?;
        sign_in(&browser, &anna).await?;
        assert_eq!(text(&browser, "who").await?, ANNA);
        let page = browser.find(By::Css("main")).await?.text().await?;
        assert!(!page.contains(BERT), "{page}");
        browser.find(By::Id("create")).await?.click().await?;
        let url = eventually(async || {
            let found = browser.find(By::Id("workspace-url")).await?;
            found.attr("href").await
        });
        let url = url.await?.unwrap_or_default();
        assert_eq!(url, stage.show(ANNA).text("url"));
        browser.goto(front(stage)).await?;
        screenshot(&browser, "own").await?;
        browser.set_window_rect(0, 0, 400, 860).await?;
        screenshot(&browser, "own-phone").await?;
        browser
            .goto(format!("{}workspaces/hello/{BERT}", front(stage)))
            .await?;
        let page = browser.find(By::Css("main")).await?.text().await?;
        assert!(page.contains("is not yours, or does not exist"), "{page}");
        // The app is for people: known at the front, she gets there, and the app is told who she is.
        browser.goto(&url).await?;
        let page = browser.find(By::Css("body")).await?.text().await?;
        assert!(
            page.contains(&format!("visitor: {ANNA}, cookies: None")),
            "{page}"
        );
        assert_eq!(browser.current_url().await?.as_str(), url);
        // Bert's too, by a way of its own: hers is worth nothing there.
        let berts = berts.text("url");
        browser.goto(format!("{berts}x?y=1")).await?;
        let page = browser.find(By::Css("body")).await?.text().await?;
        assert!(page.contains("hello from bert"), "{page}");
        assert!(browser.current_url().await?.as_str().ends_with("/x?y=1"));
        // Ended by an administrator, it is over with the next request.
        let people = stage.json(&["people"]);
        assert_eq!(
            (&people[0]["email"], &people[0]["sessions"]),
            (&ANNA.into(), &1.into())
        );
        stage.cictl_ends(0, &["people", "sign-out", ANNA]);
        eventually(async || {
            browser.goto(&berts).await?;
            browser.find(By::Id("code")).await.map(drop)
        })
        .await?;
        browser.goto(front(stage)).await?;
        text(&browser, "code").await?;
        assert_eq!(browser.current_url().await?.path(), "/sign-in");
        Ok(())
    });
    let bert = link(&stage, BERT);
    in_browser_of(&stage, "ru", async |browser, stage| {
        sign_in(&browser, &used).await?;
        assert!(
            text(&browser, "sign-in-error")
                .await?
                .contains("не подходят")
        );
        browser.set_window_rect(0, 0, 400, 860).await?;
        screenshot(&browser, "sign-in-ru-phone").await?;
        browser.goto(&bert).await?;
        screenshot(&browser, "sign-in-link-ru-phone").await?;
        sign_in(&browser, &bert).await?;
        assert_eq!(text(&browser, "who").await?, BERT);
        screenshot(&browser, "own-ru-phone").await?;
        browser.find(By::Id("sign-out")).await?.click().await?;
        text(&browser, "code").await?;
        browser.goto(front(stage)).await?;
        assert_eq!(browser.current_url().await?.path(), "/sign-in");
        Ok(())
    });
    let refused = stage.cictl_ends(5, &["people", "link", "eve@elsewhere.org"]);
    assert!(
        refused.text().contains("[people] in cid.toml"),
        "{}",
        refused.text()
    );
}
