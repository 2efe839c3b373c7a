//! What the operator writes into a project file, and what comes of it.

use crate::stage::{ANNA, BERT, Stage};
use cid_testkit::Tree;
use std::fs;

#[test]
fn placeholders_of_env_are_each_workspaces_own() {
    let env = "[env]\nQUEUE = \"q{number}\"\nORIGIN = \"{origin}\"\nJSON = '{{\"a\": {{\"b\": 1}}}}'\n\
               WHERE = \"{directory}|{host}|{name}|{email}|{port}|{socket}|{url}\"\n";
    let stage = Stage::of(&Tree::hello(), env);
    for (email, number) in [(ANNA, 1), (BERT, 2)] {
        let workspace = stage.create(email);
        let port = workspace.port().to_string();
        let directory = workspace.text("directory");
        let url = workspace.text("url");
        let script = "printf '%s\\n' \"$QUEUE\" \"$ORIGIN\" \"$JSON\" \"$WHERE\"";
        let ran = stage.cictl_ends(0, &["run", email, "--", "sh", "-c", script]);
        let lines: Vec<&str> = ran.stdout.lines().collect();
        let place = [
            directory.as_str(),
            &workspace.host(),
            &workspace.name(),
            email,
            &port,
            &format!("{directory}/run/web.0.sock"),
            &url,
        ];
        let wanted = [
            format!("q{number}"),
            url.trim_end_matches('/').to_owned(),
            "{\"a\": {\"b\": 1}}".to_owned(),
            place.join("|"),
        ];
        assert_eq!(lines, wanted);
        let dotenv = fs::read_to_string(workspace.tree().join(".env")).unwrap();
        assert!(dotenv.contains(&format!("QUEUE=q{number}\n")), "{dotenv}");
        // What is compared is what was filled in.
        assert_eq!(
            stage.json(&["show", email])["standing"]["stale"],
            serde_json::json!([])
        );
    }
    stage.delete(ANNA);
    let again = stage.create(ANNA);
    let dotenv = fs::read_to_string(again.tree().join(".env")).unwrap();
    assert!(dotenv.contains("QUEUE=q1\n"), "{dotenv}");
    let changed = env
        .replace("q{number}", "p{number}")
        .replace("{host}", "{host");
    let toml = stage.server.project_toml("hello", &changed);
    stage.sandbox.write_project("hello", &toml).unwrap();
    let said = stage.cictl_ends(1, &["project", "check"]).text();
    let line = 1 + toml
        .lines()
        .position(|line| line.starts_with("WHERE"))
        .unwrap();
    assert!(
        said.contains(&format!("line {line}, env.WHERE: ")),
        "{said}"
    );
}

#[test]
fn a_tree_that_an_app_serves_is_served_without_its_dot_files() {
    let tree = Tree::default()
        .with(
            "Procfile",
            "web: python3 -m http.server --bind 127.0.0.1 $PORT\n",
        )
        .with("index.html", "anna---example-com\n")
        .with(".well-known/security.txt", "hello\n")
        .with(".github/x", "hello\n");
    let stage = Stage::of(&tree, "[env]\nSECRET = \"hush-hush\"\n");
    let anna = stage.create(ANNA);
    assert!(anna.tree().join(".env").is_file());
    let status = |path| stage.get(&anna, path).status;
    for hidden in [
        "/.env",
        "/.git/config",
        "/.git/HEAD",
        "/.github/x",
        "/%2eenv",
    ] {
        assert_eq!(status(hidden), 404, "{hidden}");
    }
    assert_eq!(status("/.well-known/security.txt"), 200);
    assert_eq!(status("/index.html"), 200);
    // A changed list reaches workspaces that are there.
    let tables = "[env]\nSECRET = \"hush-hush\"\n[nginx]\ndot_files = [\".github\"]\n";
    let toml = stage.server.project_toml("hello", tables);
    stage.sandbox.write_project("hello", &toml).unwrap();
    stage.cictl_ends(0, &["project", "check"]);
    assert_eq!(
        (
            status("/.github/x"),
            status("/.well-known/security.txt"),
            status("/.env")
        ),
        (200, 404, 404)
    );
}
