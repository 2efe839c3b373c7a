//! Workspaces in somebody's account: it keeps what is not theirs.

use crate::{
    stage::{cid, create, rewrite_project, soon, status_of, user_of, words},
    workspaces::{WATCHED, accounts},
};
use cid_testkit::host::Host;
use std::process::{Child, Stdio};

/// Beside the site a process that leaves another behind, which threw away all that tells whose it is.
const APP: &str = r#"run.web = ["gunicorn", "--bind", "127.0.0.1:{port}", "guestbook.wsgi"]
run.worker = ["sh", "-c", "env -i setsid -f sleep 4713; exec sleep 4714"]"#;

/// A process of an account that has nothing to do with any workspace.
fn outsider(host: &Host, user: &str) -> Child {
    let mut sleep = host.command_as(user, &["sleep", "7777"]).unwrap();
    sleep.stdin(Stdio::null()).spawn().unwrap()
}

fn pids(host: &Host, user: &str, command: &str) -> Vec<String> {
    let found = host
        .run(&["pgrep", "--uid", user, "--full", command])
        .unwrap();
    found.stdout.lines().map(str::to_owned).collect()
}

/// The fields of a process's status that say what it may.
fn status(host: &Host, pid: &str) -> Vec<(String, String)> {
    let text = host.read(&format!("/proc/{pid}/status")).unwrap();
    let field = |line: &str| {
        let (name, value) = line.split_once(':')?;
        let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
        Some((name.to_owned(), value))
    };
    text.lines().filter_map(field).collect()
}

fn delete(host: &Host, email: &str) {
    let args = [
        "cictl",
        "delete",
        "--yes",
        "--with-branch",
        "--force",
        "--discard",
        email,
    ];
    host.run(&args).unwrap().ok().unwrap();
}

#[test]
fn in_the_owners_account_a_delete_ends_what_is_the_workspaces_and_nothing_else() {
    let Some(host) = cid() else { return };
    let mut outsider = outsider(&host, "anna");
    // A creation that is taken back leaves what else the account runs alone, too.
    let failing = format!("{APP}\nrelease = [[\"sh\", \"-c\", \"setsid -f sleep 4715; false\"]]");
    rewrite_project(&host, "isolation = \"owner\"", &failing, "")
        .ok()
        .unwrap();
    let created = host.run(&["cictl", "create", "anna@example.com"]).unwrap();
    assert_eq!(created.status, 1, "{}", words(&created));
    assert_eq!(pids(&host, "anna", "sleep 4715"), [""; 0]);
    assert!(
        !host
            .exists("/srv/cid/guestbook/anna---example-com")
            .unwrap()
    );
    assert!(
        outsider.try_wait().unwrap().is_none(),
        "her own process was ended"
    );

    let checked = rewrite_project(&host, "isolation = \"owner\"", APP, "");
    checked.ok().unwrap();
    // As good as root elsewhere; none of a repository's code is to have it.
    host.run(&["usermod", "--append", "--groups", "disk", "anna"])
        .unwrap()
        .ok()
        .unwrap();
    let (before, accounts_before) = (host.state(WATCHED).unwrap(), accounts(&host));

    let refused = host.run(&["cictl", "create", "bob@example.com"]).unwrap();
    assert_ne!(refused.status, 0);
    let said = words(&refused);
    assert!(
        said.contains("[access.people]") && said.contains("\"bob@example.com\" = \"ACCOUNT\""),
        "{said}"
    );
    host.assert_same(&before, WATCHED).unwrap();

    create(&host, "anna@example.com");
    assert_eq!(status_of(&host, "anna---example-com"), "200");
    assert_eq!(user_of(&host, "anna---example-com"), "anna");
    let project = host.run(&["getent", "group", "cid-guestbook"]).unwrap();
    let project = project.stdout.split(':').nth(2).unwrap().to_owned();
    let own = host.run(&["id", "--user", "anna"]).unwrap().stdout;
    let app = pids(&host, "anna", "gunicorn");
    assert!(!app.is_empty());
    let command = host.run(&[
        "cictl",
        "run",
        "anna@example.com",
        "--",
        "cat",
        "/proc/self/status",
    ]);
    let of_command = command.unwrap().ok().unwrap().stdout;
    for (name, wanted) in [
        ("Uid", [own.trim(); 4].join(" ")),
        ("Groups", project.clone()),
        ("CapBnd", "0000000000000000".to_owned()),
        ("CapEff", "0000000000000000".to_owned()),
        ("NoNewPrivs", "1".to_owned()),
    ] {
        let of_app = status(&host, &app[0]);
        let found = of_app.iter().find(|(field, _)| field == name).unwrap();
        assert_eq!(found.1, wanted, "{name} of the app");
        if name != "Groups" {
            let line = of_command
                .lines()
                .find(|line| line.starts_with(name))
                .unwrap();
            let found = line
                .split_whitespace()
                .skip(1)
                .collect::<Vec<_>>()
                .join(" ");
            assert_eq!(found, wanted, "{name} of a command");
        }
    }
    let groups = host.run(&["cictl", "run", "anna@example.com", "--", "id", "--groups"]);
    let groups = groups.unwrap().ok().unwrap().stdout;
    assert_eq!(groups.split_whitespace().count(), 2, "{groups}");
    assert!(groups.contains(&project), "{groups}");

    soon("the leaver is there", || {
        !pids(&host, "anna", "sleep 4713").is_empty()
    });
    // A restart ends it too, and its successor leaves one more.
    host.run(&["cictl", "restart", "anna@example.com"])
        .unwrap()
        .ok()
        .unwrap();
    soon("one leaver is there", || {
        pids(&host, "anna", "sleep 4713").len() == 1
    });
    let left = "env -i setsid -f sleep 4712 >/dev/null 2>&1 </dev/null";
    let run = host.run(&["cictl", "run", "anna@example.com", "--", "sh", "-c", left]);
    run.unwrap().ok().unwrap();
    delete(&host, "anna@example.com");
    for gone in ["gunicorn", "sleep 471"] {
        assert_eq!(pids(&host, "anna", gone), [""; 0], "{gone}");
    }
    assert!(
        outsider.try_wait().unwrap().is_none(),
        "her own process was ended"
    );
    host.assert_same(&before, WATCHED).unwrap();
    assert_eq!(accounts(&host), accounts_before);
    outsider.kill().unwrap();
    outsider.wait().unwrap();
}

