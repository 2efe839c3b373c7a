//! Files of a repository as their own tools read them, and nothing passed over in silence.

use crate::stage::{ANNA, BERT, Stage, Workspace};
use cid_testkit::{GitServer, Sandbox, Tree};
use std::{fs, os::unix::fs::symlink, path::Path};

#[test]
fn a_procfile_is_read_whole_or_refused_by_its_line() {
    let procfile = "\u{feff}web: python3 app.py\r\nconsole: python3\r\nBeat_2: sleep 9999\r\n";
    let stage = Stage::of(&Tree::hello().with("Procfile", procfile), "");
    let said = stage.cictl_ends(0, &["create", ANNA]).text();
    assert!(
        said.contains("console in Procfile is not started"),
        "{said}"
    );
    let anna = stage.show(ANNA);
    stage.answers(&anna);
    let checked = stage.cictl_ends(0, &["project", "check"]).text();
    assert!(
        checked.contains("console in Procfile")
            && checked.contains("process Beat_2: `sleep 9999`")
            && checked.contains("process web: `python3 app.py`"),
        "{checked}"
    );

    let push = |message: &str| {
        anna.git(&["add", "--all"]);
        anna.git(&[
            "-c",
            "user.name=a",
            "-c",
            "user.email=a@b.c",
            "commit",
            "-qm",
            message,
        ]);
        anna.git(&["push", "-q", "origin", "HEAD:main"]);
    };
    // Another name for the same file, on the way to it a folder that is a link.
    let tree = anna.tree();
    fs::create_dir(tree.join("deploy")).unwrap();
    fs::rename(tree.join("Procfile"), tree.join("deploy/web.procfile")).unwrap();
    symlink("deploy", tree.join("etc")).unwrap();
    symlink("etc/web.procfile", tree.join("Procfile")).unwrap();
    push("linked");
    stage.create(BERT);
    stage.delete(BERT);

    fs::write(
        tree.join("deploy/web.procfile"),
        "web: python3 app.py\ncelery.worker: x\n",
    )
    .unwrap();
    push("bad");
    let checked = stage.cictl_ends(1, &["project", "check"]).text();
    let said = stage.create_is_taken_back(BERT);
    for said in [checked, said] {
        assert!(
            said.contains("line 2 of Procfile") && said.contains("celery.worker"),
            "{said}"
        );
    }
}

#[test]
fn what_is_missing_is_told_by_the_check_and_by_the_creation() {
    let tree = Tree::hello()
        .with("Procfile", "release: true\n")
        .with("shop/manage.py", "")
        .with(".gitattributes", "*.psd filter=lfs diff=lfs\n")
        .with("requirements.txt", "")
        .with(".python-version", "3.99\n");
    let stage = Stage::of(&tree, "");
    let checked = stage.cictl_ends(1, &["project", "check"]).text();
    let said = stage.create_is_taken_back(ANNA);
    for said in [&checked, &said] {
        assert!(said.contains("shop/manage.py: dir = \"shop\""), "{said}");
        assert!(said.contains("Procfile: it names no process"), "{said}");
        assert!(said.contains("Git LFS"), "{said}");
    }
    assert!(
        checked.contains("3.99") && checked.contains("this machine has"),
        "{checked}"
    );
}

/// Collects one page, and what must not be served.
const COLLECT: &str = r#"mkdir -p all/css all/.git && cd all
echo "body { color: $COLOR }" > css/site.css
echo secret > .env && echo secret > .git/config && echo secret > ../secret
ln -sf ../secret leads-out && ln -sf ../../secret css/leads-out && ln -sfn / root && rm -f pipe && mkfifo pipe
"#;

