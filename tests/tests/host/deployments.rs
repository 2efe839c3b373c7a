//! Deployments on a host: instances that follow each other as an account of their own, under Landlock.

use crate::stage::{cid, create, rewrite_project, soon, status_of, user_of};
use cid_testkit::host::Host;

const ANNA: &str = "anna@example.com";
const NAME: &str = "anna---example-com";
const RUN: &str = "/srv/cid/guestbook/anna---example-com/run";

fn sh(host: &Host, script: &str) -> String {
    host.run(&["sh", "-c", script])
        .unwrap()
        .ok()
        .unwrap()
        .stdout
}

fn page(host: &Host) -> String {
    sh(
        host,
        &format!(
            "curl --silent --max-time 5 --header 'Host: {NAME}.guestbook.test' http://127.0.0.1/version/"
        ),
    )
}

/// Commits to the workspace's branch, as somebody else would.
fn push(host: &Host, version: &str) {
    sh(
        host,
        &format!(
            "set -e; cd /root/guestbook
git config --global --add safe.directory '*'
git fetch --quiet /srv/git/guestbook.git {NAME} && git checkout --quiet --detach FETCH_HEAD
printf 'from django.http import HttpResponse\\nfrom django.urls import path\\n\
from guestbook.urls import urlpatterns as others\\n\
urlpatterns = [path(\"version/\", lambda _: HttpResponse(\"{version}\"))] + others\\n' > guestbook/versions.py
sed -i 's/guestbook.urls/guestbook.versions/' guestbook/settings.py
git add --all && git -c user.name=t -c user.email=t@t commit --quiet --message={version}
git push --quiet /srv/git/guestbook.git HEAD:{NAME} && chown --recursive deploy:deploy /srv/git"
        ),
    );
}

#[test]
fn instances_follow_each_other_as_the_workspaces_user() {
    let Some(host) = cid() else { return };
    let web = "run.web = [\"gunicorn\", \"--bind\", \"unix:{socket}\", \"guestbook.wsgi\"]";
    rewrite_project(&host, "", web, "");
    create(&host, ANNA);
    assert_eq!(status_of(&host, NAME), "200");
    let user = user_of(&host, NAME);
    for (version, instance) in [("two", 1), ("three", 2)] {
        push(&host, version);
        // Her own, by polkit's rules.
        sh(&host, &format!("runuser -u anna -- cictl deploy {ANNA}"));
        assert_eq!(page(&host), version);
        let sockets = sh(&host, &format!("stat -c '%U %n' {RUN}/*"));
        let bound = format!("{user} {RUN}/web.{instance}.sock");
        let found: Vec<&str> = sockets.lines().collect();
        assert_eq!(
            found,
            [bound, format!("{user} {RUN}/web.sock")],
            "{sockets}"
        );
        let doctor = host.run(&["cictl", "doctor"]).unwrap();
        assert_eq!(doctor.status, 0, "{doctor}");
    }
    // With the daemon gone, what is started again is found at its name.
    sh(
        &host,
        &format!("systemctl stop cid; pkill --oldest --uid {user} gunicorn"),
    );
    soon("the page of the next process", || {
        status_of(&host, NAME) == "200"
    });
    sh(&host, "systemctl start cid");
    let said = host.run(&["runuser", "-u", "bob", "--", "cictl", "deploy", ANNA]);
    assert_eq!(said.unwrap().status, 4, "it is Anna's");
    let deleted = host.run(&["cictl", "delete", "--yes", "--with-branch", "--force", ANNA]);
    deleted.unwrap().ok().unwrap();
    assert_eq!(sh(&host, "ls /var/lib/cid/apps"), "");
}