#[test]
fn an_owner_works_with_git_at_once() {
    let Some(host) = cid() else { return };
    rewrite_project(&host, "isolation = \"owner\"", "", "")
        .ok()
        .unwrap();
    for words in [
        &["usermod", "--append", "--groups", "cid-guestbook", "anna"][..],
        // What a git server would do.
        &[
            "setfacl",
            "--recursive",
            "--modify",
            "u:anna:rwX,d:u:anna:rwX",
            "/srv/git",
        ],
    ] {
        host.run(words).unwrap().ok().unwrap();
    }
    let as_anna = |args: &[&str]| host.run_as("anna", args).unwrap().ok().unwrap().stdout;
    let remote = "/srv/git/guestbook.git";
    as_anna(&[
        "git",
        "config",
        "--global",
        "--add",
        "safe.directory",
        remote,
    ]);
    create(&host, "anna@example.com");
    let tree = "/srv/cid/guestbook/anna---example-com/src";
    let git = |args: &[&str]| {
        let identity = ["-c", "user.name=Anna", "-c", "user.email=anna@example.com"];
        as_anna(&[&["git", "-C", tree][..], &identity, args].concat())
    };
    assert_eq!(git(&["status", "--porcelain"]), "");
    as_anna(&["sh", "-c", &format!("echo hello > {tree}/by-anna")]);
    assert_eq!(git(&["status", "--porcelain"]).trim(), "?? by-anna");
    git(&["add", "--all"]);
    git(&["commit", "--quiet", "--message=by Anna"]);
    git(&["push", "--quiet"]);
    let branch = "refs/heads/anna---example-com";
    let pushed = host.run(&[
        "runuser",
        "--user",
        "deploy",
        "--",
        "git",
        "-C",
        remote,
        "rev-parse",
        branch,
    ]);
    assert_eq!(
        pushed.unwrap().ok().unwrap().stdout,
        git(&["rev-parse", "HEAD"])
    );
    // And cid sees that nothing would be lost.
    let deleted = host.run(&["cictl", "delete", "--yes", "anna@example.com"]);
    deleted.unwrap().ok().unwrap();
}

