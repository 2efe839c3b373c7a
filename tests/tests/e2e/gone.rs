//! Projects whose file is gone, bad, renamed or says something else by now, and projects that are taken away.

use crate::stage::{ANNA, BERT, Stage};
use cid_testkit::{Output, Tree};
use serde_json::Value;
use std::{fs, path::PathBuf};

impl Stage {
    fn file(&self, name: &str) -> PathBuf {
        self.sandbox.dir().join(format!("etc/projects.d/{name}"))
    }

    /// Has the daemon read the files.
    fn check(&self, args: &[&str]) -> Output {
        self.cictl(&[&["project", "check"], args].concat())
    }

    /// Deletes without a word about the branch, which stays.
    #[track_caller]
    fn delete_here(&self, email: &str) {
        self.cictl_ends(0, &["delete", email, "--yes", "--discard"]);
        self.cictl_ends(3, &["show", email]);
    }
}

#[test]
fn without_its_file_a_project_is_named_and_its_workspaces_go() {
    let stage = Stage::hello();
    let workspaces = [stage.create(ANNA), stage.create(BERT)];
    let text = fs::read(stage.file("hello.toml")).unwrap();
    fs::remove_file(stage.file("hello.toml")).unwrap();

    let told = "the project hello has 2 workspaces and no file";
    let said = stage.check(&[]);
    assert!(said.status == 1 && said.text().contains(told), "{said}");
    for verb in [&["project", "list"][..], &["doctor"]] {
        let said = stage.cictl(verb).text();
        let words = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(told), "{verb:?}: {said}");
        assert!(words.contains("cictl project remove hello"), "{said}");
    }
    let shown = stage.json(&["project", "show", "hello"]);
    assert_eq!(shown["workspaces"], 2, "{shown}");
    stage.answers(&stage.show(ANNA));

    for (verb, instead) in [
        (&["restart", ANNA][..], "restore "),
        (&["access", "repair", ANNA], "restore "),
        (
            &["delete", ANNA, "--yes", "--with-branch"],
            "leave --with-branch away",
        ),
    ] {
        let said = stage.cictl_ends(5, verb).text();
        assert!(said.contains("hello has no file any more"), "{said}");
        assert!(said.contains(instead) && said.contains("hello.toml"));
    }
    stage.delete_here(ANNA);
    assert!(!workspaces[0].directory().exists());

    // With the file back all is as it was.
    fs::write(stage.file("hello.toml"), text).unwrap();
    assert_eq!(stage.check(&[]).status, 0);
    stage.cictl_ends(0, &["restart", BERT]);
    stage.answers(&workspaces[1]);
}

#[test]
fn with_a_bad_file_workspaces_go_all_the_same() {
    let stage = Stage::hello();
    let anna = stage.create(ANNA);
    fs::write(stage.file("hello.toml"), "domain = 7").unwrap();
    let said = stage.check(&[]);
    assert!(said.status == 1 && said.text().contains("hello.toml"));
    let said = stage.cictl_ends(5, &["restart", ANNA]).text();
    assert!(said.contains("cannot be used"), "{said}");
    stage.delete_here(ANNA);
    assert!(!anna.directory().exists());
}

#[test]
fn workspaces_keep_domain_and_folder_of_the_file_they_were_made_by() {
    let stage = Stage::hello();
    let (anna, bert) = (stage.create(ANNA), stage.create(BERT));
    let elsewhere = stage.sandbox.home().unwrap().join("elsewhere");
    let text = fs::read_to_string(stage.file("hello.toml")).unwrap();
    let text = format!("work_dir = \"{}\"\n{text}", elsewhere.display());
    let text = text.replace("hello.localhost", "other.localhost");
    fs::write(stage.file("hello.toml"), text).unwrap();
    assert_eq!(stage.check(&[]).status, 0);

    stage.cictl_ends(0, &["restart", ANNA]);
    stage.answers(&anna);
    let said = stage.cictl(&["doctor"]).text();
    assert!(!said.contains("no workspace has it"), "{said}");
    stage.delete_here(BERT);
    assert!(!bert.directory().exists());
    let carl = stage.create("carl@example.com");
    assert!(carl.directory().starts_with(&elsewhere));
    assert!(carl.host().ends_with("other.localhost"));
    stage.delete_here("carl@example.com");
    stage.delete_here(ANNA);
}

#[test]
fn a_renamed_project_makes_its_own_workspaces_beside_the_old_ones() {
    let stage = Stage::of_work_dir();
    let old = stage.create(ANNA);
    fs::rename(stage.file("hello.toml"), stage.file("greeting.toml")).unwrap();
    let said = stage.check(&[]).text();
    assert!(said.contains("hello has 1 workspace and no file"), "{said}");

    stage.cictl_ends(0, &["create", ANNA, "-p", "greeting"]);
    let shown = |project| stage.json(&["show", ANNA, "-p", project]);
    let (greeting, hello) = (shown("greeting"), shown("hello"));
    assert_ne!(greeting["directory"], hello["directory"]);
    assert_ne!(greeting["url"], hello["url"]);
    stage.answers(&old);
    let delete = ["delete", ANNA, "-p", "hello", "--yes", "--discard"];
    stage.cictl_ends(0, &delete);
    assert!(!old.directory().exists());
    assert!(PathBuf::from(greeting["directory"].as_str().unwrap()).exists());
}

