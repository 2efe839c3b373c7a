//! What is shown in the place of a page, and pages that follow what happens.

use crate::{fake, front::Front};
use axum::http::{Request, StatusCode};
use cid_proto::v1::{self as pb, JobState, WorkspaceState};

const ANNA: &str = "anna@example.com";

fn front() -> Front {
    let front = Front::new();
    front.daemon.change(|world| {
        world.asks_to_sign_in = true;
        let made = fake::workspace(ANNA, "pressa", WorkspaceState::Ready);
        world.workspaces.push(made);
    });
    front
}

#[tokio::test]
async fn every_refusal_keeps_the_head_and_leads_back() {
    let front = front();
    let anna = front.sign_in(ANNA, false);
    for (path, status, back) in [
        ("/none", StatusCode::NOT_FOUND, "/"),
        ("/jobs/none", StatusCode::NOT_FOUND, "/"),
        (
            "/workspaces/pressa/none@example.com",
            StatusCode::NOT_FOUND,
            "/",
        ),
        (
            "/projects/pressa/builds/x",
            StatusCode::NOT_FOUND,
            "/projects/pressa",
        ),
        (
            "/projects/pressa/stages/production/promote?build=x",
            StatusCode::NOT_FOUND,
            "/projects/pressa",
        ),
        ("/admin?page=x", StatusCode::NOT_FOUND, "/"),
        ("/admin/audit", StatusCode::FORBIDDEN, "/admin"),
        (
            "/workspaces/pressa/anna@example.com?brief=x",
            StatusCode::NOT_FOUND,
            "/",
        ),
        (
            "/at/ben---example-com.pressa.example.org",
            StatusCode::FORBIDDEN,
            "/",
        ),
    ] {
        let page = front.get_as(&anna, path).await;
        assert_eq!(page.status, status, "{path}");
        page.has("<span id=\"who\">anna@example.com</span>");
        page.has("id=\"language\"");
        page.has("id=\"problem\"");
        page.has(&format!("<a id=\"back\" href=\"{back}\">"));
        page.has_not("deserialize");
    }
    // A form that is refused, too.
    let path = format!("/workspaces/pressa/{ANNA}/restart");
    let page = front.post_as(&anna, &path, "x=y").await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    page.has("<span id=\"who\">");
    page.has(&format!("href=\"/workspaces/pressa/{ANNA}\""));
}

#[tokio::test]
async fn the_address_of_a_form_leads_to_its_page() {
    let front = front();
    let anna = front.sign_in(ANNA, false);
    for (path, to) in [
        ("/workspaces", "/"),
        ("/workspaces/pressa/a@b.c/test", "/workspaces/pressa/a@b.c"),
        ("/ask-for-link", "/sign-in"),
        ("/sign-out", "/"),
        ("/admin/workspaces/delete", "/admin"),
        ("/projects/pressa/builds", "/projects/pressa"),
        ("/jobs/1/retry", "/jobs/1"),
    ] {
        let page = front.get_as(&anna, path).await;
        assert_eq!(page.status, StatusCode::SEE_OTHER, "{path}");
        assert_eq!(page.header("location"), to, "{path}");
    }
}

#[tokio::test]
async fn a_page_that_lies_open_is_told_of_a_job_and_of_its_end() {
    let front = front();
    let anna = front.sign_in(ANNA, false);
    let brief = format!("/workspaces/pressa/{ANNA}?brief=true");
    let quiet = front.get_as(&anna, &brief).await;
    quiet.has_not("id=\"open-job\"");
    front.daemon.change(|world| {
        let mut job = fake::job("7", ANNA, "pressa", JobState::Running);
        job.kind = pb::JobKind::Deploy.into();
        world.jobs.push(job);
    });
    let busy = front.get_as(&anna, &brief).await;
    busy.has("Deploying the workspace");
    busy.has("href=\"/jobs/7\"");
    busy.has("action=\"/jobs/7/cancel\"");
    front
        .daemon
        .change(|world| world.jobs[0].state = JobState::Done.into());
    let after = front.get_as(&anna, &brief).await;
    after.has_not("id=\"open-job\"");
    // By this the script knows when to fetch the rest.
    let mark = |page: &crate::front::Page| {
        let rest = page.body.split_once("data-mark=\"").unwrap().1.to_owned();
        rest.split_once('"').unwrap().0.to_owned()
    };
    let marks = [mark(&quiet), mark(&busy), mark(&after)];
    assert!(marks[0] != marks[1] && marks[1] != marks[2], "{marks:?}");
    let whole = front
        .get_as(&anna, &format!("/workspaces/pressa/{ANNA}"))
        .await;
    assert_eq!(mark(&whole), marks[2]);
    whole.has("<div id=\"rest\">");
    whole.has("<div id=\"history\">");
}

