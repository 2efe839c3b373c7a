//! What a workspace's user is refused beyond what its account and its walls say.

use crate::{
    attack,
    rig::to_run_on,
    run::credentials,
    scene::{Scene, attempts, is_confined},
    serve::{JOB, ask},
};
use cid_protocol::frame::{Size, Terminal};
use keyutils_raw::{add_key, keyctl_join_session_keyring};
use nix::{pty::openpty, unistd::ttyname};
use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, chown},
    process::{Command, Output},
};

fn app(scene: &Scene, line: &str) -> Output {
    let file = scene.run_file(line, Some(scene.run_as()));
    let mut command = scene.as_root();
    command.args(["app", "--require-user"]).arg(file).arg("web");
    command.output().unwrap()
}

#[test]
fn no_process_of_an_app_makes_them() {
    let Some(scene) = Scene::set() else { return };
    let folder = scene.folder("workspace", scene.uid, 0o700);
    attack::calls(&folder);
    let output = app(&scene, "exec python3 calls.py < /dev/null");
    let said = String::from_utf8_lossy(&output.stdout);
    attack::assert_refused(&said);
    assert!(said.contains("file-capability EPERM\n"), "{said}");
}

/// The user who starts cid may hold keys, e.g. of Kerberos, in a keyring that its children inherit.
#[test]
fn no_key_of_who_started_it_is_to_be_seen() {
    let Some(scene) = Scene::set() else { return };
    let name = format!("cid-test-{}", scene.uid);
    let Ok(keyring) = keyctl_join_session_keyring(None) else {
        eprintln!("skipped: this machine has no keyrings");
        return;
    };
    add_key("user", &name, b"text", keyring).unwrap();
    let keys = Command::new("cat").arg("/proc/keys").output().unwrap();
    assert!(String::from_utf8_lossy(&keys.stdout).contains(&name));
    let output = app(&scene, "cat /proc/keys; echo the end");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        said.ends_with("the end\n") && !said.contains(&name),
        "{said}"
    );
}

/// Somebody at work in the same workspace has a terminal, which belongs to the account that the app has.
#[test]
fn no_terminal_of_its_account_can_be_opened() {
    let Some(scene) = Scene::set() else { return };
    let pair = openpty(None, None).unwrap();
    let terminal = ttyname(&pair.slave).unwrap();
    chown(&terminal, Some(scene.uid), None).unwrap();
    fs::set_permissions(&terminal, Permissions::from_mode(0o620)).unwrap();
    let list = [
        ("write", format!("echo x > {}", terminal.display())),
        ("read", format!(": < {}", terminal.display())),
        ("own", ": < /dev/tty".into()),
        ("new", "python3 -c 'import pty; pty.openpty()'".into()),
        ("list", "ls /dev/pts".into()),
    ];
    let uid = scene.uid;
    let mut unconfined = Command::new("setpriv");
    unconfined.args([&format!("--reuid={uid}"), &format!("--regid={uid}")]);
    unconfined.args(["--clear-groups", "--", "sh", "-c"]);
    let output = unconfined.arg(attempts(&list)).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.starts_with("write yes\nread yes\n"), "{output:?}");

    let output = app(&scene, &attempts(&list));
    let said = String::from_utf8_lossy(&output.stdout);
    if is_confined(&output.stderr) {
        assert_eq!(said, "write no\nread no\nown no\nnew no\nlist no\n");
    }
}

/// A person's own terminal is another matter, and there is one more in the same account.
#[test]
fn a_persons_command_opens_its_own_terminal_alone() {
    let Some(scene) = Scene::set() else { return };
    let other = openpty(None, None).unwrap();
    let terminal = ttyname(&other.slave).unwrap();
    chown(&terminal, Some(scene.uid), None).unwrap();
    let list = [
        ("tty", "echo x > /dev/tty".into()),
        ("own", "echo x > $OWN".into()),
        ("settings", "stty raw < $OWN && stty sane < /dev/tty".into()),
        ("other", format!("echo x > {}", terminal.display())),
        ("new", "python3 -c 'import pty; pty.openpty()'".into()),
    ];
    let line = format!("OWN=$(tty)\n{}", attempts(&list));
    let credentials = credentials(&scene);
    let terminal = Terminal {
        name: "vt100".into(),
        size: Size {
            rows: 24,
            columns: 80,
        },
    };
    let (input, open) = to_run_on(&["sh", "-c", &line], Some(terminal));
    let mut command = scene.as_user(scene.uid, &[scene.group]);
    command.env("CREDENTIALS_DIRECTORY", credentials);
    command.args(["run", "--require-user", "-"]).stdin(input);
    let output = command.output().unwrap();
    drop(open);
    let said = String::from_utf8_lossy(&output.stdout).replace("\r\n", "\n");
    let said = said.replace("x\n", "");
    if is_confined(&output.stderr) {
        let expected = "tty yes\nown yes\nsettings yes\nother no\nnew no\n";
        assert_eq!(said, expected, "{output:?}");
    }
}

/// A process that traces a helper can have it make the calls.
#[test]
fn no_command_traces_its_helper() {
    let Some(scene) = Scene::set() else { return };
    let list = [
        ("own", "cat /proc/self/environ".into()),
        ("environment", "cat /proc/$PPID/environ".into()),
        ("memory", "head -c 0 /proc/$PPID/mem".into()),
        ("files", "ls /proc/$PPID/fd/".into()),
    ];
    let list = attempts(&list).replace("$PPID", "$HELPER");
    let mut command = scene.as_user(scene.uid, &[]);
    let output = ask(command.args(JOB), &format!("HELPER=$PPID\n{list}"));
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said, "own yes\nenvironment no\nmemory no\nfiles no\n");
}
