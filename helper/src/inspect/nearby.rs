//! What a repository with nothing to run holds instead, and what each of it would need.

use super::{snapshot::Snapshot, text};
use cid_protocol::request::Inspection;
use serde_json::Value;
use std::path::Path;

/// So many lines a person still reads.
const MOST: usize = 8;
/// A command that is quoted is no longer than this, in characters.
const QUOTED: usize = 100;

/// A file that says how an app starts.
struct Kind {
    /// Its names.
    names: &'static [&'static str],
    /// How many folders below the repository's root it is still looked for.
    depth: usize,
    /// It is a module of a package: the app's folder is the one above its own.
    is_module: bool,
    /// It must hold this text.
    holds: &'static str,
    /// What it needs, by the file's content and path; empty: only `dir`.
    needs: fn(&str, &Path) -> String,
}

/// What is likelier to be the app comes first.
const KINDS: &[Kind] = &[
    kind(&["Procfile"], 3, procfile),
    kind(
        &["procfile", "Procfile.txt", "Procfile.web", "Procfile.dev"],
        1,
        |_, _| "it is read under the name Procfile alone".into(),
    ),
    kind(&["manage.py"], 3, |_, _| String::new()),
    Kind {
        is_module: true,
        ..kind(&["wsgi.py"], 3, |_, path| {
            format!(
                "run.web = {}, with gunicorn among the dependencies",
                gunicorn(&module(path))
            )
        })
    },
    Kind {
        is_module: true,
        holds: "FastAPI(",
        ..kind(&["main.py"], 3, |_, _| String::new())
    },
    kind(USUAL, 1, python),
    kind(&["*.py"], 0, framework),
    kind(&["mix.exs"], 1, |_, _| {
        r#"run.web = ["mix", "phx.server"] where its port is read from $PORT, install = [["mix", "deps.get"]]"#.into()
    }),
    kind(&["package.json"], 2, package_json),
    kind(&["Dockerfile", "Containerfile"], 2, dockerfile),
    kind(
        &[
            "compose.yaml",
            "compose.yml",
            "docker-compose.yml",
            "docker-compose.yaml",
        ],
        1,
        |_, _| "no containers are started: give each service's own command as run.NAME".into(),
    ),
    kind(&["config.ru"], 1, |_, _| {
        r#"run.web = ["bundle", "exec", "rackup", "--port", "{port}"], with a Gemfile.lock"#.into()
    }),
    kind(&["go.mod"], 1, |_, _| {
        r#"run.web = ["go", "run", "./cmd/NAME"] if it listens on $PORT; there is no main.go beside it"#.into()
    }),
    kind(&["Cargo.toml"], 1, |_, _| {
        r#"run.web = ["cargo", "run", "--release", "--package", "NAME"] if it listens on $PORT"#
            .into()
    }),
    kind(&["index.php"], 1, |_, _| {
        r#"run.web = ["php", "-S", "127.0.0.1:{port}"]"#.into()
    }),
    kind(&["index.html"], 1, |_, _| {
        r#"run.web = ["python3", "-m", "http.server", "--bind", "127.0.0.1", "{port}"]"#.into()
    }),
];

/// What the file of an app of Python's is mostly called.
const USUAL: &[&str] = &["app.py", "main.py", "server.py", "run.py"];

const fn kind(
    names: &'static [&'static str],
    depth: usize,
    needs: fn(&str, &Path) -> String,
) -> Kind {
    Kind {
        names,
        depth,
        is_module: false,
        holds: "",
        needs,
    }
}

/// A line for each such file of the repository: its path and the keys of `[app]` that it needs.
pub(super) fn nearby(snapshot: &Snapshot<'_>) -> Vec<String> {
    let files = snapshot.look_below(KINDS.iter().map(|kind| kind.depth).max().unwrap_or(0));
    let mut lines = Vec::new();
    for kind in KINDS {
        let of_kind = files.iter().filter(|path| {
            // Folders of templates for other projects.
            if path.to_string_lossy().contains("{{") {
                return false;
            }
            let name = path.file_name().and_then(|name| name.to_str());
            let is_named = |name: &str| {
                let is = |one: &&str| {
                    one.strip_prefix('*')
                        .map_or(*one == name, |end| name.ends_with(end))
                };
                kind.names.iter().any(is)
            };
            name.is_some_and(is_named) && path.components().count() <= kind.depth + 1
        });
        for path in of_kind {
            lines.extend(line(snapshot, kind, path));
        }
    }
    let more = lines.len().saturating_sub(MOST);
    lines.truncate(MOST);
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines
}

