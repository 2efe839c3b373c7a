//! The package's life: another version while a job runs, removal, purge.

use crate::{
    hostile::{Attack, Visits, attack, hostile, tree},
    stage::{cid, create, host, main_pid, owner_of, package, soon, status_of, user_of, words},
};
use cid_testkit::host::Host;
use std::{fs, path::PathBuf, process::Command, time::Duration};

const NEXT: &str = "99.1";

/// The package under test with another version number.
fn next_version(dir: &tempfile::TempDir) -> PathBuf {
    let (tree, deb) = (dir.path().join("tree"), dir.path().join("next.deb"));
    let run = |args: &[&std::ffi::OsStr]| {
        let limit = Duration::from_secs(60);
        let mut command = Command::new("dpkg-deb");
        cid_testkit::run(command.args(args), limit)
            .unwrap()
            .ok()
            .unwrap()
    };
    run(&["--raw-extract".as_ref(), package().as_ref(), tree.as_ref()]);
    let control = tree.join("DEBIAN/control");
    let text = fs::read_to_string(&control).unwrap();
    let line = text
        .lines()
        .find(|line| line.starts_with("Version: "))
        .unwrap();
    fs::write(&control, text.replace(line, &format!("Version: {NEXT}"))).unwrap();
    run(&[
        "-Zgzip".as_ref(),
        "-z1".as_ref(),
        "--root-owner-group".as_ref(),
        "--build".as_ref(),
        tree.as_ref(),
        deb.as_ref(),
    ]);
    deb
}

fn apt(host: &Host, verb: &str) -> String {
    let apt = [
        "env",
        "DEBIAN_FRONTEND=noninteractive",
        "apt-get",
        verb,
        "--yes",
        "cid",
    ];
    host.run(&apt).unwrap().ok().unwrap().text()
}

#[test]
fn debians_checker_of_packages_has_nothing_to_say() {
    let mut lintian = Command::new("lintian");
    lintian.args(["--allow-root", "--fail-on", "error,warning"]);
    let limit = Duration::from_secs(120);
    match cid_testkit::run(lintian.arg(package()), limit) {
        Ok(output) => assert_eq!((output.status, output.stdout.as_str()), (0, ""), "{output}"),
        Err(error) => cid_testkit::skip(&format!("this needs lintian ({error:#})")),
    }
}

#[test]
fn an_installation_says_what_is_next_and_leaves_the_form_off() {
    let Some(host) = host() else { return };
    host.copy_in(&package(), "/var/tmp/cid.deb").unwrap();
    let install = "DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends /var/tmp/cid.deb";
    let said = host
        .run(&["sh", "-c", install])
        .unwrap()
        .ok()
        .unwrap()
        .text();
    let last = said.split("cid is installed").nth(1).expect(&said);
    for next in [
        "/etc/cid/projects.d/NAME.toml",
        "adduser USER cid",
        "cictl doctor",
        "The web form is off",
        "/usr/share/doc/cid/examples/front.conf",
        "/usr/share/doc/cid/server.md",
        "/usr/share/doc/cid/troubleshooting.md",
    ] {
        assert!(last.contains(next), "{next}: {said}");
        assert!(
            !next.starts_with("/usr") || host.exists(next).unwrap(),
            "{next}"
        );
    }
    for (unit, enabled, active) in [
        ("cid.service", "enabled", "active"),
        ("cid.socket", "enabled", "active"),
        ("cid-front.socket", "enabled", "active"),
        ("cid-supervisor.service", "enabled", "active"),
        ("cid-web.service", "disabled", "inactive"),
    ] {
        for (verb, expected) in [("is-enabled", enabled), ("is-active", active)] {
            let state = host.run(&["systemctl", verb, unit]).unwrap().stdout;
            assert_eq!(state.trim(), expected, "{verb} {unit}");
        }
    }
    soon("systemd knows what it is doing", || {
        let show = ["systemctl", "show", "--property=StatusText", "cid"];
        host.run(&show).unwrap().stdout == "StatusText=idle\n"
    });

    // Who is not let in is told what helps, and it does. The environment has no say in who that is.
    host.run(&["useradd", "eve"]).unwrap().ok().unwrap();
    let refused = host
        .run_as("eve", &["env", "USER=root", "cictl", "list"])
        .unwrap();
    assert_eq!(refused.status, 6, "{refused}");
    let said = words(&refused);
    assert!(said.contains("eve is not in the group cid"), "{said}");
    assert!(said.contains("`adduser eve cid`"), "{said}");
    host.run(&["usermod", "--append", "--groups", "cid", "eve"])
        .unwrap()
        .ok()
        .unwrap();
    let older_login = ["setpriv", "--reuid=eve", "--regid=eve", "--clear-groups"];
    let refused = host
        .run(&[&older_login[..], &["cictl", "list"]].concat())
        .unwrap();
    assert_eq!(refused.status, 6, "{refused}");
    let said = words(&refused);
    assert!(said.contains("log in again") && said.contains("newgrp cid"));
    assert!(!said.contains("adduser"), "{said}");
    let elsewhere = ["cictl", "--socket", "/run/cid/supervisor/x.sock", "list"];
    let said = words(&host.run_as("eve", &elsewhere).unwrap());
    assert!(said.contains("may not open it"), "{said}");
    assert!(!said.contains("group cid"), "{said}");
    host.run_as("eve", &["cictl", "list"])
        .unwrap()
        .ok()
        .unwrap();

    // Where nobody listens, the hint does help too.
    let stop = ["systemctl", "stop", "cid.socket", "cid.service"];
    host.run(&stop).unwrap().ok().unwrap();
    let said = words(&host.run_as("eve", &["cictl", "list"]).unwrap());
    assert!(said.contains("`systemctl start cid.socket`"), "{said}");
    host.run(&["systemctl", "start", "cid.socket"])
        .unwrap()
        .ok()
        .unwrap();
    host.run_as("eve", &["cictl", "list"])
        .unwrap()
        .ok()
        .unwrap();
}

