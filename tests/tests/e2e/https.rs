//! A repository over https: the token opens it, and is nowhere to be found.

use crate::stage::{ANNA, Stage};
use cid_testkit::{GitServer, HttpsGit, Sandbox, Tree};
use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

const TOKEN: &str = "s3cret-Token-4711";

struct Https {
    stage: Stage,
    token_file: PathBuf,
    _server: HttpsGit,
}

fn https() -> Https {
    let mut sandbox = Sandbox::prepare().unwrap();
    let home = sandbox.home().unwrap().to_owned();
    let server = GitServer::local_tree(&home, "hello", &Tree::hello()).unwrap();
    let served = home.join("served-token");
    let token_file = home.join("token");
    for file in [&served, &token_file] {
        fs::write(file, format!("anna:{TOKEN}\n")).unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let (root, name) = (
        server.path().parent().unwrap(),
        server.path().file_name().unwrap(),
    );
    let port = sandbox.ports().other();
    let https = HttpsGit::start(&home.join("https"), root, &served, port).unwrap();
    let text = format!(
        "domain = \"hello.localhost\"\n[git]\nurl = \"{}\"\ncredential_file = \"{}\"\n",
        https.url(&name.to_string_lossy()),
        token_file.display()
    );
    sandbox.write_project("hello", &text).unwrap();
    let certificate = https.certificate();
    let trusted = [("GIT_SSL_CAINFO", certificate.to_str().unwrap())];
    sandbox.start_with(&trusted).unwrap();
    Https {
        stage: Stage { sandbox, server },
        token_file,
        _server: https,
    }
}

/// Looks through all processes' arguments and environments until it is told to stop; gives the names
/// of those that it met, and of those that had the token.
fn look_until(stop: &AtomicBool) -> (BTreeSet<String>, Vec<String>) {
    let (mut met, mut caught) = (BTreeSet::new(), Vec::new());
    while !stop.load(Ordering::Relaxed) {
        for process in fs::read_dir("/proc").unwrap().flatten() {
            let read = |name| fs::read(process.path().join(name)).unwrap_or_default();
            let name = String::from_utf8_lossy(&read("comm")).trim().to_owned();
            for place in ["cmdline", "environ"] {
                if holds(&read(place)) {
                    caught.push(format!("{place} of {name}"));
                }
            }
            met.insert(name);
        }
    }
    (met, caught)
}

fn holds(bytes: &[u8]) -> bool {
    bytes
        .windows(TOKEN.len())
        .any(|window| window == TOKEN.as_bytes())
}

/// Files below a folder that hold the token.
fn files_with_it(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(files_with_it(&entry.path()));
        } else if kind.is_file() && holds(&fs::read(entry.path()).unwrap_or_default()) {
            found.push(entry.path());
        }
    }
    found
}

#[test]
fn the_token_opens_the_repository_and_shows_nowhere() {
    let https = https();
    let stage = &https.stage;
    let stop = AtomicBool::new(false);
    let (met, caught) = thread::scope(|scope| {
        let looking = scope.spawn(|| look_until(&stop));
        let anna = stage.create(ANNA);
        let pushed = stage.server.branch(&anna.name()).unwrap();
        assert_eq!(pushed, Some(anna.text("commit")));
        let config = fs::read(anna.tree().join(".git/config")).unwrap();
        assert!(!holds(&config));
        stop.store(true, Ordering::Relaxed);
        looking.join().unwrap()
    });
    assert!(
        met.contains("git-remote-http"),
        "nobody was seen at work: {met:?}"
    );
    assert_eq!(caught, Vec::<String>::new());
    assert_eq!(files_with_it(stage.sandbox.dir()), Vec::<PathBuf>::new());
    assert!(!stage.sandbox.log().contains(TOKEN));
    stage.delete(ANNA);
    assert_eq!(stage.server.branch("anna---example-com").unwrap(), None);
}

#[test]
fn a_token_that_others_can_read_or_that_is_wrong_is_refused_and_not_shown() {
    let https = https();
    let stage = &https.stage;
    let check = |status| {
        let said = stage.cictl_ends(status, &["project", "check", "hello"]);
        assert!(!said.text().contains(TOKEN));
        said.text()
    };
    assert!(check(0).contains("[ok] hello: git.credential_file"));
    fs::set_permissions(&https.token_file, fs::Permissions::from_mode(0o640)).unwrap();
    let said = check(1);
    assert!(
        said.contains("[error] hello: git.credential_file"),
        "{said}"
    );
    assert!(said.contains("others than cid's own user"), "{said}");
    let said = stage.create_is_taken_back(ANNA);
    assert!(
        said.contains("others than cid's own user") && said.contains("chmod 600"),
        "{said}"
    );
    fs::set_permissions(&https.token_file, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&https.token_file, format!("anna:x{TOKEN}")).unwrap();
    let said = check(1);
    assert!(
        said.contains("does not take the user or the token"),
        "{said}"
    );
    assert_eq!(files_with_it(stage.sandbox.dir()), Vec::<PathBuf>::new());
}
