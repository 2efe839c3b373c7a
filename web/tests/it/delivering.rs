//! Stages and builds: what people see, and what administrators do.

use crate::{
    fake,
    front::{Front, Page, form_token},
};
use axum::http::StatusCode;
use cid_proto::v1 as pb;

/// A front whose project has two stages and three builds, and visitors who must sign in.
fn front() -> Front {
    let front = Front::new();
    front.daemon.change(|world| {
        world.asks_to_sign_in = true;
        let stage = |name: &str, build: u32, promotable: u32| pb::Stage {
            name: name.to_owned(),
            project: "pressa".to_owned(),
            state: pb::WorkspaceState::Ready.into(),
            health: pb::Health::Up.into(),
            url: format!("https://{name}.pressa.example.org/"),
            build,
            commit: format!("{build}").repeat(40),
            previous: build.saturating_sub(1),
            promotable,
            deployed_at: Some(fake::pb_time(1_700_000_000)),
            by: "root@example.com".to_owned(),
            ..pb::Stage::default()
        };
        world.stages = vec![stage("test", 3, 0), stage("production", 2, 3)];
        let build = |number: u32, state: pb::BuildState| pb::Build {
            number,
            project: "pressa".to_owned(),
            commit: format!("{number}").repeat(40),
            r#ref: "main".to_owned(),
            subject: format!("Subject <i>{number}</i>"),
            author: "boris@example.com".to_owned(),
            state: state.into(),
            created_at: Some(fake::pb_time(1_700_000_000)),
            job: "building".to_owned(),
            ..pb::Build::default()
        };
        let failed = pb::Build {
            verdict: "nothing was tested: [app] of the project file has no `test`".to_owned(),
            tests: 9,
            failed: 2,
            failed_tests: vec!["test_<b>names</b>".to_owned()],
            ..build(4, pb::BuildState::Failed)
        };
        let older = pb::Build {
            eligible: vec!["production".to_owned()],
            ..build(2, pb::BuildState::Passed)
        };
        world.builds = vec![failed, build(3, pb::BuildState::Passed), older];
    });
    front
}

/// Submits the form of a page of this cookie's, as it is.
async fn press(front: &Front, cookie: &str, path: &str, fields: &str) -> Page {
    let token = form_token(&front.get_as(cookie, path).await.body);
    let path = path.split('?').next().unwrap();
    front
        .post_with(cookie, path, &format!("form={token}&{fields}"))
        .await
}

fn acts(front: &Front) -> Vec<String> {
    let mut acts = Vec::new();
    front.daemon.change(|world| acts = world.acts.clone());
    acts
}

#[tokio::test]
async fn everyone_signed_in_sees_stages_and_what_would_change_and_changes_nothing() {
    let front = front();
    assert_eq!(
        front.get("/projects/pressa").await.header("location"),
        "/sign-in"
    );
    let anna = front.sign_in("anna@example.com", false);
    let start = front.get_as(&anna, "/").await;
    start.has("data-stage=\"production\"");
    let page = front.get_as(&anna, "/projects/pressa").await;
    for part in [
        "What build 3 would change",
        "Back to build 1",
        "root@example.com",
        "Subject &#60;i&#62;3",
        "data-state=\"build-failed\"",
    ] {
        page.has(part);
    }
    page.has_not("Promote build");
    page.has_not("name=\"revision\"");
    let change = "/projects/pressa/stages/production/promote?build=3";
    let page = front.get_as(&anna, change).await;
    page.has("Greet guests by name");
    page.has("Show &#60;b&#62;where");
    page.has_not("id=\"do-it\"");
    let refused = press(&front, &anna, change, "build=3").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let build = front.get_as(&anna, "/projects/pressa/builds/4").await;
    build.has("test_&#60;b&#62;names");
    build.has("and 1 more");
    build.has_not("id=\"build-job\"");
    build.has_not("FAILED");
    assert!(acts(&front).is_empty(), "{:?}", acts(&front));
    for missing in [
        "/projects/none",
        "/projects/pressa/builds/77",
        "/projects/pressa/stages/none/promote",
        "/projects/pressa/builds/x",
    ] {
        let page = front.get_as(&anna, missing).await;
        assert!(page.status.is_client_error(), "{missing} {}", page.status);
    }
}

