//! A build travels from stage to stage and back.

use crate::{
    stage::{SOON, Stage},
    visitors::under_load,
};
use cid_testkit::{Tree, git, wait_until};
use serde_json::Value;
use std::{fs, os::unix::fs::PermissionsExt, path::Path};

const SECRET: &str = "correct-horse-battery";
/// Leaves what it did in the stage's folder, and takes long enough for another deployment to meet it.
const RELEASE: &str = r#"import os, pathlib, time
assert os.environ.get("API_KEY", "correct-horse-battery") == "correct-horse-battery"
time.sleep(1)
data = pathlib.Path(os.environ["CID_DATA"])
with open(data / "db", "a") as db:
    db.write(open("version").read() + " ")
"#;

/// A project with the stages `test` and `production`.
fn stage() -> Stage {
    let tree = Tree::on_socket().with("release.py", RELEASE).with(
        "check.py",
        "import os, sys\nsys.exit(os.path.exists('red'))\n",
    );
    Stage::prepared(&tree, |stage| {
        let secrets = stage.sandbox.dir().join("secrets");
        fs::write(&secrets, format!("API_KEY={SECRET}\n")).unwrap();
        fs::set_permissions(&secrets, fs::Permissions::from_mode(0o600)).unwrap();
        let tables = format!(
            "[app]\nrelease = [[\"python3\", \"release.py\"]]\ntest = [[\"python3\", \"check.py\"]]\n\
             [stages.test]\n\
             [stages.production]\nafter = \"test\"\nkeep = 2\nenv = {{ MODE = \"live\" }}\n\
             host = [\"www.shop.localhost\", \"shop.localhost\"]\n\
             backup = [[\"cp\", \"{{directory}}/data/db\", \"{{backup}}\"]]\nsecrets_file = \"{}\"\n",
            secrets.display()
        );
        // The first deployment has nothing to copy yet.
        let tables = tables.replace("[\"cp\",", "[\"sh\", \"-c\", \"cat $0 > $1 || true\",");
        let toml = stage.server.project_toml("hello", &tables);
        stage.sandbox.write_project("hello", &toml).unwrap();
    })
}

fn of(stage: &Stage, name: &str) -> Value {
    let all = stage.json(&["stages"]);
    let mut all = all.as_array().unwrap().iter();
    all.find(|one| one["name"] == name).unwrap().clone()
}

fn page(stage: &Stage, host: &str) -> String {
    stage.sandbox.get(host, "/").unwrap().body
}

/// Builds what is pushed as this version.
fn push(stage: &Stage, version: &str) {
    stage
        .server
        .commit_file("main", "version", version)
        .unwrap();
    stage.cictl_ends(0, &["build"]);
}

/// The files below a folder that hold this text.
fn holders(dir: &Path, text: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        if kind.is_dir() {
            holders(&path, text, found);
        } else if kind.is_file() {
            let content = fs::read(&path).unwrap_or_default();
            if content
                .windows(text.len())
                .any(|part| part == text.as_bytes())
            {
                found.push(path.display().to_string());
            }
        }
    }
}

