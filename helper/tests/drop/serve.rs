//! What a helper makes sure of before it serves.

use crate::scene::{Scene, attempts, is_confined, number, readable};
use cid_protocol::{
    request::{Ask, RunCommand},
    wire::Answer,
};
use std::{
    collections::BTreeMap,
    io::Write,
    process::{Command, Output, Stdio},
};

pub const JOB: [&str; 3] = ["serve", "--job", "01900000-0000-7000-8000-000000000001"];

/// Asks for one shell line.
pub fn ask(command: &mut Command, line: &str) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let request = RunCommand {
        alone: false,
        command: vec!["sh".into(), "-c".into(), line.into()],
        dir: "/".into(),
        env: BTreeMap::from([("PATH".into(), "/usr/bin:/bin".into())]),
    };
    let mut text = serde_json::to_vec(&request.into_request()).unwrap();
    text.push(b'\n');
    let mut input = child.stdin.take().unwrap();
    // One that refuses does not read it.
    let _ = input.write_all(&text);
    let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut said = Vec::new();
    loop {
        let mut line = String::new();
        std::io::BufRead::read_line(&mut output, &mut line).unwrap();
        match serde_json::from_str(&line) {
            Ok(Answer::Line(line)) => said.extend([line.as_bytes(), b"\n"].concat()),
            _ => break,
        }
    }
    drop(input);
    let mut done = child.wait_with_output().unwrap();
    done.stdout = said;
    done
}

#[test]
fn serves_only_as_whom_it_expects() {
    let Some(scene) = Scene::set() else { return };
    let expecting = |command: &mut Command, user: u32, groups: &str| {
        command.args(JOB).args([
            "--expect-user",
            &user.to_string(),
            "--expect-groups",
            groups,
        ]);
        ask(command, "id -u")
    };
    let (uid, group) = (scene.uid, scene.group);
    let both = format!("{uid},{group}");
    let output = expecting(&mut scene.as_user(uid, &[group]), uid, &both);
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{uid}\n"));
    assert_eq!(output.status.code(), Some(0), "{output:?}");

    let mut may_gain = Command::new("setpriv");
    may_gain
        .args([&format!("--reuid={uid}"), &format!("--regid={uid}")])
        .args(["--clear-groups", "--bounding-set=-all", "--inh-caps=-all"])
        .arg(scene.binary());
    let mut could_have = Command::new("setpriv");
    could_have
        .args([&format!("--reuid={uid}"), &format!("--regid={uid}")])
        .args(["--clear-groups", "--no-new-privs", "--inh-caps=-all"])
        .arg(scene.binary());
    let own = uid.to_string();
    for (command, user, groups, why) in [
        (
            &mut scene.as_user(uid, &[]),
            number(),
            own.as_str(),
            "it runs as",
        ),
        (&mut scene.as_user(uid, &[]), uid, &both, "in the groups"),
        (
            &mut scene.as_user(uid, &[group]),
            uid,
            &own,
            "in the groups",
        ),
        (&mut scene.as_root(), uid, &own, "it runs as"),
        (&mut may_gain, uid, &own, "it may gain privileges"),
        (&mut could_have, uid, &own, "bounding capabilities"),
    ] {
        let output = expecting(command, user, groups);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(78), "{why}: {output:?}");
        assert!(said.contains(why) && output.stdout.is_empty(), "{output:?}");
    }
}

#[test]
fn knows_the_two_capabilities_that_purging_takes() {
    let Some(scene) = Scene::set() else { return };
    let with = |set: &str, expected: &str| {
        let mut command = Command::new("setpriv");
        command
            .args(["--clear-groups", "--no-new-privs", "--inh-caps=-all"])
            .arg(format!("--bounding-set={set}"))
            .arg(scene.binary())
            .args(JOB)
            .args(["--expect-user", "root", "--expect-groups", "root"])
            .args(["--expect-caps", expected]);
        ask(&mut command, "true").status.code()
    };
    let both = "cap_dac_override,cap_fowner";
    assert_eq!(with("-all,+dac_override,+fowner", both), Some(0));
    assert_eq!(with("-all,+dac_override,+fowner,+kill", both), Some(78));
    assert_eq!(with("-all,+fowner", both), Some(78));
}

#[test]
fn stays_within_its_folders() {
    let Some(scene) = Scene::set() else { return };
    let folder = |name| scene.folder(name, 0, 0o777);
    let (write, read, open) = (folder("write"), folder("read"), folder("open"));
    for dir in [&write, &read, &open] {
        readable(dir, "file");
    }
    let list = [
        ("write", format!("echo x > {}/new", write.display())),
        ("read", format!("cat {}/file", read.display())),
        ("change", format!("echo x > {}/new", read.display())),
        ("open", format!("cat {}/file", open.display())),
    ];
    let mut command = scene.as_user(scene.uid, &[]);
    command.args(JOB).arg("--confine-write").arg(&write);
    command.arg("--confine-read").arg(&read);
    let output = ask(&mut command, &attempts(&list));
    let said = String::from_utf8_lossy(&output.stdout);
    if is_confined(&output.stderr) {
        assert_eq!(
            said, "write yes\nread yes\nchange no\nopen no\n",
            "{output:?}"
        );
    }
}
