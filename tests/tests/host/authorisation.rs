//! Who may do what, for real: each sort of caller connects to each socket as the Unix user it is and
//! calls every RPC. What must come of it is the daemon's reviewed table, which its own tests keep.

use crate::stage::{cid, create, has_linux, soon, status_of, user_of, words};
use cid_testkit::{
    Output,
    host::{Debian, Host},
};
use std::{collections::BTreeMap, path::Path, time::Duration};

const TABLE: &str = include_str!(
    "../../../daemon/tests/authz/snapshots/authz__matrix__everybody_may_what_is_written_here.snap"
);
const ASK: &str = "/usr/local/bin/cid-ask";
const SOCKETS: [(&str, &str); 2] = [
    ("people", "/run/cid/cid.sock"),
    ("front", "/run/cid/web/web.sock"),
];
/// How a call is answered that may be made: the workspace is there, holds work that is nowhere else,
/// and the job has ended. All others as [`answers_of`] says.
const ANSWERS: &[(&str, &[&str])] = &[
    ("Workspaces/Create", &["AlreadyExists"]),
    ("Workspaces/Delete", &["FailedPrecondition", "Aborted"]),
    // It names a workspace that is not there.
    ("Workspaces/Visit", &["NotFound"]),
    // Not in the library that serves it.
    ("Health/List", &["Unimplemented"]),
    // It names a test that is not there.
    ("Workspaces/Test", &["NotFound"]),
    // What they name is not there.
    ("Builds/Start", &["NotFound"]),
    ("Builds/Get", &["NotFound"]),
    ("Builds/Logs", &["NotFound"]),
    ("Builds/Delete", &["NotFound"]),
    ("Projects/Fetch", &["NotFound"]),
    ("Projects/Hooks", &["NotFound"]),
    ("Hooks/Deliver", &["NotFound"]),
    ("Stages/Promote", &["NotFound"]),
    ("Stages/RollBack", &["NotFound"]),
    ("Stages/Preview", &["NotFound"]),
    ("Projects/Remove", &["NotFound"]),
    ("System/Prune", &["NotFound"]),
    // The settings name nobody who may sign in.
    ("People/Link", &["FailedPrecondition"]),
    // Nothing says how to send mail.
    ("People/AskForLink", &["FailedPrecondition"]),
    ("People/Redeem", &["Unauthenticated"]),
    // It names no site.
    ("People/Admit", &["InvalidArgument"]),
    ("System/EnableFront", &["InvalidArgument"]),
    ("Jobs/Cancel", &["FailedPrecondition"]),
    ("Jobs/Retry", &["FailedPrecondition"]),
];
const DELETE: &str = "/cid.v1.Workspaces/Delete";

/// A host with a workspace of Anna's.
struct Stage {
    host: Host,
    /// The job that made it.
    job: String,
}

fn stage() -> Option<Stage> {
    let host = cid()?;
    let ask = Path::new(env!("CARGO_BIN_EXE_cid-ask"));
    host.copy_in(ask, ASK).unwrap();
    create(&host, "anna@example.com");
    let jobs = host
        .run(&["cictl", "jobs", "list", "--output=json"])
        .unwrap();
    let jobs = jobs.ok().unwrap().json().unwrap();
    let jobs = jobs.as_array().unwrap();
    let job = jobs.iter().find(|job| job["kind"] == "create").unwrap();
    let job = job["id"].as_str().unwrap().to_owned();
    Some(Stage { host, job })
}

impl Stage {
    /// The account that stands for a column of the table.
    fn account(&self, title: &str) -> String {
        let fixed = [
            ("root", "root"),
            ("admin", "carl"),
            ("owner", "anna"),
            ("member", "bob"),
            ("other", "eve"),
            ("deploy", "deploy"),
            ("cid-web", "cid-web"),
        ];
        let found = fixed.into_iter().find(|(of, _)| *of == title);
        found.map_or_else(
            || {
                assert_eq!(title, "workspace");
                user_of(&self.host, "anna---example-com")
            },
            |(_, account)| account.to_owned(),
        )
    }

