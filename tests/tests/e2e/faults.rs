//! What goes wrong on the way is taken back, and said: the step, and what its command wrote.

use crate::stage::{ANNA, SOON, Stage};
use cid_testkit::{Tree, wait_until};

#[track_caller]
fn says(said: &str, words: &[&str]) {
    for word in words {
        assert!(said.contains(word), "{word:?} is not in:\n{said}");
    }
}

#[test]
fn nothing_to_run() {
    let stage = Stage::of(&Tree::default().with("README", "no app\n"), "");
    says(&stage.create_is_taken_back(ANNA), &["Procfile"]);
}

#[test]
fn install_fails() {
    let table = r#"[app]
install = [["sh", "-c", "echo the wheel is broken; exit 3"]]"#;
    let stage = Stage::of(&Tree::hello(), table);
    says(
        &stage.create_is_taken_back(ANNA),
        &["install", "the wheel is broken", "3"],
    );
}

#[test]
fn release_command_fails() {
    let procfile = "release: echo no such table; exit 4\nweb: python3 app.py\n";
    let stage = Stage::of(&Tree::hello().with("Procfile", procfile), "");
    says(
        &stage.create_is_taken_back(ANNA),
        &["release", "no such table", "4"],
    );
}

#[test]
fn app_exits_at_its_start() {
    let procfile = "web: echo cannot import settings; exit 1\n";
    let stage = Stage::of(&Tree::hello().with("Procfile", procfile), "");
    says(
        &stage.create_is_taken_back(ANNA),
        &["cannot import settings"],
    );
}

/// The one that fails is named, with its own last lines, and not the one that serves.
#[test]
fn a_worker_that_dies_is_blamed() {
    for (worker, words) in [
        (
            "echo no broker; exit 3",
            &["process worker", "exit status 3", "no broker"][..],
        ),
        (
            "echo much to do; sleep 1; kill -9 $$",
            &["process worker", "SIGKILL", "much to do", "[limits.app]"],
        ),
        ("echo all done", &["process worker", "exit status 0"]),
    ] {
        let procfile = format!("web: python3 app.py\nworker: {worker}\n");
        let stage = Stage::of(&Tree::hello().with("Procfile", &procfile), "");
        let said = stage.create_is_taken_back(ANNA);
        says(&said, words);
        assert!(!said.contains("hello starts"), "{said}");
    }
}

/// Not when the time limit of the health check is over.
#[test]
fn a_web_process_that_dies_late_is_told_by_its_end() {
    let procfile = "web: sleep 2; echo no module named settings; exit 1\n";
    let stage = Stage::of(&Tree::hello().with("Procfile", procfile), "");
    let said = stage.create_is_taken_back(ANNA);
    let words = [
        "process web",
        "2 times",
        "exit status 1",
        "no module named settings",
    ];
    says(&said, &words);
}

/// It begins to listen while the workspace is being made.
#[test]
fn a_port_that_somebody_takes_meanwhile_is_given_up() {
    let mut go = std::path::PathBuf::new();
    let stage = Stage::prepared(&Tree::hello(), |stage| {
        go = stage.sandbox.home().unwrap().join("go");
        let wait = format!("while [ ! -e {} ]; do sleep 0.05; done", go.display());
        let table = format!("[app]\ninstall = [[\"sh\", \"-c\", \"{wait}\"]]\n");
        let toml = stage.server.project_toml("hello", &table);
        stage.sandbox.write_project("hello", &toml).unwrap();
    });
    let mut create = stage.sandbox.cictl_command();
    let mut create = create.args(["create", ANNA]).spawn().unwrap();
    let port = wait_until("a port", SOON, || {
        let shown = stage.sandbox.json(&["show", ANNA]).ok()?;
        u16::try_from(shown["port"].as_u64()?).ok()
    })
    .unwrap();
    let _other = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    std::fs::write(go, "").unwrap();
    assert!(create.wait().unwrap().success());
    let anna = stage.show(ANNA);
    assert_ne!(anna.port(), port);
    stage.answers(&anna);
    let dotenv = std::fs::read_to_string(anna.tree().join(".env")).unwrap();
    assert!(
        dotenv.contains(&anna.port().to_string()) && !dotenv.contains(&port.to_string()),
        "{dotenv}"
    );
    stage.cictl_ends(0, &["doctor"]);
}

const QUICKLY: &str = "[app]\nhealth.timeout = \"4s\"\n";

#[test]
fn app_listens_on_another_port() {
    let procfile = "web: PORT=0 python3 app.py\n";
    let stage = Stage::of(&Tree::hello().with("Procfile", procfile), QUICKLY);
    says(&stage.create_is_taken_back(ANNA), &["port", "hello starts"]);
}

