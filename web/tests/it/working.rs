//! The page for a day's work with a workspace.

use crate::{
    fake,
    front::{Front, Page},
};
use axum::http::{Request, StatusCode};
use cid_proto::v1::{self as pb, JobState, ProcessState, WorkspaceState};
use cid_web::limits::Stream;

const ANNA: &str = "anna@example.com";
const PATH: &str = "/workspaces/pressa/anna@example.com";

fn front() -> (Front, String) {
    let front = Front::new();
    front.daemon.change(|world| {
        world.asks_to_sign_in = true;
        let mut made = fake::workspace(ANNA, "pressa", WorkspaceState::Ready);
        made.processes = ["worker", "web"].map(process).into();
        world.workspaces.push(made);
        world
            .jobs
            .push(fake::job("j", ANNA, "pressa", JobState::Done));
        world.log = vec![
            "plain".into(),
            "\u{1b}[31mred\u{1b}[0m <script>alert(1)</script>".into(),
            "\u{1b}]0;title\u{7}last".into(),
        ];
        world.standing = Some(pb::Standing {
            head: "89abcdef0123456789abcdef0123456789abcdef".into(),
            branch: "other".into(),
            ahead: Some(2),
            behind: Some(1),
            stale: vec!["Procfile".into()],
            subject: "Mend <b>it</b>".into(),
            uncommitted: Some(3),
            left_alone: "the tree was not brought up to date, for 3 files: it is deployed as it is"
                .into(),
            left_alone_at: Some(fake::pb_time(1_700_000_000)),
        });
    });
    let cookie = front.sign_in(ANNA, false);
    (front, cookie)
}

fn process(name: &str) -> pb::Process {
    pb::Process {
        name: name.into(),
        state: ProcessState::Running.into(),
        restarts: 4,
        memory: 3 << 20,
        ..Default::default()
    }
}

#[tokio::test]
async fn the_page_tells_how_it_stands_and_what_can_be_done() {
    let (front, anna) = front();
    let page = front.get_as(&anna, PATH).await;
    assert_eq!(page.status, StatusCode::OK);
    for part in [
        "id=\"workspace-url\"",
        "data-state=\"process-running\"",
        "3 MiB",
        "<code>89abcdef01</code> Mend &#60;b&#62;it&#60;/b&#62;",
        "(<code>other</code>)",
        "2 commits not pushed, 1 commit not fetched",
        "3 files",
        "<code>Procfile</code>",
        "git clone --branch anna---example-com git@git.example.org:team/pressa.git",
        "ssh -t anna---example-com.pressa.example.org",
        "id=\"restart\"",
        "id=\"delete\"",
        "not brought up to date, for 3 files",
        "<span class=\"c1\">red</span>",
        "&#60;script&#62;alert(1)",
        "data-after=\"7-30\"",
        "clone the repository",
    ] {
        page.has(part);
    }
    page.has_not("<script>alert");
    page.has_not("\u{1b}");
    page.has_not("title\u{7}");
    let request = Request::get(PATH)
        .header("cookie", anna)
        .header("accept-language", "ru");
    let page = front.ask(request).await;
    page.has("2 коммита не отправлено, 1 коммит не получено");
    page.has("3 файла");
    page.has("файлы не обновлены");
    page.has("клонирование репозитория");
    page.has_not("clone the repository");
}

/// A person who may not act is offered nothing, and neither is one who looks at a job that is under way.
#[tokio::test]
async fn nothing_is_offered_that_cannot_be_done() {
    let (front, anna) = front();
    let ben = front.sign_in("ben@example.com", false);
    let offers =
        |page: &Page| page.body.contains("id=\"restart\"") || page.body.contains("id=\"logs\"");
    assert!(offers(&front.get_as(&anna, PATH).await));
    assert!(!offers(&front.get_as(&ben, PATH).await));
    let root = front.sign_in("root@example.com", true);
    assert!(offers(&front.get_as(&root, PATH).await));
    front.daemon.change(|world| {
        world.workspaces[0].state = WorkspaceState::Deleting.into();
        world.workspaces[0].processes.clear();
    });
    let page = front.get_as(&anna, PATH).await;
    assert!(!offers(&page));
    page.has("A job is at work on it.");
}

