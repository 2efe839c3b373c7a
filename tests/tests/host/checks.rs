//! What is said before something goes wrong, and that what is said helps.

use crate::{
    doctor::{is_broken, is_well, run},
    stage::{cid, package, rewrite_project, soon, words},
};
use cid_testkit::{Output, host::Host};

const FILE: &str = "/etc/cid/projects.d/guestbook.toml";
const MEDIA: &str = "/srv/guestbook/media";

fn check(host: &Host, project: &str) -> Output {
    host.run(&["cictl", "project", "check", project]).unwrap()
}

/// The check finds this wrong; gives what it says to do.
#[track_caller]
fn is_wrong(host: &Host, what: &str) -> String {
    let told = check(host, "guestbook");
    assert_eq!(told.status, 1, "{told}");
    let mut lines = told.stdout.lines().skip_while(|line| !line.contains(what));
    let found = lines.next().unwrap_or_default();
    assert!(found.starts_with("[error] "), "not found: {what}\n{told}");
    lines.next().unwrap_or_default().trim().to_owned()
}

/// Another project like the guestbook; gives how its reload ended.
fn add_project(host: &Host, name: &str, top: &str) -> i32 {
    let text = host.read(FILE).unwrap();
    let text = text.replace("guestbook.test", &format!("{name}.test"));
    let path = format!("/etc/cid/projects.d/{name}.toml");
    host.write(&path, format!("{top}\n{text}"), 0o644).unwrap();
    host.run(&["systemctl", "reload", "cid"]).unwrap().status
}

#[test]
fn what_workspaces_share_is_open_to_them_and_to_nginx() {
    let Some(host) = cid() else { return };
    is_well(&host);
    let all = "workspaces of guestbook (group cid-guestbook) cannot write";
    run(
        &host,
        &format!("chown root:root {MEDIA} && chmod 0700 {MEDIA}"),
    );
    let what = format!("{all} {MEDIA}");
    is_broken(
        &host,
        &format!("shared media of guestbook: {what}"),
        &format!("chgrp cid-guestbook {MEDIA} && chmod 2775 {MEDIA}"),
    );
    let mend = is_wrong(&host, &what);
    run(&host, &mend);
    is_well(&host);
    check(&host, "guestbook").ok().unwrap();
    // As the group sees it; nginx is not in it.
    run(&host, &format!("chmod 2770 {MEDIA}"));
    let mend = is_wrong(&host, &format!("nginx (www-data) cannot read {MEDIA}"));
    run(&host, &mend);
    is_well(&host);
    run(&host, "chmod 0750 /srv/guestbook");
    let mend = is_wrong(&host, "they may not enter /srv/guestbook");
    assert_eq!(mend, "setfacl -m g:cid-guestbook:x /srv/guestbook");
    run(&host, "chmod 0755 /srv/guestbook");

    let file = "/srv/guestbook/db/db.sqlite3";
    let database = format!("[database]\nkind = \"shared\"\nurl = \"sqlite:///{file}\"");
    let told = rewrite_project(&host, "", "", &database);
    assert!(
        words(&told).contains(&format!("cannot find {file}")),
        "{told}"
    );
    run(&host, &format!("mkdir /srv/guestbook/db && touch {file}"));
    let mend = is_wrong(&host, &format!("{all} {file}"));
    run(&host, "chmod 0666 /srv/guestbook/db/db.sqlite3");
    is_wrong(&host, &format!("{all} /srv/guestbook/db"));
    is_broken(&host, "shared database of guestbook", &mend);
    run(&host, &mend);
    is_well(&host);
    let told = check(&host, "guestbook").ok().unwrap();
    let worry = "[warning] guestbook: database: the shared database";
    assert!(told.stdout.contains(worry), "{told}");
    assert!(told.stdout.contains("migrate"), "{told}");
}