#[tokio::test]
async fn what_failed_what_is_broken_and_what_is_gone_is_on_the_start_page() {
    let front = front();
    front.daemon.change(|world| {
        world.jobs = vec![
            fake::job("8", ANNA, "pressa", JobState::Undone),
            fake::job("9", "ben@example.com", "pressa", JobState::Undone),
        ];
        let mut broken = fake::project("mess");
        broken.error = "/etc/cid/projects.d/mess.toml: line 3\n  |\n3 | <bogus>".to_owned();
        world.projects.push(broken);
        world.workspaces[0].branch_gone_at = Some(fake::pb_time(1_700_000_000));
    });
    let anna = front.sign_in(ANNA, false);
    let page = front.get_as(&anna, "/").await;
    page.has("The workspace was not created");
    page.has("href=\"/jobs/8\"");
    page.has_not("href=\"/jobs/9\"");
    page.has("href=\"/projects/mess\"");
    page.has_not("bogus");
    page.has("data-state=\"gone\"");
    let own = front
        .get_as(&anna, &format!("/workspaces/pressa/{ANNA}"))
        .await;
    own.has("id=\"branch-gone\"");
    let delivery = front.get_as(&anna, "/projects/mess").await;
    delivery.has("id=\"broken\"");
    delivery.has_not("[stages.NAME]");
    // Administrators see what is wrong, as it stands.
    let root = front.sign_in("root@example.com", true);
    let page = front.get_as(&root, "/").await;
    page.has("/etc/cid/projects.d/mess.toml: line 3\n  |\n3 | &#60;bogus&#62;");
}

#[tokio::test]
async fn administrators_reach_a_stages_processes_and_restart_it() {
    let front = front();
    front.daemon.change(|world| {
        let mut stage = fake::workspace("production", "pressa", WorkspaceState::Ready);
        stage.name = "production".to_owned();
        stage.processes = vec![pb::Process {
            name: "web".to_owned(),
            state: pb::ProcessState::Running.into(),
            ..pb::Process::default()
        }];
        world.workspaces.push(stage);
        world.stages = vec![pb::Stage {
            name: "production".to_owned(),
            project: "pressa".to_owned(),
            state: WorkspaceState::Ready.into(),
            health: pb::Health::Starting.into(),
            health_message: "a deploy job is at work".to_owned(),
            promotable: 3,
            job: "5".to_owned(),
            by: "the trigger of pressa".to_owned(),
            build: 2,
            ..pb::Stage::default()
        }];
        world.log = vec!["hello from production".to_owned()];
    });
    let root = front.sign_in("root@example.com", true);
    let page = front.get_as(&root, "/projects/pressa").await;
    page.has("href=\"/workspaces/pressa/production\"");
    page.has("cid, after a push");
    // A job is at work there: it is named, and nothing else offered.
    page.has("href=\"/jobs/5\"");
    page.has_not("Promote build 3");
    let page = front.get_as(&root, "/workspaces/pressa/production").await;
    page.has("hello from production");
    page.has("action=\"/workspaces/pressa/production/restart\"");
    for other in ["/deploy", "/stop", "/delete", "/test"] {
        page.has_not(&format!("/workspaces/pressa/production{other}"));
    }
    let request = Request::get("/projects/pressa")
        .header("cookie", &root)
        .header("accept-language", "ru");
    front.ask(request).await.has("cid, после push");
}

#[tokio::test]
async fn what_a_deployment_left_alone_is_said_first_and_stays_on_its_page() {
    let front = front();
    front.daemon.change(|world| {
        let mut job = fake::job("7", ANNA, "pressa", JobState::Done);
        job.kind = pb::JobKind::Deploy.into();
        world.jobs.push(job);
        for (index, text) in [
            (1, "the tree was not brought up to date, for it has <b>1</b> commit: it is deployed as it is"),
            (2, "another note"),
        ] {
            let note = pb::NoteEvent {
                index,
                text: text.to_owned(),
            };
            world.journal("7", pb::event::What::Note(note));
        }
    });
    let anna = front.sign_in(ANNA, false);
    let page = front.get_as(&anna, "/jobs/7").await;
    page.has("<p id=\"left-alone\" class=\"notice\">The tree was not brought up to date, for it has &#60;b&#62;1");
    page.has("<p>Another note</p>");
}
