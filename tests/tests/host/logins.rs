//! Nobody logs in as a workspace's account, and no service runs anything as it, whatever the workspace writes: every
//! way of Debian's is tried, and each of them works for a person's account.

use crate::{
    doctor::{is_broken_or_differs, is_well, run},
    stage::{cid, create, soon, user_of, words},
};
use cid_testkit::host::Host;

const ANNA: &str = "anna@example.com";
const HOME: &str = "/srv/cid/guestbook/anna---example-com/home";
/// Where each way that works leaves a file.
const RAN: &str = "/var/tmp/ran";

/// What an account has in its home that some service believes.
const FILES: &str = r#"set -e
umask 077
mkdir -p .ssh .config/systemd/user/default.target.wants
echo 'KEY' > .ssh/authorized_keys
echo '|/usr/bin/touch /var/tmp/ran/mail-USER' > .forward
cat > .config/systemd/user/own.service <<UNIT
[Service]
ExecStart=/usr/bin/touch /var/tmp/ran/own-unit-USER
UNIT
ln -s ../own.service .config/systemd/user/default.target.wants/own.service
"#;

/// Ways to log in or to be run: what it is called, and what root or a service does for it. A way that works makes
/// `RAN/WAY-USER`.
const WAYS: &[(&str, &str)] = &[
    // First: who logged in has a manager of units already. By a unit, as logind wants to know who asks.
    (
        "linger",
        "systemd-run --quiet --wait loginctl enable-linger USER; sleep 2; systemctl --quiet is-active user@NUMBER.service && touch MADE",
    ),
    (
        "manager",
        "systemctl start user@NUMBER.service && touch MADE",
    ),
    ("ssh", "ssh SSH -p 22 USER@127.0.0.1 touch MADE"),
    // A connection that runs nothing can forward ports, and gets a manager of units.
    (
        "ssh-forward",
        "timeout 3 ssh SSH -p 22 -N USER@127.0.0.1; [ $? = 124 ] && touch MADE",
    ),
    // Keys that are not in the account's home.
    ("ssh-keys", "ssh SSH -p 2222 USER@127.0.0.1 touch MADE"),
    ("ssh-no-pam", "ssh SSH -p 2223 USER@127.0.0.1 touch MADE"),
    ("su", "su --shell=/bin/sh --command='touch MADE' USER"),
    (
        "su-login",
        "su --login --shell=/bin/sh --command='touch MADE' USER",
    ),
    (
        "runuser-login",
        "runuser --login --command='touch MADE' USER",
    ),
    (
        "unit-with-pam",
        "systemd-run --quiet --wait --property=User=USER --property=PAMName=login touch MADE",
    ),
    (
        "machinectl",
        "machinectl --quiet shell USER@.host /usr/bin/touch MADE </dev/null",
    ),
    ("mail", "echo hello | sendmail -odf USER@localhost"),
    (
        "at",
        "runuser --user=USER -- sh -c 'cd /; echo touch MADE | at now'; sleep 3",
    ),
    (
        "cron",
        "printf '* * * * * touch MADE\\n' > /var/spool/cron/crontabs/USER; \
              chown USER:crontab /var/spool/cron/crontabs/USER; chmod 600 /var/spool/cron/crontabs/USER",
    ),
    ("own-unit", "sleep 1"),
];
const SSH: &str = "-i /root/key -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes -o LogLevel=ERROR";