#[test]
fn nginx_serves_collected_files_and_nothing_else_of_the_tree() {
    let tree = Tree::hello().with("collect.sh", COLLECT);
    let tables = "[app]\nrelease = [[\"sh\", \"collect.sh\"]]\n\
                  [nginx]\nstatic = { path = \"all\", url = \"/static/\" }\n[env]\nCOLOR = \"red\"\n";
    let stage = Stage::of(&tree, tables);
    let said = stage.cictl_ends(0, &["create", ANNA]).text();
    assert!(said.contains("below all are not served"), "{said}");
    let anna = stage.show(ANNA);
    stage.answers(&anna);
    let css = stage.get(&anna, "/static/css/site.css");
    assert_eq!(css.status, 200, "{}", css.body);
    assert!(css.body.contains("red"), "{}", css.body);
    // Also where the app itself puts them: beside the files it may write.
    let files = anna.directory().join("static/files");
    symlink("/etc", files.join("etc")).unwrap();
    fs::write(files.join(".env"), "secret").unwrap();
    for path in [
        "leads-out",
        "css/leads-out",
        "root/etc/passwd",
        "etc/passwd",
        "pipe",
        ".env",
        ".git/config",
        "../collect.sh",
        "%2e%2e/collect.sh",
        "",
        "css/",
    ] {
        let answer = stage.get(&anna, &format!("/static/{path}"));
        assert!(
            [400, 403, 404].contains(&answer.status) || !answer.body.contains("secret"),
            "{path}: {} {}",
            answer.status,
            answer.body
        );
        assert!(
            !answer.body.contains("root:") && !answer.body.contains("mkfifo"),
            "{path}: {}",
            answer.body
        );
    }

    // A restart takes what is there by then, and one file that is too much leaves the earlier ones.
    let tree = anna.tree();
    fs::write(tree.join("all/css/site.css"), "blue").unwrap();
    stage.cictl_ends(0, &["restart", ANNA]);
    assert_eq!(stage.get(&anna, "/static/css/site.css").body.trim(), "blue");
    fs::write(tree.join("all/css/site.css"), "green").unwrap();
    fs::File::create(tree.join("all/huge"))
        .unwrap()
        .set_len(3 << 30)
        .unwrap();
    let said = stage.cictl_ends(0, &["restart", ANNA]).text();
    assert!(
        said.contains("/static/ is not served anew") && said.contains("1024 MiB"),
        "{said}"
    );
    assert_eq!(stage.get(&anna, "/static/css/site.css").body.trim(), "blue");
    fs::remove_dir_all(tree.join("all")).unwrap();
    let said = stage.cictl_ends(0, &["restart", ANNA]).text();
    assert!(said.contains("made no all"), "{said}");
    assert_eq!(stage.get(&anna, "/static/css/site.css").status, 404);
    stage.answers(&anna);
    stage.delete(ANNA);
}

/// Answers with what a package of the tree says, and where that has another one from.
const APP: &str = r#"import http.server
import os

import shout


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        name = os.environ["CID_WORKSPACE"]
        body = f"hello from {name}: {shout.WORD} {shout.FROM}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main():
    address = ("127.0.0.1", int(os.environ["PORT"]))
    http.server.ThreadingHTTPServer(address, Handler).serve_forever()
"#;
const SHOUT: &str = r#"[project]
name = "shout"
version = "1.0"
dependencies = [NEEDED]

