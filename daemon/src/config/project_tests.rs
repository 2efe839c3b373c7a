use super::*;

fn read(more: &str) -> Result<Project, String> {
    let text = format!(
        "deploy_user = \"deploy\"\ndomain = \"x.localhost\"\n{more}\n[git]\nurl = \"/srv/x.git\"\n"
    );
    let parsed = parse(Path::new("x.toml"), &text);
    let project: Project = parsed.map_err(|error| error.to_string())?;
    let checked = project.check().map_err(|broken| broken.told(&text));
    checked.map(|()| project)
}

#[test]
fn who_asks_for_another_account_is_told_that_there_is_one_per_workspace() {
    for line in [
        "isolation = \"owner\"",
        "isolation = \"workspace\"",
        "run_user = \"runner\"",
    ] {
        let error = read(line).unwrap_err();
        for part in [
            "line 3",
            line,
            "account of its own",
            "[access]",
            "cictl shell",
        ] {
            assert!(error.contains(part), "{line}: {error}");
        }
    }
}

#[test]
fn a_key_among_the_people_that_is_no_address_is_named() {
    let said = |line: &str| read(&format!("[access.people]\n{line}")).unwrap_err();
    for (line, advice) in [
        ("group = \"devs\"", "belongs under [access]"),
        ("anna = \"anna\"", "\"ADDRESS\" = \"ACCOUNT\""),
        (
            "\"anna@exam ple.com\" = \"anna\"",
            "each label of the domain",
        ),
        ("\"anna.example.com\" = \"anna\"", "exactly one @"),
        ("anna.example = \"anna\"", "`anna` under [access.people]"),
    ] {
        let error = said(line);
        assert!(
            error.contains(advice) && error.contains("line 4"),
            "{line}: {error}"
        );
    }
}

#[test]
fn what_a_creation_would_trip_over_is_refused_with_its_line() {
    for (bad, rule) in [
        ("media = { path = \"/srv/my media\" }", "white space"),
        ("media = { path = \"/srv/100%\" }", "white space"),
        ("work_dir = \"/srv/cid:x\"", "no colon"),
        ("app = { env = \"/srv/a:b\" }", "no colon"),
        ("app = { health = { status = [2000] } }", "status code"),
        ("access = { group = \"\" }", "not the name of an account"),
        (
            "access = { people = { \"a@example.com\" = \"\" } }",
            "not the name of an account",
        ),
        (
            "files = [{ template = \"../x\", target = \"x\" }]",
            "inside the repository",
        ),
        (
            "files = [{ template = \"/a/../x\", target = \"x\" }]",
            "hold no ..",
        ),
        ("env = { A = \"\\u0000\" }", "not shown"),
        (
            "database = { kind = \"shared\", url = \"x\\u0000\" }",
            "not shown",
        ),
    ] {
        let error = read(bad).unwrap_err();
        assert!(
            error.contains(rule) && error.contains("line 3"),
            "{bad}: {error}"
        );
    }
}

#[test]
fn a_brace_that_stays_is_refused_with_its_line_and_without_the_value() {
    for (bad, key) in [
        ("env = { A = \"{}\" }", "env.A"),
        ("[env]\nTOKEN = \"hush{nmae}\"", "env.TOKEN"),
        ("[env]\nB = \"{{\"\nTOKEN = \"hush}\"", "env.TOKEN"),
        (
            "[app]\nrun.web = [\"x\", \"--bind={host}:{port}\"]",
            "app.run.web",
        ),
        ("[app.run]\nworker = [\"x\", \"{host}\"]", "app.run.worker"),
    ] {
        let error = read(bad).unwrap_err();
        let line = 2 + bad.lines().count();
        assert!(
            error.starts_with(&format!("line {line}, {key}: ")) && !error.contains("hush"),
            "{bad}: {error}"
        );
    }
    // What other programs read as variables cannot come out of a filled-in value either.
    let error = read("env = { A = \"x${{HOME}}\" }").unwrap_err();
    assert!(error.contains("python-dotenv"), "{error}");
    assert!(read("[env]\nA = \"a${name}\"\nB = \"{{}}\"").is_ok());
    let release = "[app]\nrelease = [[\"x\", \"{host}\", \"awk '{print}'\"]]";
    assert!(read(release).is_ok());
}