/// `None`: cid reads it already, so that this is not what is missing.
fn line(snapshot: &Snapshot<'_>, kind: &Kind, path: &Path) -> Option<String> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let app = match kind.is_module {
        true => folder.parent()?,
        false => folder,
    };
    // A file that cannot be read is named all the same.
    let content = snapshot.read_at(path).ok().flatten().unwrap_or_default();
    let content = text::decode(&content, path).unwrap_or_default();
    if !content.contains(kind.holds) {
        return None;
    }
    let needs = (kind.needs)(&content, path);
    let is_any = kind.names.iter().any(|name| name.starts_with('*'));
    if is_any && needs.is_empty() {
        return None;
    }
    let dir = (app != snapshot.app_dir).then(|| match app.as_os_str().is_empty() {
        true => r#"dir = ".""#.to_owned(),
        false => format!("dir = {:?}", app.display().to_string()),
    });
    let all: Vec<String> = dir
        .into_iter()
        .chain((!needs.is_empty()).then_some(needs))
        .collect();
    (!all.is_empty()).then(|| format!("{}: {}", path.display(), all.join(", ")))
}

/// Names that a Procfile is not read under.
const OTHER_PROCFILES: &[&str] = &["procfile", "Procfile.txt", "PROCFILE", "Procfile.dev"];
/// A Procfile that nothing is started from.
pub(super) fn procfile_note(snapshot: &Snapshot<'_>, found: &Inspection) -> Option<String> {
    if !found.processes.is_empty() {
        return None;
    }
    if snapshot.has("Procfile") {
        return Some(
            "the Procfile names no process: give it a line such as `web: gunicorn app.wsgi`"
                .to_owned(),
        );
    }
    let other = OTHER_PROCFILES.iter().find(|name| snapshot.has(name))?;
    Some(format!("{other} is not read: the name is Procfile"))
}

fn procfile(content: &str, _: &Path) -> String {
    let names_process = content.lines().any(|line| {
        let line = line.trim();
        !line.starts_with('#') && line.contains(':') && !line.starts_with("release:")
    });
    match names_process {
        true => String::new(),
        false => "it names no process such as web".into(),
    }
}

