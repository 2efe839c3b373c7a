use super::*;
use std::sync::Arc;

fn read(more: &str) -> Result<Arc<Project>, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pressa.toml");
    let text = format!("domain = \"pressa.example.org\"\n[git]\nurl = \"/srv/x.git\"\n{more}");
    std::fs::write(&path, text).unwrap();
    let project = Project::load(&path).map_err(|error| error.to_string());
    project.map(Arc::new)
}

fn name(text: &str) -> Name {
    Name::of_stage(text).unwrap()
}

#[test]
fn a_stage_needs_nothing_but_its_name() {
    let project = read("[stages.test]\n[stages.production]\nafter = \"test\"\n").unwrap();
    let stage = project.stage(&name("production")).unwrap();
    assert_eq!((stage.promote, stage.keep.get()), (Promote::Manual, 5));
    assert_eq!(project.hosts_of(&name("test")), ["test.pressa.example.org"]);
}

#[test]
fn stages_stand_in_the_order_in_which_builds_go_through_them() {
    let tables = "[stages.live]\nafter = \"check\"\n[stages.check]\nafter = \"test\"\n[stages.demo]\n[stages.test]\n";
    let project = read(tables).unwrap();
    let names = project.stages_in_order();
    let names: Vec<_> = names.iter().map(|name| name.as_str()).collect();
    assert_eq!(names, ["demo", "test", "check", "live"]);
}

#[test]
fn what_cannot_be_is_told_with_its_line() {
    let a = "[stages.a]\n";
    for (more, line, rule) in [
        ("[stages.a]\nafter = \"b\"\n", 5, "there is no stage b"),
        ("[stages.a]\nafter = \"a\"\n", 5, "circle"),
        (
            "[stages.a]\nafter = \"b\"\n[stages.b]\nafter = \"a\"\n",
            5,
            "circle",
        ),
        (
            "[stages.a]\nafter = \"b\"\n[stages.b]\nafter = \"c\"\n[stages.c]\nafter = \"b\"\n",
            7,
            "circle",
        ),
        (
            "[stages.a]\nbranch = \"x\"\nafter = \"b\"\n[stages.b]\n",
            5,
            "leave one",
        ),
        (
            "[stages.a]\nhost = \"x.org\"\n[stages.b]\nhost = [\"y.org\", \"x.org\"]\n",
            7,
            "already",
        ),
        ("[stages.a]\nhost = [\"x.org\", \"x.org\"]\n", 5, "twice"),
        (
            "[stages.a]\nhost = \"b.pressa.example.org\"\n[stages.b]\n",
            5,
            "already",
        ),
        (
            "[stages.a]\nhost = \"anna---x.pressa.example.org\"\n",
            5,
            "workspace",
        ),
        ("[stages.a]\nhost = \"X.org\"\n", 5, "lower case"),
        ("[stages.a]\nhost = []\n", 5, "1 to 16"),
        ("[stages.a]\nkeep = 0\n", 5, "1 to 50"),
        ("[stages.a]\nkeep = 51\n", 5, "1 to 50"),
        ("[stages.a]\npromote = \"auto\"\n", 5, "leave it out"),
        (
            "[stages.a]\npromote = \"later\"\n",
            5,
            "expected `manual` or `auto`",
        ),
        (
            "[stages.b]\n[stages.a]\nafter = \"b\"\nsoak = \"5m\"\n",
            7,
            "promote = \"auto\"",
        ),
        ("[stages.a]\nsoak = \"2 days\"\n", 5, "a time"),
        ("[stages.a]\nbackup = [[\"pg_dump\"]]\n", 5, "{backup}"),
        ("[stages.a]\nsecrets_file = \"x\"\n", 5, "absolute"),
        (
            "[stages.a]\nenv = { A = \"{nmae}\" }\n",
            5,
            "belongs to no placeholder",
        ),
        ("[stages.a]\nenv = { CID_A = \"1\" }\n", 5, "in [env]"),
        ("[stages.a]\nafetr = \"b\"\n", 5, "afetr"),
        ("[stages.a--b]\n", 4, "not the name of a stage"),
        ("[stages.build-1]\n", 4, "not the name of a stage"),
        ("[stages.Test]\n", 4, "not the name of a stage"),
    ] {
        let told = read(more).unwrap_err();
        let at = format!("line {line}");
        assert!(told.contains(rule) && told.contains(&at), "{more}: {told}");
    }
    let many: String = (0..17).map(|n| format!("[stages.s{n}]\n")).collect();
    assert!(read(&many).unwrap_err().contains("at most 16"));
    assert!(read(a).is_ok());
}

