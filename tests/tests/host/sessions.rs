//! Commands that people run in workspaces, on a host: units of systemd, which end with their caller,
//! get their arguments as they were typed, and are bounded in number.

use crate::stage::{cid, create, main_pid, rewrite_project, soon, status_of, user_of, words};
use cid_testkit::host::Host;

const EMAIL: &str = "anna@example.com";
/// Starts its arguments with no input and goes. Not a shell: what a shell puts into the background
/// ignores control-C, and these tests themselves may be there.
const BEGIN: &str = "import signal, subprocess, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
null = subprocess.DEVNULL
child = subprocess.Popen(sys.argv[1:], stdin=null, stdout=null, stderr=null, start_new_session=True)
print(child.pid)";

/// A client that runs a command, in the background; gives its process id.
fn begin(host: &Host, command: &[&str]) -> String {
    let client = ["python3", "-c", BEGIN, "cictl", "run", EMAIL, "--"];
    let begun = host.run(&[&client, command].concat()).unwrap();
    begun.ok().unwrap().stdout.trim().to_owned()
}

fn sleepers(host: &Host) -> usize {
    let found = host.run(&["pgrep", "--exact", "--full", "sleep 78[12]"]);
    found.unwrap().stdout.lines().count()
}

fn units(host: &Host) -> String {
    let list = ["systemctl", "list-units", "--all", "--plain", "--no-legend"];
    let units = host.run(&[&list[..], &["cid-run-*"]].concat()).unwrap();
    units.ok().unwrap().stdout
}

/// A client whose command has two processes, one of which has lost its parent.
fn begin_two(host: &Host) -> String {
    let client = begin(host, &["sh", "-c", "sleep 781 & sleep 782"]);
    soon("the command runs", || sleepers(host) == 2);
    client
}

fn soon_nothing_runs(host: &Host, after: &str) {
    soon(after, || sleepers(host) == 0 && units(host).is_empty());
}

#[test]
fn a_command_ends_with_whoever_wanted_it() {
    let Some(host) = cid() else { return };
    create(&host, EMAIL);
    for signal in ["INT", "TERM", "KILL"] {
        let client = begin_two(&host);
        // Its input ended at once, and is no reason to end.
        std::thread::sleep(std::time::Duration::from_secs(2));
        assert_eq!(sleepers(&host), 2, "before {signal}");
        let kill = ["kill", "-s", signal, &client];
        host.run(&kill).unwrap().ok().unwrap();
        soon_nothing_runs(&host, signal);
    }

    begin_two(&host);
    let before = main_pid(&host, "cid");
    let kill = ["systemctl", "kill", "--signal=KILL", "cid"];
    host.run(&kill).unwrap().ok().unwrap();
    soon("another daemon", || {
        !["0", before.trim()].contains(&main_pid(&host, "cid").trim())
    });
    soon_nothing_runs(&host, "the daemon was killed");

    for verb in ["restart", "stop"] {
        soon("cid answers", || {
            host.run(&["cictl", "list"]).unwrap().ok().is_ok()
        });
        begin_two(&host);
        host.run(&["systemctl", verb, "cid"]).unwrap().ok().unwrap();
        assert_eq!(
            (sleepers(&host), units(&host)),
            (0, String::new()),
            "{verb}"
        );
    }
}

#[test]
fn arguments_arrive_as_they_were_typed() {
    let Some(host) = cid() else { return };
    create(&host, EMAIL);
    let typed = [
        "$HOME",
        "${HOME}",
        "${INVOCATION_ID}",
        "a$$b",
        "$",
        "$$",
        "%n",
        "%%",
        "a b",
        "'",
        "\"",
        "\\",
        ";",
        "",
        "x\ny",
        "ä€",
    ];
    let print = [
        "cictl",
        "run",
        EMAIL,
        "--",
        "python3",
        "-c",
        "import json, sys; print(json.dumps(sys.argv[1:]))",
    ];
    let said = host.run(&[&print, &typed[..]].concat()).unwrap();
    let arrived: Vec<String> = serde_json::from_str(&said.ok().unwrap().stdout).unwrap();
    assert_eq!(arrived, typed);
    // What a shell makes of them is the shell's.
    let shell = ["cictl", "run", EMAIL, "--", "sh", "-c", "echo $$ $HOME"];
    let said = host.run(&shell).unwrap().ok().unwrap().stdout;
    let (pid, home) = said.trim().split_once(' ').unwrap();
    assert!(pid.parse::<u32>().is_ok(), "{said}");
    assert_eq!(home, "/srv/cid/guestbook/anna---example-com/home");
}

