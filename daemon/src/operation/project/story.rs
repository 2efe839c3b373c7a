//! What a workspace of a project would be made of and run: said before one is made.

use super::check::{Item, Severity, item};
use crate::{
    config::{DatabaseKind, Project},
    recipe::{Environment, Recipe, Templated, WEB, near_misses, templated},
};
use cid_protocol::{request::Inspection, run_file::ProcessCommand};

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
    if let Some(why) = templated(project, recipe) {
        let why = match why {
            Templated::ByItself => "by itself",
            Templated::Asked => "as `template` in [app] says",
        };
        items.push(said(
            "template",
            format!("{why}: what these make for a commit of the base branch is copied into new workspaces"),
        ));
    }
    let migrates = |one: &ProcessCommand| command(one).contains("manage.py migrate");
    if templated(project, recipe).is_none()
        && project.app.template.is_none()
        && project.database.is_none()
        && recipe.release.iter().any(migrates)
    {
        items.push(said(
            "template",
            "none, so each new workspace runs these: where they do the same in each, `template = true` in [app] has \
             it made once for a commit of the base branch"
                .to_owned(),
        ));
    }
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
    if !recipe.own.is_empty() {
        let own = recipe.own.iter();
        let own: Vec<String> = own
            .map(|(name, value)| format!("{name} ({})", value.told()))
            .collect();
        items.push(said("variables", format!("set by cid: {}", own.join(", "))));
    }
    if let Some(over) = &recipe.over {
        let lines = over.lines.join(", ");
        items.push(said(
            "settings",
            format!("those of {}, and over them {lines}", over.module),
        ));
    }
    let warned = |subject: &str, message: String, mend: &str| {
        item(Severity::Warning, name, subject, message, mend)
    };
    if !recipe.has_web() {
        items.push(warned(
            "process web",
            "the app has no such process: workspaces get no site".to_owned(),
            "where the app answers requests, call that process web",
        ));
    }
    let is_line = |skipped: &str| inspection.processes.iter().any(|(name, _)| name == skipped);
    for skipped in &project.app.skip {
        if !is_line(skipped.as_str()) {
            items.push(warned(
                "app.skip",
                format!("no process of the Procfile is called {}", skipped.as_str()),
                "take it out",
            ));
        }
    }
    let near = near_misses(project, inspection, recipe).into_iter();
    items.extend(near.map(|near| {
        item(
            Severity::Warning,
            name,
            near.subject,
            near.message,
            &near.mend,
        )
    }));
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

#[cfg(test)]
mod tests {
    use super::*;
    use cid_protocol::request::{DjangoSettings, ReadVariable, Unset};

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
                module: "x.settings".into(),
                allowed_hosts: hosts,
                ..DjangoSettings::default()
            })
        };
        let chosen = "[env]\nDJANGO_SETTINGS_MODULE = \"x\"";
        let refused = |inspection: &Inspection| {
            let by_itself = subjects("", inspection);
            assert!(!by_itself.contains(&"ALLOWED_HOSTS".to_owned()));
            let is_mended = by_itself.contains(&"settings".to_owned());
            let is_told = subjects(chosen, inspection).contains(&"ALLOWED_HOSTS".to_owned());
            assert_eq!(is_mended, is_told);
            is_told
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
        let near = subjects(chosen, &more);
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
    fn what_the_settings_do_not_start_without_is_set_or_named_with_lines_to_paste() {
        let read = |name: &str| ReadVariable {
            name: name.into(),
            path: "config.py".into(),
            unset: Unset::Fails,
            line: String::new(),
        };
        let inspection = Inspection {
            processes: vec![("web".into(), "heroku-php-apache2 -C x public/".into())],
            reads: ["SECRET_KEY", "CELERY_BROKER_URL", "MAIL"].map(read).into(),
            settings: Some(DjangoSettings {
                path: "shop/settings.py".into(),
                module: "shop.settings".into(),
                allowed_hosts: Some(vec!["a".into()]),
                ..DjangoSettings::default()
            }),
            ..Inspection::default()
        };
        let file =
            "[app]\ndir = \"web\"\n[env]\nMAIL = \"x\"\nDJANGO_SETTINGS_MODULE = \"shop.settings\"";
        let project = project(file);
        let recipe = Recipe::new(&project, &inspection).unwrap();
        let items = story(&project, &inspection, &recipe);
        let of = |subject: &str| {
            let is_it = |item: &&Item| item.subject.ends_with(&format!(": {subject}"));
            let mut found = items.iter().filter(is_it);
            let item = found.next_back().unwrap();
            (item.message.clone(), item.hint.clone())
        };
        let mend = |subject: &str| of(subject).1;
        let set = items
            .iter()
            .find(|item| item.message.starts_with("set by cid"));
        assert_eq!(
            set.unwrap().message,
            "set by cid: SECRET_KEY (a random text)"
        );
        assert!(
            of("variables")
                .0
                .ends_with("nothing sets: CELERY_BROKER_URL")
        );
        let paste = "[env]\nCELERY_BROKER_URL = \"redis://127.0.0.1:6379/{number}\"";
        assert!(mend("variables").ends_with(paste), "{}", mend("variables"));
        let php = "[\"php\", \"-S\", \"127.0.0.1:{port}\", \"-t\", \"public\"]";
        assert!(mend("processes").contains(php), "{}", mend("processes"));
        // What is to be pasted is a project file's own words.
        let (_, lines) = {
            let mend = mend("ALLOWED_HOSTS");
            let (before, after) = mend.split_once("project file:\n").unwrap();
            (before.to_owned(), after.to_owned())
        };
        let pasted = self::project(&lines);
        assert_eq!(
            *pasted.files[0].target,
            *std::path::Path::new("web/workspace_settings.py")
        );
        let text = pasted.files[0].text.as_deref().unwrap();
        assert!(
            text.contains("from shop.settings import *") && text.contains("[\".x.example.org\"]")
        );
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

    #[test]
    fn what_gets_no_site_and_what_skip_does_not_meet_is_a_warning() {
        let inspection = Inspection {
            processes: vec![
                ("web".into(), "serve".into()),
                ("worker".into(), "work".into()),
            ],
            ..Inspection::default()
        };
        let odd = |more: &str| {
            let told = subjects(more, &inspection);
            let odd = ["process web", "app.skip"]
                .map(|subject| told.iter().filter(|told| *told == subject).count());
            (odd[0], odd[1])
        };
        // The process itself is told by the same subject.
        assert_eq!(odd("[app]\nskip = [\"worker\"]"), (1, 0));
        assert_eq!(odd("[app]\nskip = [\"nosuch\"]"), (1, 1));
        assert!(
            told("[app.run]\nworker = [\"work\"]", &inspection)
                .iter()
                .any(|(_, message)| message.contains("get no site"))
        );
    }
}
