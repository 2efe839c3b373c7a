//! What proves that a form is of the session's own pages.

use crate::{
    fake,
    front::{Front, form_token, submission},
};
use axum::http::StatusCode;
use cid_proto::v1::{JobState, WorkspaceState};

const ANNA: &str = "anna@example.com";

/// Everything that a POST can be sent to, with a form that would be good.
const POSTS: [(&str, &str); 10] = [
    ("/workspaces", "email=new%40example.com"),
    ("/workspaces/pressa/anna@example.com/restart", ""),
    ("/workspaces/pressa/anna@example.com/stop", ""),
    ("/workspaces/pressa/anna@example.com/sleep", ""),
    ("/workspaces/pressa/anna@example.com/start", ""),
    ("/workspaces/pressa/anna@example.com/deploy", ""),
    ("/workspaces/pressa/anna@example.com/delete", ""),
    ("/jobs/j/cancel", ""),
    ("/jobs/j/retry", ""),
    ("/sign-out", ""),
];

fn front() -> Front {
    let front = Front::new();
    front.daemon.change(|world| {
        world.asks_to_sign_in = true;
        let made = fake::workspace(ANNA, "pressa", WorkspaceState::Ready);
        world.workspaces.push(made);
        world
            .jobs
            .push(fake::job("j", ANNA, "pressa", JobState::Stuck));
    });
    front
}

fn done(front: &Front) -> (Vec<String>, usize, usize) {
    let mut done = Default::default();
    front.daemon.change(|world| {
        done = (
            world.acts.clone(),
            world.workspaces.len(),
            world.people.len(),
        );
    });
    done
}

#[tokio::test]
async fn a_form_without_the_sessions_own_token_does_nothing() {
    let front = front();
    let anna = front.sign_in(ANNA, false);
    let ben = front.sign_in("ben@example.com", false);
    let own = form_token(&front.get_as(&anna, "/").await.body);
    let other = form_token(&front.get_as(&ben, "/").await.body);
    assert_eq!(own.len(), 64);
    assert_ne!(own, other);
    let before = done(&front);
    for (path, form) in POSTS {
        let forged = [
            form.to_owned(),
            format!("form=&{form}"),
            format!("form={other}&{form}"),
            format!("form={}&{form}", &own[1..]),
            format!("form={own}&form={own}&{form}"),
            format!("form={own}&form={other}&{form}"),
        ];
        for form in forged {
            let page = front.post_with(&anna, path, &form).await;
            assert_eq!(page.status, StatusCode::FORBIDDEN, "{path} {form}");
            page.has("This page is out of date");
        }
    }
    assert_eq!(done(&front), before);
}

#[tokio::test]
async fn another_sites_form_does_nothing_even_with_the_right_token() {
    let front = front();
    let anna = front.sign_in(ANNA, false);
    let own = form_token(&front.get_as(&anna, "/").await.body);
    let before = done(&front);
    for (path, form) in POSTS {
        for site in ["cross-site", "same-site"] {
            let mut request = submission(format!("form={own}&{form}"), site);
            *request.uri_mut() = path.parse().unwrap();
            request
                .headers_mut()
                .insert("cookie", anna.parse().unwrap());
            let page = front.send(request).await;
            assert_eq!(page.status, StatusCode::FORBIDDEN, "{path} {site}");
        }
    }
    assert_eq!(done(&front), before);
}

#[tokio::test]
async fn a_get_changes_nothing() {
    let front = front();
    let anna = front.sign_in(ANNA, false);
    let own = form_token(&front.get_as(&anna, "/").await.body);
    for (path, form) in POSTS {
        front
            .get_as(&anna, &format!("{path}?form={own}&{form}"))
            .await;
    }
    // The delete's page looks, and no more.
    assert_eq!(done(&front).0, ["look"]);
    assert_eq!(done(&front).1, 1);
}

#[tokio::test]
async fn a_token_is_good_for_its_session_and_ends_with_it() {
    let front = front();
    let anna = front.sign_in(ANNA, false);
    let own = form_token(&front.get_as(&anna, "/").await.body);
    front.post_as(&anna, "/sign-out", "").await;
    for (path, form) in POSTS.iter().filter(|(path, _)| *path != "/sign-out") {
        let page = front
            .post_with(&anna, path, &format!("form={own}&{form}"))
            .await;
        assert_eq!(page.header("location"), "/sign-in?ended=yes", "{path}");
    }
    // The token in a page does not tell the session.
    assert!(!own.contains("session-of"));
    assert_eq!(done(&front).0, Vec::<String>::new());
}

#[tokio::test]
async fn with_the_token_each_does_what_it_says() {
    let front = front();
    let anna = front.sign_in(ANNA, false);
    let jobs = [
        ("/workspaces/pressa/anna@example.com/restart", "", "restart"),
        ("/workspaces/pressa/anna@example.com/stop", "", "stop"),
        ("/workspaces/pressa/anna@example.com/sleep", "", "sleep"),
        ("/workspaces/pressa/anna@example.com/start", "", "start"),
        ("/workspaces/pressa/anna@example.com/deploy", "", "deploy"),
        ("/jobs/j/cancel", "", "cancel j"),
        ("/jobs/j/retry", "", "retry j"),
        (
            "/workspaces/pressa/anna---example-com/delete",
            "looked=seen&with_branch=yes",
            "delete discard=false with_branch=true looked=seen",
        ),
    ];
    for (path, form, act) in jobs {
        let page = front.post_as(&anna, path, form).await;
        assert_eq!(page.status, StatusCode::SEE_OTHER, "{path}: {}", page.body);
        assert!(page.header("location").starts_with("/jobs/j"), "{path}");
        assert_eq!(done(&front).0.last().unwrap(), act);
    }
    // A field that no page sends.
    for (path, _, _) in jobs {
        let page = front.post_as(&anna, path, "x=y").await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{path}");
    }
}

#[tokio::test]
async fn what_is_anothers_can_neither_be_seen_nor_changed() {
    let front = front();
    let ben = front.sign_in("ben@example.com", false);
    for (path, form) in &POSTS[1..7] {
        let page = front.post_as(&ben, path, form).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{path}");
    }
    for path in ["/logs/web", "/logs/web/events", "/delete"] {
        let path = format!("/workspaces/pressa/{ANNA}{path}");
        let page = front.get_as(&ben, &path).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{path}");
    }
    assert_eq!(done(&front).0, Vec::<String>::new());
    let page = front.get_as(&ben, "/jobs/j").await;
    page.has_not("id=\"retry\"");
}