#[test]
fn a_work_dir_is_the_projects_own_and_the_daemon_may_write_it() {
    let Some(host) = cid() else { return };
    run(&host, "cictl create bob@example.com");
    // One around the other's: nobody is told to remove live workspaces.
    assert_eq!(add_project(&host, "outer", "work_dir = \"/srv/cid\""), 1);
    let listed = run(&host, "cictl project list");
    assert!(
        listed.contains("line 1, work_dir: /srv/cid lies around /srv/cid/guestbook"),
        "{listed}"
    );
    let told = words(&host.run(&["cictl", "doctor"]).unwrap());
    assert!(!told.contains("directory /srv/cid"), "{told}");
    run(&host, "rm /etc/cid/projects.d/outer.toml");

    run(&host, "mkdir -p /data/fe");
    assert_eq!(add_project(&host, "fe", "work_dir = \"/data/fe\""), 1);
    let listed = run(&host, "cictl project list");
    assert!(
        listed.contains("the daemon's unit may not write /data/fe"),
        "{listed}"
    );
    let told = check(&host, "fe");
    assert_eq!(told.status, 1, "{told}");
    for said in [
        "[error] fe: work_dir: the daemon's unit may not write /data/fe",
        "ReadWritePaths=/data/fe",
        "[ok] fe: remote",
        "[ok] fe: app",
    ] {
        assert!(told.stdout.contains(said), "{said}: {told}");
    }
    let drop_in = "[Service]\nReadWritePaths=/data/fe\n";
    host.write(
        "/etc/systemd/system/cid.service.d/work.conf",
        drop_in,
        0o644,
    )
    .unwrap();
    run(&host, "systemctl daemon-reload && systemctl restart cid");
    soon("it can be used", || {
        check(&host, "fe").stdout.contains("[ok] fe: work_dir")
    });

    // A deploy user who is not there.
    let text = host.read("/etc/cid/projects.d/fe.toml").unwrap();
    let text = text.replace("\"deploy\"", "\"nodeploy\"");
    host.write("/etc/cid/projects.d/fe.toml", text, 0o644)
        .unwrap();
    let reload = || host.run(&["systemctl", "reload", "cid"]).unwrap().status;
    assert_eq!(reload(), 1);
    let listed = run(&host, "cictl project list");
    assert!(
        listed.contains("cannot find the account nodeploy"),
        "{listed}"
    );
    run(&host, "useradd nodeploy");
    assert_eq!(reload(), 0);
    let listed = run(&host, "cictl project list");
    assert!(!listed.contains("nodeploy"), "{listed}");

    // An account of a person, not locked.
    run(&host, "sed -i s/nodeploy/bob/ /etc/cid/projects.d/fe.toml");
    assert_eq!(reload(), 1);
    let told = check(&host, "fe");
    assert_eq!(told.status, 1, "{told}");
    assert!(
        told.stdout.contains("deploy_user: bob is in the group cid"),
        "{told}"
    );
    host.run_as("bob", &["cictl", "list"])
        .unwrap()
        .ok()
        .unwrap();
    // A repository that cannot be written is seen before anybody creates.
    run(
        &host,
        "rm /etc/cid/projects.d/fe.toml && chown -R root:root /srv/git/guestbook.git",
    );
    let what = "/srv/git/guestbook.git: git there cannot read all of its branches";
    let mend = is_wrong(&host, what);
    assert!(
        mend.starts_with("let deploy read /srv/git/guestbook.git and all below it"),
        "{mend}"
    );
    run(&host, "chmod -R a+rX /srv/git/guestbook.git");
    let mend = is_wrong(&host, "/srv/git/guestbook.git/objects cannot be written");
    assert!(
        mend.starts_with("let deploy write into /srv/git/guestbook.git"),
        "{mend}"
    );
    run(&host, "chown -R deploy:deploy /srv/git/guestbook.git");
    check(&host, "guestbook").ok().unwrap();
}

