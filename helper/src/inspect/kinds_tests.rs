//! A fixture for each kind: what decides, what starts, what is built, and what another key is for.

use crate::inspect::{inspect, tests::repository};
use cid_protocol::{
    fault::Fault,
    request::{Dependencies, Given, Inspect, Inspection},
};

const FILE: u32 = 0o100_644;
const PYPROJECT: &str = "[project]\nname = \"x\"\ndependencies = [\"flask\"]\n";
const PACKAGE: &str =
    r#"{"scripts": {"start": "node x.js", "build": "x"}, "dependencies": {"x": "1"}}"#;

fn look(app_dir: &str, files: &[(&str, &str)]) -> Inspection {
    try_to_look(app_dir, files).unwrap()
}

fn try_to_look(app_dir: &str, files: &[(&str, &str)]) -> Result<Inspection, Fault> {
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
    inspect(&ask)
}

type Files = &'static [(&'static str, &'static str)];

/// The kind, its files, and how the command that starts it begins.
const FIXTURES: &[(Dependencies, Files, &str)] = &[
    (
        Dependencies::Poetry,
        &[
            (
                "pyproject.toml",
                "[tool.poetry]\npackage-mode = false\n[tool.poetry.dependencies]\nflask = \"*\"\n",
            ),
            ("poetry.lock", "[[package]]\nname = \"flask\"\n"),
            ("app.py", "app = Flask(__name__)"),
        ],
        "flask --app app run",
    ),
    (
        Dependencies::Pdm,
        &[
            ("pyproject.toml", PYPROJECT),
            ("pdm.lock", "[[package]]\nname = \"flask\"\n"),
            ("main.py", "FastAPI()"),
        ],
        "uvicorn --uds",
    ),
    (
        Dependencies::Pipenv,
        &[
            ("Pipfile", "[packages]\n"),
            ("Pipfile.lock", r#"{"default": {"flask": {}}}"#),
            ("wsgi.py", ""),
        ],
        "flask --app wsgi",
    ),
    (
        Dependencies::Bundler,
        &[
            ("Gemfile", "gem 'rack'\n"),
            ("Gemfile.lock", ""),
            ("config.ru", ""),
        ],
        "bundle exec rackup",
    ),
    (
        Dependencies::Composer,
        &[
            ("composer.json", "{}"),
            ("composer.lock", "{}"),
            ("public/index.php", ""),
        ],
        "php -S",
    ),
    (
        Dependencies::Go,
        &[("go.mod", "module x\n"), ("main.go", "")],
        "go run .",
    ),
    (
        Dependencies::Cargo,
        &[("Cargo.toml", "[package]\n"), ("src/main.rs", "")],
        "cargo run",
    ),
    (
        Dependencies::Pnpm,
        &[
            ("package.json", PACKAGE),
            ("pnpm-lock.yaml", "lockfileVersion: '9.0'\n"),
        ],
        "npm run start",
    ),
    (
        Dependencies::Yarn,
        &[
            ("package.json", PACKAGE),
            ("yarn.lock", "# yarn lockfile v1\n"),
        ],
        "npm run start",
    ),
    (
        Dependencies::YarnModern,
        &[
            ("package.json", PACKAGE),
            ("yarn.lock", "\n__metadata:\n  version: 8\n"),
        ],
        "npm run start",
    ),
    (
        Dependencies::Bun,
        &[("package.json", PACKAGE), ("bun.lock", "{}")],
        "npm run start",
    ),
    (
        Dependencies::Npm,
        &[("package.json", PACKAGE), ("package-lock.json", "{}")],
        "npm run start",
    ),
    (
        Dependencies::PackageJson,
        &[("package.json", PACKAGE)],
        "npm run start",
    ),
];

#[test]
fn each_kind_is_told_by_its_lock_and_keyed_by_it() {
    for (kind, files, start) in FIXTURES {
        let found = look(".", files);
        assert_eq!(found.dependencies, [*kind]);
        let command = found.start.unwrap_or_default().join(" ");
        assert!(command.starts_with(start), "{kind:?}: {command}");
        assert!(found.dependencies_key.is_some() && found.dependencies_key == found.base_key);
        assert!(found.nearby.is_empty(), "{kind:?}: {:?}", found.nearby);
        let row = super::kinds::kind(*kind).unwrap();
        assert!(found.found.iter().any(|file| file == row.file), "{kind:?}");
        // Code does not decide what is installed, the lock does.
        let with = |more: (&'static str, &'static str)| {
            let others = files.iter().filter(|(path, _)| *path != more.0);
            let files: Vec<_> = others.copied().chain([more]).collect();
            look(".", &files).dependencies_key
        };
        assert_eq!(
            with(("other/code", "x")),
            found.dependencies_key,
            "{kind:?}"
        );
        let lock = files.iter().find(|(path, _)| *path == row.file).unwrap();
        let changed: &'static str = match lock.1 {
            "{}" => "{\"a\": 1}",
            r#"{"default": {"flask": {}}}"# => r#"{"default": {"flask": {}, "b": {}}}"#,
            PACKAGE => r#"{"dependencies": {"y": "1"}}"#,
            text => format!("{text}\n\n").leak(),
        };
        assert_ne!(
            with((row.file, changed)),
            found.dependencies_key,
            "{kind:?}"
        );
    }
}

