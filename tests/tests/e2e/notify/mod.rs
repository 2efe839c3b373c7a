//! Others are told of builds and deployments.

mod forge;

use crate::stage::{SOON, Stage};
use cid_testkit::{Tree, wait_until};
use forge::{Forge, KEY, TOKEN};
use serde_json::Value;
use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

fn secret(stage: &Stage, name: &str, text: &str) -> PathBuf {
    let file = stage.sandbox.home().unwrap().join(name);
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    file
}

fn write_project(stage: &Stage, forge: &Forge, kind: &str) {
    let (token, key) = (
        secret(stage, "token", TOKEN),
        secret(stage, "key", &format!("whsec_{KEY}\n")),
    );
    let tables = format!(
        "poll = \"off\"\n[app]\ntest = [[\"sh\", \"-c\", \"test ! -e red\"]]\n[stages.test]\n[notify]\n\
         status = {{ forge = \"{kind}\", url = \"{0}\", token_file = \"{1}\", repository = \"team/hello\" }}\n\
         webhook = {{ url = \"{0}/hooks/ci\", secret_file = \"{2}\" }}\n",
        forge.url(),
        token.display(),
        key.display(),
    );
    let toml = stage.server.project_toml("hello", &tables);
    stage.sandbox.write_project("hello", &toml).unwrap();
}

/// Waits until an API took a document like this.
fn takes(forge: &Forge, api: &str, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
    let found = wait_until(what, SOON, || {
        forge.taken(api).into_iter().rev().find(|body| is_it(body))
    });
    found.unwrap_or_else(|_| panic!("{what}: {:?} {:?}", forge.taken(api), forge.refused()))
}

#[test]
fn each_forge_takes_the_verdict_of_a_commit_and_a_webhook_its_document() {
    let forge = Forge::start();
    let mut stage = Stage::prepared(&Tree::on_socket(), |stage| {
        write_project(stage, &forge, "github");
    });
    let is = |name: &'static str, state: &'static str| {
        move |body: &Value| body["name"] == name && body["state"] == state
    };
    for (api, good) in [
        ("github", "success"),
        ("gitea", "success"),
        ("gitlab", "success"),
        ("bitbucket", "SUCCESSFUL"),
    ] {
        write_project(&stage, &forge, api);
        stage.sandbox.hup().unwrap();
        stage.cictl_ends(0, &["build", "--again"]);
        let told = takes(&forge, api, "the verdict", is("cid/build", good));
        let link = told["link"].as_str().unwrap();
        assert!(link.contains("/jobs/"), "{told}");
    }
    write_project(&stage, &forge, "github");
    stage.sandbox.hup().unwrap();
    let checked = stage.cictl_ends(0, &["project", "check"]).text();
    for word in ["notify.status", "team/hello", "notify.webhook"] {
        assert!(checked.contains(word), "{checked}");
    }
    stage.cictl_ends(0, &["promote", "test"]);
    takes(
        &forge,
        "github",
        "the deployment",
        is("cid/test", "success"),
    );
    let ended = takes(&forge, "hook", "the document", |body| {
        body["type"] == "deployment.ended"
    });
    assert_eq!(
        (&ended["data"]["stage"], &ended["data"]["outcome"]),
        (&"test".into(), &"good".into()),
        "{ended}"
    );
    assert!(forge.refused().is_empty(), "{:?}", forge.refused());

    // A forge that is away is told later, also by another daemon.
    stage.server.commit_file("main", "red", "").unwrap();
    forge.is_away_for(2);
    stage.cictl_ends(1, &["build"]);
    stage.sandbox.restart().unwrap();
    takes(&forge, "github", "the failure", is("cid/build", "failure"));

    // A refused token is a note.
    secret(&stage, "token", "another-t0ken-that-is-wrong");
    stage.server.commit_file("main", "version", "two").unwrap();
    stage.cictl_ends(1, &["build"]);
    let told = wait_until("the note", SOON, || {
        let told = stage.cictl(&["doctor"]).text();
        told.contains("refuses the token").then_some(told)
    })
    .unwrap();
    assert!(
        told.contains("notify.status of hello") && told.contains("401"),
        "{told}"
    );
    let newest = &stage.json(&["builds"])[0];
    assert_eq!(newest["state"], "failed", "{newest}");
    let log = stage.sandbox.log();
    for secret in [TOKEN, "another-t0ken", KEY] {
        assert!(!log.contains(secret) && !told.contains(secret), "{secret}");
    }
    // Others must not be able to read it.
    let token = stage.sandbox.home().unwrap().join("token");
    fs::set_permissions(&token, fs::Permissions::from_mode(0o644)).unwrap();
    let said = stage.cictl_ends(1, &["project", "check"]).text();
    assert!(said.contains("others than cid's own user"), "{said}");
}
