//! An administrator's day in the browser: a build goes to a stage and back, and is looked after.

use crate::{
    stage::{ANNA, Stage},
    web::{eventually, front, in_browser_of, screenshot},
};
use cid_testkit::Tree;
use thirtyfour::{By, WebDriver, error::WebDriverResult};

/// A sandbox in which anna is an administrator, and whose project has a stage and a test.
fn stage() -> Stage {
    let tree = Tree::on_socket().with("check.py", "print('all is well')\n");
    Stage::prepared(&tree, |stage| {
        let settings =
            format!("[people]\nadministrators = [\"{ANNA}\"]\n[front]\nsign_in = \"verified\"\n");
        stage.sandbox.configure(&settings).unwrap();
        let tables = "[app]\ntest = [[\"python3\", \"check.py\"]]\n[stages.test]\n";
        let toml = stage.server.project_toml("hello", tables);
        stage.sandbox.write_project("hello", &toml).unwrap();
    })
}

async fn text(browser: &WebDriver, id: &'static str) -> WebDriverResult<String> {
    eventually(async || browser.find(By::Id(id)).await?.text().await).await
}

async fn press(browser: &WebDriver, id: &'static str) -> WebDriverResult<()> {
    eventually(async || browser.find(By::Id(id)).await?.click().await).await
}

/// Waits for a page whose heading holds this.
async fn headed(browser: &WebDriver, words: &str) -> WebDriverResult<()> {
    let heading = format!("//h1[contains(text(), '{words}')]");
    eventually(async || browser.find(By::XPath(heading.as_str())).await.map(drop)).await
}

/// What the page says, after opening it.
async fn said(browser: &WebDriver, url: String) -> WebDriverResult<String> {
    browser.goto(url).await?;
    browser.find(By::Css("main")).await?.text().await
}

#[test]
fn a_build_goes_to_a_stage_and_back_by_its_pages() {
    let stage = stage();
    stage.create(ANNA);
    stage.cictl_ends(0, &["build"]);
    let link = stage.json(&["people", "link", ANNA]);
    let link = link["url"].as_str().unwrap().to_owned();
    in_browser_of(&stage, "en", async |browser, stage| {
        browser.goto(&link).await?;
        press(&browser, "sign-in").await?;
        let start = text(&browser, "stages").await?;
        assert!(start.contains("nothing runs yet"), "{start}");
        let delivery = format!("{}projects/hello", front(stage));
        let promote = format!("{delivery}/stages/test/promote");
        assert!(
            said(&browser, delivery.clone())
                .await?
                .contains("Promote build 1")
        );
        assert!(
            said(&browser, promote.clone())
                .await?
                .contains("all of it is new")
        );
        press(&browser, "do-it").await?;
        headed(&browser, "runs in the stage").await?;
        // Asked once more, the page says why not.
        assert!(
            said(&browser, promote.clone())
                .await?
                .contains("Build 1 runs in test already")
        );

        stage.server.commit_file("main", "version", "two").unwrap();
        stage.cictl_ends(0, &["build"]);
        browser.goto(&promote).await?;
        assert_eq!(browser.find_all(By::Css("#added li")).await?.len(), 1);
        screenshot(&browser, "real-promote").await?;
        press(&browser, "do-it").await?;
        headed(&browser, "runs in the stage").await?;
        let page = said(&browser, delivery.clone()).await?;
        assert!(
            page.contains("Back to build 1") && page.contains(ANNA),
            "{page}"
        );
        screenshot(&browser, "real-delivery").await?;
        browser
            .goto(format!("{delivery}/stages/test/rollback"))
            .await?;
        assert_eq!(browser.find_all(By::Css("#removed li")).await?.len(), 1);
        press(&browser, "do-it").await?;
        headed(&browser, "runs in the stage").await?;
        assert_eq!(stage.json(&["stages"])[0]["build"], 1);
        let build = said(&browser, format!("{delivery}/builds/2")).await?;
        assert!(build.contains("all is well"), "{build}");

        let workspace = format!("{}workspaces/hello/{ANNA}", front(stage));
        browser.goto(&workspace).await?;
        press(&browser, "test").await?;
        let passed = By::Css(".verdict.good");
        eventually(async || browser.find(passed.clone()).await.map(drop)).await?;
        let printed = browser.find(By::Css("pre.printed")).await?.text().await?;
        assert!(printed.contains("all is well"), "{printed}");

        let admin = |page: &str| format!("{}admin{page}", front(stage));
        assert!(said(&browser, admin("")).await?.contains("1 workspace"));
        assert!(said(&browser, admin("/jobs")).await?.contains("build-2"));
        assert!(said(&browser, admin("/people")).await?.contains(ANNA));
        let audit = said(&browser, admin("/audit?q=anna")).await?;
        assert!(
            audit.contains("promote a build 2") && audit.contains("run the tests"),
            "{audit}"
        );
        let health = said(&browser, admin("/health")).await?;
        assert!(!health.contains("did not work"), "{health}");
        screenshot(&browser, "real-health").await
    });
}
