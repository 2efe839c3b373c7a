//! The token of a repository over https, looked for on the whole host: while it is at work, and afterwards.

use crate::stage::{cid, soon, words};
use cid_testkit::{Certificate, HttpsGit, host::Host};

/// Not in the arguments of what looks for it, which would find itself.
const TOKEN: &str = "s3cret-Token-4711";
/// Put where the token must not be, so that a look that finds nothing is known to look.
const DECOY: &str = "a-decoy-4712";
const TOKEN_FILE: &str = "/etc/cid/guestbook.token";
const WATCH: &str = "/opt/watch.py";

/// Reads arguments and environments of all processes, and what systemd knows of passing units, until
/// it is told to stop. Tells whose it read, and where it found what.
const WATCHER: &str = r#"
import glob, json, os, subprocess, sys
needles = [needle.encode() for needle in (TOKEN, DECOY)]
met, found = set(), set()
def look(place, content):
    found.update((needle.decode(), place) for needle in needles if needle in content)
def read(path):
    try:
        return open(path, 'rb').read()
    except OSError:
        return b''
turn = 0
while not os.path.exists('/run/watch.stop'):
    for process in glob.glob('/proc/[0-9]*'):
        name = read(process + '/comm').decode().strip()
        met.add(name)
        for place in ('cmdline', 'environ'):
            look(place + ' of ' + name, read(process + '/' + place))
    for unit in glob.glob('/run/systemd/transient/*') + glob.glob('/run/credentials/*/*'):
        met.add(os.path.basename(unit).split('-')[0])
        look('unit', read(unit))
    turn += 1
    if turn % 20 == 0:
        look('systemctl', subprocess.run(['systemctl', 'show', 'cid*'], stdout=subprocess.PIPE).stdout)
json.dump([sorted(met), sorted(found)], open('/run/watch.said', 'w'))
"#;

fn run(host: &Host, line: &str) -> String {
    let done = host.run(&["sh", "-c", line]).unwrap();
    done.ok().unwrap().stdout
}

/// The project's repository over https, from a server that wants the token.
fn serve(host: &Host) {
    let made = Certificate::wildcard("forge.test", 2090).unwrap();
    let both = format!("{}{}", made.key, made.certificate);
    for (path, text) in [
        ("/srv/https/server.py", HttpsGit::PROGRAM),
        ("/srv/https/both.pem", &both),
        ("/srv/https/token", &format!("anna:{TOKEN}")),
        ("/srv/https/certificate.pem", &made.certificate),
    ] {
        host.write(path, text, 0o644).unwrap();
    }
    host.write(TOKEN_FILE, format!("anna:{TOKEN}\n"), 0o600)
        .unwrap();
    run(
        host,
        "cat /srv/https/certificate.pem >> /etc/ssl/certs/ca-certificates.crt
echo 127.0.0.1 git.forge.test >> /etc/hosts
systemd-run --quiet --unit=forge --uid=deploy python3 /srv/https/server.py 8444 /srv/git /srv/https/token /srv/https/both.pem
sed -i 's#^url = .*#url = \"https://git.forge.test:8444/guestbook.git\"\\ncredential_file = \"/etc/cid/guestbook.token\"#' /etc/cid/projects.d/guestbook.toml
systemctl reload cid",
    );
    soon("the project can be fetched", || {
        let checked = host.run(&["cictl", "project", "check"]).unwrap();
        checked.status == 0 && checked.stdout.contains("git.credential_file")
    });
}

/// Files that hold this, but for those it was put into.
fn files_with(host: &Host, needle: &str) -> Vec<String> {
    // A pattern from a file: arguments are looked at too.
    host.write("/opt/needle", needle, 0o600).unwrap();
    let grep = "grep --recursive --files-with-matches --text --fixed-strings --file=/opt/needle \
                --devices=skip /etc /home /root /run /srv /tmp /var /dev/shm 2>/dev/null";
    let found = host.run(&["sh", "-c", grep]).unwrap().stdout;
    let put = ["/srv/https/", TOKEN_FILE, "/run/watch.said"];
    found
        .lines()
        .filter(|line| !put.iter().any(|path| line.starts_with(path)))
        .map(str::to_owned)
        .collect()
}

fn is_in_journal(host: &Host, needle: &str) -> bool {
    let all = "journalctl --no-pager --output=export --all";
    run(host, all).contains(needle)
}

#[test]
fn looking_for_the_git_servers_token_in_every_place_it_could_leak_to() {
    let Some(host) = cid() else { return };
    serve(&host);
    let program = format!("TOKEN, DECOY = {TOKEN:?}, {DECOY:?}\n{WATCHER}");
    host.write(WATCH, program, 0o600).unwrap();
    run(
        &host,
        &format!(
            "systemd-run --quiet --unit=watch python3 {WATCH}
systemd-run --quiet --unit=decoy env DECOY={DECOY} sleep 5
echo {DECOY} > /var/lib/cid/decoy; logger {DECOY}"
        ),
    );
    let cictl = |status: i32, args: &[&str]| {
        let output = host.run(&[&["cictl"], args].concat()).unwrap();
        assert_eq!(output.status, status, "{output}");
        assert!(!words(&output).contains(TOKEN), "{output}");
        words(&output)
    };
    cictl(0, &["create", "anna@example.com"]);
    let run_in = ["run", "anna@example.com", "--"];
    let clone = cictl(0, &[&run_in[..], &["cat", ".git/config"]].concat());
    assert!(clone.contains("https://git.forge.test"), "{clone}");
    cictl(0, &["delete", "--yes", "--with-branch", "anna@example.com"]);
    // Now one that the server does not take, which is more to talk about.
    host.write("/srv/https/token", "anna:another", 0o644)
        .unwrap();
    let failed = cictl(1, &["create", "bob@example.com"]);
    assert!(failed.contains("does not take the"), "{failed}");
    cictl(1, &["project", "check", "guestbook"]);
    cictl(1, &["doctor"]);
    for args in [
        &["jobs", "list", "-o", "json"][..],
        &["audit", "-o", "json"],
    ] {
        cictl(0, args);
    }

    run(&host, "touch /run/watch.stop");
    soon("the watcher tells", || {
        host.read("/run/watch.said")
            .is_ok_and(|said| said.ends_with("]]"))
    });
    let said = host.read("/run/watch.said").unwrap();
    let (met, found): (Vec<String>, Vec<(String, String)>) = serde_json::from_str(&said).unwrap();
    for who in ["git-remote-http", "cid-helper", "systemd-run"] {
        assert!(
            met.iter().any(|name| name.starts_with(who)),
            "{who}: {met:?}"
        );
    }
    for place in ["environ of sleep", "unit"] {
        let decoy = (DECOY.to_owned(), place.to_owned());
        assert!(found.contains(&decoy), "{place}: {found:?}");
    }
    let leaked: Vec<_> = found.iter().filter(|(what, _)| what == TOKEN).collect();
    assert!(leaked.is_empty(), "{leaked:?}");
    assert_eq!(files_with(&host, TOKEN), Vec::<String>::new());
    assert!(files_with(&host, DECOY).contains(&"/var/lib/cid/decoy".to_owned()));
    assert!(!is_in_journal(&host, TOKEN));
    assert!(is_in_journal(&host, DECOY));
}
