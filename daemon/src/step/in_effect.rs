//! What has changed since a workspace's processes were set up and a restart does not apply.

use super::TREE;
use crate::{
    config::{EnvName, Project, Values},
    domain::Workspace,
};
use cid_protocol::{
    request::{Dependencies, LookAtTree},
    run_file::{MadeFrom, RunFile},
};
use std::collections::{BTreeMap, BTreeSet};

/// Variables that cid may set.
const OWN: [&str; 10] = [
    "PORT",
    "HOST",
    "SOCKET",
    "DATABASE_URL",
    "MEDIA_ROOT",
    "MEDIA_URL",
    "HOME",
    "TMPDIR",
    "VIRTUAL_ENV",
    "PATH",
];
/// Defaults that `[env]` may replace.
const DEFAULTS: [&str; 2] = ["LANG", "PYTHONUNBUFFERED"];
/// More names are counted.
const NAMES: usize = 5;

/// The look at a workspace's tree that tells what has changed in it.
pub(crate) fn look_at(
    workspace: &Workspace,
    project: &Project,
    run_file: Option<&RunFile>,
) -> LookAtTree {
    let snapshot = run_file.and_then(|run_file| run_file.made_from.snapshot.clone());
    LookAtTree {
        tree: workspace.directory.join(TREE),
        commit: snapshot.or(workspace.commit.clone()),
        branch: workspace.branch.clone(),
        dir: project.app.dir().to_owned(),
    }
}

/// What the processes of a workspace do not have yet: files of its tree (`changed`, as a look at it
/// reports) and keys of its project's file. Empty: everything is in effect. No value is shown. `values` fill in
/// the file's placeholders.
pub(crate) fn not_in_effect(
    project: &Project,
    values: &Values,
    run_file: &RunFile,
    changed: &[String],
) -> Vec<String> {
    let app = &project.app;
    let counts = |name: &&String| match name.as_str() {
        "Procfile" => app.run.is_empty() || app.release.is_none(),
        _ => app.env.is_none(),
    };
    let mut stale: Vec<String> = changed.iter().filter(counts).cloned().collect();
    stale.extend(keys(project, &run_file.made_from));
    let values = given_to(values, run_file);
    let env = project.env_of(&values);
    let names = variables(project, &env, run_file);
    if !names.is_empty() {
        let more = names.len().saturating_sub(NAMES);
        let mut shown = names[..names.len() - more].join(", ");
        if more > 0 {
            shown.push_str(&format!(" and {more} more"));
        }
        stale.push(format!("[env] {shown}"));
    }
    let given = |name: &str| run_file.env.get(name);
    let database = project.database.as_ref().map(|database| &database.url);
    if database.is_some() && given("DATABASE_URL") != database {
        stale.push("database.url".to_owned());
    }
    let has_media = project.media.is_some();
    let media = project.media_env(&values);
    if has_media
        && [given("MEDIA_ROOT"), given("MEDIA_URL")] != media.each_ref().map(Option::as_ref)
    {
        stale.push("[media]".to_owned());
    }
    let limits = run_file.run_as.as_ref().map(|run_as| &run_as.limits);
    if limits.is_some_and(|limits| *limits != app_limits(project)) {
        stale.push("[limits] app".to_owned());
    }
    stale
}

/// Keys that are new, other or gone.
fn keys(project: &Project, made_from: &MadeFrom) -> Vec<String> {
    let (now, then) = (&project.keys, &made_from.keys);
    let names: BTreeSet<&String> = now.keys().chain(then.keys()).collect();
    let differs = names
        .into_iter()
        .filter(|name| now.get(*name) != then.get(*name));
    differs.cloned().collect()
}

fn app_limits(project: &Project) -> cid_protocol::run_file::Limits {
    project.limits.app.of_app()
}

