//! A git server that is a real sshd and takes few connections.

use crate::{
    doctor::{is_well, run},
    stage::{cid, soon},
};
use cid_testkit::host::Host;
use std::thread;

/// The account `git` and its sshd, which lets the deploy user in by a key and drops who comes while three others
/// have not yet been let in.
const SERVER: &str = r##"set -e
useradd --create-home git
usermod --password '*' git
runuser -u deploy -- sh -c 'mkdir -pm 700 ~/.ssh && ssh-keygen -q -t ed25519 -N "" -f ~/.ssh/id_ed25519'
runuser -u git -- mkdir -m 700 /home/git/.ssh
install -o git -g git -m 600 /home/deploy/.ssh/id_ed25519.pub /home/git/.ssh/authorized_keys
chown --recursive git:git /srv/git
mkdir -p /run/sshd
/usr/sbin/sshd -p 2222 -E /var/log/sshd-git.log -o MaxStartups=3 -o PidFile=none -o LogLevel=VERBOSE
echo "[127.0.0.1]:2222 $(cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub)" > /home/deploy/.ssh/known_hosts
chmod 644 /home/deploy/.ssh/known_hosts
sed -i 's#^url = .*#url = "ssh://git@127.0.0.1:2222/srv/git/guestbook.git"#' /etc/cid/projects.d/guestbook.toml
systemctl reload cid
cictl project check guestbook
"##;

fn connections(host: &Host) -> usize {
    let count = "grep -c '^Accepted publickey for git' /var/log/sshd-git.log";
    run(host, count).trim().parse().unwrap()
}

#[test]
fn a_burst_loses_no_creation_on_a_server_that_drops_connections() {
    let Some(host) = cid() else { return };
    run(&host, SERVER);
    let before = connections(&host);
    let emails: Vec<String> = (0..12)
        .map(|number| format!("p{number}@example.com"))
        .collect();
    for email in &emails {
        run(&host, &format!("cictl create --no-wait {email}"));
    }
    soon("all are ready", || {
        let listed = run(&host, "cictl list -o json");
        let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
        let states = listed.as_array().unwrap().iter().map(|one| &one["state"]);
        states.filter(|state| *state == "ready").count() == emails.len()
    });
    let branches = "runuser -u git -- git -C /srv/git/guestbook.git branch --list 'p*' | wc -l";
    assert_eq!(run(&host, branches).trim(), "12");
    // Each job's second request goes by the connection of its first, where that one was its own.
    let took = connections(&host) - before;
    println!(
        "{took} connections; {}",
        run(
            &host,
            "grep -c -i 'past MaxStartups' /var/log/sshd-git.log || true"
        )
    );
    thread::scope(|scope| {
        for email in &emails {
            let delete = format!("cictl delete --yes --with-branch {email}");
            scope.spawn(|| run(&host, &{ delete }));
        }
    });
    assert_eq!(run(&host, branches).trim(), "0");
    is_well(&host);
}