#[test]
fn a_build_travels_to_production_and_back_and_no_request_is_lost() {
    let mut stage = stage();
    let (www, test) = ("www.shop.localhost", of(&stage, "test"));
    assert_eq!(
        (&test["state"], &test["build"]),
        (&Value::Null, &Value::Null)
    );
    let said = stage.cictl_ends(5, &["promote", "test"]).text();
    assert!(said.contains("there is no build for test"), "{said}");
    stage.cictl_ends(0, &["build"]);
    let said = stage.cictl_ends(5, &["promote", "production", "1"]).text();
    assert!(said.contains("never ran in test"), "{said}");
    stage.cictl_ends(0, &["promote", "test"]);
    let host = of(&stage, "test")["url"].as_str().unwrap().to_owned();
    let host = host
        .split("://")
        .nth(1)
        .unwrap()
        .split([':', '/'])
        .next()
        .unwrap()
        .to_owned();
    assert!(page(&stage, &host).starts_with("one from test"));
    stage.cictl_ends(0, &["promote", "production"]);
    for host in [www, "shop.localhost"] {
        assert!(
            page(&stage, host).starts_with("one from production"),
            "{host}"
        );
    }
    push(&stage, "two");
    stage.cictl_ends(0, &["promote", "test"]);
    assert_eq!(of(&stage, "production")["promotable"], 2);
    let runs_in = |build: &str| stage.json(&["builds", "show", build])["stages"].clone();
    assert_eq!(runs_in("1"), serde_json::json!(["production"]));
    assert_eq!(runs_in("2"), serde_json::json!(["test"]));

    let asked = under_load(stage.sandbox.http_port(), www, |is_well| {
        for _ in 0..3 {
            stage.cictl_ends(0, &["promote", "production", "2"]);
            assert!(page(&stage, www).starts_with("two from production") && is_well());
            let back = stage.cictl_ends(0, &["rollback", "production"]).text();
            assert!(back.contains("of build 2: what they changed"), "{back}");
            assert!(back.contains("/backups/"), "{back}");
            assert!(page(&stage, www).starts_with("one from production") && is_well());
        }
    });
    assert!(asked > 50, "{asked}");
    let now = of(&stage, "production");
    assert_eq!(
        (&now["build"], &now["previous"]),
        (&1.into(), &Value::Null),
        "{now}"
    );
    assert_eq!(
        (&now["health"], &now["state"]),
        (&"up".into(), &"ready".into()),
        "{now}"
    );

    // What ran is what was tested; release commands ran for promotes alone.
    let work = stage.sandbox.dir().join("work/hello/production");
    let db = fs::read_to_string(work.join("data/db")).unwrap();
    assert_eq!(db, "one two two two ");
    let backups = fs::read_dir(work.join("backups")).unwrap().flatten();
    let copies = backups.map(|entry| fs::read_to_string(entry.path()).unwrap());
    let mut copies: Vec<String> = copies.collect();
    copies.sort();
    assert_eq!(copies, ["", "one ", "one two ", "one two two "]);
    let run = |line: &str| {
        let output = stage.cictl_ends(0, &["run", "production", "--", "sh", "-c", line]);
        output.stdout.trim().to_owned()
    };
    let builds = stage.sandbox.dir().join("state/builds/hello/1/src");
    assert_eq!(run("pwd"), builds.display().to_string());
    assert_eq!(run("echo $MODE $CID_STAGE"), "live production");

    // A stage is named where an address is, and is nobody's workspace.
    stage.cictl_ends(0, &["restart", "production"]);
    let shown = stage.cictl_ends(0, &["show", "production"]).stdout;
    for line in [
        "stage",
        "build",
        "commit",
        "deployed",
        "by",
        "previous",
        "promotable",
    ] {
        assert!(
            shown.lines().any(|one| one.starts_with(line)),
            "{line}: {shown}"
        );
    }
    for word in ["email", "branch", "ahead", "head  "] {
        assert!(!shown.contains(word), "{word}: {shown}");
    }
    let shown = stage.json(&["show", "production"]);
    assert_eq!(
        (&shown["build"], &shown["name"]),
        (&1.into(), &"production".into())
    );
    assert_eq!(shown["processes"][0]["name"], "web", "{shown}");
    let logs = stage.cictl_ends(0, &["logs", "production"]).stdout;
    assert!(logs.contains("GET / HTTP"), "{logs}");
    assert_eq!(stage.json(&["list"]), Value::Array(Vec::new()));
    let doctor = stage.cictl_ends(0, &["doctor"]).text();
    assert!(!doctor.contains("drift"), "{doctor}");

    // Secrets are in the run file of what runs, and nowhere else.
    let mut found = Vec::new();
    holders(stage.sandbox.dir(), SECRET, &mut found);
    // The release command compares it with a copy of its own.
    found.retain(|path| !path.ends_with("/secrets") && !path.ends_with("/src/release.py"));
    let [one] = &found[..] else {
        panic!("{found:?}")
    };
    assert!(one.contains("/state/apps/hello.production."), "{one}");
    let told = stage.json(&["jobs", "show", now["job"].as_str().unwrap()]);
    assert!(!told.to_string().contains(SECRET), "{told}");

    // The way out needs no good project file.
    let file = stage.sandbox.dir().join("etc/projects.d/hello.toml");
    fs::write(&file, "domain = [").unwrap();
    stage.sandbox.hup().unwrap();
    stage.cictl_ends(5, &["promote", "test", "2"]);
    stage.cictl_ends(0, &["restart", "test"]);
    let said = stage.cictl_ends(0, &["rollback", "test"]).text();
    assert!(said.contains("what the file last said"), "{said}");
    assert!(page(&stage, &host).starts_with("one from test"));
    fs::remove_file(&file).unwrap();
    stage.sandbox.restart().unwrap();
    stage.cictl_ends(5, &["promote", "production", "2"]);
    stage.cictl_ends(0, &["rollback", "production", "2", "-p", "hello"]);
    assert!(page(&stage, www).starts_with("two from production"));
    assert_eq!(of(&stage, "production")["build"], 2);
}

