//! What `cictl` says and means to scripts.

use crate::stage::{ANNA, BERT, SOON, Stage};
use cid_testkit::{Tree, run, wait_until};
use serde_json::Value;
use std::process::Command;

const KEYS: [&str; 12] = [
    "email",
    "project",
    "name",
    "state",
    "health",
    "url",
    "port",
    "directory",
    "branch",
    "commit",
    "created_at",
    "job",
];

#[test]
fn list_is_an_array_and_show_one_object() {
    let stage = Stage::hello();
    assert_eq!(stage.json(&["list"]), serde_json::json!([]));
    let anna = stage.create(ANNA);
    let list = stage.json(&["list"]);
    assert_eq!(list.as_array().unwrap().len(), 1);
    for workspace in [&list[0], &anna.json] {
        for key in KEYS {
            assert!(!workspace[key].is_null(), "{key} in {workspace}");
        }
        assert_eq!(workspace["email"], ANNA);
        assert_eq!(workspace["project"], "hello");
        assert_eq!(workspace["branch"], "anna---example-com");
    }
    let port = stage.sandbox.http_port();
    assert_eq!(
        anna.text("url"),
        format!("http://anna---example-com.hello.localhost:{port}/")
    );
    assert!(stage.sandbox.ports().apps().contains(&anna.port()));
    let directory = stage.sandbox.dir().join("work/hello/anna---example-com");
    assert_eq!(anna.text("directory"), directory.display().to_string());
    wait_until("health", SOON, || {
        (stage.show(ANNA).json["health"] == "up").then_some(())
    })
    .unwrap();
    assert!(stage.cictl_ends(0, &["list"]).stdout.contains(ANNA));
    assert!(stage.cictl_ends(0, &["show", ANNA]).stdout.contains(ANNA));
}

#[test]
fn create_prints_the_address_alone_or_events_as_json() {
    let stage = Stage::hello();
    let created = stage.cictl_ends(0, &["create", ANNA]);
    assert_eq!(created.stdout.trim(), stage.show(ANNA).text("url"));
    let created = stage.cictl_ends(0, &["-o", "json", "create", BERT]);
    let documents: Vec<Value> = created
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(documents.last().unwrap()["email"], BERT);
}

#[test]
fn a_command_runs_in_the_workspace_and_its_status_is_ours() {
    let stage = Stage::hello();
    let anna = stage.create(ANNA);
    let script = "pwd; echo $CID_WORKSPACE; echo $CID_URL; echo $PORT; echo no >&2; exit 7";
    let ran = stage.cictl_ends(7, &["run", ANNA, "--", "sh", "-c", script]);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    let (tree, port) = (anna.tree().display().to_string(), anna.port().to_string());
    assert_eq!(
        lines,
        [tree.as_str(), &anna.name(), &anna.text("url"), &port]
    );
    assert_eq!(ran.stderr.trim(), "no");
    let killed = stage.cictl(&["run", ANNA, "--", "sh", "-c", "kill -9 $$"]);
    assert_eq!(killed.status, 128 + 9, "{killed}");

    let mut with_input = stage.sandbox.cictl_command();
    with_input.args(["run", ANNA, "--", "cat"]);
    let words = std::iter::once(with_input.get_program()).chain(with_input.get_args());
    let words: Vec<_> = words
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let mut shell = Command::new("sh");
    shell
        .arg("-c")
        .arg(format!("echo to and fro | {}", words.join(" ")));
    assert_eq!(
        run(&mut shell, SOON).unwrap().ok().unwrap().stdout,
        "to and fro\n"
    );
    stage.cictl_ends(3, &["run", BERT, "--", "true"]);
}

#[test]
fn logs_hold_what_the_processes_wrote() {
    let stage = Stage::hello();
    stage.create(ANNA);
    let logs = stage.cictl_ends(0, &["logs", ANNA]);
    assert!(logs.stdout.contains("hello starts"), "{logs}");
    let logs = stage.cictl_ends(0, &["logs", ANNA, "web"]);
    assert!(logs.stdout.contains("hello starts"), "{logs}");
    stage.cictl_ends(3, &["logs", BERT]);
}

