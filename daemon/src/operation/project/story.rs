//! What a workspace of a project would be made of and run: said before one is made.

use super::check::{Item, Severity, item};
use crate::{
    config::{DatabaseKind, Project},
    recipe::{Environment, Recipe, WEB},
};
use cid_protocol::{
    request::{DjangoSettings, Inspection},
    run_file::ProcessCommand,
};

/// Names that cid sets itself.
const SET: &[&str] = &["PORT", "HOST", "SOCKET", "HOME", "PATH", "TMPDIR", "LANG"];
/// More names are counted.
const NAMES: usize = 8;

/// A line for each part.
pub(super) fn story(project: &Project, inspection: &Inspection, recipe: &Recipe) -> Vec<Item> {
    let name = project.name.as_str();
    let said = |subject: &str, message: String| item(Severity::Ok, name, subject, message, "");
    let mut items = vec![said("packages", packages(project, inspection, recipe))];
    let lines = |commands: &[String]| commands.join(", then ");
    let build: Vec<String> = recipe
        .build
        .iter()
        .map(|words| shown(&words.join(" ")))
        .collect();
    if !build.is_empty() {
        items.push(said("build", lines(&build)));
    }
    let release: Vec<String> = recipe.release.iter().map(command).collect();
    let nothing = match project.database.as_ref().map(|database| &database.kind) {
        Some(DatabaseKind::Shared) if project.app.release.is_none() => {
            "nothing: the database is shared, and `release` in [app] says nothing"
        }
        _ => "nothing",
    };
    items.push(said(
        "release",
        match release.is_empty() {
            true => nothing.to_owned(),
            false => lines(&release),
        },
    ));
    for (kind, process) in &recipe.processes {
        let place = match (kind == WEB, recipe.web_on_socket) {
            (true, true) => ", on its socket",
            (true, false) => ", on its port ($PORT)",
            (false, _) => "",
        };
        items.push(said(
            &format!("process {kind}"),
            format!("{}{place}", command(process)),
        ));
    }
    if recipe.has_web() {
        let health = &project.app.health;
        let status = match health.status.is_empty() {
            true => "200 to 299 or 401".to_owned(),
            false => format!("{:?}", health.status),
        };
        let seconds = health.timeout.as_secs();
        let page = health.path.as_str();
        items.push(said(
            "health",
            format!("{page} must answer with {status} within {seconds} s"),
        ));
    }
    let near = near_misses(project, inspection, recipe).into_iter();
    items.extend(
        near.map(|(subject, message, hint)| item(Severity::Warning, name, subject, message, &hint)),
    );
    items
}

fn packages(project: &Project, inspection: &Inspection, recipe: &Recipe) -> String {
    let shared = match &recipe.environment {
        Environment::None => return "none: no file declares any".to_owned(),
        Environment::Ready(path) => return format!("those in {}", path.display()),
        Environment::Shared { .. } => "once for all workspaces",
        Environment::Own { .. } => "in each workspace",
    };
    match &project.app.install {
        Some(commands) => {
            let commands = commands
                .iter()
                .map(|command| shown(&command.words().join(" ")));
            let commands: Vec<String> = commands.collect();
            format!("{}, {shared}", commands.join(", then "))
        }
        None => format!("from {}, {shared}", inspection.declared_in.join(" and ")),
    }
}

fn command(command: &ProcessCommand) -> String {
    match command {
        ProcessCommand::Arguments(words) => shown(&words.join(" ")),
        ProcessCommand::Shell(line) => shown(line),
    }
}

fn shown(command: &str) -> String {
    format!("`{command}`")
}