#[test]
fn what_may_not_run_is_refused_with_its_reason() {
    let stage = stage();
    stage.cictl_ends(0, &["build"]);
    push(&stage, "two");
    stage.server.commit_file("main", "red", "").unwrap();
    stage.cictl_ends(1, &["build"]);
    stage.cictl_ends(0, &["promote", "test"]);
    assert_eq!(of(&stage, "test")["build"], 2);
    for (status, args, why) in [
        (3, &["promote", "staging"][..], "no stage"),
        (3, &["promote", "../x"], "no stage"),
        (3, &["promote", "test", "9"], "no build 9"),
        (3, &["rollback", "staging"], "no stage"),
        (5, &["promote", "test", "3"], "failed"),
        (5, &["promote", "test", "1"], "--older"),
        (5, &["promote", "test"], "failed"),
        (5, &["promote", "production", "1"], "never ran in test"),
        (5, &["rollback", "test"], "no older build"),
        (5, &["rollback", "test", "1"], "never ran"),
        (3, &["rollback", "test", "9"], "no build 9"),
        (2, &["promote", "test", "0"], "0"),
        (
            3,
            &["logs", "production"],
            "nothing runs in the stage production yet",
        ),
        (3, &["test", "nobody"], "there is no workspace nobody"),
        (3, &["show", "nobody"], "there is no workspace nobody"),
        (0, &["show", "production"], "nothing was deployed yet"),
        (5, &["deploy", "test"], "cictl promote"),
        (5, &["access", "repair", "test"], "is a stage"),
        (
            5,
            &["delete", "test", "--yes", "--discard"],
            "[stages.test]",
        ),
        (5, &["builds", "delete", "2"], "test runs build 2"),
    ] {
        let said = stage.cictl_ends(status, args).text();
        assert!(said.contains(why), "{args:?}: {said}");
    }
    // Two at once: the second names the first.
    stage.cictl_ends(0, &["promote", "test", "1", "--older", "--no-wait"]);
    let job = stage.newest_job()["id"].as_str().unwrap().to_owned();
    let said = stage.cictl_ends(5, &["promote", "test", "2"]).text();
    assert!(said.contains(&job), "{said}");
    stage.jobs_are_over();
    assert_eq!(of(&stage, "test")["build"], 1);

    // One that never answers leaves what is there.
    stage.server.commit_file("main", "check.py", "").unwrap();
    push(&stage, "bad");
    let tables = "[app]\nhealth.timeout = \"3s\"\n[stages.test]\n";
    let toml = stage.server.project_toml("hello", tables);
    stage.sandbox.write_project("hello", &toml).unwrap();
    stage.sandbox.hup().unwrap();
    stage.cictl_ends(1, &["promote", "test"]);
    let now = of(&stage, "test");
    assert_eq!(
        (&now["build"], &now["health"]),
        (&1.into(), &"up".into()),
        "{now}"
    );
    assert!(!stage.cictl_ends(0, &["doctor"]).text().contains("drift"));

    // A secrets file that others can read is told by its line.
    let open = stage.sandbox.dir().join("open");
    fs::write(&open, "A=1\n").unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).unwrap();
    let tables = format!("[stages.test]\nsecrets_file = \"{}\"\n", open.display());
    let toml = stage.server.project_toml("hello", &tables);
    stage.sandbox.write_project("hello", &toml).unwrap();
    let said = stage.cictl(&["project", "check", "hello"]).text();
    let line = toml
        .lines()
        .position(|line| line.starts_with("secrets_file"))
        .unwrap()
        + 1;
    for part in [format!("line {line}"), "others than cid's own user".into()] {
        assert!(said.contains(&part), "{said}");
    }

    // It goes after its table has gone.
    let toml = stage.server.project_toml("hello", "");
    stage.sandbox.write_project("hello", &toml).unwrap();
    stage.sandbox.hup().unwrap();
    let said = stage.cictl_ends(1, &["doctor"]).text();
    assert!(said.contains("cictl delete test -p hello"), "{said}");
    assert_eq!(of(&stage, "test")["build"], 1);
    // Said before any workspace goes.
    let remove = ["project", "remove", "hello", "--yes", "--with-workspaces"];
    let said = stage.cictl_ends(5, &remove);
    assert!(said.text().contains("has stages: test"), "{}", said.text());
    let said = stage.cictl_ends(5, &["delete", "test", "--yes"]).text();
    assert!(said.contains("--discard"), "{said}");
    stage.cictl_ends(0, &["delete", "test", "--yes", "--discard"]);
    assert!(!stage.sandbox.dir().join("work/hello/test").exists());
    assert!(!stage.cictl_ends(0, &["doctor"]).text().contains("drift"));
}