#[test]
fn in_a_shared_account_a_delete_leaves_the_neighbour_alone() {
    let Some(host) = cid() else { return };
    host.run(&["useradd", "--create-home", "runner"])
        .unwrap()
        .ok()
        .unwrap();
    let shared = "isolation = \"shared\"\nrun_user = \"runner\"";
    rewrite_project(&host, shared, APP, "").ok().unwrap();
    let mut outsider = outsider(&host, "runner");
    create(&host, "bob@example.com");
    let before = pids(&host, "runner", "gunicorn");
    create(&host, "anna@example.com");
    assert_eq!(user_of(&host, "anna---example-com"), "runner");
    assert!(pids(&host, "runner", "gunicorn").len() > before.len());
    // A command of one sees no file of another, though the user is the same.
    let look = "cat ../../bob---example-com/src/manage.py";
    let look = host.run(&["cictl", "run", "anna@example.com", "--", "sh", "-c", look]);
    assert_ne!(look.unwrap().status, 0);

    // What the file says later changes nothing for what is there.
    rewrite_project(&host, "", APP, "").ok().unwrap();
    delete(&host, "anna@example.com");
    assert_eq!(pids(&host, "runner", "gunicorn"), before);
    assert_eq!(pids(&host, "runner", "sleep 4713").len(), 1);
    assert_eq!(status_of(&host, "bob---example-com"), "200");
    assert!(
        outsider.try_wait().unwrap().is_none(),
        "another process was ended"
    );
    delete(&host, "bob@example.com");
    assert_eq!(pids(&host, "runner", "gunicorn"), [""; 0]);
    assert!(
        outsider.try_wait().unwrap().is_none(),
        "another process was ended"
    );
    host.run(&["getent", "passwd", "runner"])
        .unwrap()
        .ok()
        .unwrap();
    // Nor may whoever runs others' code use cid.
    host.run(&["usermod", "--append", "--groups", "cid", "runner"])
        .unwrap()
        .ok()
        .unwrap();
    rewrite_project(&host, shared, "", "").ok().unwrap();
    let refused = host.run_as("runner", &["cictl", "list"]).unwrap();
    assert_eq!(refused.status, 4, "{}", words(&refused));
    outsider.kill().unwrap();
    outsider.wait().unwrap();
}

#[test]
fn accounts_with_more_rights_than_a_persons_are_refused() {
    let Some(host) = cid() else { return };
    // The deploy user under another name.
    let uid = host.run(&["id", "--user", "deploy"]).unwrap().stdout;
    let twin = ["useradd", "--non-unique", "--uid", uid.trim(), "twin"];
    host.run(&twin).unwrap().ok().unwrap();
    for (user, why) in [
        ("www-data", "is the system's own"),
        ("cid-web", "is the system's own"),
        ("cidb-guestbook", "is the system's own"),
        ("nobody", "is the system's own"),
        ("twin", "it is the deploy user of guestbook"),
        ("no-such-account", "there is no such account"),
    ] {
        let shared = format!("isolation = \"shared\"\nrun_user = \"{user}\"");
        let checked = rewrite_project(&host, &shared, "", "");
        assert_eq!(checked.status, 1, "{user}");
        assert!(words(&checked).contains(why), "{}", words(&checked));
        let refused = host.run(&["cictl", "create", "anna@example.com"]).unwrap();
        assert_ne!(refused.status, 0, "{user}");
        assert!(words(&refused).contains(why), "{}", words(&refused));
    }
    let jobs = host.run(&["cictl", "list"]).unwrap().stdout;
    assert!(!jobs.contains("anna@"), "{jobs}");
}

#[test]
fn an_account_that_was_made_again_with_another_number_gets_nothing() {
    let Some(host) = cid() else { return };
    let run = |line: &str| host.run(&["sh", "-c", line]).unwrap();
    rewrite_project(&host, "isolation = \"owner\"", "", "")
        .ok()
        .unwrap();
    create(&host, "anna@example.com");
    host.run(&["cictl", "doctor"]).unwrap().ok().unwrap();
    let old = run("id -u anna").stdout;
    // Her number becomes somebody else's.
    let change = "sed -i 's/^anna:x:OLD:/anna:x:4001:/' /etc/passwd && useradd --uid OLD heir";
    run(&change.replace("OLD", old.trim())).ok().unwrap();
    let told = words(&host.run(&["cictl", "doctor"]).unwrap());
    assert!(
        told.contains("account anna of guestbook.anna---example-com: it has the number 4001 now"),
        "{told}"
    );
    for args in [
        &["cictl", "run", "anna@example.com", "--", "true"][..],
        &["cictl", "restart", "anna@example.com"],
    ] {
        let refused = host.run(args).unwrap();
        assert_ne!(refused.status, 0, "{args:?}: {refused}");
    }
    let log = run("cat /var/log/cid/apps/guestbook.anna---example-com/web.log").stdout;
    assert!(log.contains("made again with the number 4001"), "{log}");
    assert_eq!(pids(&host, "heir", "."), [""; 0]);
    delete(&host, "anna@example.com");
    create(&host, "anna@example.com");
    assert_eq!(status_of(&host, "anna---example-com"), "200");
    assert_ne!(pids(&host, "anna", "gunicorn"), [""; 0]);
    delete(&host, "anna@example.com");
}