fn prepare(host: &Host) -> String {
    run(
        host,
        "ssh-keygen -q -t ed25519 -N '' -f /root/key && mkdir -m 1777 /var/tmp/ran",
    );
    // So that a daemon without PAM takes a key for her as well.
    run(host, "usermod --password '*' anna");
    create(host, ANNA);
    let user = user_of(host, "anna---example-com");
    let key = run(host, "cat /root/key.pub");
    let files = |user: &str| FILES.replace("KEY", key.trim()).replace("USER", user);
    let script = format!("cd \"$HOME\"\n{}", files(&user));
    let written = host.run(&["cictl", "run", ANNA, "--", "sh", "-c", &script]);
    written.unwrap().ok().unwrap();
    let script = format!("cd\n{}", files("anna"));
    host.run_as("anna", &["sh", "-c", &format!("HOME=/home/anna; {script}")])
        .unwrap()
        .ok()
        .unwrap();
    run(
        host,
        &format!(
            "mkdir -p /etc/keys /run/sshd && for user in anna {user}; do cp /root/key.pub /etc/keys/$user; done && \
         chmod 644 /etc/keys/* && systemctl start ssh cron atd && \
         /usr/sbin/sshd -p 2222 -o AuthorizedKeysFile=/etc/keys/%u -o PidFile=none && \
         /usr/sbin/sshd -p 2223 -o AuthorizedKeysFile=/etc/keys/%u -o UsePAM=no -o PidFile=none"
        ),
    );
    user
}

fn attempt(host: &Host, user: &str) {
    let number = run(host, &format!("id --user {user}"));
    for (way, script) in WAYS {
        let made = format!("{RAN}/{way}-{user}");
        let script = script
            .replace("SSH", SSH)
            .replace("NUMBER", number.trim())
            .replace("USER", user)
            .replace("MADE", &made);
        let done = host.run(&["sh", "-c", &script]).unwrap();
        println!("{user} {way}: {} {}", done.status, words(&done).trim());
    }
}

fn ran(host: &Host, user: &str) -> Vec<String> {
    let ending = format!("-{user}");
    let listed = run(host, &format!("ls {RAN}"));
    let ways = listed.lines().filter_map(|name| name.strip_suffix(&ending));
    ways.map(str::to_owned).collect()
}

#[test]
fn no_service_of_debians_runs_anything_as_a_workspace() {
    let Some(host) = cid() else { return };
    let user = prepare(&host);
    attempt(&host, &user);
    attempt(&host, "anna");
    let mut all: Vec<String> = WAYS.iter().map(|(way, _)| (*way).to_owned()).collect();
    all.sort();
    // cron looks once a minute.
    let begin = std::time::Instant::now();
    while ran(&host, "anna") != all && begin.elapsed().as_secs() < 90 {
        std::thread::sleep(std::time::Duration::from_secs(1));
    }
    assert_eq!(ran(&host, "anna"), all, "each way works for a person");
    assert_eq!(ran(&host, &user), [""; 0], "none works for a workspace");
    // Nor can the workspace ask for it itself.
    for script in [
        "echo '* * * * * touch /var/tmp/ran/own' | crontab -",
        "echo touch /var/tmp/ran/own | at now",
        "loginctl enable-linger",
        "systemctl --user start own",
        "systemd-run --user touch /var/tmp/ran/own",
        "dbus-send --system --print-reply --dest=org.freedesktop.login1 /org/freedesktop/login1 \
         org.freedesktop.login1.Manager.SetUserLinger uint32:0 boolean:true boolean:false",
    ] {
        let asked = host.run(&["cictl", "run", ANNA, "--", "sh", "-c", script]);
        let asked = asked.unwrap();
        assert_ne!(asked.status, 0, "{script}: {}", words(&asked));
    }
    // All the time it works as it should.
    let shown = host.run(&["cictl", "run", ANNA, "--", "sh", "-c", "echo $HOME"]);
    assert_eq!(shown.unwrap().stdout.trim(), HOME);
    run(
        &host,
        &format!(
            "systemd-run --quiet --wait loginctl disable-linger {user}; rm -f /var/spool/cron/crontabs/{user}"
        ),
    );
    is_well(&host);
}