#[test]
fn a_push_goes_on_by_itself_and_what_was_rolled_back_stays_back() {
    let tables = "poll = \"off\"\n[app]\nhealth.timeout = \"3s\"\n[stages.test]\n\
        [stages.production]\nafter = \"test\"\npromote = \"auto\"\nsoak = \"1s\"\n\
        [stages.other]\nbranch = \"other\"\n";
    let stage = Stage::of(&Tree::on_socket(), tables);
    let runs = |name: &str, number: u32| {
        wait_until(&format!("build {number} in {name}"), SOON, || {
            (of(&stage, name)["build"] == number).then_some(())
        })
        .unwrap();
    };
    // What a person has built goes nowhere by itself.
    stage.cictl_ends(0, &["build"]);
    stage.server.commit_file("main", "version", "two").unwrap();
    stage.cictl_ends(0, &["project", "fetch"]);
    runs("test", 2);
    runs("production", 2);
    stage.jobs_are_over();
    // One commit may be of two branches, and is built once.
    git(stage.server.path(), &["branch", "other", "main"])
        .unwrap()
        .ok()
        .unwrap();
    stage.cictl_ends(0, &["project", "fetch"]);
    runs("other", 2);
    // The gate of a stage is that it runs: one that does not answer gets no further, and is tried once.
    stage.server.commit_file("main", "version", "bad").unwrap();
    stage.cictl_ends(0, &["project", "fetch"]);
    let failed = || {
        let jobs = stage.json(&["jobs"]);
        let jobs = jobs.as_array().unwrap().iter();
        jobs.filter(|job| job["state"] == "undone").count()
    };
    wait_until("the deployment that fails", SOON, || {
        (failed() == 1).then_some(())
    })
    .unwrap();
    stage.server.commit_file("main", "version", "four").unwrap();
    stage.cictl_ends(0, &["project", "fetch"]);
    runs("test", 4);
    runs("production", 4);
    stage.jobs_are_over();
    stage.cictl_ends(0, &["rollback", "production"]);
    let back = of(&stage, "production");
    assert_eq!(back["build"], 2, "{back}");
    let by = back["by"].as_str().unwrap();
    assert!(!by.is_empty() && !by.starts_with("uid "), "{back}");
    std::thread::sleep(std::time::Duration::from_secs(5));
    assert_eq!(of(&stage, "production")["build"], 2);
    assert_eq!(failed(), 1);
    let audit = stage.json(&["audit"]);
    let by_trigger = audit.as_array().unwrap().iter();
    let promoted = by_trigger
        .filter(|line| line["action"] == "org.cid.promote" && line["account"] == "trigger");
    // Builds 2 to 4 to test, of which one failed, two to production, one to the other branch's.
    let mut builds: Vec<u64> = promoted.filter_map(|line| line["build"].as_u64()).collect();
    builds.sort();
    assert_eq!(builds, [2, 2, 2, 3, 4, 4], "{audit}");
    let back = audit.as_array().unwrap().iter();
    let mut back = back.filter(|line| line["action"] == "org.cid.roll-back");
    assert_eq!(back.next().unwrap()["build"], 2, "{audit}");
}