    /// The arguments of a call of these RPCs (none: all) about Anna's workspace.
    fn ask<'a>(&'a self, socket: &'a str, only: &'a [&'a str]) -> Vec<&'a str> {
        let all = [ASK, socket, "anna@example.com", "guestbook", &self.job];
        [&all[..], only].concat()
    }

    /// With further groups than the account has, so that a socket's mode lets it pass.
    fn ask_in_groups(&self, account: &str, groups: &str, args: &[&str]) -> Output {
        let (uid, gid) = (self.id("-u", account), self.id("-g", account));
        let become_it = ["setpriv", "--reuid", &uid, "--regid", &gid];
        let groups = ["--groups", groups, "--inh-caps=-all", "--"];
        let args = [&become_it[..], &groups, args].concat();
        self.host.run(&args).unwrap()
    }

    fn id(&self, of: &str, account: &str) -> String {
        let id = self.host.run(&["id", of, account]).unwrap().ok().unwrap();
        id.stdout.trim().to_owned()
    }

    fn is_there(&self) -> bool {
        let listed = self.host.run(&["cictl", "list"]).unwrap().stdout;
        listed.contains("anna@example.com") && listed.contains("ready")
    }
}

/// What the table says of one RPC by one socket.
struct Row {
    rpc: &'static str,
    socket: &'static str,
    /// One for each title.
    cells: Vec<&'static str>,
}

/// The titles and the rows of the table.
fn table() -> (Vec<&'static str>, Vec<Row>) {
    let mut lines = TABLE
        .lines()
        .skip_while(|line| !line.starts_with("the workspace"));
    let head = lines.next().unwrap();
    let (_, titles) = head.split_once("socket").unwrap();
    let row = |line: &'static str| {
        let mut cells = line.split_whitespace();
        let (rpc, socket) = (cells.next().unwrap(), cells.next().unwrap());
        let cells = cells.collect();
        Row { rpc, socket, cells }
    };
    // The table of guests follows, after an empty line.
    let lines = lines.take_while(|line| !line.is_empty());
    (
        titles.split_whitespace().collect(),
        lines.map(row).collect(),
    )
}

/// As the table writes an RPC.
fn short(rpc: &str) -> &str {
    let end = rpc.rsplit_once("v1.").unwrap().1;
    end.strip_prefix("ServerReflection/").unwrap_or(end)
}

/// How this call is answered where it may be made.
fn answers_of(rpc: &str) -> &'static [&'static str] {
    match ANSWERS.iter().find(|(of, _)| *of == rpc) {
        Some((_, codes)) => codes,
        // A job that another caller began may still be under way.
        None if rpc.starts_with("Workspaces/") => &["Ok", "Aborted"],
        None => &["Ok"],
    }
}

/// The answers of one run, by RPC.
fn answers(output: &Output) -> BTreeMap<String, (String, String)> {
    let line = |line: &str| {
        let mut parts = line.splitn(3, '\t');
        let mut part = || parts.next().unwrap_or_default().to_owned();
        let (rpc, code, words) = (part(), part(), part());
        (short(&rpc).to_owned(), (code, words))
    };
    assert_eq!(output.status, 0, "{output}");
    output.stdout.lines().map(line).collect()
}

/// As the table writes an answer.
fn cell((code, words): &(String, String)) -> &'static str {
    match code.as_str() {
        "PermissionDenied" if words.contains("needs an administrator's password") => "password",
        "PermissionDenied" => "-",
        "Unauthenticated" if words.contains("not signed in") => "-",
        _ => "yes",
    }
}