/// A workspace without a web process has lost its address; port and socket are another instance's by and by.
fn given_to(values: &Values, run_file: &RunFile) -> Values {
    let url = run_file.env.get("CID_URL");
    let port = run_file.env.get("PORT").and_then(|port| port.parse().ok());
    let socket = run_file.env.get("SOCKET");
    Values {
        url: url.unwrap_or(&values.url).clone(),
        socket: socket.unwrap_or(&values.socket).clone(),
        port: port.or(values.port),
        ..values.clone()
    }
}

/// Whether cid sets this variable itself, whatever `[env]` says.
pub(crate) fn is_cids_own(project: &Project, name: &str) -> bool {
    match name {
        "PORT" | "HOST" | "SOCKET" => true,
        "DATABASE_URL" => project.database.is_some(),
        "MEDIA_ROOT" | "MEDIA_URL" => project.media.is_some(),
        _ => false,
    }
}

/// Names in `[env]` whose value differs from the processes' value, and names removed from it. Not among `env`:
/// what needs a number that the workspace does not have yet.
fn variables<'a>(
    project: &'a Project,
    env: &BTreeMap<String, String>,
    run_file: &'a RunFile,
) -> Vec<&'a str> {
    let names: Vec<&str> = project.env.keys().map(EnvName::as_str).collect();
    let is_same = |name: &str| {
        let wanted = env.get(name);
        wanted.is_some() && run_file.env.get(name) == wanted
    };
    let of_packages = Dependencies::BESIDE.map(|(_, variable)| variable);
    let gone = run_file
        .env
        .keys()
        .map(String::as_str)
        .filter(|name| !OWN.contains(name) && !DEFAULTS.contains(name) && !name.starts_with("CID_"))
        .filter(|name| !names.contains(name))
        .filter(|name| !of_packages.contains(name) && !run_file.made_from.own.contains(*name));
    let differs = names.iter().copied();
    differs
        .filter(|name| !is_cids_own(project, name) && !is_same(name))
        .chain(gone)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(more: &str) -> Project {
        let text = format!("domain = \"x.localhost\"\n[git]\nurl = \"/x.git\"\n{more}");
        toml::from_str(&text).unwrap()
    }

    fn run_file(env: &[(&str, &str)]) -> RunFile {
        let all = [
            ("PATH", "/bin"),
            ("PORT", "1"),
            ("LANG", "C.UTF-8"),
            ("CID_UNIT", "x.y"),
        ];
        let env = all
            .iter()
            .chain(env)
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        RunFile {
            unit: "x.y".into(),
            dir: "/x".into(),
            env: env.collect(),
            processes: Default::default(),
            web_socket: None,
            pid_dir: "/x".into(),
            made_from: Default::default(),
            network: Default::default(),
            run_as: None,
        }
    }

    fn values() -> Values {
        Values {
            url: String::new(),
            host: "anna.x.localhost".into(),
            name: "anna".into(),
            email: "anna@example.com".into(),
            port: None,
            socket: "/w/anna/run/web.sock".into(),
            number: Some(3),
            directory: "/w/anna".into(),
        }
    }

    #[test]
    fn placeholders_are_filled_in_before_they_are_compared() {
        let file = "[env]\nQ = \"q{number}\"\nU = \"{url}|{port}\"\nJ = \"{{}}\"\n";
        let project = project(file);
        // The address is the processes' own: without a web process the ledger has none any more.
        let env = [
            ("Q", "q3"),
            ("U", "http://anna.x.localhost/|1"),
            ("J", "{}"),
            ("CID_URL", "http://anna.x.localhost/"),
        ];
        let told = |values: &Values| not_in_effect(&project, values, &run_file(&env), &[]);
        assert_eq!(told(&values()), [""; 0]);
        for number in [None, Some(4)] {
            let values = Values { number, ..values() };
            assert_eq!(told(&values), ["[env] Q"]);
        }
    }

    #[test]
    fn names_variables_that_are_new_other_or_gone_and_no_value() {
        let project = project("[env]\nA = \"1\"\nB = \"secret\"\nPORT = \"7\"\nLANG = \"C\"\n");
        let told = |env: &[(&str, &str)]| not_in_effect(&project, &values(), &run_file(env), &[]);
        let all = [("A", "1"), ("B", "secret"), ("LANG", "C")];
        assert_eq!(told(&all), [""; 0]);
        assert_eq!(
            told(&[("A", "0"), ("C", "3"), ("LANG", "C")]),
            ["[env] A, B, C"]
        );
        // What cid set by itself, and where packages lie.
        let mut made = run_file(&[("BUNDLE_PATH", "/p"), ("SECRET_KEY", "x")]);
        made.made_from.own.insert("SECRET_KEY".into());
        let nothing = self::project("");
        assert_eq!(not_in_effect(&nothing, &values(), &made, &[]), [""; 0]);
        let many = "[env]\n".to_owned()
            + &(1..9)
                .map(|n| format!("V{n} = \"x\"\n"))
                .collect::<String>();
        let told = not_in_effect(&self::project(&many), &values(), &run_file(&[]), &[]);
        assert_eq!(told, ["[env] V1, V2, V3, V4, V5 and 3 more"]);
    }

    #[test]
    fn keys_that_are_new_other_or_gone_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("shop.toml");
        let load = |more: &str| {
            let file = format!("domain = \"x.localhost\"\n[git]\nurl = \"/x.git\"\n{more}");
            std::fs::write(&path, file).unwrap();
            Project::load(&path).unwrap_or_else(|error| panic!("{error}"))
        };
        let app = "[app]\nrun.web = [\"a\"]\nrelease = [[\"b\"]]\n";
        let mut made = run_file(&[]);
        made.made_from.keys = load(app).keys;
        let told = |more: &str| not_in_effect(&load(more), &values(), &made, &[]);
        assert_eq!(told(app), [""; 0]);
        // Order and comments mean nothing, and health is asked by the present file.
        let same = "[app] # x\nrelease = [ [\"b\"] ]\nhealth = { path = \"/up\" }\n[app.run]\nweb = [\"a\"]\n";
        assert_eq!(told(same), [""; 0]);
        let files = "[[files]]\ntemplate = \"a\"\ntarget = \"b\"\n";
        let other = format!("[app]\nrun.web = [\"c\"]\ninstall = [[\"d\"]]\n{files}");
        assert_eq!(
            told(&other),
            ["[[files]]", "[app] install", "[app] release", "[app] run"]
        );
    }

    #[test]
    fn files_count_where_they_are_read() {
        let changed = ["Procfile", "uv.lock"].map(str::to_owned);
        let told = |more: &str| not_in_effect(&project(more), &values(), &run_file(&[]), &changed);
        assert_eq!(told(""), ["Procfile", "uv.lock"]);
        assert_eq!(told("[app]\nenv = \"/venv\"\n"), ["Procfile"]);
        assert_eq!(
            told("[app]\nrelease = []\nrun.web = [\"x\"]\n"),
            ["uv.lock"]
        );
        // Its release line is read.
        assert_eq!(told("[app]\nrun.web = [\"x\"]\n"), ["Procfile", "uv.lock"]);
    }

    #[test]
    fn shared_things_of_the_project_count() {
        let project = project(
            "[database]\nkind = \"shared\"\nurl = \"sqlite:////new\"\n[media]\npath = \"/m\"\n",
        );
        let old = [
            ("DATABASE_URL", "sqlite:////old"),
            ("MEDIA_ROOT", "/m"),
            ("MEDIA_URL", "/media/"),
        ];
        assert_eq!(
            not_in_effect(&project, &values(), &run_file(&old), &[]),
            ["database.url"]
        );
        let moved = [
            ("DATABASE_URL", "sqlite:////new"),
            ("MEDIA_ROOT", "/n"),
            ("MEDIA_URL", "/media/"),
        ];
        assert_eq!(
            not_in_effect(&project, &values(), &run_file(&moved), &[]),
            ["[media]"]
        );
    }
}
