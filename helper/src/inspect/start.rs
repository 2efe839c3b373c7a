//! The web process and the build of an app that has neither a Procfile nor a project file's word for them: a row a
//! kind.

use super::{node, snapshot::Snapshot, text};
use cid_protocol::request::Dependencies;
use std::path::Path;

/// A web process.
struct Start {
    /// It is that of apps with these dependencies; `None`: of any, and of those without.
    of: fn(Option<Dependencies>) -> bool,
    /// This file says so.
    file: &'static str,
    /// It must hold this text.
    holds: &'static str,
    /// The command; `{module}` is the file's name as Python imports it.
    command: &'static [&'static str],
}

const START: &str = "start";

/// The first that fits counts.
const STARTS: &[Start] = &[
    flask_or_fastapi("main.py", "FastAPI(", FASTAPI),
    flask_or_fastapi("app.py", "FastAPI(", FASTAPI),
    flask_or_fastapi("app/main.py", "FastAPI(", FASTAPI),
    flask_or_fastapi("src/main.py", "FastAPI(", FASTAPI),
    flask_or_fastapi("app.py", "Flask(", FLASK),
    flask_or_fastapi("main.py", "Flask(", FLASK),
    flask_or_fastapi("wsgi.py", "", FLASK),
    flask_or_fastapi("autoapp.py", "", FLASK),
    flask_or_fastapi("flasky.py", "", FLASK),
    Start {
        of: |kind| kind == Some(Dependencies::Bundler),
        file: "bin/rails",
        holds: "",
        command: &[
            "bundle",
            "exec",
            "rails",
            "server",
            "--binding",
            "127.0.0.1",
            "--port",
            "{port}",
        ],
    },
    Start {
        of: |kind| kind == Some(Dependencies::Bundler),
        file: "config.ru",
        holds: "",
        command: &[
            "bundle",
            "exec",
            "rackup",
            "--host",
            "127.0.0.1",
            "--port",
            "{port}",
        ],
    },
    php(
        "public/index.php",
        &["php", "-S", "127.0.0.1:{port}", "-t", "public"],
    ),
    php(
        "web/index.php",
        &["php", "-S", "127.0.0.1:{port}", "-t", "web"],
    ),
    php("index.php", &["php", "-S", "127.0.0.1:{port}"]),
    Start {
        of: |kind| kind == Some(Dependencies::Go),
        file: "main.go",
        holds: "",
        command: &["go", "run", "."],
    },
    Start {
        of: |kind| kind == Some(Dependencies::Cargo),
        file: "src/main.rs",
        holds: "",
        command: &["cargo", "run", "--release"],
    },
    Start {
        of: |kind| kind.is_none() || is_node(kind),
        file: "server.js",
        holds: "",
        command: &["node", "server.js"],
    },
    Start {
        of: |kind| kind.is_none(),
        file: "index.html",
        holds: "",
        command: &[
            "python3",
            "-m",
            "http.server",
            "--bind",
            "127.0.0.1",
            "{port}",
        ],
    },
];

const FASTAPI: &[&str] = &[
    "uvicorn",
    "--uds",
    "{socket}",
    // Only nginx reaches the socket; without this the app believes that its visitors came by HTTP.
    "--forwarded-allow-ips",
    "*",
    "{module}:app",
];
const FLASK: &[&str] = &["flask", "--app", "{module}", "run", "--port", "{port}"];

const fn flask_or_fastapi(
    file: &'static str,
    holds: &'static str,
    command: &'static [&'static str],
) -> Start {
    Start {
        of: |kind| kind.is_some_and(Dependencies::is_python),
        file,
        holds,
        command,
    }
}

const fn php(file: &'static str, command: &'static [&'static str]) -> Start {
    Start {
        of: |kind| kind.is_none_or(|kind| kind == Dependencies::Composer),
        file,
        holds: "",
        command,
    }
}

fn is_node(kind: Option<Dependencies>) -> bool {
    use Dependencies::{Bun, Npm, PackageJson, Pnpm, Yarn, YarnModern};
    matches!(
        kind,
        Some(Bun | Npm | PackageJson | Pnpm | Yarn | YarnModern)
    )
}

/// The web process and the file that names it.
pub(super) fn start(
    snapshot: &Snapshot<'_>,
    kinds: &[Dependencies],
) -> Option<(Vec<String>, &'static str)> {
    let first = kinds.first().copied();
    if is_node(first) && node::script_of(snapshot, START).is_some() {
        let words = ["npm", "run", START].map(str::to_owned);
        return Some((words.into(), node::PACKAGE));
    }
    let fits = |start: &&Start| (start.of)(first) && holds(snapshot, start);
    let start = STARTS.iter().find(fits)?;
    let module = start.file.trim_end_matches(".py").replace('/', ".");
    let word = |word: &&str| word.replace("{module}", &module);
    Some((start.command.iter().map(word).collect(), start.file))
}

fn holds(snapshot: &Snapshot<'_>, start: &Start) -> bool {
    if start.holds.is_empty() {
        return snapshot.has(start.file);
    }
    let content = snapshot.read(start.file).ok().flatten();
    let text = content.and_then(|content| text::decode(&content, Path::new(start.file)).ok());
    text.is_some_and(|text| text.contains(start.holds))
}

/// Commands that build what the app serves or runs.
pub(super) fn build(snapshot: &Snapshot<'_>, kinds: &[Dependencies]) -> Vec<Vec<String>> {
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
    let of = |kind: &Dependencies| -> Option<Vec<String>> {
        match kind {
            // Compiles into the cache, from which `go run` begins.
            Dependencies::Go => Some(words(&["go", "build", "-o", "/dev/null", "."])),
            Dependencies::Cargo => Some(words(&["cargo", "build", "--release"])),
            kind if is_node(Some(*kind)) => {
                node::script_of(snapshot, "build").map(|_| words(&["npm", "run", "build"]))
            }
            _ => None,
        }
    };
    kinds.iter().filter_map(of).collect()
}