#[test]
fn a_stage_answers_with_its_own_certificate_or_the_projects_where_that_is_for_its_names() {
    let own = "tls = { certificate = \"/c\", key = \"/k\" }\n";
    let stages = format!(
        "[stages.test]\n[stages.far]\nhost = [\"www.other.org\", \"far.pressa.example.org\"]\n\
         [stages.deep]\nhost = \"a.b.pressa.example.org\"\n[stages.own]\nhost = \"www.own.org\"\n{own}\
         [stages.near]\n{own}"
    );
    let project = read(&stages).unwrap();
    let of = |project: &Project, stage: &str| {
        let given = project.certificate_of(&name(stage));
        assert_eq!(given.is_some(), project.is_https(&name(stage)), "{stage}");
        given.map(|given| (given.name.key(), given.hosts.join(" ")))
    };
    let own_of = |stage: &str, host: &str| Some((format!("stages.{stage}.tls"), host.to_owned()));
    for stage in ["test", "far", "deep"] {
        assert_eq!(of(&project, stage), None, "{stage}");
    }
    assert_eq!(of(&project, "own"), own_of("own", "www.own.org"));
    let file = format!("{}{stages}", own.replace("/c", "/p"));
    let file = format!(
        "domain = \"pressa.example.org\"\n{}[git]\nurl = \"/srv/x.git\"\n{stages}",
        &file[..own.len()]
    );
    let project: Project = toml::from_str(&file).unwrap();
    let wildcard = ("tls".to_owned(), "*.pressa.example.org".to_owned());
    assert_eq!(of(&project, "test"), Some(wildcard));
    assert_eq!(of(&project, "far"), None);
    assert_eq!(of(&project, "deep"), None);
    assert_eq!(
        of(&project, "near"),
        own_of("near", "near.pressa.example.org")
    );
    assert_eq!(project.certificates().len(), 3);
}

#[test]
fn a_stage_has_its_own_variables_database_and_secrets() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secrets");
    cid_kernel::fs::write_atomic(&path, b"KEY=abc{def\nB=3\n", 0o600).unwrap();
    let project = read(&format!(
        "[env]\nA = \"1\"\nB = \"1\"\n[stages.test]\n[stages.production]\nenv = {{ B = \"2\" }}\n\
         secrets_file = \"{}\"\ndatabase = {{ kind = \"shared\", url = \"postgres://p\" }}\n",
        path.display()
    ))
    .unwrap();
    let of = |project: &Project| project.env_of_all().into_values().collect::<Vec<_>>();
    let production = name("production");
    assert_eq!(of(&project), ["1", "1"]);
    assert_eq!(
        of(&(*project).clone().for_environment(&name("test"))),
        ["1", "1"]
    );
    assert_eq!(
        of(&(*project).clone().for_environment(&production)),
        ["1", "2"]
    );
    let within = project.seen_within(&production).unwrap();
    assert_eq!(of(&within), ["1", "3", "abc{def"]);
    let secrets = within.secrets(None);
    for secret in ["postgres://p", "abc{def"] {
        assert!(secrets.contains(&secret.to_owned()), "{secret}");
    }
    cid_kernel::fs::write_atomic(&path, b"KEY=abcdef\n", 0o644).unwrap();
    assert!(project.seen_within(&production).is_err());
    assert!(project.seen_within(&name("test")).is_ok());
    let secrets = project.check_secrets();
    assert_eq!(secrets.len(), 1);
    assert_eq!(secrets[0].0, "stages.production.secrets_file");
    assert!(secrets[0].1.is_err());
}
