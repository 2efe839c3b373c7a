//! Pages for administrators, and that nobody else has them.

use crate::{fake, front::Front};
use axum::http::StatusCode;
use cid_proto::v1::{self as pb, WorkspaceState};

const PAGES: [&str; 5] = [
    "/admin",
    "/admin/jobs",
    "/admin/people",
    "/admin/audit",
    "/admin/health",
];

/// A front with 120 workspaces, of which one has stopped, and who may do what there.
fn front() -> (Front, String) {
    let front = Front::new();
    front.daemon.change(|world| {
        world.asks_to_sign_in = true;
        for number in 0..120 {
            let email = format!("p{number:03}@example.com");
            let project = ["pressa", "atlas"][number % 2];
            let mut made = fake::workspace(&email, project, WorkspaceState::Ready);
            made.memory = (1 + number as u64) << 20;
            if number == 77 {
                made.health = pb::Health::Down.into();
            }
            world.workspaces.push(made);
        }
        world.jobs = vec![
            fake::job("stuck", "p001@example.com", "pressa", pb::JobState::Stuck),
            fake::job("done", "p002@example.com", "pressa", pb::JobState::Done),
        ];
        world.signed_in = vec![pb::SignedIn {
            email: "p001@example.com".into(),
            sessions: 3,
            since: Some(fake::pb_time(1_700_000_000)),
            used_at: Some(fake::pb_time(1_700_000_000)),
        }];
        world.audit = vec![pb::AuditLine {
            at: Some(fake::pb_time(1_700_000_000)),
            account: "p001@example.com".into(),
            rpc: "/cid.v1.Workspaces/Restart".into(),
            email: "p002@example.com".into(),
            decision: pb::Decision::Denied.into(),
            reason: "this is <b>not</b> yours".into(),
            outcome: "PERMISSION_DENIED".into(),
            ..Default::default()
        }];
        world.findings = vec![pb::Finding {
            kind: pb::FindingKind::Drift.into(),
            subject: "vhost x".into(),
            message: "it is on disk".into(),
            repair: "cictl doctor --repair removes it".into(),
            repaired: false,
        }];
    });
    let root = front.sign_in("root@example.com", true);
    (front, root)
}

fn rows(page: &str) -> Vec<&str> {
    let rows = page.split("<tr data-email=\"").skip(1);
    rows.filter_map(|row| row.split('"').next()).collect()
}

fn acts(front: &Front) -> Vec<String> {
    let mut acts = Vec::new();
    front.daemon.change(|world| acts = world.acts.clone());
    acts
}

#[tokio::test]
async fn administration_is_for_administrators() {
    let (front, root) = front();
    let anna = front.sign_in("anna@example.com", false);
    for path in PAGES {
        let page = front.get(path).await;
        assert_eq!(page.header("location"), "/sign-in", "{path}");
        let page = front.get_as(&anna, path).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{path}");
        page.has_not("p001");
        let page = front.get_as(&root, path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        page.has("aria-current=\"page\"");
    }
    front.get_as(&anna, "/").await.has_not("href=\"/admin\"");
    front.get_as(&root, "/").await.has("href=\"/admin\"");
    let before = acts(&front);
    for path in ["/admin/workspaces/delete", "/admin/people/sign-out"] {
        let page = front.post_as(&anna, path, "email=p001%40example.com").await;
        assert!(page.status.is_client_error(), "{path} {}", page.status);
    }
    assert_eq!(acts(&front), before);
}

#[tokio::test]
async fn workspaces_are_searched_sorted_and_paged() {
    let (front, root) = front();
    let page = async |query: &str| front.get_as(&root, &format!("/admin{query}")).await.body;
    let first = page("").await;
    assert_eq!(rows(&first).len(), 50);
    assert_eq!(rows(&first)[0], "p000@example.com");
    assert_eq!(rows(&page("?page=3").await).len(), 20);
    assert_eq!(rows(&page("?page=999").await).len(), 20);
    assert_eq!(rows(&page("?q=P07").await).len(), 10);
    assert_eq!(rows(&page("?state=down").await), ["p077@example.com"]);
    assert_eq!(rows(&page("?sort=state").await)[0], "p077@example.com");
    assert_eq!(rows(&page("?sort=-memory").await)[0], "p119@example.com");
    let atlas = page("?project=atlas&sort=-memory&page=2").await;
    assert_eq!(rows(&atlas).len(), 10);
    assert!(atlas.contains("project=atlas&#38;sort=memory"), "{atlas}");
    let none = page("?q=%22%3E%3Cb%3E").await;
    assert!(rows(&none).is_empty() && !none.contains("<b>"), "{none}");
}

#[tokio::test]
async fn several_are_deleted_at_once_and_what_holds_work_stays() {
    let (front, root) = front();
    let chosen = "which=p001%40example.com+atlas&which=p002%40example.com+pressa";
    let page = front
        .post_as(&root, "/admin/workspaces/delete", chosen)
        .await;
    page.has("Delete these workspaces?");
    page.has("value=\"p002@example.com pressa\"");
    assert!(acts(&front).is_empty(), "{:?}", acts(&front));
    let confirmed = format!("{chosen}&confirmed=yes");
    let page = front
        .post_as(&root, "/admin/workspaces/delete", &confirmed)
        .await;
    assert_eq!(
        page.body.matches("href=\"/jobs/").count(),
        2,
        "{}",
        page.body
    );
    let delete = "delete discard=false with_branch=false looked=";
    assert_eq!(acts(&front), [delete, delete]);
    front.daemon.change(|world| {
        world.work = vec![pb::LostWork::default()];
    });
    let page = front
        .post_as(&root, "/admin/workspaces/delete", &confirmed)
        .await;
    page.has("work would be lost");
    page.has_not("href=\"/jobs/");
    let odd = front
        .post_as(&root, "/admin/workspaces/delete", "which=x")
        .await;
    assert_eq!(odd.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn jobs_people_audit_and_the_machine_are_told() {
    let (front, root) = front();
    let page = front.get_as(&root, "/admin/jobs").await;
    page.has("action=\"/jobs/stuck/retry\"");
    page.has("href=\"/jobs/done\"");
    let page = front.get_as(&root, "/admin/people").await;
    page.has("p001@example.com");
    let out = "email=p001%40example.com";
    let page = front.post_as(&root, "/admin/people/sign-out", out).await;
    assert_eq!(
        page.header("location"),
        "/admin/people?signed_out=p001@example.com"
    );
    assert!(acts(&front).contains(&"sign out p001@example.com".to_owned()));
    let page = front.get_as(&root, "/admin/audit?q=P002").await;
    page.has("Workspaces/Restart");
    page.has("this is &#60;b&#62;not&#60;/b&#62; yours");
    front
        .get_as(&root, "/admin/audit?q=zzz")
        .await
        .has("Nothing of that kind");
    let page = front.get_as(&root, "/admin/health").await;
    page.has("cictl doctor --repair");
}
