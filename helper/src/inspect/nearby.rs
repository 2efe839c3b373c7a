//! What a repository with nothing to run holds instead, and what each of it would need.

use super::{snapshot::Snapshot, text};
use cid_protocol::request::Inspection;
use serde_json::Value;
use std::path::{Path, PathBuf};

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
    kind(&["app.py", "main.py", "server.py"], 1, python),
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
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| kind.names.contains(&name))
                && path.components().count() <= kind.depth + 1
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
/// Which of several lists of requirements is likely to be what the app's default settings want.
const LISTS: &[&str] = &[
    "local.txt",
    "dev.txt",
    "development.txt",
    "base.txt",
    "production.txt",
];

/// Lists of Python's requirements under another name than the one that is read, with the line that uses the likeliest.
pub(super) fn requirements(snapshot: &Snapshot<'_>) -> Option<String> {
    let is_list = |path: &PathBuf| {
        let Ok(path) = path.strip_prefix(&snapshot.app_dir) else {
            return false;
        };
        let lower = path.to_string_lossy().to_ascii_lowercase();
        let is_own = lower.starts_with("requirements") && !lower.contains('/');
        let is_in = lower.starts_with("requirements/") && path.components().count() == 2;
        (is_own || is_in) && lower.ends_with(".txt")
    };
    let mut lists = snapshot.look_below(3);
    lists.retain(is_list);
    let place = |path: &PathBuf| {
        let known = LISTS.iter().position(|name| path.ends_with(name));
        known.unwrap_or(LISTS.len())
    };
    lists.sort_by_key(|path| (place(path), path.clone()));
    let likely = lists.first()?.strip_prefix(&snapshot.app_dir).ok()?;
    let shown: Vec<String> = lists
        .iter()
        .take(MOST)
        .map(|path| path.display().to_string())
        .collect();
    Some(format!(
        "{}: only requirements.txt is read by itself; write into the project file:\n[app]\ninstall = [[\"pip\", \"install\", \"-r\", {:?}]]",
        shown.join(", "),
        likely.display().to_string()
    ))
}

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
    let module = module(path);
    if content.contains("FastAPI(") {
        return format!(r#"run.web = ["uvicorn", "--uds", "{{socket}}", "{module}:app"]"#);
    }
    if content.contains("Flask(") {
        return format!("run.web = {}", gunicorn(&format!("{module}:app")));
    }
    format!(r#"run.web = ["python", "{module}.py"] if it listens on $PORT"#)
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
    let script = |name: &str| json.get("scripts")?.get(name)?.as_str().map(quote);
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
        let said = notes(&[("index.html", ""), ("procfile", "web: x")]);
        assert!(said.contains("procfile is not read"), "{said}");
        let said = notes(&[("index.html", ""), ("Procfile", "")]);
        assert!(said.contains("the Procfile names no process"), "{said}");
    }

    #[test]
    fn what_leads_nowhere_is_not_told() {
        for path in [
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