type Near = (&'static str, String, String);

fn near_misses(project: &Project, inspection: &Inspection, recipe: &Recipe) -> Vec<Near> {
    let mut near = Vec::new();
    if let Some((file, keys)) = &inspection.sample {
        let is_set = |key: &str| {
            let by_cid = SET.contains(&key) || key.starts_with("CID_");
            let by_operator = project.env.keys().any(|name| name.as_str() == key);
            let by_table = (key == "DATABASE_URL" && project.database.is_some())
                || (key.starts_with("MEDIA_") && project.media.is_some());
            by_cid || by_operator || by_table
        };
        let unset: Vec<&str> = keys
            .iter()
            .map(String::as_str)
            .filter(|key| !is_set(key))
            .collect();
        if !unset.is_empty() {
            let more = unset.len().saturating_sub(NAMES);
            let mut names = unset[..unset.len() - more].join(", ");
            if more > 0 {
                names.push_str(&format!(" and {more} more"));
            }
            let lines: Vec<String> = unset
                .iter()
                .take(NAMES)
                .map(|key| format!("{key} = \"...\""))
                .collect();
            near.push((
                "env",
                format!("{file} names what nothing sets: {names}"),
                format!(
                    "where the app needs them, under [env]: {}",
                    lines.join("; ")
                ),
            ));
        }
    }
    if let Some(settings) = &inspection.settings {
        near.extend(of_django(project, settings, recipe));
    }
    near
}

fn of_django(project: &Project, settings: &DjangoSettings, recipe: &Recipe) -> Vec<Near> {
    let path = settings.path.display();
    let domain: &str = &project.domain;
    let mut near = Vec::new();
    if let Some(hosts) = &settings.allowed_hosts {
        let lets_in = |host: &String| {
            host == "*"
                || host
                    .strip_prefix('.')
                    .is_some_and(|rest| domain == rest || domain.ends_with(&format!(".{rest}")))
        };
        // Without a list, Django in debug mode answers to names below localhost.
        let by_debug = hosts.is_empty() && settings.is_debug && domain.ends_with("localhost");
        if !by_debug && !hosts.iter().any(lets_in) {
            near.push((
                "ALLOWED_HOSTS",
                format!("{path} answers to other host names alone: each page of a workspace would be 400"),
                format!("add \".{domain}\" to ALLOWED_HOSTS in it, or read it from a variable"),
            ));
        }
    }
    if settings.redirects_to_https && project.tls.is_none() {
        near.push((
            "SECURE_SSL_REDIRECT",
            format!("{path} leads to HTTPS, and the workspaces answer over HTTP alone"),
            "set [tls] in the project file, or SECURE_SSL_REDIRECT = False for workspaces"
                .to_owned(),
        ));
    }
    let collects = |command: &ProcessCommand| self::command(command).contains("collectstatic");
    let builds = recipe
        .build
        .iter()
        .any(|words| words.contains(&"collectstatic".to_owned()));
    if settings.needs_manifest
        && !settings.is_debug
        && !builds
        && !recipe.release.iter().any(collects)
    {
        near.push((
            "static files",
            format!("{path} wants a manifest of static files, and nothing collects them"),
            "in [app]: release = [[\"python\", \"manage.py\", \"migrate\", \"--noinput\"], [\"python\", \"manage.py\", \"collectstatic\", \"--noinput\"]]".to_owned(),
        ));
    }
    near
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(more: &str) -> Project {
        let text = format!("domain = \"x.example.org\"\n[git]\nurl = \"/x.git\"\n{more}");
        toml::from_str(&text).unwrap()
    }

    fn told(more: &str, inspection: &Inspection) -> Vec<(String, String)> {
        let project = project(more);
        let recipe = Recipe::new(&project, inspection).unwrap();
        let items = story(&project, inspection, &recipe).into_iter();
        items
            .map(|item| {
                let subject = item
                    .subject
                    .split(": ")
                    .nth(1)
                    .unwrap_or_default()
                    .to_owned();
                (subject, item.message)
            })
            .collect()
    }

    fn subjects(more: &str, inspection: &Inspection) -> Vec<String> {
        told(more, inspection)
            .into_iter()
            .map(|(subject, _)| subject)
            .collect()
    }

    fn django(settings: DjangoSettings) -> Inspection {
        Inspection {
            django: true,
            settings: Some(settings),
            ..Inspection::default()
        }
    }

    #[test]
    fn each_part_has_a_line() {
        let inspection = Inspection {
            processes: vec![
                ("web".into(), "x $SOCKET".into()),
                ("worker".into(), "y".into()),
            ],
            release: Some("migrate".into()),
            build: vec![vec!["npm".into(), "run".into(), "build".into()]],
            ..Inspection::default()
        };
        let told = told("", &inspection);
        let subjects: Vec<&str> = told.iter().map(|(subject, _)| subject.as_str()).collect();
        assert_eq!(
            subjects,
            [
                "packages",
                "build",
                "release",
                "process web",
                "process worker",
                "health"
            ]
        );
        assert_eq!(told[1].1, "`npm run build`");
        assert_eq!(told[3].1, "`x $SOCKET`, on its socket");
        assert!(told[5].1.contains("within 60 s"), "{}", told[5].1);
    }

    #[test]
    fn what_will_not_answer_is_said_before() {
        let hosts = |hosts: Option<&[&str]>| {
            let hosts = hosts.map(|hosts| hosts.iter().map(|&host| host.to_owned()).collect());
            django(DjangoSettings {
                allowed_hosts: hosts,
                ..DjangoSettings::default()
            })
        };
        let refused = |inspection: &Inspection| {
            subjects("", inspection).contains(&"ALLOWED_HOSTS".to_owned())
        };
        for good in [&["*"][..], &[".example.org"], &[".x.example.org", "a"]] {
            assert!(!refused(&hosts(Some(good))), "{good:?}");
        }
        assert!(!refused(&hosts(None)), "it is computed");
        for bad in [&[][..], &["www.example.org"], &[".ample.org"]] {
            assert!(refused(&hosts(Some(bad))), "{bad:?}");
        }
        let more = django(DjangoSettings {
            redirects_to_https: true,
            needs_manifest: true,
            ..DjangoSettings::default()
        });
        let near = subjects("", &more);
        assert!(
            near.contains(&"SECURE_SSL_REDIRECT".to_owned())
                && near.contains(&"static files".to_owned())
        );
        let near = subjects(
            "[app]\nrelease = [[\"python\", \"manage.py\", \"collectstatic\"]]",
            &more,
        );
        assert!(!near.contains(&"static files".to_owned()));
    }

    #[test]
    fn variables_that_nothing_sets_are_named() {
        let inspection = Inspection {
            django: true,
            sample: Some((
                ".env.example".into(),
                ["PORT", "SECRET_KEY", "DEBUG"].map(str::to_owned).into(),
            )),
            ..Inspection::default()
        };
        let of = |more: &str| {
            let told = told(more, &inspection);
            told.into_iter()
                .find(|(subject, _)| subject == "env")
                .map(|(_, message)| message)
        };
        assert_eq!(
            of("").unwrap(),
            ".env.example names what nothing sets: SECRET_KEY, DEBUG"
        );
        assert_eq!(of("[env]\nSECRET_KEY = \"x\"\nDEBUG = \"1\""), None);
    }
}