[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[tool.hatch.build.targets.wheel]
packages = ["src/shout"]
"#;

fn with_library(needed: &str, begin: &str) -> Tree {
    Tree::default()
        .with(
            "libs/shout/pyproject.toml",
            &SHOUT.replace("NEEDED", needed),
        )
        .with(
            "libs/shout/src/shout/__init__.py",
            &format!("{begin}WORD = 'one'\n"),
        )
}

/// By a path in `requirements.txt`, and a command that is a script of the shared environment.
fn by_requirements() -> Tree {
    with_library("\"six\"", "import six\nFROM = six.__file__\n")
        .with("requirements.txt", "-e ./libs/shout\ngunicorn\n")
        .with(
            "Procfile",
            "web: gunicorn --version && exec python3 -c 'import app; app.main()'\n",
        )
        .with("app.py", APP)
}

/// As a member of a uv workspace, in an app that is a package itself and has a command of its own.
fn by_uv() -> Tree {
    let project = r#"[project]
name = "app"
version = "1.0"
requires-python = ">=3.9"
dependencies = ["shout"]

[project.scripts]
serve = "app:main"

[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[tool.uv.workspace]
members = ["libs/*"]

[tool.uv.sources]
shout = { workspace = true }
"#;
    // As uv writes it.
    let lock = r#"version = 1
revision = 3
requires-python = ">=3.9"

[manifest]
members = ["app", "shout"]

[[package]]
name = "app"
version = "1.0"
source = { editable = "." }
dependencies = [{ name = "shout" }]

[package.metadata]
requires-dist = [{ name = "shout", editable = "libs/shout" }]

[[package]]
name = "shout"
version = "1.0"
source = { editable = "libs/shout" }
"#;
    with_library("", "FROM = '/nowhere'\n")
        .with("pyproject.toml", project)
        .with("uv.lock", lock)
        .with("Procfile", "web: serve\n")
        .with("src/app/__init__.py", APP)
}

#[test]
fn packages_of_the_tree_are_live_and_others_shared() {
    let mut space = None;
    let stage = Stage::prepared(&by_requirements(), |stage| {
        let server = GitServer::local_tree(stage.sandbox.home().unwrap(), "space", &by_uv());
        let server = server.unwrap();
        for (name, server) in [("hello", &stage.server), ("space", &server)] {
            stage
                .sandbox
                .write_project(name, &server.project_toml(name, ""))
                .unwrap();
        }
        space = Some(server);
    });
    for project in ["hello", "space"] {
        let create = |email: &str| -> Workspace {
            stage.cictl_ends(0, &["create", email, "-p", project]);
            Workspace {
                json: stage.json(&["show", email, "-p", project]),
            }
        };
        let (anna, bert) = (create(ANNA), create(BERT));
        let library = |of: &Workspace| of.tree().join("libs/shout/src/shout/__init__.py");
        let edited = fs::read_to_string(library(&anna))
            .unwrap()
            .replace("one", "two");
        fs::write(library(&anna), edited).unwrap();
        stage.cictl_ends(0, &["restart", ANNA, "-p", project]);
        let shared = stage.sandbox.dir().canonicalize().unwrap();
        for (workspace, word) in [(&anna, "two"), (&bert, "one")] {
            let body = stage.get(workspace, "/").body;
            let said = format!("{}: {word} ", workspace.name());
            assert!(body.contains(&said), "{project}: {body}");
            let (_, from) = body.trim().rsplit_once(' ').unwrap();
            if project == "hello" {
                let from = Path::new(from).canonicalize().unwrap();
                assert!(from.starts_with(&shared), "{body}");
                assert!(!from.starts_with(workspace.directory()), "{body}");
            }
        }
        // Nothing of it is work that a delete would lose.
        stage.cictl_ends(
            0,
            &["delete", BERT, "-p", project, "--yes", "--with-branch"],
        );
    }
}

/// Writes which of these it was told into a file.
fn noting(file: &str) -> String {
    let code = format!(
        "import os; open('{file}', 'w').write(repr([os.environ.get(name) for name in \
         ('HTTPS_PROXY', 'https_proxy', 'UV_DEFAULT_INDEX', 'NODE_EXTRA_CA_CERTS', 'INDEX_TOKEN')]))"
    );
    format!("[\"python3\", \"-c\", {code:?}]")
}

#[test]
fn the_network_is_told_to_all_that_installs_or_builds_and_not_to_the_app() {
    let sandbox = Sandbox::prepare().unwrap();
    let app = Tree::hello().with("Procfile", "web: env > $HOME/app && exec python3 app.py\n");
    let server = GitServer::local_tree(sandbox.home().unwrap(), "hello", &app).unwrap();
    let mut stage = Stage { sandbox, server };
    let tables = format!(
        "[app]\ninstall = [{}]\nrelease = [{}]\n[env]\nINDEX_TOKEN = \"letters-42\"\n",
        noting("install"),
        noting("release")
    );
    let toml = stage.server.project_toml("hello", &tables);
    stage.sandbox.write_project("hello", &toml).unwrap();
    let told = [
        ("https_proxy", "http://anna:hunter22@proxy.invalid:9"),
        ("PIP_INDEX_URL", "http://index.invalid/simple"),
        ("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"),
    ];
    stage.sandbox.start_with(&told).unwrap();
    let anna = stage.create(ANNA);
    let command = "import os; print(os.environ['HTTPS_PROXY'], os.environ['UV_DEFAULT_INDEX'])";
    let ran = stage
        .cictl_ends(0, &["run", ANNA, "--", "python3", "-c", command])
        .stdout;
    assert_eq!(ran.trim(), format!("{} {}", told[0].1, told[1].1));
    let expected = format!(
        "['{0}', '{0}', '{1}', '{2}', 'letters-42']",
        told[0].1, told[1].1, told[2].1
    );
    let home = anna.directory().join("home");
    for file in ["install", "release"] {
        assert_eq!(
            fs::read_to_string(anna.tree().join(file)).unwrap(),
            expected,
            "{file}"
        );
    }
    let app = fs::read_to_string(home.join("app")).unwrap();
    assert!(
        app.contains("INDEX_TOKEN=") && !app.to_lowercase().contains("proxy"),
        "{app}"
    );
}