#[test]
fn accounts_of_no_workspace_are_named_and_go_when_nothing_is_left() {
    let Some(host) = cid() else { return };
    run(&host, "cictl create bob@example.com");
    is_well(&host);
    let useradd = |name: &str, uid: u32, comment: &str, home: &str| {
        run(
            &host,
            &format!(
                "useradd --uid {uid} --key GID_MIN={uid} --key GID_MAX={uid} --user-group \
                 --comment '{comment}' --home-dir {home} --no-create-home {name}"
            ),
        );
    };
    // As an old ledger leaves them, that was put back.
    useradd(
        "cidw-501",
        70500,
        "cid workspace",
        "/srv/cid/guestbook/eve/home",
    );
    useradd("cidw-502", 70501, "cid workspace", "/nonexistent");
    useradd("cidw-503", 1503, "Ann Otter", "/nonexistent");
    run(&host, "install -d -o cidw-501 /srv/cid/guestbook/eve/home");
    run(
        &host,
        "systemd-run --quiet --uid=cidw-502 --unit=left sleep 600",
    );
    let doctor = |repair: bool| {
        let args = ["cictl", "doctor", "--repair"];
        words(&host.run(&args[..if repair { 3 } else { 2 }]).unwrap())
    };
    for repair in [false, true] {
        let told = doctor(repair);
        for said in [
            "account cidw-501: no workspace has it, and its folder /srv/cid/guestbook/eve is there",
            "account cidw-502: no workspace has it, and 1 processes run as it",
            "pkill -KILL -u cidw-502",
            "account cidw-503: no workspace has it, and it is not as cid makes them",
        ] {
            assert!(told.contains(said), "{said}: {told}");
        }
        assert!(!told.contains("account cidw-1:"), "{told}");
    }
    run(
        &host,
        "mv /srv/cid/guestbook/eve /root && pkill -KILL -u cidw-502",
    );
    soon("it is gone", || {
        host.run(&["pgrep", "-u", "cidw-502"]).unwrap().status == 1
    });
    let told = doctor(false);
    assert!(
        told.contains("account cidw-501: no workspace has it\n"),
        "{told}"
    );
    doctor(true);
    let left = |name: &str| host.run(&["getent", "passwd", name]).unwrap().status == 0;
    assert!(!left("cidw-501") && !left("cidw-502") && left("cidw-503"));
    run(&host, "userdel cidw-503");
    is_well(&host);
}

#[test]
fn what_the_doctor_says_of_nginx_helps() {
    let Some(host) = cid() else { return };
    host.copy_in(&package(), "/var/tmp/cid.deb").unwrap();
    run(
        &host,
        "rm /etc/nginx/conf.d/cid.conf && systemctl reload nginx",
    );
    is_broken(
        &host,
        "nginx include: nothing that nginx reads includes",
        "apt install --reinstall -o Dpkg::Options::=--force-confmiss ./cid_",
    );
    // The app is not to blame.
    let failed = host.run(&["cictl", "create", "bob@example.com"]).unwrap();
    assert_eq!(failed.status, 1, "{failed}");
    let told = words(&failed);
    assert!(
        told.contains("but the app itself answers with status 200"),
        "{told}"
    );
    assert!(told.contains("cictl doctor says what is missing"), "{told}");
    run(
        &host,
        "DEBIAN_FRONTEND=noninteractive apt install --yes --reinstall -o Dpkg::Options::=--force-confmiss /var/tmp/cid.deb",
    );
    run(&host, "systemctl reload nginx");
    is_well(&host);

    run(
        &host,
        "rm /etc/nginx/conf.d/names.conf && systemctl reload nginx",
    );
    let long = format!("{}@example.com", "a".repeat(40));
    let failed = host.run(&["cictl", "create", &long]).unwrap();
    assert_eq!(failed.status, 1, "{failed}");
    let told = words(&failed);
    assert!(
        told.contains(
            "hint: echo 'server_names_hash_bucket_size 128;' > /etc/nginx/conf.d/names.conf"
        ),
        "{told}"
    );
}
