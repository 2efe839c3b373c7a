use crate::{
    fake::{self, job_state, step},
    front::Front,
};
use axum::http::{Request, StatusCode};
use cid_proto::v1::{Failure, Health, JobState, Process, ProcessState, StepState, WorkspaceState};

#[tokio::test]
async fn the_form_and_the_table() {
    let front = Front::new();
    front.daemon.change(|world| {
        let anna = fake::workspace("anna@example.com", "pressa", WorkspaceState::Ready);
        world.workspaces.push(anna);
    });
    let page = front.get("/").await;
    assert_eq!(page.status, StatusCode::OK);
    page.has(r#"<label for="email">"#);
    page.has(r#"id="email""#);
    page.has(r#"id="create""#);
    page.has(r#"<table id="workspaces" class="rows">"#);
    page.has(r#"href="/workspaces/pressa/anna@example.com""#);
    page.has(r#"href="http://anna---example-com.pressa.example.org/""#);
    page.has("20001");
    page.has(r#"data-state="up">running<"#);
    page.has_not("<select");
}

#[tokio::test]
async fn several_projects_give_a_choice_of_those_that_work() {
    let front = Front::new();
    front.daemon.change(|world| {
        world.projects.push(fake::project("atlas"));
        let mut broken = fake::project("broken");
        broken.error = "broken.toml:1: no domain".to_owned();
        world.projects.push(broken);
    });
    let page = front.get("/").await;
    page.has(r#"<option value="pressa">"#);
    page.has(r#"<option value="atlas">"#);
    page.has_not(r#"<option value="broken">"#);
}

#[tokio::test]
async fn russian_for_those_who_prefer_it() {
    let front = Front::new();
    let request = Request::get("/").header("accept-language", "ru-RU,ru;q=0.9,en;q=0.8");
    let page = front.ask(request).await;
    page.has(r#"<html lang="ru">"#);
    page.has("Создать стенд");
    assert_eq!(page.header("content-language"), "ru");
    assert_eq!(page.header("vary"), "accept-language");
}

#[tokio::test]
async fn a_workspace_by_address_and_by_name() {
    let front = Front::new();
    front.daemon.change(|world| {
        let anna = fake::workspace("anna@example.com", "pressa", WorkspaceState::Ready);
        world.workspaces.push(anna);
    });
    for who in [
        "anna@example.com",
        "anna%40example.com",
        "anna---example-com",
    ] {
        let page = front.get(&format!("/workspaces/pressa/{who}")).await;
        assert_eq!(page.status, StatusCode::OK, "{who}");
        page.has(r#"id="workspace-url" href="http://anna---example-com.pressa.example.org/""#);
        page.has("/srv/cid/pressa/anna---example-com");
        page.has("git clone --branch anna---example-com git@git.example.org:team/pressa.git");
        page.has(r#"href="/jobs/job-1""#);
    }
    for path in [
        "/workspaces/pressa/boris@example.com",
        "/workspaces/pressa/boris",
        "/workspaces/atlas/anna@example.com",
        "/jobs/none",
        "/none",
    ] {
        assert_eq!(
            front.get(path).await.status,
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
}

#[tokio::test]
async fn what_ails_a_workspace_is_shown_with_its_processes() {
    let front = Front::new();
    front.daemon.change(|world| {
        let mut anna = fake::workspace("anna@example.com", "pressa", WorkspaceState::Ready);
        anna.health = Health::Crashing.into();
        anna.health_message = "worker has ended 5 times, last with exit status 3".to_owned();
        anna.processes = vec![Process {
            name: "worker".to_owned(),
            state: ProcessState::Crashing.into(),
            restarts: 4,
            memory: 5 << 20,
            last_end: "exit status 3".to_owned(),
            ..Process::default()
        }];
        world.workspaces.push(anna);
    });
    let home = front.get("/").await;
    home.has(r#"data-state="crashing">crashing<"#);
    let path = "/workspaces/pressa/anna@example.com";
    let page = front.get(path).await;
    page.has(r#"<span id="workspace-health" class="badge" data-state="crashing">crashing<"#);
    page.has("worker has ended 5 times, last with exit status 3</p>");
    page.has("data-state=\"process-crashing\">crashing</span> <span class=\"small\">last end: exit status 3<");
    page.has("5 MiB");
    let russian = Request::get(path).header("accept-language", "ru");
    let page = front.ask(russian).await;
    page.has("data-state=\"process-crashing\">падает</span> <span class=\"small\">последнее завершение: exit status 3<");
}

#[tokio::test]
async fn a_running_job_is_followed_with_and_without_a_script() {
    let front = Front::new();
    front.daemon.change(|world| {
        let job = fake::job("j", "anna@example.com", "pressa", JobState::Running);
        world.jobs.push(job);
        world.journal("j", step(0, StepState::Applied, Some(449)));
        world.journal("j", step(1, StepState::Observed, None));
    });
    let page = front.get("/jobs/j").await;
    page.has(r#"<noscript><meta http-equiv="refresh""#);
    page.has(r#"data-events="/jobs/j/events""#);
    page.has(r#"aria-live="polite""#);
    page.has("Step 2 of 9: fetch the repository");
    page.has(r#"<li id="step-0" data-state="applied">"#);
    page.has(r#"<span class="took">0.4 s</span>"#);
    page.has(r#"<li id="step-1" data-state="observed">"#);
    page.has(r#"<li id="step-2" data-state="planned">"#);
}

#[tokio::test]
async fn a_ready_workspace_is_a_link() {
    let front = Front::new();
    front.daemon.change(|world| {
        let mut job = fake::job("j", "anna@example.com", "pressa", JobState::Done);
        job.ended_at = Some(fake::pb_time(1_700_000_007));
        world.jobs.push(job);
        let anna = fake::workspace("anna@example.com", "pressa", WorkspaceState::Ready);
        world.workspaces.push(anna);
    });
    let page = front.get("/jobs/j").await;
    page.has("The workspace is ready");
    page.has("It took 7.0 s.");
    page.has(r#"<a id="workspace-url" href="http://anna---example-com.pressa.example.org/">"#);
    page.has_not("http-equiv");
    page.has_not("/static/live.js");
}

#[tokio::test]
async fn a_failure_is_told_after_the_workspace_is_gone_and_hostile_output_is_harmless() {
    let front = Front::new();
    front.daemon.change(|world| {
        let mut job = fake::job("j", "anna@example.com", "pressa", JobState::Running);
        job.failure = Some(Failure {
            step_kind: "step4.v1".to_owned(),
            step_label: "install the dependencies".to_owned(),
            message:
                "cannot install: <b>status 1</b> \u{1b}[31m<script>alert(1)</script>\u{1b}[0m \
                \u{1b}]0;owned\u{7}\"'&</pre>\u{202e}end"
                    .to_owned(),
            hint: "mend the lock file".to_owned(),
            output: Vec::new(),
            output_withheld: "not shown: the web front shows no output".to_owned(),
        });
        job.ended_at = Some(fake::pb_time(1_700_000_002));
        world.jobs.push(job);
        world.journal("j", step(4, StepState::Undone, Some(20)));
        world.journal("j", job_state(JobState::Undone));
    });
    let page = front.get("/jobs/j").await;
    assert_eq!(page.status, StatusCode::OK);
    page.has(r#"id="failure""#);
    page.has("The workspace was not created");
    page.has("install the dependencies");
    page.has("Mend the lock file");
    page.has("nothing is left on the server");
    page.has(r#"<li id="step-4" data-state="undone" class="blamed">"#);
    page.has(r#"id="again""#);
    page.has("<code>cictl jobs show j</code>");
    page.has("&#60;script&#62;alert(1)&#60;/script&#62;");
    page.has("&#34;&#39;&#38;&#60;/pre&#62;end");
    page.has_not("failure-lines");
    // For those who may read logs the daemon does not withhold it.
    front.daemon.change(|world| {
        let failure = world.jobs[0].failure.as_mut().unwrap();
        failure.output_withheld.clear();
        failure.output = vec!["line <script> \u{1b}]0;owned\u{7}\u{202e}".to_owned()];
    });
    let shown = front.get("/jobs/j").await;
    shown.has("<pre id=\"failure-lines\" class=\"wrap\" tabindex=\"0\">line &#60;script&#62;");
    shown.has_not("cictl jobs show");
    for hostile in [
        "<script>",
        "<b>status",
        "\u{1b}",
        "\u{7}",
        "\u{202e}",
        "owned",
    ] {
        page.has_not(hostile);
        shown.has_not(hostile);
    }
}

#[tokio::test]
async fn an_address_that_is_none_is_never_a_link() {
    let front = Front::new();
    front.daemon.change(|world| {
        let mut anna = fake::workspace("anna@example.com", "pressa", WorkspaceState::Ready);
        anna.url = "javascript:alert(1)".to_owned();
        world.workspaces.push(anna);
    });
    for path in ["/", "/workspaces/pressa/anna@example.com"] {
        front.get(path).await.has_not("javascript:");
    }
}