#[test]
fn an_account_that_somebody_could_log_in_as_is_found_and_closed() {
    let Some(host) = cid() else { return };
    create(&host, ANNA);
    let user = user_of(&host, "anna---example-com");
    is_well(&host);
    let app = run(&host, &format!("pgrep --uid {user}"));
    let line = |user: &str| {
        run(
            &host,
            &format!("getent passwd {user}; getent shadow {user} | cut -d: -f1,2,8"),
        )
    };
    for account in [
        user.as_str(),
        "cidb-guestbook",
        "cidt-guestbook",
        "cid-tools",
        "cid-web",
    ] {
        let closed = line(account);
        assert!(
            closed.contains(":/nonexistent:/usr/sbin/nologin\n"),
            "{closed}"
        );
        for (opened, why) in [
            (
                format!("sed -i 's#^\\({account}:.*\\):/nonexistent:#\\1:{HOME}:#' /etc/passwd"),
                "has a home",
            ),
            (
                format!("sed -i '/^{account}:/s#/usr/sbin/nologin#/bin/sh#' /etc/passwd"),
                "has a shell",
            ),
            (
                format!("sed -i 's/^{account}:[^:]*/{account}:/' /etc/shadow"),
                "is not locked",
            ),
            (
                format!("chage --expiredate -1 {account}"),
                "has not expired",
            ),
        ] {
            run(&host, &opened);
            assert_ne!(line(account), closed, "{why}");
            let found = format!("account {account}: it {why}");
            is_broken_or_differs(&host, &found, "--repair mends it");
            run(&host, "cictl doctor --repair");
            is_well(&host);
            assert!(line(account).contains(":/nonexistent:/usr/sbin/nologin\n"));
        }
    }
    // And by itself, when the daemon starts.
    let opened = format!("chage --expiredate -1 {user} && usermod --shell /bin/sh {user}");
    run(&host, &format!("{opened} && systemctl restart cid"));
    is_well(&host);
    assert_eq!(
        run(&host, &format!("pgrep --uid {user}")),
        app,
        "the app went on"
    );
    soon("the page answers", || {
        crate::stage::status_of(&host, "anna---example-com") == "200"
    });
    what_runs_as_it_outside_of_cid_is_ended(&host, &user, &app);
}

/// What was begun while somebody could log in does not outlive it, nor the account.
fn what_runs_as_it_outside_of_cid_is_ended(host: &Host, user: &str, app: &str) {
    let number = run(host, &format!("id --user {user}")).trim().to_owned();
    let open = format!(
        "chage --expiredate -1 {user} && usermod --shell /bin/sh {user} && \
         sed -i 's#^\\({user}:.*\\):/nonexistent:#\\1:/var/tmp:#' /etc/passwd && \
         systemctl start user@{number}.service && \
         systemd-run --quiet --collect --uid={user} --unit=cid-not sleep 1001 && \
         systemd-run --quiet --collect --uid={user} --property=Slice=user.slice --unit=cid-neither sleep 1002 && \
         setpriv --reuid={number} --clear-groups env -i setsid --fork sleep 1003 </dev/null >/dev/null 2>&1"
    );
    let outside = format!("pgrep --uid {user} --exact 'systemd|sleep'");
    let is_ended = || host.run(&["sh", "-c", &outside]).unwrap().status == 1;
    run(host, &open);
    assert!(!is_ended());
    is_broken_or_differs(
        host,
        &format!("account {user}: processes that are not cid's run as it"),
        "--repair ends them",
    );
    run(host, "cictl doctor --repair");
    assert!(is_ended(), "{}", run(host, &outside));
    // By itself, when the daemon starts.
    run(host, &open);
    run(host, "systemctl restart cid");
    assert!(is_ended(), "{}", run(host, &outside));
    is_well(host);
    let now = run(host, &format!("pgrep --uid {user}"));
    assert_eq!(now, app, "the app went on");
    // No process outlives the account, however it was started.
    run(host, &open);
    run(host, &format!("cictl delete --yes --with-branch {ANNA}"));
    let left = format!("ps -eo uid,args | grep -w '^ *{number}'");
    // The helper that ended the others ends a moment after its job.
    soon("nothing runs as it", || {
        host.run(&["sh", "-c", &left]).unwrap().status == 1
    });
    assert_ne!(host.run(&["id", user]).unwrap().status, 0);
    is_well(host);
}