#[test]
fn app_answers_500() {
    let app = Tree::hello().with(
        "app.py",
        r#"import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        print("division by zero", flush=True)
        self.send_error(500)
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"#,
    );
    let stage = Stage::of(&app, QUICKLY);
    says(
        &stage.create_is_taken_back(ANNA),
        &["500", "division by zero"],
    );
}

#[test]
fn a_redirect_counts_by_what_is_at_its_end() {
    let app = r#"import http.server, os
HOST = os.environ["CID_URL"].split("/")[2]
LEADS = {
    "/to-https": "https://" + HOST + "/",
    "/to-login": "/login",
    "/in": "http://" + HOST + "/hello",
}
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        leads = LEADS.get(self.path)
        self.send_response(302 if leads else {"/login": 403, "/hello": 200}.get(self.path, 404))
        if leads:
            self.send_header("Location", leads)
        body = b"hello from " + os.environ["CID_WORKSPACE"].encode()
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"#;
    let stage = Stage::of(&Tree::hello().with("app.py", app), QUICKLY);
    let ask_for = |path: &str| {
        let health = format!("[app.health]\npath = \"{path}\"\ntimeout = \"4s\"\n");
        let toml = stage.server.project_toml("hello", &health);
        stage.sandbox.write_project("hello", &toml).unwrap();
        stage.cictl_ends(0, &["project", "check"]);
    };
    for (path, words) in [
        (
            "/to-https",
            ["leads to https://anna", "SECURE_SSL_REDIRECT"],
        ),
        (
            "/to-login",
            [
                "leads to /login, which answers with status 403",
                "config.hosts",
            ],
        ),
        ("/", ["/ answers with status 404", "path of health"]),
    ] {
        ask_for(path);
        says(&stage.create_is_taken_back(ANNA), &words);
    }
    ask_for("/in");
    stage.cictl_ends(0, &["create", ANNA]);
}

#[test]
fn an_empty_shared_database_is_named() {
    let app = Tree::hello().with(
        "app.py",
        r#"import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_error(500)
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"#,
    );
    let stage = Stage::prepared(&app, |stage| {
        let file = stage.sandbox.home().unwrap().join("db.sqlite3");
        std::fs::write(&file, "").unwrap();
        let file = file.display();
        let table = format!("[database]\nkind = \"shared\"\nurl = \"sqlite:///{file}\"\n");
        let toml = stage.server.project_toml("hello", &table);
        stage.sandbox.write_project("hello", &toml).unwrap();
    });
    let hint = ["db.sqlite3 is empty", "release = [["];
    says(&stage.create_is_taken_back(ANNA), &hint);
    let checked = stage.cictl_ends(0, &["project", "check"]).text();
    says(&checked, &hint);
    let doctor = stage.cictl_ends(0, &["doctor"]).text();
    says(&doctor, &hint);
}

#[test]
fn app_takes_connections_and_never_answers() {
    let app = Tree::hello().with(
        "app.py",
        r#"import os, socket, time
server = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
print("listening", flush=True)
time.sleep(3600)
"#,
    );
    let stage = Stage::of(&app, QUICKLY);
    says(&stage.create_is_taken_back(ANNA), &["listening"]);
}

#[test]
fn what_a_failed_app_started_is_gone_too() {
    let procfile = "web: (setsid sleep 3600 &) ; sleep 3601 & wait\n";
    let stage = Stage::of(&Tree::hello().with("Procfile", procfile), QUICKLY);
    stage.create_is_taken_back(ANNA);
}

#[test]
fn a_failed_one_can_be_asked_for_again_after_mending() {
    let stage = Stage::of(&Tree::hello().with("Procfile", "web: exit 1\n"), QUICKLY);
    stage.create_is_taken_back(ANNA);
    stage
        .server
        .commit_file("main", "Procfile", "web: python3 app.py\n")
        .unwrap();
    stage.create(ANNA);
}

#[test]
fn a_tracked_path_is_not_replaced_by_the_media_link() {
    let tree = Tree::hello().with("media/logo.svg", "<svg/>");
    let stage = Stage::prepared(&tree, |stage| {
        let media = stage.sandbox.home().unwrap().join("shared");
        std::fs::create_dir(&media).unwrap();
        let table = format!("[media]\npath = \"{}\"\n", media.display());
        let toml = stage.server.project_toml("hello", &table);
        stage.sandbox.write_project("hello", &toml).unwrap();
    });
    says(&stage.create_is_taken_back(ANNA), &["media"]);
}