#[tokio::test]
async fn a_deployment_that_failed_is_told_where_its_person_looks() {
    let (front, anna) = front();
    front.get_as(&anna, PATH).await.has_not("deployment failed");
    front.daemon.change(|world| {
        world.workspaces[0].failed_deployment = Some(pb::FailedDeployment {
            job: "sad".into(),
            at: Some(fake::pb_time(1_700_000_000)),
            build: 0,
            message: "web ended with <b>status 7</b>".into(),
        });
    });
    for path in [PATH.to_owned(), format!("{PATH}?brief=true")] {
        let page = front.get_as(&anna, &path).await;
        page.has("The last deployment failed, <time datetime=\"2023-11-14T22:13:20Z\">");
        page.has("web ended with &#60;b&#62;status 7");
        page.has("href=\"/jobs/sad\"");
    }
    front
        .get_as(&anna, "/")
        .await
        .has("The last deployment failed");
    let ben = front.sign_in("ben@example.com", false);
    front.get_as(&ben, PATH).await.has_not("/jobs/sad");
}

#[tokio::test]
async fn the_part_that_changes_is_to_be_had_alone() {
    let (front, anna) = front();
    let page = front.get_as(&anna, &format!("{PATH}?brief=true")).await;
    page.has("id=\"now\"");
    page.has("data-state=\"process-running\"");
    page.has_not("id=\"log\"");
    page.has_not("Mend");
}

fn ids(body: &str) -> Vec<&str> {
    body.lines()
        .filter_map(|line| line.strip_prefix("id: "))
        .collect()
}