fn python(content: &str, path: &Path) -> String {
    let known = by_framework(content, path);
    known.unwrap_or_else(|| {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        format!(r#"run.web = ["python", "{file}"] if it listens on $PORT"#)
    })
}

/// A file of another name, by the framework that it uses.
fn framework(content: &str, path: &Path) -> String {
    let is_usual = |name: &&str| path.ends_with(name) || path.ends_with("wsgi.py");
    match USUAL.iter().any(is_usual) {
        true => String::new(),
        false => by_framework(content, path).unwrap_or_default(),
    }
}

/// How the frameworks of Python's start an app.
fn by_framework(content: &str, path: &Path) -> Option<String> {
    let module = module(path);
    let asgi = || format!(r#"run.web = ["uvicorn", "--uds", "{{socket}}", "{module}:app"]"#);
    if content.contains("FastAPI(") || content.contains("Starlette(") {
        return Some(asgi());
    }
    let file = path.file_name()?.to_str()?;
    if content.contains("import streamlit") {
        return Some(format!(
            r#"run.web = ["streamlit", "run", "{file}", "--server.port", "{{port}}", "--server.headless", "true"]"#
        ));
    }
    if content.contains("gr.Interface(") || content.contains("gr.Blocks(") {
        return Some(format!(
            r#"run.web = ["python", "{file}"], and GRADIO_SERVER_PORT = "{{port}}" under [env]"#
        ));
    }
    // It brings its own way to serve, beside which gunicorn wants more.
    if content.contains("SocketIO(") {
        return Some(format!(
            r#"run.web = ["flask", "--app", "{module}", "run", "--port", "{{port}}"]"#
        ));
    }
    let is_flask = content.contains("Flask(");
    is_flask.then(|| format!("run.web = {}", gunicorn(&format!("{module}:app"))))
}

fn gunicorn(app: &str) -> String {
    format!(r#"["gunicorn", "--bind", "unix:{{socket}}", "{app}"]"#)
}

/// The module's name as seen from the app's folder: for `wsgi.py` with its package.
fn module(path: &Path) -> String {
    let name = |path: &Path| {
        path.file_stem()
            .map(|name| name.to_string_lossy().into_owned())
    };
    let stem = name(path).unwrap_or_default();
    match path.parent().filter(|_| stem == "wsgi").and_then(name) {
        Some(package) => format!("{package}.{stem}"),
        None => stem,
    }
}

fn package_json(content: &str, _: &Path) -> String {
    let json = serde_json::from_str::<Value>(content).unwrap_or_default();
    let script = |name: &str| {
        let line = json.get("scripts")?.get(name)?.as_str()?;
        (!line.trim().is_empty()).then(|| quote(line))
    };
    match (script("start"), script("dev")) {
        (Some(start), _) => {
            format!("its scripts.start (`{start}`) is run, and must listen on $PORT")
        }
        (None, Some(dev)) => format!(
            r#"run.web = ["npm", "run", "dev", "--", "--port", "{{port}}"], its scripts.dev (`{dev}`)"#
        ),
        (None, None) => r#"run.web, such as ["node", "server.js"]; it has no scripts.start"#.into(),
    }
}

fn dockerfile(content: &str, _: &Path) -> String {
    let command = content.lines().rev().map(str::trim).find(|line| {
        let word = line.split_whitespace().next().unwrap_or_default();
        ["CMD", "ENTRYPOINT"]
            .iter()
            .any(|name| word.eq_ignore_ascii_case(name))
    });
    match command {
        Some(command) => format!(
            "no images are built: run.web is what `{}` runs",
            quote(command)
        ),
        None => "no images are built: run.web is what its image runs".into(),
    }
}

/// Text of the repository, made fit for a sentence of cid.
fn quote(text: &str) -> String {
    let shown = text.chars().filter(|c| !c.is_control());
    match text.chars().count() {
        ..=QUOTED => shown.collect(),
        _ => shown.take(QUOTED).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use crate::inspect::{inspect, tests::repository};
    use cid_protocol::request::{Given, Inspect};

    const FILE: u32 = 0o100_644;

    fn nearby(app_dir: &str, files: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<_> = files
            .iter()
            .map(|(path, content)| (*path, FILE, content.as_bytes()))
            .collect();
        let (dir, commit) = repository(&files);
        let ask = Inspect {
            mirror: dir.path().to_owned(),
            commit: commit.clone(),
            base: commit,
            app_dir: app_dir.into(),
            given: Given::default(),
            install: None,
            python: None,
            settings: None,
            node: None,
            trunk: None,
        };
        inspect(&ask).unwrap().nearby
    }

    #[test]
    fn each_kind_of_app_is_told_what_it_needs() {
        let long = format!("{{\"scripts\": {{\"start\": \"{}\\n\"}}}}", "x".repeat(200));
        for (path, content, needs) in [
            ("shynet/manage.py", "", r#"dir = "shynet""#),
            ("a/b/Procfile", "web: x", r#"dir = "a/b""#),
            ("Procfile", "release: x\n", "no process"),
            ("procfile", "web: x", "Procfile alone"),
            ("site/wsgi.py", "", r#""site.wsgi"]"#),
            ("src/site/wsgi.py", "", r#"dir = "src", run.web"#),
            ("app.py", "app = Flask(__name__)", r#""app:app"]"#),
            (
                "app.py",
                "app = Starlette(routes)",
                r#""uvicorn", "--uds", "{socket}", "app:app"]"#,
            ),
            (
                "streamlit_app.py",
                "import streamlit as st",
                r#""streamlit_app.py", "--server.port", "{port}""#,
            ),
            (
                "chat.py",
                "app = Flask(__name__)\nsocketio = SocketIO(app)",
                r#""flask", "--app", "chat""#,
            ),
            ("mix.exs", "", "mix"),
            (
                "api/main.py",
                "app = FastAPI()",
                r#"dir = "api", run.web = ["uvicorn""#,
            ),
            ("main.py", "print()", r#"["python", "main.py"]"#),
            (
                "web/package.json",
                r#"{"scripts": {"start": "node x"}}"#,
                "(`node x`)",
            ),
            ("web/package.json", &long, "x…`)"),
            ("web/package.json", "nonsense", "no scripts.start"),
            ("package.json", "{}", "no scripts.start"),
            (
                "web/package.json",
                r#"{"scripts": {"dev": "vite"}}"#,
                r#"dir = "web", run.web = ["npm", "run", "dev", "--", "--port", "{port}"], its"#,
            ),
            (
                "backend/app/main.py",
                "app = FastAPI()",
                r#"dir = "backend""#,
            ),
            ("Dockerfile", "FROM x\nCMD [\"a\"]\ncmd b\n", "`cmd b`"),
            ("docker/Dockerfile", "FROM x", "no images are built"),
            ("docker-compose.yml", "", "run.NAME"),
            ("go.mod", "", "go"),
            ("public/index.html", "", "http.server"),
        ] {
            let lines = nearby(".", &[(path, content)]);
            assert_eq!(lines.len(), 1, "{path}: {lines:?}");
            assert!(lines[0].starts_with(path), "{lines:?}");
            assert!(lines[0].contains(needs), "{lines:?}");
        }
    }

    #[test]
    fn files_under_other_names_are_named_with_what_uses_them() {
        let notes = |files: &[(&str, &str)]| {
            let files: Vec<_> = files
                .iter()
                .map(|(path, content)| (*path, FILE, content.as_bytes()))
                .collect();
            crate::inspect::tests::look(&files, Given::default())
                .unwrap()
                .notes
                .join("\n")
        };
        let django = ("manage.py", "");
        let lists = [
            django,
            ("requirements/base.txt", "x"),
            ("requirements/local.txt", "x"),
        ];
        let said = notes(&lists);
        let paste = "[\"pip\", \"install\", \"-r\", \"requirements/local.txt\"]";
        assert!(
            said.contains("requirements/base.txt") && said.contains(paste),
            "{said}"
        );
        let said = notes(&[django, ("Requirements.txt", "x")]);
        assert!(said.contains("\"Requirements.txt\"]"), "{said}");
        assert_eq!(
            notes(&[
                django,
                ("requirements.txt", "x"),
                ("requirements-dev.txt", "")
            ]),
            ""
        );
        let above = [
            ("src/manage.py", ""),
            ("requirements/base.txt", "x"),
            ("requirements/local.txt", "x"),
        ];
        let above: Vec<_> = above
            .iter()
            .map(|(path, content)| (*path, FILE, content.as_bytes()))
            .collect();
        let said = crate::inspect::tests::look_in("src", &above)
            .unwrap()
            .notes
            .join("\n");
        assert!(said.contains("\"../requirements/local.txt\"]"), "{said}");
        let said = notes(&[("index.html", ""), ("procfile", "web: x")]);
        assert!(said.contains("procfile is not read"), "{said}");
        let said = notes(&[("index.html", ""), ("Procfile", "")]);
        assert!(said.contains("the Procfile names no process"), "{said}");
    }

    #[test]
    fn what_leads_nowhere_is_not_told() {
        for path in [
            "{{cookiecutter.slug}}/manage.py",
            "node_modules/x/package.json",
            "a/b/c/d/manage.py",
            ".x/manage.py",
            "README",
        ] {
            assert_eq!(nearby(".", &[(path, "")]), [""; 0], "{path}");
        }
        // The wrong folder is named in the project file.
        let files = [("docs/x", ""), ("manage.py", "")];
        assert_eq!(nearby("docs", &files), [r#"manage.py: dir = ".""#]);
        // One that runs is not asked for what else there is.
        let files = [("manage.py", ""), ("Dockerfile", "")];
        assert_eq!(nearby(".", &files), [""; 0]);
        let many: Vec<_> = (0..20).map(|n| format!("app{n:02}/manage.py")).collect();
        let many: Vec<_> = many.iter().map(|path| (path.as_str(), "")).collect();
        let lines = nearby(".", &many);
        assert_eq!((lines.len(), &*lines[8]), (9, "and 12 more"));
    }
}
