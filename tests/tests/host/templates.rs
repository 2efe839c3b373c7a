//! What new workspaces begin with, on a host.

use crate::stage::{cid, create, owner_of, rewrite_project, soon, status_of, user_of, words};

#[test]
fn a_workspace_begins_with_what_a_template_holds() {
    let Some(host) = cid() else { return };
    rewrite_project(&host, "", "# template: by itself", "");
    host.run(&["systemctl", "reload", "cid"])
        .unwrap()
        .ok()
        .unwrap();
    create(&host, "anna@example.com");
    let jobs = |kind: &str| {
        let listed = host.run(&["cictl", "jobs", "list", "--output=json"]);
        let listed = listed.unwrap().ok().unwrap().json().unwrap();
        let jobs = listed.as_array().unwrap().clone();
        jobs.into_iter()
            .find(|job| job["kind"] == kind)
            .unwrap_or_default()
    };
    soon("the template's job ends", || {
        let state = jobs("template")["state"].clone();
        ["done", "undone", "stuck", "cancelled"].contains(&state.as_str().unwrap_or_default())
    });
    let job = jobs("template");
    let shown = host.run(&["cictl", "jobs", "show", job["id"].as_str().unwrap()]);
    assert_eq!(job["state"], "done", "{}", words(&shown.unwrap()));
    create(&host, "bob@example.com");
    let job = jobs("create")["id"].as_str().unwrap().to_owned();
    let told = words(&host.run(&["cictl", "jobs", "logs", &job]).unwrap());
    assert!(
        told.contains("of template 1") && !told.contains("migrate"),
        "{told}"
    );
    assert_eq!(status_of(&host, "bob---example-com"), "200");
    // The copy is the workspace's own, and nobody may write the template.
    let database = "/srv/cid/guestbook/bob---example-com/src/db.sqlite3";
    assert_eq!(
        owner_of(&host, "%U", database),
        user_of(&host, "bob---example-com")
    );
    let kept = "/var/lib/cid/templates/guestbook/1/made/new/db.sqlite3";
    assert_eq!(owner_of(&host, "%U %a", kept), "cidb-guestbook 444");
}