#[test]
fn a_restart_gives_new_processes_to_this_one_alone() {
    let stage = Stage::hello();
    let (anna, bert) = (stage.create(ANNA), stage.create(BERT));
    let app = |name: String| {
        let mut apps = cid_testkit::processes(stage.sandbox.dir());
        apps.retain(|process| {
            std::fs::read_link(format!("/proc/{}/cwd", process.pid))
                .is_ok_and(|cwd| cwd.display().to_string().contains(&name))
        });
        apps.into_iter()
            .map(|process| process.pid)
            .collect::<Vec<_>>()
    };
    let before = (app(anna.name()), app(bert.name()));
    assert!(!before.0.is_empty() && !before.1.is_empty(), "{before:?}");
    stage.cictl_ends(0, &["restart", ANNA]);
    stage.answers_soon(&anna);
    let after = (app(anna.name()), app(bert.name()));
    assert!(
        !after.0.iter().any(|pid| before.0.contains(pid)),
        "{before:?} {after:?}"
    );
    assert_eq!(after.1, before.1);
    stage.cictl_ends(3, &["restart", "nobody@example.com"]);
}

#[test]
fn access_that_was_taken_away_is_given_again() {
    let tables = "[access.people]\n\"anna@example.com\" = \"daemon\"\n";
    let stage = Stage::of(&Tree::hello(), tables);
    let (anna, bert) = (stage.create(ANNA), stage.create(BERT));
    let file = anna.tree().join("brought.txt");
    std::fs::write(&file, "x").unwrap();
    let list = |options: &str, file: &std::path::Path| {
        let mut command = Command::new(options.split(' ').next().unwrap());
        command.args(options.split(' ').skip(1)).arg(file);
        run(&mut command, SOON).unwrap().ok().unwrap().stdout
    };
    list("setfacl -b", &file);
    assert!(!list("getfacl -p", &file).contains("user:daemon"));
    // Events come first.
    let last = |args: &[&str]| -> Value {
        let said = stage.cictl_ends(0, &[&["-o", "json", "access", "repair"], args].concat());
        serde_json::from_str(said.stdout.lines().last().unwrap()).unwrap()
    };
    let job = last(&[ANNA]);
    assert_eq!(
        (&job["kind"], &job["state"]),
        (&"repair-access".into(), &"done".into())
    );
    assert!(list("getfacl -p", &file).contains("user:daemon:rw-"));
    stage.answers(&anna);

    let jobs = last(&["--all"]);
    assert_eq!(jobs.as_array().unwrap().len(), 2);
    assert!(!list("getfacl -p", &bert.tree()).contains("user:daemon"));
    stage.cictl_ends(3, &["access", "repair", "nobody@example.com"]);
    stage.cictl_ends(2, &["access", "repair"]);
    stage.cictl_ends(2, &["access", "repair", ANNA, "--all"]);
}