#[test]
fn an_upgrade_in_the_middle_of_an_installation_goes_unnoticed() {
    let install = "touch started; for i in 1 2 3 4 5 6 7 8; do sleep 1; done; touch installed";
    let Some(host) = hostile(&[Attack {
        who: "slow",
        install,
        app: "",
    }]) else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let next = next_version(&dir);
    let (supervisor, daemon) = (main_pid(&host, "cid-supervisor"), main_pid(&host, "cid"));
    let neighbour = owner_of(&host, "%u", "/srv/cid/guestbook/bob---example-com/src");
    let neighbours = || {
        let pids = host
            .run(&["pgrep", "--uid", &neighbour])
            .unwrap()
            .ok()
            .unwrap();
        pids.stdout
    };
    let before = neighbours();
    let visits = Visits::begin(&host, "bob---example-com");
    let created = std::thread::scope(|scope| {
        let created = scope.spawn(|| attack(&host, "slow"));
        soon("the installation", || {
            host.exists(&format!("{}/started", tree("slow"))).unwrap()
        });
        host.install_deb(&next).unwrap();
        created.join().unwrap()
    });
    created.ok().unwrap();
    assert!(host.exists(&format!("{}/installed", tree("slow"))).unwrap());
    let version = host
        .run(&["dpkg-query", "--show", "--showformat=${Version}", "cid"])
        .unwrap();
    assert_eq!(version.stdout, NEXT);
    assert_ne!(main_pid(&host, "cid"), daemon);
    assert_eq!(main_pid(&host, "cid-supervisor"), supervisor);
    assert_eq!(neighbours(), before);
    let (visits, longest) = visits.end();
    println!("{visits} visits, the longest took {longest} s");
    host.run(&["cictl", "doctor"]).unwrap().ok().unwrap();
}

