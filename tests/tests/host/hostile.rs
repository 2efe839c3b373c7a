//! A second project on the host whose repository is hostile: each address has a branch of its own
//! there, with its own attack in what is run at installation and in the app.

use crate::stage::{cid, create, soon};
use cid_testkit::{Output, host::Host};
use std::{
    fmt::Write,
    process::{Child, Stdio},
};

const PROJECT: &str = r#"domain = "hostile.test"
deploy_user = "deploy"

[git]
url = "/srv/git/hostile.git"

[app]
install = [["sh", "install.sh"]]
release = []
run.web = ["sh", "-c", "sh app.sh </dev/null >/dev/null 2>&1 & exec python3 -u server.py $PORT"]
"#;
const SERVER: &str = "import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(('127.0.0.1', int(sys.argv[1])), Handler).serve_forever()
";

/// What is on one branch.
pub struct Attack<'a> {
    /// The address before its `@example.com`.
    pub who: &'a str,
    /// Run in the clone, at installation.
    pub install: &'a str,
    /// Run in the clone, beside the app.
    pub app: &'a str,
}

/// A host with these attacks ready to be let loose, and with a neighbour: `bob@example.com` of the
/// project guestbook.
pub fn hostile(attacks: &[Attack<'_>]) -> Option<Host> {
    let host = cid()?;
    set_up(&host, attacks);
    create(&host, "bob@example.com");
    Some(host)
}

pub fn set_up(host: &Host, attacks: &[Attack<'_>]) {
    let mut script = "set -e
mkdir /root/hostile && cd /root/hostile
git init --quiet --initial-branch=main
git config user.name t && git config user.email t@t
cp /root/hostile.in/server.py . && touch install.sh app.sh
git add --all && git commit --quiet --message=begin\n"
        .to_owned();
    host.write("/root/hostile.in/server.py", SERVER, 0o644)
        .unwrap();
    for Attack { who, install, app } in attacks {
        let files = format!("/root/hostile.in/{who}");
        host.write(&format!("{files}/install.sh"), install, 0o644)
            .unwrap();
        host.write(&format!("{files}/app.sh"), app, 0o644).unwrap();
        writeln!(
            script,
            "git checkout --quiet -b {who}---example-com main
cp {files}/* . && git commit --quiet --all --allow-empty --message=attack"
        )
        .unwrap();
    }
    script.push_str(
        "git clone --quiet --bare . /srv/git/hostile.git
chown --recursive deploy:deploy /srv/git
systemctl reload cid",
    );
    host.write("/etc/cid/projects.d/hostile.toml", PROJECT, 0o644)
        .unwrap();
    host.run(&["sh", "-c", &script]).unwrap().ok().unwrap();
    soon("the project is there", || {
        let group = host.run(&["getent", "group", "cid-hostile"]).unwrap();
        let shown = host.run(&["cictl", "project", "show", "hostile"]).unwrap();
        let home = host.exists("/var/lib/cid/home").unwrap();
        group.status == 0 && shown.status == 0 && home
    });
}

/// Lets an attack loose.
pub fn attack(host: &Host, who: &str) -> Output {
    let email = format!("{who}@example.com");
    host.run(&["cictl", "create", "--project", "hostile", &email])
        .unwrap()
}

/// Deletes what an attack has made, with all it holds.
pub fn clear(host: &Host, who: &str) {
    let email = format!("{who}@example.com");
    let args = [
        "cictl",
        "delete",
        "--yes",
        "--discard",
        "--project",
        "hostile",
        &email,
    ];
    host.run(&args).unwrap().ok().unwrap();
}

/// The clone of an attack.
pub fn tree(who: &str) -> String {
    format!("/srv/cid/hostile/{who}---example-com/src")
}

/// Somebody who visits a page of the guestbook without a pause.
pub struct Visits<'a> {
    host: &'a Host,
    visitor: Child,
}

const VISITS: &str = "/run/visits";
/// The visitor goes when this does: a signal would not reach it through nsenter.
const VISITING: &str = "/run/visiting";

impl<'a> Visits<'a> {
    pub fn begin(host: &'a Host, name: &str) -> Self {
        let visit = format!(
            "touch {VISITING}; while [ -e {VISITING} ]; do curl --silent --output /dev/null --max-time 10 --write-out '%{{http_code}} %{{time_total}}\\n' \
             --header 'Host: {name}.guestbook.test' http://127.0.0.1/health/; sleep 0.03; done > {VISITS}"
        );
        let mut visitor = host.command(&["sh", "-c", &visit]).unwrap();
        let visitor = visitor.stdin(Stdio::null()).spawn().unwrap();
        let visits = Self { host, visitor };
        soon("a visit", || visits.lines().len() > 1);
        visits
    }

    fn lines(&self) -> Vec<String> {
        let text = self.host.read(VISITS).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Ends the visits; every one must have been answered. Gives how many there were, and the longest
    /// in seconds.
    pub fn end(mut self) -> (usize, f64) {
        self.host.run(&["rm", VISITING]).unwrap().ok().unwrap();
        self.visitor.wait().unwrap();
        let lines = self.lines();
        let times = lines.iter().map(|line| {
            let time = line.strip_prefix("200 ").ok_or("no page");
            time.unwrap().parse::<f64>().unwrap()
        });
        (lines.len(), times.fold(0.0, f64::max))
    }
}