#[tokio::test]
async fn a_log_is_followed_from_where_the_browser_left_it() {
    let (front, anna) = front();
    let events = format!("{PATH}/logs/web/events");
    let all = front.get_as(&anna, &events).await;
    assert_eq!(all.header("content-type"), "text/event-stream");
    assert_eq!(ids(&all.body), ["7-10", "7-20", "7-30"]);
    all.has(r#"{"pieces":[{"text":"red","class":"c1"},{"text":" <script>alert(1)</script>","class":""}]}"#);
    all.has_not("\u{1b}");
    let rest = front.get_as(&anna, &format!("{events}?after=7-20")).await;
    assert_eq!(ids(&rest.body), ["7-30"]);
    rest.has_not("event: gap");
    // The header is newer than the page's own address.
    let request = Request::get(format!("{events}?after=7-10"))
        .header("cookie", &anna)
        .header("last-event-id", "7-20");
    assert_eq!(ids(&front.ask(request).await.body), ["7-30"]);
    // The log was rotated meanwhile, or the id is invalid.
    let other = front.get_as(&anna, &format!("{events}?after=6-20")).await;
    assert_eq!(ids(&other.body).len(), 3);
    assert_eq!(other.body.matches("event: gap").count(), 1);
    for nonsense in ["x", "7", "-", "%0a"] {
        let page = front
            .get_as(&anna, &format!("{events}?after={nonsense}"))
            .await;
        assert_eq!(ids(&page.body).len(), 3, "{nonsense}");
    }
}

#[tokio::test]
async fn a_log_is_downloaded_as_plain_text() {
    let (front, anna) = front();
    let page = front.get_as(&anna, &format!("{PATH}/logs/web")).await;
    assert_eq!(page.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(
        page.header("content-disposition"),
        "attachment; filename=\"pressa.anna-example-com.web.log\""
    );
    assert_eq!(page.body, "plain\nred <script>alert(1)</script>\nlast\n");
    let page = front
        .get_as(&anna, &format!("{PATH}/logs/%22%0d%0ax"))
        .await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn one_session_does_not_take_all_places_for_logs() {
    let (front, anna) = front();
    let take = |session| front.app.places.stream(Stream::Log, Some(session));
    let taken: Vec<_> = (0..4)
        .map(|_| take("session-of-anna@example.com").unwrap())
        .collect();
    let path = format!("{PATH}/logs/web/events");
    let page = front.get_as(&anna, &path).await;
    assert_eq!(page.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(page.header("retry-after"), "5");
    assert!(take("another").is_some());
    drop(taken);
    assert_eq!(front.get_as(&anna, &path).await.status, StatusCode::OK);
}

#[tokio::test]
async fn work_is_lost_only_when_its_address_is_typed() {
    let (front, anna) = front();
    let path = format!("{PATH}/delete");
    let page = front.get_as(&anna, &path).await;
    page.has("id=\"nothing-lost\"");
    page.has("src/db.sqlite3");
    page.has("name=\"looked\" value=\"seen\"");
    front.daemon.change(|world| {
        world.work = vec![pb::LostWork {
            repository: "src".into(),
            uncommitted: vec!["app/<b>.py".into()],
            unpushed: vec!["0123456 Mend it".into()],
            more_unpushed: 7,
            ..Default::default()
        }];
    });
    let page = front.get_as(&anna, &path).await;
    for part in [
        "app/&#60;b&#62;.py",
        "0123456 Mend it",
        "and 7 more",
        "name=\"typed\"",
    ] {
        page.has(part);
    }
    page.has_not("nothing-lost");
    // The work came after the person had been asked.
    let page = front.post_as(&anna, &path, "looked=seen").await;
    assert_eq!(page.status, StatusCode::CONFLICT);
    page.has("name=\"typed\"");
    page.has_not("typed-error");
    for typed in ["", "anna", "ben%40example.com", "anna%40example.com.evil"] {
        let form = format!("discard=yes&typed={typed}");
        let page = front.post_as(&anna, &path, &form).await;
        assert_eq!(page.status, StatusCode::CONFLICT, "{typed}");
        page.has("typed-error");
    }
    // Consent is for what was shown, and more has come since.
    let typed = "discard=yes&typed=Anna%40example.com";
    let shown = |page: &Page| {
        let (_, rest) = page.body.split_once("name=\"shown\" value=\"").unwrap();
        format!("{typed}&shown={}", rest.split('"').next().unwrap())
    };
    let form = shown(&page);
    front
        .daemon
        .change(|world| world.work[0].uncommitted.push("new.py".into()));
    let page = front.post_as(&anna, &path, &form).await;
    assert_eq!(page.status, StatusCode::CONFLICT);
    page.has("new.py");
    page.has_not("typed-error");
    let page = front.post_as(&anna, &path, &shown(&page)).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    let mut acts = Vec::new();
    front.daemon.change(|world| acts.clone_from(&world.acts));
    let discarded = acts
        .iter()
        .filter(|act| act.contains("discard=true"))
        .count();
    assert_eq!(discarded, 1, "{acts:?}");
}

#[tokio::test]
async fn a_language_is_chosen_and_kept() {
    let (front, anna) = front();
    let page = front
        .get_as(&anna, &format!("{PATH}?process=web&lang=ru"))
        .await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    assert_eq!(page.header("location"), format!("{PATH}?process=web"));
    assert!(page.header("set-cookie").starts_with("cid-lang=ru;"));
    let page = front.get_as(&format!("{anna}; cid-lang=ru"), PATH).await;
    page.has("<html lang=\"ru\">");
    let request = Request::get("/")
        .header("cookie", "cid-lang=en")
        .header("accept-language", "ru");
    assert_eq!(front.ask(request).await.header("location"), "/sign-in");
    // The way back is a page of this site.
    for path in ["//evil.example/?lang=ru", "/%5C/evil.example/?lang=ru"] {
        let page = front.get(path).await;
        let location = page.header("location");
        assert!(
            !location.starts_with("//") && !location.starts_with("/\\"),
            "{location}"
        );
    }
    assert_ne!(
        front.get("/?lang=xx").await.header("set-cookie"),
        "cid-lang=xx"
    );
}

#[tokio::test]
async fn tests_run_in_the_workspace_and_stop_at_the_first_that_fails() {
    let (front, anna) = front();
    let path = format!("{PATH}/test");
    front.post_as(&anna, &path, "").await.has("id=\"no-tests\"");
    front.daemon.change(|world| {
        for project in &mut world.projects {
            project.test = ["make <lint>", "make test", "make more"]
                .map(Into::into)
                .into();
        }
        world.acts.clear();
    });
    let page = front.post_as(&anna, &path, "").await;
    assert_eq!(page.status, StatusCode::OK);
    page.has("make &#60;lint&#62;");
    page.has("<span class=\"c2\">test_&#60;b&#62;one&#60;/b&#62;</span> passed\nlast line\n");
    page.has("failed with exit status 1");
    page.has_not("make more");
    page.has("</html>");
    front
        .daemon
        .change(|world| assert_eq!(world.acts, ["test 1", "test 2"]));
    let ben = front.sign_in("ben@example.com", false);
    let page = front.post_as(&ben, &path, "").await;
    page.has("you may not do this");
    front
        .daemon
        .change(|world| assert_eq!(world.acts, ["test 1", "test 2"]));
}