#[test]
fn what_is_removed_goes_on_and_is_taken_up_again() {
    let Some(host) = cid() else { return };
    create(&host, "anna@example.com");
    let supervisor = main_pid(&host, "cid-supervisor");
    let kept = [
        "/srv/cid",
        "/etc/cid",
        "/var/lib/cid/mirrors",
        "/var/lib/cid/apps",
        "/var/lib/cid/packages",
    ];
    let before = host.state(&kept).unwrap();
    let visits = Visits::begin(&host, "anna---example-com");
    let said = apt(&host, "remove");
    assert!(
        said.contains("workspaces that run go on until the next boot"),
        "{said}"
    );
    for gone in [
        "/usr/bin/cictl",
        "/usr/lib/cid/cid",
        "/run/cid/cid.sock",
        "/run/cid/web/web.sock",
    ] {
        assert!(!host.exists(gone).unwrap(), "{gone}");
    }
    assert_eq!(
        host.run(&["systemctl", "is-active", "cid.service"])
            .unwrap()
            .stdout
            .trim(),
        "inactive"
    );
    assert_eq!(main_pid(&host, "cid-supervisor"), supervisor);
    let after = host.state(&kept).unwrap();
    let lost = before.difference(&after);
    let lost = lost
        .lines()
        .filter(|line| line.starts_with("- file") || line.starts_with("- user"));
    assert_eq!(lost.collect::<Vec<_>>(), Vec::<&str>::new());

    visits.end();
    // Who ends is started again, and supervisord too.
    let user = user_of(&host, "anna---example-com");
    let answers_again = |what: &str| {
        soon(what, || status_of(&host, "anna---example-com") == "200");
    };
    for _ in 0..2 {
        let kill = ["pkill", "-KILL", "--uid", &user];
        host.run(&kill).unwrap().ok().unwrap();
        answers_again("the app answers after its end");
    }
    assert_eq!(main_pid(&host, "cid-supervisor"), supervisor);
    host.run(&["kill", "-KILL", supervisor.trim()])
        .unwrap()
        .ok()
        .unwrap();
    soon("supervisord is started again", || {
        !["0", supervisor.trim()].contains(&main_pid(&host, "cid-supervisor").trim())
    });
    answers_again("the app answers after supervisord's end");

    let supervisor = main_pid(&host, "cid-supervisor");
    let visits = Visits::begin(&host, "anna---example-com");
    host.install_deb(&package()).unwrap();
    soon("cid answers", || {
        let listed = host.run(&["cictl", "list"]).unwrap().stdout;
        listed.contains("anna@example.com") && listed.contains("ready")
    });
    visits.end();
    assert_eq!(main_pid(&host, "cid-supervisor"), supervisor);
    // Its unit is the package's again.
    let show = ["systemctl", "show", "cid-supervisor", "--property"];
    let path = host
        .run(&[&show[..], &["FragmentPath", "--value"]].concat())
        .unwrap();
    assert!(!path.stdout.contains("/run/"), "{path}");
    host.run(&["cictl", "doctor"]).unwrap().ok().unwrap();
    let delete = [
        "cictl",
        "delete",
        "--yes",
        "--with-branch",
        "anna@example.com",
    ];
    host.run(&delete).unwrap().ok().unwrap();
}

#[test]
fn a_boot_without_the_package_harms_nothing_and_all_comes_back_with_it() {
    let Some(mut host) = cid() else { return };
    create(&host, "anna@example.com");
    apt(&host, "remove");
    host.reboot().unwrap();
    let state = |unit: &str| {
        let output = host.run(&["systemctl", "is-active", unit]).unwrap();
        output.stdout.trim().to_owned()
    };
    assert_eq!(state("nginx"), "active");
    assert_eq!(state("cid-supervisor"), "inactive");
    assert_ne!(status_of(&host, "anna---example-com"), "200");
    let failed = host.run(&["systemctl", "--failed", "--plain", "--no-legend"]);
    assert_eq!(failed.unwrap().stdout.trim(), "");

    host.install_deb(&package()).unwrap();
    soon("the workspace answers", || {
        status_of(&host, "anna---example-com") == "200"
    });
    host.run(&["cictl", "doctor"]).unwrap().ok().unwrap();
}

