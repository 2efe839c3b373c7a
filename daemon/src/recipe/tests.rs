//! Tests of what is installed, released and run.

use super::*;
use cid_protocol::request::DjangoSettings;

fn project(app: &str) -> Project {
    toml::from_str(&format!(
        "domain = \"x.localhost\"\n[git]\nurl = \"/srv/x.git\"\n{app}"
    ))
    .unwrap()
}

fn found() -> Inspection {
    Inspection {
        processes: vec![("web".into(), "gunicorn -b 127.0.0.1:$PORT x.wsgi".into())],
        release: Some("python manage.py migrate".into()),
        dependencies: vec![Dependencies::Requirements],
        dependencies_key: Some("k".into()),
        base_key: Some("k".into()),
        django: true,
        ..Inspection::default()
    }
}

#[test]
fn the_repository_fills_in() {
    let recipe = Recipe::new(&project(""), &found()).unwrap();
    assert!(
        matches!(&recipe.processes[WEB], ProcessCommand::Shell(line) if line.contains("$PORT"))
    );
    assert_eq!(recipe.release.len(), 1);
    assert!(matches!(recipe.environment, Environment::Shared { .. }));
}

#[test]
fn the_operators_word_wins() {
    let app =
        "[app]\nrelease = []\nrun.web = [\"x\", \"--socket\", \"{socket}\"]\nenv = \"/srv/venv\"";
    let recipe = Recipe::new(&project(app), &found()).unwrap();
    assert!(recipe.web_on_socket && recipe.release.is_empty());
    assert_eq!(recipe.environment, Environment::Ready("/srv/venv".into()));
}

#[test]
fn another_lock_file_means_an_own_environment() {
    let inspection = Inspection {
        dependencies_key: Some("other".into()),
        ..found()
    };
    let recipe = Recipe::new(&project(""), &inspection).unwrap();
    assert!(matches!(recipe.environment, Environment::Own { .. }));
}

#[test]
fn what_a_variable_says_may_decide_what_is_installed() {
    let key = |env: &str| match Recipe::new(&project(env), &found()).unwrap().environment {
        Environment::Shared { key, .. } => key,
        other => panic!("{other:?}"),
    };
    let one = key("[env]\nTOKEN = \"one-secret\"");
    assert_eq!(key(""), "k");
    assert_eq!(key("[env]\nTOKEN = \"one-secret\""), one);
    assert_ne!(key("[env]\nTOKEN = \"another\""), one);
    assert!(!one.contains("secret"));
}

#[test]
fn a_shared_database_is_not_migrated_unasked() {
    let database = "[database]\nkind = \"shared\"\nurl = \"sqlite:////srv/x.db\"";
    assert!(
        Recipe::new(&project(database), &found())
            .unwrap()
            .release
            .is_empty()
    );
}

#[test]
fn a_tool_that_is_missing_is_told_before_anything_is_made() {
    let inspection = Inspection {
        missing: Some(("cannot find composer".into(), "apt install composer".into())),
        ..found()
    };
    let refused = |app: &str| Recipe::new(&project(app), &inspection).is_err();
    assert!(refused(""));
    // The operator's own way does not need it.
    assert!(!refused("[app]\ninstall = []") && !refused("[app]\nenv = \"/srv/venv\""));
}

#[test]
fn nothing_to_run_says_what_there_is_instead() {
    let line = "shop/manage.py: dir = \"shop\"";
    let inspection = Inspection {
        nearby: vec![line.into()],
        ..Inspection::default()
    };
    let fault = Recipe::new(&project(""), &inspection).unwrap_err();
    assert!(fault.message.contains("no manage.py"), "{fault}");
    assert!(fault.hint.unwrap().contains(line));
    let fault = Recipe::new(&project(""), &Inspection::default()).unwrap_err();
    assert!(!fault.hint.unwrap().contains("the repository has"));
}

#[test]
fn static_files_are_collected_where_pages_need_a_manifest_of_them() {
    let inspection = |processes: Vec<(String, String)>, is_debug| Inspection {
        settings: Some(DjangoSettings {
            needs_manifest: true,
            has_static_root: true,
            is_debug,
            ..DjangoSettings::default()
        }),
        processes,
        ..found()
    };
    let builds = |app: &str, inspection: &Inspection| {
        let recipe = Recipe::new(&project(app), inspection).unwrap();
        recipe.build.iter().any(|words| words[2] == "collectstatic")
    };
    assert!(builds("", &inspection(found().processes, false)));
    assert!(!builds("", &inspection(found().processes, true)));
    assert!(!builds(
        "[app]\nbuild = []",
        &inspection(found().processes, false)
    ));
    let line = "./manage.py collectstatic && gunicorn x".to_owned();
    assert!(!builds("", &inspection(vec![("web".into(), line)], false)));
}

#[test]
fn django_alone_is_enough() {
    let inspection = Inspection {
        django: true,
        ..Inspection::default()
    };
    let recipe = Recipe::new(&project(""), &inspection).unwrap();
    assert!(
        matches!(&recipe.processes[WEB], ProcessCommand::Arguments(words) if words[2] == "runserver")
    );
}

#[test]
fn what_cid_chooses_listens_on_the_socket_where_nginx_reaches_it() {
    let inspection = Inspection {
        wsgi_module: Some("x.wsgi".into()),
        gunicorn: true,
        ..Inspection::default()
    };
    let fastapi = ["uvicorn", "--uds", "{socket}", "main:app"].map(str::to_owned);
    let other = Inspection {
        start: Some(fastapi.into()),
        ..Inspection::default()
    };
    let web = |recipe: &Recipe| match &recipe.processes[WEB] {
        ProcessCommand::Arguments(words) => words.join(" "),
        ProcessCommand::Shell(line) => line.clone(),
    };
    for (inspection, on_socket, on_port) in [
        (
            inspection,
            "gunicorn --bind unix:{socket} x.wsgi",
            "gunicorn --bind 127.0.0.1:{port} x.wsgi",
        ),
        (
            other,
            "uvicorn --uds {socket} main:app",
            "uvicorn --host 127.0.0.1 --port {port} main:app",
        ),
    ] {
        let recipe = Recipe::new(&project(""), &inspection).unwrap();
        assert!(recipe.web_on_socket);
        assert_eq!(web(&recipe), on_socket);
        let recipe = recipe.on_port(&project(""), &inspection);
        assert!(!recipe.web_on_socket);
        assert_eq!(web(&recipe), on_port);
    }
    // The operator's own word stays.
    let app = project("[app]\nrun.web = [\"x\", \"{socket}\"]");
    let recipe = Recipe::new(&app, &found()).unwrap();
    assert!(recipe.on_port(&app, &found()).web_on_socket);
}

#[test]
fn the_node_that_is_asked_for_is_in_the_key() {
    let key = |app: &str, range: Option<&str>| {
        let inspection = Inspection {
            node: Some(WantedNode {
                range: range.map(str::to_owned),
                place: ".nvmrc".into(),
                is_given: false,
            }),
            ..found()
        };
        match Recipe::new(&project(app), &inspection).unwrap().environment {
            Environment::Shared { key, .. } => key,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(key("", None), "k");
    assert_eq!(key("", Some("22")), key("", Some("22")));
    assert_ne!(key("", Some("22")), key("", Some("20")));
    let given = "[app]\nnode = \"22\"";
    assert_eq!(
        key(given, Some("20")),
        key("", Some("22")),
        "it replaces the repository's"
    );
    let python = "[app]\npython = \"3.12\"";
    assert_ne!(key(python, None), key("", Some("3.12")));
}