#[test]
fn jobs_can_be_listed_shown_and_watched_again() {
    let stage = Stage::hello();
    stage.create(ANNA);
    let job = stage.newest_job();
    let id = job["id"].as_str().unwrap();
    assert_eq!(
        (&job["state"], &job["kind"]),
        (&"done".into(), &"create".into())
    );
    assert!(
        !stage.json(&["jobs", "show", id])["steps"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    stage.cictl_ends(0, &["jobs", "watch", id]);
    stage.cictl_ends(3, &["jobs", "show", "00000000-0000-0000-0000-000000000000"]);
}

#[test]
fn doctor_finds_nothing_on_a_sound_machine() {
    let stage = Stage::hello();
    stage.create(ANNA);
    let doctor = stage.cictl_ends(0, &["doctor"]);
    assert!(!doctor.text().contains("drift"), "{doctor}");
    stage.cictl_ends(0, &["project", "check", "hello"]);
    assert!(
        stage
            .cictl_ends(0, &["project", "list"])
            .stdout
            .contains("hello")
    );
}

#[test]
fn without_a_daemon_the_status_is_6() {
    let mut stage = Stage::hello();
    stage.sandbox.terminate().unwrap();
    stage.cictl_ends(6, &["list"]);
}

#[test]
fn what_a_restart_does_not_bring_into_effect_is_said() {
    let tables = "[app]\nhealth.timeout = \"4s\"\n[env]\nMODE = \"old\"\n";
    let stage = Stage::of(&Tree::hello(), tables);
    let anna = stage.create(ANNA);
    let told = stage.cictl_ends(0, &["restart", ANNA]).text();
    assert!(!told.contains("not in effect"), "{told}");
    let first = anna.git(&["rev-parse", "HEAD"]);
    let show = stage.cictl_ends(0, &["show", ANNA]).text();
    assert!(
        show.contains(first.trim()) && show.contains("as on the remote"),
        "{show}"
    );

    std::fs::write(anna.tree().join("Procfile"), "web: python3 app.py --new\n").unwrap();
    anna.git(&["commit", "-qam", "run it in another way"]);
    std::fs::write(anna.tree().join("requirements.txt"), "six\n").unwrap();
    let toml = stage
        .server
        .project_toml("hello", &tables.replace("old", "new-value"));
    stage.sandbox.write_project("hello", &toml).unwrap();
    stage.cictl_ends(0, &["project", "check"]);
    let told = stage.cictl_ends(0, &["restart", ANNA]).text();
    assert!(told.contains("not in effect"), "{told}");
    let second = anna.git(&["rev-parse", "HEAD"]);
    let show = stage.cictl_ends(0, &["show", ANNA]).text();
    for text in [&told, &show] {
        assert!(
            text.contains("Procfile, requirements.txt, [env] MODE"),
            "{text}"
        );
        assert!(!text.contains("new-value"), "{text}");
    }
    for words in [
        first.trim(),
        second.trim(),
        "1 ahead and 0 behind the remote",
    ] {
        assert!(show.contains(words), "{words}: {show}");
    }
    let json = stage.show(ANNA).json;
    assert_eq!(json["standing"]["ahead"], 1, "{json}");

    // What fails is running, and nothing says otherwise.
    std::fs::write(anna.tree().join("app.py"), "raise SystemExit(1)\n").unwrap();
    let told = stage.cictl_ends(1, &["restart", ANNA]).text();
    assert!(told.contains("a restart takes nothing back"), "{told}");
    assert!(!told.contains("taken back"), "{told}");
}

#[test]
fn a_project_that_is_added_later_can_be_used() {
    let stage = Stage::hello();
    for (name, reader) in [
        ("second", &["project", "check"][..]),
        ("third", &["project", "check", "third"]),
    ] {
        let toml = stage.server.project_toml(name, "");
        let toml = toml.replace("[git]\n", &format!("[git]\nbranch = \"{name}-{{name}}\"\n"));
        stage.sandbox.write_project(name, &toml).unwrap();
        let said = stage.cictl_ends(3, &["create", ANNA, "-p", name]).text();
        assert!(
            said.contains(&format!("cictl project check {name}")),
            "{said}"
        );
        stage.cictl_ends(0, reader);
        stage.cictl_ends(0, &["create", ANNA, "-p", name]);
    }
    // Taking one away reads the others, too.
    let toml = stage.server.project_toml("fourth", "");
    let toml = toml.replace("[git]\n", "[git]\nbranch = \"fourth-{name}\"\n");
    stage.sandbox.write_project("fourth", &toml).unwrap();
    stage.cictl_ends(0, &["project", "remove", "hello", "--yes"]);
    stage.cictl_ends(0, &["create", ANNA, "-p", "fourth"]);
}