#[tokio::test]
async fn a_build_that_was_not_deployed_is_told_on_its_card_its_page_and_the_first_one() {
    let front = front();
    front.daemon.change(|world| {
        world.stages[1].held = "build 3 waits".to_owned();
        world.stages[1].failed_deployment = Some(pb::FailedDeployment {
            job: "sad".to_owned(),
            at: Some(fake::pb_time(1_700_000_000)),
            build: 3,
            message: "web ended with <b>status 7</b>".to_owned(),
        });
    });
    let anna = front.sign_in("anna@example.com", false);
    let root = front.sign_in("root@example.com", true);
    for path in ["/projects/pressa", "/projects/pressa/builds/3"] {
        let page = front.get_as(&anna, path).await;
        page.has("Build 3 was not deployed, <time");
        page.has("web ended with &#60;b&#62;status 7");
        page.has_not("/jobs/sad");
        front.get_as(&root, path).await.has("href=\"/jobs/sad\"");
    }
    let page = front.get_as(&root, "/projects/pressa").await;
    page.has("not deployed to production");
    page.has("Try build 3 again");
    page.has("build 3 waits");
    front
        .get_as(&anna, "/")
        .await
        .has("Build 3 was not deployed");
    let other = front.get_as(&anna, "/projects/pressa/builds/2").await;
    other.has_not("was not deployed");
    // Only what the daemon takes is offered.
    other.has("/stages/production/promote?build=2");
    other.has_not("/stages/test/promote");
    let built = front.get_as(&root, "/projects/pressa/builds/3").await;
    built.has_not("/promote?build=3");
}

#[tokio::test]
async fn an_administrator_promotes_and_rolls_back_what_was_shown() {
    let front = front();
    let root = front.sign_in("root@example.com", true);
    let page = front.get_as(&root, "/projects/pressa").await;
    page.has("Promote build 3");
    let promote = "/projects/pressa/stages/production/promote?build=3";
    front
        .get_as(&root, promote)
        .await
        .has("may change the database");
    let done = press(&front, &root, promote, "build=3").await;
    assert!(
        done.header("location").starts_with("/jobs/"),
        "{}",
        done.body
    );
    let back = "/projects/pressa/stages/production/rollback?build=1";
    let page = front.get_as(&root, back).await;
    page.has("id=\"removed\"");
    page.has("Release commands ran since, of build 7");
    let done = press(&front, &root, back, "build=1").await;
    assert!(
        done.header("location").starts_with("/jobs/"),
        "{}",
        done.body
    );
    // Without the build that the page showed, nothing is done.
    for wrong in ["", "build=", "build=0", "build=x", "build=1&build=2"] {
        let refused = press(&front, &root, back, wrong).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{wrong}");
    }
    let older = "/projects/pressa/stages/test/promote?build=2&older=yes";
    front.get_as(&root, older).await.has("id=\"older\"");
    press(&front, &root, older, "build=2&older=yes").await;
    press(&front, &root, "/projects/pressa", "").await;
    let build = front.get_as(&root, "/projects/pressa/builds/4").await;
    build.has("id=\"build-job\"");
    build.has("FAILED");
    assert_eq!(
        acts(&front),
        [
            "promote production 3 older=false",
            "roll back production 1",
            "promote test 2 older=true",
            "output of build 4"
        ]
    );
}

#[tokio::test]
async fn known_refusals_are_russian_on_russian_pages() {
    let front = front();
    let anna = front.sign_in("anna@example.com", false);
    let ask = |path: &'static str| {
        axum::http::Request::get(path).header("cookie", format!("{anna}; cid-lang=ru"))
    };
    let page = front.ask(ask("/projects/pressa/stages/test/promote")).await;
    assert_eq!(page.status, StatusCode::CONFLICT);
    page.has("Более старых сборок на test не было");
    page.has_not("no older build");
    let page = front.ask(ask("/projects/pressa/stages/x/promote")).await;
    page.has("У проекта pressa нет площадки");
    let page = front.ask(ask("/projects/pressa/builds/4")).await;
    page.has("Проверять было нечем");
}