#[test]
fn the_nearer_lock_of_a_language_counts_and_one_above_is_found() {
    let members: &[(&str, &str)] = &[
        ("package.json", r#"{"workspaces": ["apps/*"]}"#),
        ("package-lock.json", "{}"),
        ("apps/web/package.json", PACKAGE),
        ("libs/x/package.json", "{}"),
    ];
    let found = look("apps/web", members);
    assert_eq!(found.dependencies, [Dependencies::Npm]);
    // What another member needs is installed as well.
    let other: Vec<_> = members
        .iter()
        .map(|(path, text)| match *path {
            "libs/x/package.json" => (*path, "{\"name\": \"x\"}"),
            path => (path, *text),
        })
        .collect();
    assert_ne!(
        look("apps/web", &other).dependencies_key,
        found.dependencies_key
    );
    let by_pnpm: &[(&str, &str)] = &[
        ("pnpm-workspace.yaml", "packages: [apps/*]"),
        ("pnpm-lock.yaml", ""),
        ("apps/web/package.json", PACKAGE),
    ];
    assert_eq!(look("apps/web", by_pnpm).dependencies, [Dependencies::Pnpm]);
    // A lock above that is for something else is not this app's.
    let apart: &[(&str, &str)] = &[
        ("package.json", "{}"),
        ("package-lock.json", "{}"),
        ("apps/web/package.json", PACKAGE),
    ];
    assert_eq!(
        look("apps/web", apart).dependencies,
        [Dependencies::PackageJson]
    );
}

#[test]
fn assets_are_built_beside_an_app_of_another_language() {
    let django = [("manage.py", ""), ("requirements.txt", "django")];
    let with = |package: &'static str| {
        let more = [("package.json", package), ("package-lock.json", "{}")];
        look(".", &[&django[..], &more[..]].concat())
    };
    let found = with(PACKAGE);
    assert_eq!(
        found.dependencies,
        [Dependencies::Requirements, Dependencies::Npm]
    );
    assert_eq!(found.build, [["npm", "run", "build"].map(str::to_owned)]);
    // Tools of its developers alone.
    let found = with(r#"{"scripts": {"lint": "x"}, "devDependencies": {"x": "1"}}"#);
    assert_eq!(found.dependencies, [Dependencies::Requirements]);
    assert!(found.build.is_empty());
}

#[test]
fn scripts_of_the_project_may_read_anything() {
    let with = |script: &str| {
        let package = format!(
            r#"{{"scripts": {{"postinstall": "{script}"}}, "dependencies": {{"x": "1"}}}}"#
        );
        let files = [
            ("package.json", &*package),
            ("package-lock.json", "{}"),
            ("schema", "1"),
        ];
        let other = [files[0], files[1], ("schema", "2")];
        let key = |files: &[(&str, &str)]| look(".", files).dependencies_key.unwrap();
        key(&files) == key(&other)
    };
    assert!(with("husky install"));
    assert!(!with("prisma generate"));
}

#[test]
fn a_folder_in_the_place_of_a_file_is_not_taken_for_none() {
    for name in ["requirements.txt", "package.json", "poetry.lock"] {
        let file = format!("{name}/base.txt");
        let fault = try_to_look(".", &[("app.py", "x"), (&file, "x")]).unwrap_err();
        let told = format!("cannot read {name} of the repository: it is no file");
        assert!(fault.message.contains(&told), "{fault}");
    }
}

#[test]
fn a_page_alone_is_served() {
    let found = look(".", &[("index.html", "<p>")]);
    assert!(found.start.unwrap().contains(&"http.server".to_owned()));
    let found = look(".", &[("index.html", "<p>"), ("Procfile", "web: x")]);
    assert_eq!(found.start, None);
}
