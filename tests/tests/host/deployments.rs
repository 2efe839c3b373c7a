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
    // What she left there as the workspace's user is work after a deployment as before it.
    let left = "echo 1 > new.py; mkdir lib; echo 2 > lib/w.py; echo '*.loc' > .git/info/exclude; echo 3 > ign.loc";
    sh(&host, &format!("cictl run {ANNA} -- sh -c \"{left}\""));
    push(&host, "four");
    sh(&host, &format!("cictl deploy {ANNA}"));
    let mut delete = vec!["cictl", "delete", "--yes", "--with-branch", "--force", ANNA];
    let refused = host.run(&delete).unwrap();
    let text = refused.to_string();
    assert_eq!(refused.status, 5, "{text}");
    assert!(text.contains("new.py") && text.contains("lib/"), "{text}");
    delete.push("--discard");
    host.run(&delete).unwrap().ok().unwrap();
    assert_eq!(sh(&host, "ls /var/lib/cid/apps"), "");
}

const SECRET: &str = "correct-horse-battery";
/// Each line is tried in turn, and what succeeds is named.
const TRY: &str = r#"try() { what="$1"; shift; "$@" > /dev/null 2>&1 && echo "DONE $what"; }
src=/var/lib/cid/builds/guestbook/1/src
try 'write a sealed file' sh -c "echo x >> $src/manage.py"
try 'make a sealed file writable' chmod u+w $src/manage.py
try 'add to the sealed files' touch $src/added.py
try 'remove a sealed file' rm -f $src/Procfile
try 'replace the files' mv /var/lib/cid/builds/guestbook/1 /var/lib/cid/builds/guestbook/2
try 'read the secrets file' cat /etc/cid/secrets/live
try 'read the run files' sh -c 'cat /var/lib/cid/apps/*'
try 'ask cid' cictl promote live
"#;
/// The same of what belongs to a stage.
const TRY_STAGE: &str = r#"
try 'read the data of a stage' sh -c 'ls /srv/cid/guestbook/live/data/'
try 'read the backups of a stage' sh -c 'ls /srv/cid/guestbook/live/backups/'
try 'change the backups of a stage' sh -c 'echo > /srv/cid/guestbook/live/backups/more'
try 'remove the backups of a stage' sh -c 'rm /srv/cid/guestbook/live/backups/*'
try 'read the environment of a stage' sh -c 'for pid in /proc/[0-9]*; do tr "\0" "\n" < $pid/environ | grep -q API_KEY && exit 0; done; exit 1'
try 'reach the socket of a stage' python3 -c 'import socket; socket.socket(socket.AF_UNIX).connect("/srv/cid/guestbook/live/run/web.sock")'
"#;

#[test]
fn a_stage_runs_from_sealed_files_and_its_secrets_are_its_own() {
    let Some(host) = cid() else { return };
    sh(
        &host,
        &format!(
            "set -e; groupadd leads; usermod --append --groups leads bob
install -d -m 700 /etc/cid/secrets; umask 077; echo API_KEY={SECRET} > /etc/cid/secrets/live"
        ),
    );
    host.write("/opt/try.sh", format!("{TRY}{TRY_STAGE}"), 0o755)
        .unwrap();
    let app = "run.web = [\"gunicorn\", \"--bind\", \"unix:{socket}\", \"guestbook.wsgi\"]
test = [[\"sh\", \"-c\", \"sh /opt/try.sh > $TMPDIR/tried; ! grep DONE $TMPDIR/tried\"]]";
    let end =
        "[access]\ndeployers = \"leads\"\n[stages.live]\nsecrets_file = \"/etc/cid/secrets/live\"
env = { DATABASE_URL = \"sqlite:///{directory}/data/db.sqlite3\" }
backup = [[\"sh\", \"-c\", \"echo backed up > $0\", \"{backup}\"]]\n";
    rewrite_project(&host, "", app, end);
    create(&host, ANNA);
    let built = host.run(&["cictl", "build"]).unwrap();
    assert_eq!(built.status, 0, "{built}");
    for (user, status) in [("anna", 4), ("eve", 6), ("bob", 0)] {
        let promote = ["runuser", "-u", user, "--", "cictl", "promote", "live"];
        let said = host.run(&promote).unwrap();
        assert_eq!(said.status, status, "{user}: {said}");
    }
    assert_eq!(status_of(&host, "live"), "200");
    let doctor = host.run(&["cictl", "doctor"]).unwrap();
    assert_eq!(doctor.status, 0, "{doctor}");

    // Neither what runs in the stage, nor a workspace, nor the next build's tests get further.
    let tried = sh(&host, "cictl run live -- sh /opt/try.sh; true");
    let own =
        ["data", "backups", "environment"].map(|what| format!("DONE read the {what} of a stage"));
    let own = own
        .iter()
        .map(String::as_str)
        .chain(["DONE reach the socket of a stage"]);
    assert_eq!(tried.lines().collect::<Vec<_>>(), own.collect::<Vec<_>>());
    assert_eq!(
        sh(&host, &format!("cictl run {ANNA} -- sh /opt/try.sh; true")),
        ""
    );
    let again = host.run(&["cictl", "build", "--again"]).unwrap();
    assert_eq!(again.status, 0, "{again}");

    // What was changed by root's hand does not run either.
    sh(
        &host,
        "echo x >> /var/lib/cid/builds/guestbook/2/src/manage.py",
    );
    let said = host.run(&["cictl", "promote", "live", "2"]).unwrap();
    assert_eq!(said.status, 1, "{said}");
    assert!(said.text().contains("not those that were tested"), "{said}");
    assert_eq!(status_of(&host, "live"), "200");
    // The daemon itself may not look at the copies of the database.
    let backups = "/srv/cid/guestbook/live/backups";
    sh(
        &host,
        &format!("echo x > {backups}/of-an-attempt; mkdir {backups}/half.part"),
    );
    sh(&host, "cictl promote live 1");
    let kept = sh(&host, &format!("ls {backups}"));
    assert!(
        !kept.is_empty() && kept.lines().all(|name| name.ends_with("-build-1")),
        "{kept}"
    );
    sh(&host, "cictl restart live");
    // By a file, so that the search does not find itself.
    host.write("/root/secret", SECRET.as_bytes(), 0o600)
        .unwrap();
    let told = sh(
        &host,
        "journalctl --no-pager | grep -c -f /root/secret; cat /proc/[0-9]*/cmdline | grep -c -f /root/secret; \
         grep -rl -f /root/secret /var/lib/cid /run/cid /var/log/cid /srv/cid 2>/dev/null",
    );
    let told: Vec<&str> = told.lines().collect();
    assert_eq!(told[..2], ["0", "0"], "{told:?}");
    assert!(
        told[2].starts_with("/var/lib/cid/apps/guestbook.live."),
        "{told:?}"
    );
    assert_eq!(told.len(), 3, "{told:?}");
}
