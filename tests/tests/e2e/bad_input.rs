//! What is refused before anything is touched.

use crate::stage::{ANNA, SOON, Stage};
use cid_testkit::{Sandbox, wait_until};

const HOSTILE: &[&str] = &[
    "",
    " ",
    "anna",
    "@example.com",
    "anna@",
    "anna@localhost",
    "anna@b@example.com",
    "../../etc/passwd",
    "../anna@example.com",
    "anna@../example.com",
    "anna/../bert@example.com",
    "/etc/passwd@example.com",
    "anna@example.com/../..",
    "anna @example.com",
    "anna@example.com ",
    "anna\n@example.com",
    "anna@example.com\nserver_name evil;",
    "anna\t@example.com",
    "anna\u{7}@example.com",
    "anna;rm -rf /@example.com",
    "$(id)@example.com",
    "`id`@example.com",
    "anna|id@example.com",
    "anna&id@example.com",
    "anna'@example.com",
    "\"anna\"@example.com",
    "anna{}@example.com",
    "anna%40@example.com",
    "%(ENV_HOME)s@example.com",
    "anna@example.com;",
    "anna@exa;mple.com",
    "anna,bert@example.com",
    "anna@example.com,bert@example.com",
    ".anna@example.com",
    "anna.@example.com",
    "anna..b@example.com",
    "-anna@example.com",
    "--upload-pack=id@example.com",
    "+anna@example.com",
    "*@example.com",
    "~root@example.com",
    "anna@-example.com",
    "anna@example-.com",
    "anna@.example.com",
    "anna@example..com",
    "anna@example.com.",
    "anna@[127.0.0.1]",
    "anna@exam_ple.com",
    "m\u{131}ke@example.com",
    "\u{212a}ate@example.com",
    "\u{430}nna@example.com",
    "anna@ex\u{e4}mple.com",
    "anna\u{200b}@example.com",
    "\u{202e}anna@example.com",
];

#[test]
fn hostile_addresses_are_refused_and_change_nothing() {
    let stage = Stage::hello();
    let before = stage.snapshot();
    let long_local = format!("{}@example.com", "a".repeat(65));
    let long_label = format!("a@{}.com", "b".repeat(64));
    let long = format!("a@{}com", "bbbbbbb.".repeat(40));
    let long = [long_local.as_str(), &long_label, &long];
    for address in HOSTILE.iter().chain(&long) {
        // After `--`, so that the address and not the command line is judged.
        let refused = stage.cictl(&["create", "--", address]);
        assert_eq!(refused.status, 2, "{address:?}: {refused}");
        assert!(
            !refused.stderr.trim().is_empty(),
            "{address:?} is refused without a word"
        );
    }
    for verb in [&["delete", "--yes"][..], &["show"], &["restart"], &["logs"]] {
        let refused = stage.cictl(&[verb, &["--", "../../etc@example.com"]].concat());
        assert_eq!(refused.status, 2, "{verb:?}: {refused}");
    }
    assert_eq!(stage.json(&["jobs", "list"]), serde_json::json!([]));
    stage.assert_same(&before);
}

#[test]
fn unusual_but_good_addresses_work() {
    let stage = Stage::hello();
    let before = stage.snapshot();
    let long = format!("{}@{}.example.com", "a".repeat(64), "b".repeat(63));
    let addresses = [
        "a@b.co",
        "x+tag@example.com",
        "x-tag@example.com",
        "x_tag@example.com",
        "xn--a@example.com",
        &long,
    ];
    let mut names: Vec<String> = addresses
        .iter()
        .map(|email| stage.create(email).name())
        .collect();
    assert!(names.iter().all(|name| name.len() <= 40), "{names:?}");
    names.sort();
    names.dedup();
    assert_eq!(names.len(), addresses.len(), "{names:?}");
    for email in addresses {
        stage.delete(email);
    }
    stage.assert_same(&before);
}

#[test]
fn projects_are_asked_for_by_name_where_there_are_several() {
    let stage = Stage::hello();
    let refused = stage.cictl_ends(3, &["create", ANNA, "-p", "nothing"]);
    assert!(refused.text().contains("nothing"), "{refused}");
    stage
        .sandbox
        .write_project("other", &stage.server.project_toml("other", ""))
        .unwrap();
    stage.sandbox.hup().unwrap();
    wait_until("the second project", SOON, || {
        let list = stage.cictl(&["project", "list"]);
        list.stdout.contains("other").then_some(())
    })
    .unwrap();
    let refused = stage.cictl_ends(2, &["create", ANNA]).text();
    assert!(
        refused.contains("hello") && refused.contains("other"),
        "{refused}"
    );
    // Both projects live in one repository here: the branch is taken as it is.
    stage.cictl_ends(0, &["create", ANNA, "-p", "hello"]);
    stage.cictl_ends(0, &["create", ANNA, "-p", "other"]);
    for verb in [
        &["show", ANNA][..],
        &["restart", ANNA],
        &["delete", ANNA, "--yes"],
    ] {
        let refused = stage.cictl_ends(2, verb).text();
        assert!(
            refused.contains("hello") && refused.contains("other"),
            "{refused}"
        );
    }
    stage.cictl_ends(0, &["show", ANNA, "-p", "other"]);
}

#[test]
fn without_a_project_file_the_way_to_one_is_shown() {
    let mut sandbox = Sandbox::prepare().unwrap();
    sandbox.start().unwrap();
    let refused = sandbox.cictl(&["create", ANNA]).unwrap().status(3).unwrap();
    assert!(refused.text().contains("projects.d"), "{refused}");
}

#[test]
fn one_bad_project_file_stops_that_project_alone() {
    let stage = Stage::hello();
    let bad = stage.server.project_toml("bad", "nonsense = 1\n");
    stage.sandbox.write_project("bad", &bad).unwrap();
    stage.sandbox.hup().unwrap();
    wait_until("the complaint", SOON, || {
        let list = stage.cictl(&["project", "list"]);
        list.text().contains("bad").then_some(())
    })
    .unwrap();
    let check = stage.cictl(&["project", "check", "bad"]);
    assert_ne!(check.status, 0, "{check}");
    assert!(
        check.text().contains("bad.toml") && check.text().contains("nonsense"),
        "{check}"
    );
    stage.cictl_ends(0, &["create", ANNA, "-p", "hello"]);
}