#[test]
fn there_are_only_so_many_commands_and_their_places_come_back() {
    let Some(host) = cid() else { return };
    create(&host, EMAIL);
    let sleep = ["sleep", "781"];
    let mut clients: Vec<String> = (0..16).map(|_| begin(&host, &sleep)).collect();
    soon("all run", || sleepers(&host) == 16);
    let one_more = ["cictl", "run", EMAIL, "--", "true"];
    let refused = host.run(&one_more).unwrap();
    let said = words(&refused);
    assert_eq!(refused.status, 5, "{said}");
    assert!(
        said.contains("16 at work") && said.contains("hint: "),
        "{said}"
    );
    // Somebody else is let in, into another workspace.
    create(&host, "bob@example.com");
    let audit = host.run(&["cictl", "audit"]).unwrap().ok().unwrap().stdout;
    assert!(audit.contains("RESOURCE_EXHAUSTED"), "{audit}");
    assert!(audit.contains("Workspaces/Run sleep"), "{audit}");
    assert!(!audit.contains("sleep 781"), "no arguments: {audit}");
    let kill = ["kill", "-s", "KILL", &clients.pop().unwrap()];
    host.run(&kill).unwrap().ok().unwrap();
    soon("its place is free", || {
        host.run(&one_more).unwrap().status == 0
    });
    assert_eq!(sleepers(&host), 15);
}

/// supervisord knows the process that it started and none of those that this one has started.
#[test]
fn what_a_killed_shell_has_left_does_not_keep_the_port() {
    let Some(host) = cid() else { return };
    let app = r#"run.web = ["sh", "-c", "gunicorn --bind 127.0.0.1:{port} guestbook.wsgi; true"]
run.beat = ["sh", "-c", "sleep 781; true"]"#;
    rewrite_project(&host, "", app, "").ok().unwrap();
    create(&host, EMAIL);
    let user = user_of(&host, "anna---example-com");
    let pids = |what: &str| {
        let found = host
            .run(&["pgrep", "--full", "--uid", &user, what])
            .unwrap();
        let lines = found.stdout.lines().map(str::to_owned);
        lines.collect::<Vec<_>>()
    };
    let (shells, left, beat) = (
        pids("^sh -c gunicorn"),
        pids("python.*gunicorn"),
        pids("^sleep 781"),
    );
    assert!(
        shells.len() == 1 && left.len() >= 2 && beat.len() == 1,
        "{shells:?} {left:?} {beat:?}"
    );
    host.run(&["kill", "-s", "KILL", &shells[0]])
        .unwrap()
        .ok()
        .unwrap();
    soon("supervisord has started it again", || {
        pids("^sh -c gunicorn").iter().any(|pid| *pid != shells[0])
    });
    soon("what was left is gone and the new one serves", || {
        let now = pids("python.*gunicorn");
        now.len() >= 2 && now.iter().all(|pid| !left.contains(pid))
    });
    soon("it answers", || {
        status_of(&host, "anna---example-com") == "200"
    });
    assert_eq!(pids("^sleep 781"), beat, "another process type goes on");
    let doctor = host.run(&["cictl", "doctor"]).unwrap();
    let told = words(&doctor);
    let mut of_anna = told
        .lines()
        .filter(|line| line.contains("guestbook.anna---example-com"));
    assert!(
        of_anna.all(|line| line.contains("signal SIGKILL")),
        "nothing but how it ended: {told}"
    );
    let log = host
        .read("/var/log/cid/apps/guestbook.anna---example-com/web.log")
        .unwrap();
    assert!(!log.contains("Address already in use"), "{log}");
    let delete = ["cictl", "delete", "--yes", "--with-branch", EMAIL];
    host.run(&delete).unwrap().ok().unwrap();
    assert_eq!(pids("."), [""; 0]);
}