#[test]
fn a_purge_leaves_nothing_of_cids_and_all_that_is_the_operators() {
    let Some(host) = cid() else { return };
    create(&host, "anna@example.com");
    host.write("/srv/guestbook/media/photo", "kept", 0o644)
        .unwrap();
    host.write("/etc/polkit-1/rules.d/40-cid.rules", "// kept", 0o644)
        .unwrap();
    // A project that cannot be prepared to the end, and one whose group is there already. Nothing of
    // them but accounts and groups is left when their files are taken away.
    let project = |name: &str, more: &str| {
        let text = format!(
            "domain = \"{name}.test\"\ndeploy_user = \"deploy\"\n{more}[git]\nurl = \"/srv/git/guestbook.git\"\n"
        );
        host.write(&format!("/etc/cid/projects.d/{name}.toml"), text, 0o600)
            .unwrap();
    };
    host.run(&["groupadd", "cid-ours"]).unwrap().ok().unwrap();
    project("fe", "work_dir = \"/data/fe\"\n");
    project("ours", "");
    let reload = ["systemctl", "reload", "cid"];
    assert_ne!(host.run(&reload).unwrap().status, 0);
    host.run(&["getent", "group", "cid-fe"])
        .unwrap()
        .ok()
        .unwrap();
    for name in ["fe", "ours"] {
        let file = format!("/etc/cid/projects.d/{name}.toml");
        host.run(&["rm", &file]).unwrap().ok().unwrap();
    }
    host.run(&reload).unwrap().ok().unwrap();

    let own = ["sh", "-c", "getent passwd | grep -c '^cid[wbt]-'"];
    let accounts = host.run(&own).unwrap().ok().unwrap().stdout;
    let accounts = format!("{} of workspaces and builds", accounts.trim());
    let said = apt(&host, "purge");
    for word in [
        "removing everything of cid's",
        "1 in /srv/cid",
        &accounts,
        "Branches on git servers stay",
    ] {
        assert!(said.contains(word), "{word}: {said}");
    }
    let run = |args: &[&str]| host.run(args).unwrap().text();
    for dir in [
        "/srv/cid",
        "/var/lib/cid",
        "/var/log/cid",
        "/etc/cid",
        "/run/cid",
        "/run/cid-web",
        "/usr/lib/cid",
        "/etc/nginx/conf.d/cid.conf",
    ] {
        assert!(!host.exists(dir).unwrap(), "{dir}");
    }
    let accounts = run(&["getent", "passwd"]) + &run(&["getent", "group"]);
    let left: Vec<&str> = accounts
        .lines()
        .filter(|line| line.starts_with("cid"))
        .filter_map(|line| line.split(':').next())
        .collect();
    assert_eq!(left, ["cid-ours"]);
    for list in [&["list-unit-files"][..], &["list-units", "--all"]] {
        let units = [&["systemctl"], list, &["--no-legend", "--plain", "cid*"]].concat();
        assert_eq!(run(&units).trim(), "");
    }
    let uids = run(&["ps", "-e", "-o", "uid=,args="]);
    let foreign = uids
        .lines()
        .find(|line| line.trim_start().starts_with('7') || line.contains("/usr/lib/cid"));
    assert_eq!(foreign, None);
    // But for what was pushed to a repository on this machine, and media that were given to the project's
    // group: these are the operator's.
    let nobodys = "find / -xdev '(' -nouser -o -nogroup ')' -not -path '/srv/git/*' -not -path '/srv/guestbook/media*'";
    let find = ["sh", "-c", nobodys];
    assert_eq!(run(&find), "");
    assert_ne!(status_of(&host, "anna---example-com"), "200");
    assert_eq!(run(&["systemctl", "is-active", "nginx"]).trim(), "active");
    host.run(&["nginx", "-t"]).unwrap().ok().unwrap();
    for kept in [
        "/srv/guestbook/media/photo",
        "/etc/polkit-1/rules.d/40-cid.rules",
        "/srv/git/guestbook.git/HEAD",
    ] {
        assert!(host.exists(kept).unwrap(), "{kept}");
    }
    // And it can begin anew. What is there before it is not its own.
    let before = ["/etc/cid/keys/key", "/srv/cid/notes/note"];
    let make = "mkdir -p /etc/cid/keys /srv/cid/notes; touch /etc/cid/keys/key /srv/cid/notes/note";
    host.run(&["sh", "-c", make]).unwrap().ok().unwrap();
    host.install_deb(&package()).unwrap();
    soon("cid answers", || {
        host.run(&["cictl", "list"]).unwrap().status == 0
    });
    host.write("/etc/cid/later", "", 0o600).unwrap();
    let said = apt(&host, "purge");
    assert!(
        said.contains("/etc/cid stays, with what was in it before cid"),
        "{said}"
    );
    for kept in before {
        assert!(host.exists(kept).unwrap(), "{kept}: {said}");
    }
    assert_eq!(
        run(&["ls", "/etc/cid", "/srv/cid"]),
        "/etc/cid:\nkeys\n\n/srv/cid:\nnotes\n"
    );
}