#[test]
fn every_cell_of_the_table_holds() {
    let Some(stage) = stage() else { return };
    let host = &stage.host;
    let run = |args: &[&str]| host.run(args).unwrap().ok().unwrap();
    run(&[
        "cictl",
        "run",
        "anna@example.com",
        "--",
        "touch",
        "uncommitted",
    ]);
    let (titles, rows) = table();
    // Accounts that are denied by name are in the groups that would let them in: it must not matter. A
    // workspace's account cannot be in the files: its own helpers would refuse to be in such groups.
    for (title, groups) in [
        ("admin", "cid"),
        // cid refuses a project whose deploy user is in its own group.
        ("deploy", "sudo"),
        ("cid-web", "cid,sudo"),
    ] {
        run(&[
            "usermod",
            "--append",
            "--groups",
            groups,
            &stage.account(title),
        ]);
    }
    let mut seen = 0;
    let mut wrong = Vec::new();
    for (column, title) in titles.iter().enumerate() {
        for (socket, path) in SOCKETS {
            let account = stage.account(title);
            let said =
                answers(&stage.ask_in_groups(&account, "cid,cid-web,sudo", &stage.ask(path, &[])));
            let destroy = &said["Workspaces/Destroy"];
            assert_eq!(cell(destroy), "-", "{title} {socket}: {destroy:?}");
            let of_socket: Vec<_> = rows.iter().filter(|row| row.socket == socket).collect();
            assert_eq!(said.len(), of_socket.len() + 1, "cid-ask knows other RPCs");
            for Row { rpc, cells, .. } in of_socket {
                let answer = said.get(*rpc).expect("cid-ask does not know this RPC");
                seen += 1;
                let expected = answers_of(rpc);
                let is_so = cell(answer) == cells[column]
                    && (cells[column] != "yes" || expected.contains(&answer.0.as_str()));
                if !is_so {
                    let wanted = cells[column];
                    wrong.push(format!(
                        "{rpc} {socket} {title}: {wanted}, and is {answer:?}"
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(seen, rows.len() * titles.len());
    assert!(stage.is_there());
    soon("the page answers", || {
        status_of(host, "anna---example-com") == "200"
    });
}

#[test]
fn the_doors_are_closed_to_whoever_is_not_in_their_groups() {
    let Some(stage) = stage() else { return };
    let open = [
        "root people",
        "root front",
        "owner people",
        "member people",
        "cid-web front",
    ];
    for title in table().0 {
        for (socket, path) in SOCKETS {
            let account = stage.account(title);
            let args = stage.ask(path, &["/cid.v1.System/Version"]);
            let output = stage.host.run_as(&account, &args).unwrap();
            let door = format!("{title} {socket}");
            let wanted = if open.contains(&door.as_str()) { 0 } else { 3 };
            assert_eq!(output.status, wanted, "{door}: {}", words(&output));
            let denied = output.stdout.contains("PermissionDenied");
            assert_eq!(denied, wanted == 3, "{door}: {}", words(&output));
        }
    }
}

/// Connects, hands the connection to a child and ends; the child calls then.
const CHILD_CALLS: &str = "
import os, socket, sys, time
s = socket.socket(socket.AF_UNIX)
s.connect('/run/cid/cid.sock')
# The daemon has seen who connected.
time.sleep(0.3)
parent = os.getpid()
if os.fork():
    os._exit(0)
os.setsid()
go = '/run/go/go'
open('/run/go/parent', 'w').write(str(parent))
while not os.path.exists(go):
    time.sleep(0.01)
os.dup2(s.fileno(), 0)
out = os.open('/run/go/said', os.O_WRONLY | os.O_CREAT, 0o644)
os.dup2(out, 1)
os.execv(sys.argv[1], sys.argv[1:])
";

/// What a call gets whose connection was opened by a process of `account` that has ended; `meanwhile`
/// comes after its end and before the call, with its number.
fn orphaned_call(stage: &Stage, account: &str, rpc: &str, meanwhile: impl FnOnce(&str)) -> String {
    let host = &stage.host;
    let run = |args: &[&str]| host.run(args).unwrap().ok().unwrap();
    run(&["install", "-d", "-m", "1777", "/run/go"]);
    let script = ["python3", "-c", CHILD_CALLS];
    let only = [rpc];
    let args = [&script[..], &stage.ask("-", &only)].concat();
    let mut child = host.command_as(account, &args).unwrap();
    let mut child = child.stdin(std::process::Stdio::null()).spawn().unwrap();
    child.wait().unwrap();
    soon("the child is there", || {
        let said = host.read("/run/go/parent");
        said.is_ok_and(|parent| !parent.is_empty())
    });
    let parent = host.read("/run/go/parent").unwrap();
    soon("the parent is gone", || {
        !host.exists(&format!("/proc/{parent}")).unwrap()
    });
    meanwhile(&parent);
    host.write("/run/go/go", "", 0o644).unwrap();
    soon("the child is answered", || {
        host.read("/run/go/said")
            .is_ok_and(|said| said.ends_with('\n'))
    });
    let said = host.read("/run/go/said").unwrap();
    run(&["rm", "-r", "/run/go"]);
    said
}

#[test]
fn a_connection_whose_process_has_ended_gets_nothing() {
    let Some(stage) = stage() else { return };
    // Anna could delete it: an answer about her process is good for no other.
    let said = orphaned_call(&stage, "anna", DELETE, |_| ());
    assert!(is_gone(&said), "{said}");
    assert!(stage.is_there());
}

/// A caller that has died is reported as that, not as trouble with polkit, whose own words differ by version.
fn is_gone(said: &str) -> bool {
    said.contains("PermissionDenied") && said.contains("the process that asked is gone")
}

/// A number can be given again while polkit looks it up, a descriptor cannot. polkit takes those from 124
/// on, and Linux gives them from 6.5 on.
#[test]
fn polkit_is_told_the_process_by_its_descriptor_where_it_takes_one() {
    const SEEN: &str = "/run/asked-of-polkit";
    let Some(stage) = stage() else { return };
    let host = &stage.host;
    let member = "type='method_call',member='CheckAuthorization'";
    let monitor = format!("exec busctl monitor --json=short --match=\"{member}\" > {SEEN} 2>&1");
    let mut monitor = host.command(&["sh", "-c", &monitor]).unwrap();
    let mut monitor = monitor.spawn().unwrap();
    let ask = stage.ask("/run/cid/cid.sock", &["/cid.v1.Workspaces/List"]);
    // Not every version of busctl says when it has begun to listen.
    soon("a question is seen", || {
        host.run_as("anna", &ask).unwrap().ok().unwrap();
        host.read(SEEN)
            .is_ok_and(|seen| seen.contains("org.cid.list"))
    });
    monitor.kill().unwrap();
    monitor.wait().unwrap();
    let seen = host.read(SEEN).unwrap();
    let by_descriptor = Debian::asked().unwrap().number >= 13 && has_linux(host, (6, 5));
    assert_eq!(seen.contains("\"pidfd\""), by_descriptor, "{seen}");
    assert_eq!(seen.contains("\"start-time\""), !by_descriptor, "{seen}");
}

#[test]
fn whoever_gets_the_number_of_a_process_that_asked_lends_it_no_rights() {
    let Some(stage) = stage() else { return };
    let host = &stage.host;
    let leader = host.leader().unwrap().to_string();
    let carl = stage.id("-u", "carl");
    // Carl is an administrator: he may restart what Bob may not. Numbers are given from the last one
    // on, which only root of this machine can set, in the host's space of them.
    let recycle = |pid: &str| {
        let give = format!(
            "for try in 1 2 3 4 5 6 7 8 9; do echo {} > /proc/sys/kernel/ns_last_pid; \
             setpriv --reuid {carl} --clear-groups sleep 600 & [ $! = {pid} ] && exit 0; kill $!; done; exit 1",
            pid.parse::<i32>().unwrap() - 1,
        );
        let mut command = std::process::Command::new("nsenter");
        command.args(["--target", &leader, "--pid", "sh", "-c", &give]);
        command.stdout(std::process::Stdio::null());
        let status = command.status().unwrap();
        assert!(status.success(), "the number was not given again");
        let now = host.run(&["ps", "-o", "user=,args=", "-p", pid]).unwrap();
        assert!(now.stdout.contains("carl"), "{now}");
    };
    let rpc = "/cid.v1.Workspaces/Restart";
    let said = orphaned_call(&stage, "bob", rpc, recycle);
    assert!(is_gone(&said), "{said}");
    // Nor does his own right come back with another process of his own.
    let said = orphaned_call(&stage, "bob", "/cid.v1.Workspaces/List", recycle);
    assert!(is_gone(&said), "{said}");
    host.run(&["pkill", "-u", "carl", "sleep"]).unwrap();
}

#[test]
fn a_polkit_that_hangs_or_dies_in_the_middle_of_a_question_says_no() {
    let Some(stage) = stage() else { return };
    let host = &stage.host;
    let systemctl = |args: &[&str]| {
        let args = [&["systemctl"], args].concat();
        host.run(&args).unwrap().ok().unwrap()
    };
    let only = [DELETE];
    let args = stage.ask("/run/cid/cid.sock", &only);
    systemctl(&["start", "polkit"]);

    systemctl(&["kill", "--signal=STOP", "polkit"]);
    let said = host.run_as("anna", &args).unwrap();
    assert!(said.stdout.contains("PermissionDenied"), "{said}");
    // It is the daemon that gave up, before the client would.
    assert!(said.stdout.contains("no answer within 5 s"), "{said}");
    // Who is not asked about is not held up.
    assert!(stage.is_there());

    let asking = host.command_as("anna", &args).unwrap();
    let mut asking = asking_with_output(asking);
    std::thread::sleep(Duration::from_millis(500));
    assert!(
        asking.try_wait().unwrap().is_none(),
        "it did not wait for polkit"
    );
    // The bus would start another, which could give an honest answer in time.
    systemctl(&["mask", "--runtime", "polkit"]);
    systemctl(&["kill", "--signal=KILL", "polkit"]);
    let said = asking.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains("PermissionDenied"), "{said}");
    assert!(stage.is_there());

    systemctl(&["unmask", "--runtime", "polkit"]);
    // Answers are worth something again when there is one to give them.
    soon("polkit answers", || {
        let listed = host.run_as("anna", &["cictl", "list"]).unwrap();
        listed.status == 0
    });
}

fn asking_with_output(mut command: std::process::Command) -> std::process::Child {
    let command = command.stdin(std::process::Stdio::null());
    command
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap()
}

/// Opens this many connections, says nothing on any, and holds them.
const HOLD: &str = "
import resource, socket, sys, time
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
held = []
for number in range(int(sys.argv[2])):
    s = socket.socket(socket.AF_UNIX)
    s.connect(sys.argv[1])
    held.append(s)
open('/run/hold/held', 'w').write(str(len(held)))
time.sleep(600)
";

#[test]
fn holding_every_connection_there_is_keeps_nobody_else_out() {
    const ALL: &str = "2600";
    let Some(stage) = stage() else { return };
    let host = &stage.host;
    let run = |args: &[&str]| host.run(args).unwrap().ok().unwrap();
    for (account, (_, path)) in ["anna", "cid-web"].into_iter().zip(SOCKETS) {
        run(&["install", "-d", "-m", "1777", "/run/hold"]);
        let args = ["python3", "-c", HOLD, path, ALL];
        let mut holder = host.command_as(account, &args).unwrap();
        let holder = holder.stdin(std::process::Stdio::null()).spawn().unwrap();
        soon("all are open", || {
            host.read("/run/hold/held").is_ok_and(|held| held == ALL)
        });
        let limit = Duration::from_secs(10);
        for others in [&["cictl", "list"][..], &["cictl", "doctor"]] {
            host.run_within(limit, others).unwrap().ok().unwrap();
        }
        host.run_as("bob", &["timeout", "10", "cictl", "list"])
            .unwrap()
            .ok()
            .unwrap();
        assert!(stage.is_there());
        run(&["pkill", "--full", "RLIMIT_NOFILE"]);
        drop(holder);
        let of_its_own = || {
            let args = stage.ask(path, &["/cid.v1.System/Version"]);
            let asked = host.run_as(account, &args).unwrap();
            asked.stdout.contains("\tOk\t")
        };
        soon("places are given back", of_its_own);
        run(&["rm", "-r", "/run/hold"]);
    }
}
