//! One build must not be able to hurt another: a hostile package is installed into a shared environment,
//! and then others of the same project are built.

use crate::stage::{cid, soon};
use cid_testkit::{Output, host::Host};
use std::{thread, time::Duration};

const PROJECT: &str = r#"domain = "shop.test"
deploy_user = "deploy"

[git]
url = "/srv/git/shop.git"

[app]
release = [["sh", "release.sh"]]
run.web = ["python3", "-m", "http.server", "--bind", "127.0.0.1", "{port}"]
"#;
const ATTACK: &str = include_str!("builds.py");
/// In all that the attack writes.
const MARK: &str = "cid-attack-4711";
/// The machine has no uv of its own, but the package index has; and a package that is hostile.
const SET_UP: &str = r#"set -e
python3 - <<'END'
import io, tarfile, zipfile
with zipfile.ZipFile('/opt/wheels/uv-9.9.9-py3-none-any.whl', 'w') as wheel:
    script = zipfile.ZipInfo('uv-9.9.9.data/scripts/uv')
    script.external_attr = 0o100755 << 16
    wheel.writestr(script, open('/usr/local/bin/uv', 'rb').read())
    about = 'uv-9.9.9.dist-info/'
    wheel.writestr(about + 'METADATA', 'Metadata-Version: 2.1\nName: uv\nVersion: 9.9.9\n')
    wheel.writestr(about + 'WHEEL', 'Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n')
    wheel.writestr(about + 'RECORD', '')
with tarfile.open('/opt/wheels/hostile-1.0.tar.gz', 'w:gz') as package:
    for name, text in [('setup.py', open('/root/attack.py').read()), ('hostile.py', ''),
                       ('PKG-INFO', 'Metadata-Version: 1.0\nName: hostile\nVersion: 1.0\n')]:
        member = tarfile.TarInfo('hostile-1.0/' + name)
        member.size = len(text)
        package.addfile(member, io.BytesIO(text.encode()))
END
rm /usr/local/bin/uv
mkdir /root/shop && cd /root/shop
git init --quiet --initial-branch=main
git config user.name t && git config user.email t@t
printf 'hostile==1.0\nsqlparse==0.5.4\n' > requirements.txt
echo 'for i in $(seq 300); do [ ! -e ../home/go ] || exit 0; sleep 0.2; done' > release.sh
git add --all && git commit --quiet --message=begin
git clone --quiet --bare . /srv/git/shop.git
chown --recursive deploy:deploy /srv/git
systemctl reload cid"#;
/// The base branch leaves the hostile package behind, and needs another one.
fn mend(host: &Host, requirement: &str) {
    sh(host, &format!("requirement={requirement}\n{MEND}"));
}
const MEND: &str = "set -e
cd /root/shop
echo $requirement > requirements.txt
echo true > release.sh
git commit --quiet --all --message=mend
git config --global --add safe.directory /srv/git/shop.git
git push --quiet /srv/git/shop.git main
chown --recursive deploy:deploy /srv/git";

fn shop() -> Option<Host> {
    let host = cid()?;
    host.write("/root/attack.py", ATTACK, 0o644).unwrap();
    host.write("/etc/cid/projects.d/shop.toml", PROJECT, 0o644)
        .unwrap();
    sh(&host, SET_UP);
    soon("the project is there", || {
        let group = host.run(&["getent", "group", "cid-shop"]).unwrap();
        let shown = host.run(&["cictl", "project", "show", "shop"]).unwrap();
        group.status == 0 && shown.status == 0
    });
    Some(host)
}

fn sh(host: &Host, script: &str) -> String {
    host.run(&["sh", "-c", script])
        .unwrap()
        .ok()
        .unwrap()
        .stdout
}

fn create(host: &Host, who: &str) -> Output {
    let email = format!("{who}@example.com");
    let create = ["cictl", "create", "--project", "shop", &email];
    host.run_within(Duration::from_secs(180), &create).unwrap()
}

/// The shared environments, complete or not.
fn environments(host: &Host) -> Vec<String> {
    let found = sh(
        host,
        "find /var/lib/cid/packages/shop -mindepth 1 -maxdepth 1",
    );
    found.lines().map(str::to_owned).collect()
}

fn wait_for_the_attack(host: &Host) -> String {
    let begun = || {
        environments(host)
            .into_iter()
            .find(|path| host.exists(&format!("{path}/attack.begun")).unwrap())
    };
    soon("the attack has begun", || begun().is_some());
    begun().unwrap()
}

#[test]
fn nothing_of_a_hostile_one_reaches_the_next() {
    let Some(host) = shop() else { return };
    thread::scope(|scope| {
        let mallory = scope.spawn(|| create(&host, "mallory"));
        let hostile = wait_for_the_attack(&host);
        mend(&host, "sqlparse==0.5.4");
        // While the hostile one is at work.
        let good = create(&host, "good");
        let log = || host.read(&format!("{hostile}/attack.log")).unwrap();
        soon("the attack is over", || log().contains("the end\n"));
        good.ok().unwrap();
        // Hers is still under way, and so would be what she left running.
        assert!(!mallory.is_finished());
        mend(&host, "packaging==25.0");
        create(&host, "next").ok().unwrap();
        sh(&host, "touch /srv/cid/shop/mallory---example-com/home/go");
        mallory.join().unwrap().ok().unwrap();

        let log = log();
        assert_eq!(environments(&host).len(), 3, "{log}");
        let places = "/var/lib/cid /srv /usr /etc /opt /run /tmp /var/tmp /dev/shm";
        let exclude = format!("-path {hostile} -prune -o");
        let named = sh(
            &host,
            &format!("find {places} {exclude} -name '*{MARK}*' -print"),
        );
        assert_eq!(named, "", "{log}");
        let files = format!(
            "find {places} {exclude} -type f -not -path /opt/wheels/hostile-1.0.tar.gz -print0 \
             | xargs -0 grep -l {MARK} || true"
        );
        assert_eq!(sh(&host, &files), "", "{log}");
        assert!(!log.contains("hurt ") && !log.contains("killed "), "{log}");
        let builders = host.run(&["pgrep", "--uid", "cidb-shop"]).unwrap();
        assert_eq!(builders.stdout, "");
    });
}

#[test]
fn one_that_is_cancelled_leaves_nothing() {
    let Some(host) = shop() else { return };
    thread::scope(|scope| {
        let mallory = scope.spawn(|| create(&host, "mallory"));
        wait_for_the_attack(&host);
        let jobs = host.run(&["cictl", "-o", "json", "jobs", "list"]).unwrap();
        let jobs: serde_json::Value = serde_json::from_str(&jobs.stdout).unwrap();
        let of_hers = |job: &&serde_json::Value| job["state"] == "running";
        let job = jobs.as_array().unwrap().iter().find(of_hers).unwrap();
        let cancel = ["cictl", "jobs", "cancel", job["id"].as_str().unwrap()];
        host.run(&cancel).unwrap().ok().unwrap();
        assert_eq!(mallory.join().unwrap().status, 1);
    });
    assert_eq!(environments(&host), [""; 0]);
    // The helper that threw it away may be on its way out when the job has ended.
    soon("nothing of the builder's runs", || {
        let builders = host.run(&["pgrep", "--uid", "cidb-shop"]).unwrap();
        builders.stdout.is_empty()
    });
    mend(&host, "sqlparse==0.5.4");
    create(&host, "good").ok().unwrap();
}
