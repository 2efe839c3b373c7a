//! `.env` as its real readers read it: python-dotenv, django-environ, Node and `sh`.

#![expect(clippy::disallowed_methods, reason = "tests set their own scene")]
#![expect(clippy::unwrap_used, reason = "what fails here is a failed test")]

#[path = "../../tests/src/skip.rs"]
mod skip;

use cid_daemon::config::dotenv;
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The oldest Node that reads such files by itself.
const NODE: (u32, u32) = (20, 6);

const PYTHON_DOTENV: &str = "
import dotenv, json, os, sys
dotenv.load_dotenv(sys.argv[1], override=True)
print(json.dumps(dict(os.environ)))";
const DJANGO_ENVIRON: &str = "
import environ, json, os, sys
environ.Env.read_env(sys.argv[1])
env = environ.Env()
print(json.dumps({name: env(name) for name in os.environ}))";
const SHELL: &str =
    r#"set -a; . "$0"; exec python3 -c 'import json, os; print(json.dumps(dict(os.environ)))'"#;

/// What people write, and what each reader has a rule of its own for.
const KNOWN: &[&str] = &[
    "plain",
    "",
    "two words",
    " lead",
    "trail ",
    "a\tb",
    "é",
    "it's",
    "say \"hi\" to",
    "a$b",
    "a $(id) b",
    "a`id`b",
    "#a",
    "a #b",
    "a#b",
    r"C:\new",
    r"a\$b",
    "a=b",
    "a;b",
    "a&b",
    "*",
    "~/x",
    "[1,2]",
    "%(x)s",
    "export x",
    "{a}",
    "!a",
    "null",
    "postgres://u:p%40s@h/d?x=1&y=2",
    "unix:///run/x.sock",
    "'x",
    "x'",
];

#[test]
fn every_reader_reads_what_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("env");
    let values = values();
    let mut text = String::from("# a comment\n");
    for (name, value) in &values {
        text.push_str(&dotenv::assignment(name, value).unwrap());
        text.push('\n');
    }
    fs::write(&path, text).unwrap();
    let interpreter = python_with(&["python-dotenv", "django-environ"], dir.path());
    let python = |script: &str| read(Command::new(&interpreter).args(["-c", script]), &path);
    assert_read("python-dotenv", &values, &python(PYTHON_DOTENV));
    assert_read("django-environ", &values, &python(DJANGO_ENVIRON));
    assert_read(
        "sh",
        &values,
        &read(Command::new("sh").args(["-c", SHELL]), &path),
    );
    if has_node() {
        let option = format!("--env-file={}", path.display());
        let mut node = Command::new("node");
        node.args([&option, "-p", "JSON.stringify(process.env)"]);
        assert_read("node", &values, &read(&mut node, &path));
    } else {
        let (major, minor) = NODE;
        skip::skip(&format!(
            "a part of this needs Node {major}.{minor} or newer"
        ));
    }
}

/// The known ones, and others of the characters that matter, as far as they can be written.
fn values() -> BTreeMap<String, String> {
    let any = r#"[ab0 \t'"\\$`#{}();=!%~*&é<>|?^_.:/,@+-]{1,8}"#;
    let mut runner = TestRunner::deterministic();
    let others = (0..400).map(|_| any.new_tree(&mut runner).unwrap().current());
    let writable: Vec<String> = others
        .filter(|value| dotenv::assignment("V", value).is_ok())
        .collect();
    assert!(writable.len() > 100, "{} values only", writable.len());
    let known = KNOWN.iter().map(|value| (*value).to_owned());
    known
        .chain(writable)
        .enumerate()
        .map(|(index, value)| (format!("V{index}"), value))
        .collect()
}

/// A Python that can import these packages, as they are today.
fn python_with(packages: &[&str], dir: &Path) -> PathBuf {
    let venv = dir.join("venv");
    let run = |command: &mut Command| {
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}: {said}");
    };
    run(Command::new("python3").args(["-m", "venv"]).arg(&venv));
    run(Command::new(venv.join("bin/pip"))
        .args(["install", "--quiet"])
        .args(packages));
    venv.join("bin/python")
}

fn read(command: &mut Command, path: &Path) -> BTreeMap<String, String> {
    let environment = [
        ("PATH", std::env::var("PATH").unwrap()),
        ("HOME", "/home/h".into()),
    ];
    let output = command
        .arg(path)
        .env_clear()
        .envs(environment)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn assert_read(reader: &str, written: &BTreeMap<String, String>, read: &BTreeMap<String, String>) {
    for (name, value) in written {
        assert_eq!(read.get(name), Some(value), "{reader}");
    }
}

fn has_node() -> bool {
    let output = Command::new("node").arg("--version").output();
    let text = output.map(|output| output.stdout).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let mut numbers = text
        .trim_start_matches('v')
        .split('.')
        .map_while(|n| n.parse().ok());
    numbers
        .next()
        .zip(numbers.next())
        .is_some_and(|version: (u32, u32)| version >= NODE)
}
