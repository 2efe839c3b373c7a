//! Builds on a server: made by the project's builder behind its walls, sealed as root's, tested as somebody else.

use crate::stage::{cid, soon};
use cid_testkit::host::Host;
use serde_json::Value;
use std::time::Duration;

const PROJECT: &str = r#"domain = "ci.test"
deploy_user = "deploy"

[git]
url = "/srv/git/ci.git"
poll = "off"

[app]
build = [["python3", "attack.py", "build"]]
test = [["python3", "attack.py", "test"], ["python3", "check.py"]]
run.web = ["python3", "-m", "http.server", "--bind", "127.0.0.1", "{port}"]
"#;

/// Tries to write files that belong to others; prints each that it could write, and then fails.
const ATTACK: &str = r#"import os, pathlib, pwd, socket, subprocess, sys
here = pathlib.Path.cwd()
tests = sys.argv[1] == "test"
own = here.parent.parent if tests else here.parent
builds = own.parent
targets = [builds, builds / "planted", builds.parent / "planted", pathlib.Path("/var/lib/cid/packages/ci/planted")]
# The folder of all builds cannot be listed; their numbers are no secret.
for build in [builds / str(number) for number in range(1, 4)]:
    if tests or build != own:
        targets += [build / "planted", build / "src", build / "src/kept.txt", build / "src/planted", build / "test.log"]
got = []

def attempt(what, act, *arguments):
    try:
        act(*arguments)
        got.append(f"{what} {arguments[0]}")
    except OSError:
        pass

for target in map(str, targets):
    attempt("chmod", os.chmod, target, 0o777)
    attempt("write", lambda path: open(path, "a").write("x"), target)
    attempt("replace", lambda path: os.replace(__file__, path), target)
    attempt("link", lambda path: os.link(__file__, path + ".link"), target)
    attempt("remove", lambda path: os.unlink(path), target)
    attempt("make", lambda path: os.mkdir(path + ".d"), target)
    attempt("move", lambda path: os.rename(path, here / "moved"), target)
    attempt("own", lambda path: os.setxattr(path, "user.x", b"1"), target)
home = own / "home" / "token"
if not tests:
    home.write_text("secret")
    home.chmod(0o644)
    left = subprocess.Popen(["sleep", "600"], start_new_session=True)
else:
    attempt("read", lambda path: open(path).read(), str(home))
    attempt("list", os.listdir, str(home.parent))
    # The digest knows no times, so the sealed file tells which process was left running.
    attempt("signal", os.kill, int(os.stat(own / "src/made.txt").st_mtime), 9)
user = pwd.getpwuid(os.getuid()).pw_name
if user != ("cidt-ci" if tests else "cidb-ci"):
    got.append(f"runs as {user}")
for secret in ["/var/lib/cid/cid.db", "/etc/cid/secrets/hook", "/home/deploy/.ssh/id", "/run/cid/cid.sock"]:
    attempt("read", lambda path: open(path).read(), secret)
if tests:
    attempt("reach", lambda address: socket.create_connection(address, 2), ("192.0.2.1", 80))
print("tried", len(targets), "got", got)
if not tests:
    open("made.txt", "w").write("made\n")
    os.utime("made.txt", (left.pid, left.pid))
sys.exit(1 if got else 0)
"#;

const SET_UP: &str = "set -e
install -D -m 600 /dev/null /etc/cid/secrets/hook
mkdir /root/ci && cd /root/ci
git init --quiet --initial-branch=main
git config user.name t && git config user.email t@t
cp /root/attack.py . && echo kept > kept.txt && echo 'print(\"all is well\")' > check.py
git add --all && git commit --quiet --message=begin
git clone --quiet --bare . /srv/git/ci.git
chown --recursive deploy:deploy /srv/git
systemctl reload cid";
const REDDEN: &str = "set -e
cd /root/ci
echo 'import os; print(\"it is red\"); os._exit(3)' > check.py
git commit --quiet --all --message=red
git config --global --add safe.directory /srv/git/ci.git
git push --quiet /srv/git/ci.git main
chown --recursive deploy:deploy /srv/git";

fn sh(host: &Host, script: &str) -> String {
    let ran = host.run(&["sh", "-c", script]).unwrap();
    ran.ok().unwrap().stdout
}

fn show(host: &Host, number: &str) -> Value {
    let shown = host.run(&["cictl", "-o", "json", "builds", "show", number, "-p", "ci"]);
    shown.unwrap().ok().unwrap().json().unwrap()
}

#[test]
fn a_build_cannot_touch_another_and_its_tests_not_even_its_own() {
    let Some(host) = cid() else { return };
    host.write("/root/attack.py", ATTACK, 0o644).unwrap();
    host.write("/etc/cid/projects.d/ci.toml", PROJECT, 0o644)
        .unwrap();
    sh(&host, SET_UP);
    soon("the project is there", || {
        let group = host.run(&["getent", "group", "cid-ci"]).unwrap();
        let shown = host.run(&["cictl", "project", "show", "ci"]).unwrap();
        group.status == 0 && shown.status == 0
    });
    let build = |more: &[&str]| {
        let command = [&["cictl", "build", "-p", "ci"], more].concat();
        host.run_within(Duration::from_secs(180), &command).unwrap()
    };
    let one = build(&[]);
    let logs = sh(&host, "cictl builds logs 1 -p ci");
    assert_eq!(one.status, 0, "{}\n{}\n{logs}", one.stdout, one.stderr);
    assert!(
        logs.contains("got []") && logs.contains("all is well"),
        "{logs}"
    );
    // Beside a sealed one.
    let two = build(&["--again"]);
    assert_eq!(two.status, 0, "{}\n{}", two.stdout, two.stderr);
    assert_eq!(show(&host, "2")["digest"], show(&host, "1")["digest"]);
    let of_all = "find /var/lib/cid/builds/ci/*/src -perm /222 -not -type l";
    assert_eq!(sh(&host, of_all), "", "nobody writes what is sealed");
    let not_roots = "find /var/lib/cid/builds/ci/*/src ! -user root";
    assert_eq!(sh(&host, not_roots), "", "it is root's");

    // A look at the remote has the push built, and its tests fail.
    sh(&host, REDDEN);
    let followed = sh(&host, "cictl project fetch ci");
    assert!(followed.contains("build 3 begins"), "{followed}");
    soon("the build has ended", || {
        show(&host, "3")["state"] == "failed"
    });
    let logs = sh(&host, "cictl builds logs 3 -p ci");
    assert!(logs.contains("it is red"), "{logs}");
    soon("nothing of them runs", || {
        let left = host.run(&["pgrep", "--uid", "cidb-ci,cidt-ci"]).unwrap();
        left.stdout.is_empty()
    });

    // What is missing and what is too much is told, and mended.
    sh(
        &host,
        "rm -r /var/lib/cid/builds/ci/2; mkdir /var/lib/cid/builds/ci/77",
    );
    let found = host.run(&["cictl", "doctor", "--repair"]).unwrap().stdout;
    assert!(
        found.contains("build 2 of ci") && found.contains("builds/ci/77"),
        "{found}"
    );
    assert_eq!(
        sh(&host, "ls -x /var/lib/cid/builds/ci")
            .split_whitespace()
            .collect::<Vec<_>>(),
        ["1", "3"]
    );
    sh(&host, "cictl project remove ci --yes");
    assert!(!host.exists("/var/lib/cid/builds/ci").unwrap());
    assert_eq!(
        sh(&host, "getent passwd | grep ci || true")
            .matches("-ci:")
            .count(),
        0
    );
    assert!(!sh(&host, "cictl builds").contains("ci"));
}