impl Stage {
    /// A project whose workspaces live in a folder that its file names.
    fn of_work_dir() -> Self {
        Self::prepared(&Tree::hello(), |stage| {
            let work_dir = stage.sandbox.home().unwrap().join("work");
            let toml = stage.server.project_toml("hello", "");
            let toml = format!("work_dir = \"{}\"\n{toml}", work_dir.display());
            stage.sandbox.write_project("hello", &toml).unwrap();
        })
    }
}

/// What is on disk of a project called hello.
fn traces(stage: &Stage) -> Vec<PathBuf> {
    let state = stage.sandbox.dir().join("state");
    let state = ["mirrors", "packages", "built"].map(|name| state.join(name).join("hello"));
    let work = stage.sandbox.dir().join("work/hello");
    let all = state.into_iter().chain([work]);
    all.filter(|path| path.exists()).collect()
}

#[test]
fn a_project_is_taken_away_whole_and_can_come_back() {
    let stage = Stage::hello();
    stage.create(ANNA);
    let bert = stage.create(BERT);
    fs::write(bert.tree().join("only-here"), "work").unwrap();
    assert!(!traces(&stage).is_empty());

    let remove = ["project", "remove", "hello", "--yes"];
    let said = stage.cictl_ends(5, &remove).text();
    assert!(said.contains(ANNA) && said.contains(BERT), "{said}");
    assert!(said.contains("--with-workspaces"), "{said}");
    assert!(stage.file("hello.toml").exists());

    // Work that is nowhere else keeps its workspace and the project, but no other workspace.
    let all = [&remove[..], &["--with-workspaces"]].concat();
    let said = stage.cictl_ends(5, &all).text();
    assert!(said.contains("only-here"), "{said}");
    stage.cictl_ends(3, &["show", ANNA]);
    stage.answers(&bert);
    assert!(stage.file("hello.toml").exists());

    let json = [&["-o", "json"], &all[..], &["--discard"]].concat();
    let said = stage.cictl_ends(0, &json).stdout;
    // Events of the deletes come before it.
    let removed: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    let aside = stage.file("hello.toml.removed");
    assert_eq!(removed["file"].as_str(), aside.to_str(), "{removed}");
    assert!(aside.exists() && !stage.file("hello.toml").exists());
    assert!(traces(&stage).is_empty(), "{:?}", traces(&stage));
    assert_eq!(
        stage.json(&["project", "list"]).as_array().unwrap().len(),
        0
    );
    let said = stage.cictl_ends(3, &remove).text();
    assert!(said.contains("there is no project"), "{said}");
    stage.cictl_ends(0, &["doctor"]);
    let audit = stage.cictl(&["audit"]).text();
    assert!(
        audit.contains("Remove") && audit.contains("hello"),
        "{audit}"
    );

    fs::rename(aside, stage.file("hello.toml")).unwrap();
    assert_eq!(stage.check(&[]).status, 0);
    stage.create(ANNA);
}

#[test]
fn what_is_left_of_a_project_without_a_file_is_named_and_taken_away() {
    let stage = Stage::of_work_dir();
    stage.create(ANNA);
    stage.delete(ANNA);
    let work_dir = stage.sandbox.home().unwrap().join("work");
    assert!(work_dir.exists());
    fs::remove_file(stage.file("hello.toml")).unwrap();
    stage.check(&[]);
    let said = stage.cictl(&["doctor"]);
    assert_ne!(said.status, 0, "{said}");
    assert!(said.text().contains("cictl project remove hello"), "{said}");

    // Two at once: one does it, the other finds it done.
    let remove = || stage.cictl(&["project", "remove", "hello", "--yes"]).status;
    let both = std::thread::scope(|scope| {
        let other = scope.spawn(remove);
        [remove(), other.join().unwrap()]
    });
    assert!(both == [0, 3] || both == [3, 0], "{both:?}");
    assert!(traces(&stage).is_empty(), "{:?}", traces(&stage));
    assert!(!work_dir.exists(), "cid made it");
    stage.cictl_ends(0, &["doctor"]);
}

#[test]
fn a_removal_that_was_interrupted_goes_on() {
    let mut stage = Stage::hello();
    stage.create(ANNA);
    stage.delete(ANNA);
    // As after a kill right after its first change, and half-way through.
    fs::rename(stage.file("hello.toml"), stage.file("hello.toml.removed")).unwrap();
    fs::remove_dir_all(stage.sandbox.dir().join("state/mirrors/hello")).unwrap();
    stage.sandbox.kill_9().unwrap();
    stage.sandbox.start().unwrap();
    stage.cictl_ends(0, &["project", "remove", "hello", "--yes"]);
    assert!(traces(&stage).is_empty(), "{:?}", traces(&stage));
    stage.cictl_ends(0, &["doctor"]);
}

#[test]
fn creates_and_a_removal_at_once_leave_one_or_the_other() {
    let stage = Stage::hello();
    stage.create(ANNA);
    stage.delete(ANNA);
    std::thread::scope(|scope| {
        for number in 0..6 {
            let stage = &stage;
            scope.spawn(move || stage.cictl(&["create", &format!("u{number}@example.com")]));
        }
        scope.spawn(|| stage.cictl(&["project", "remove", "hello", "--yes"]));
    });
    stage.jobs_are_over();
    let there = stage.json(&["list"]).as_array().unwrap().len();
    match stage.file("hello.toml").exists() {
        true => assert!(there > 0),
        false => assert_eq!((there, traces(&stage)), (0, Vec::new())),
    }
    assert!(
        stage
            .json(&["jobs", "list"])
            .as_array()
            .unwrap()
            .iter()
            .all(|job| job["state"] != "stuck")
    );
}