#[test]
fn secrets_are_hidden_filled_in_and_before_that_in_their_parts() {
    let project = read(
        "env = { A_KEY = \"abc{number}def{{\", B_KEY = \"hush-hush-{name}\", URL = \"redis://u:pass{number}word@h\" }",
    )
    .unwrap();
    let values = Values {
        url: String::new(),
        host: String::new(),
        name: "anna".into(),
        email: String::new(),
        port: None,
        socket: String::new(),
        number: Some(7),
        directory: String::new(),
    };
    let known = project.secrets(Some(&values));
    for secret in ["abc7def{", "hush-hush-anna", "pass7word"] {
        assert!(
            known.iter().any(|known| known == secret),
            "{secret}: {known:?}"
        );
    }
    let before = project.secrets(None);
    assert_eq!(before, ["hush-hush-"]);
}

#[test]
fn rules_over_several_keys_name_one_and_its_line() {
    let error = read("app.env = \"/e\"\napp.install = []").unwrap_err();
    assert!(
        error.starts_with("line 4, app.install: app.env and app.install exclude"),
        "{error}"
    );
    let text = "domain = \"x.localhost\"\n[git]\nurl = \"/x\"\nbranch = \"main/{name}\"\n";
    let project: Project = toml::from_str(text).unwrap();
    let told = project.check().unwrap_err().told(text);
    assert!(told.starts_with("line 4, git.branch: git cannot"), "{told}");
}

#[test]
fn the_file_of_a_shared_database_is_found() {
    let found = |url| sqlite_file(url).map(|path| path.display().to_string());
    let file = Some("/srv/pressa/db.sqlite3".to_owned());
    assert_eq!(found("sqlite:////srv/pressa/db.sqlite3"), file);
    assert_eq!(found("sqlite:////srv/pressa/db.sqlite3?timeout=20"), file);
    assert_eq!(found("sqlite:///db.sqlite3"), None);
    assert_eq!(found("postgres://localhost/pressa"), None);
}

#[test]
fn static_files_are_a_folder_of_their_own_at_a_url_of_their_own() {
    let of = |path: &str, url: &str| {
        let media = "[media]\npath = \"/srv/m\"\n";
        read(&format!(
            "{media}[nginx]\nstatic = {{ path = \"{path}\", url = \"{url}\" }}"
        ))
    };
    assert!(of("staticfiles", "/static/").is_ok());
    for (path, url, said) in [
        (".", "/static/", "would be public"),
        ("./.", "/static/", "would be public"),
        ("staticfiles", "/media/", "media.url is the same"),
    ] {
        let error = of(path, url).unwrap_err();
        assert!(error.contains(said), "{path} {url}: {error}");
    }
}

#[test]
fn what_says_more_of_another_key_needs_that_key() {
    let said = |app: &str| read(app).unwrap_err();
    let error = said("app.install_inputs = [\"a\"]");
    assert!(error.contains("there is no app.install"), "{error}");
    let error = said("app.skip = [\"x\"]\napp.run.web = [\"x\"]");
    assert!(error.contains("which app.run replaces"), "{error}");
    for (bad, why) in [
        ("3", "like 3.12"),
        ("2.7", "like 3.12"),
        ("three", "like 3.12"),
    ] {
        let error = said(&format!("app.python = {bad:?}"));
        assert!(error.contains(why), "{error}");
    }
    let good =
        "app.install = [[\"make\"]]\napp.install_inputs = [\"deps.txt\"]\napp.python = \"3.12\"";
    assert!(read(good).is_ok());
}
