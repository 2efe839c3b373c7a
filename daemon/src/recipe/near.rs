//! What would keep a workspace from answering, told by the repository's texts, with lines to paste.

use super::{
    Recipe, WEB,
    own::{is_set, refuses_host},
};
use crate::config::Project;
use cid_protocol::{
    request::{DjangoSettings, Inspection, Unset},
    run_file::ProcessCommand,
};

/// More names are counted.
const NAMES: usize = 8;

/// Something that is likely to go wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Near {
    /// What it is about, in a word.
    pub subject: &'static str,
    /// What goes wrong.
    pub message: String,
    /// What to write, and where.
    pub mend: String,
    /// The app does not answer without it, as far as its texts tell.
    pub is_fatal: bool,
}

/// All that is seen.
pub fn near_misses(project: &Project, inspection: &Inspection, recipe: &Recipe) -> Vec<Near> {
    let mut near: Vec<Near> = needed(project, inspection, recipe).into_iter().collect();
    if let Some((file, keys)) = &inspection.sample {
        let is_said = |key: &str| {
            near.iter()
                .any(|near| near.mend.contains(&format!("{key} = ")))
        };
        let unset: Vec<&str> = keys
            .iter()
            .map(String::as_str)
            .filter(|key| !is_set(project, key) && !recipe.own.contains_key(*key) && !is_said(key))
            .collect();
        if !unset.is_empty() {
            near.push(Near {
                subject: "env",
                message: format!("{file} names what nothing sets: {}", counted(&unset)),
                mend: format!("where the app needs them:\n{}", lines_of(&unset)),
                is_fatal: false,
            });
        }
    }
    if let Some(settings) = &inspection.settings {
        near.extend(of_django(project, settings, recipe));
    }
    near.extend(of_processes(recipe));
    near
}

/// Variables that the app does not start without.
fn needed(project: &Project, inspection: &Inspection, recipe: &Recipe) -> Option<Near> {
    let is_unset = |name: &str| !is_set(project, name) && !recipe.own.contains_key(name);
    let fails = inspection.reads.iter();
    let fails = fails.filter(|read| read.unset == Unset::Fails && is_unset(&read.name));
    let fails: Vec<_> = fails.collect();
    let path = fails.first()?.path.display();
    let names: Vec<&str> = fails.iter().map(|read| read.name.as_str()).collect();
    Some(Near {
        subject: "variables",
        message: format!("{path} needs what nothing sets: {}", counted(&names)),
        mend: format!("write into the project file:\n{}", lines_of(&names)),
        is_fatal: true,
    })
}

fn counted(names: &[&str]) -> String {
    let more = names.len().saturating_sub(NAMES);
    let shown = names[..names.len() - more].join(", ");
    match more {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// A table to paste.
fn lines_of(names: &[&str]) -> String {
    let line = |name: &&str| match *name {
        "DATABASE_URL" => {
            "DATABASE_URL = \"postgres://USER:PASSWORD@127.0.0.1/DATABASE\"".to_owned()
        }
        name if name.ends_with("REDIS_URL") || name.ends_with("BROKER_URL") => {
            format!("{name} = \"redis://127.0.0.1:6379/{{number}}\"")
        }
        name => format!("{name} = \"...\""),
    };
    let lines: Vec<String> = names.iter().take(NAMES).map(line).collect();
    format!("[env]\n{}", lines.join("\n"))
}

/// How to put settings over those that the project file chooses, with this line more.
fn over(settings: &DjangoSettings, project: &Project, line: &str) -> String {
    let target = project.app.dir().join("workspace_settings.py");
    let target = target.strip_prefix(".").unwrap_or(&target);
    format!(
        "read it from a variable there, or write into the project file:\n[env]\nDJANGO_SETTINGS_MODULE = \"workspace_settings\"\n\
         [[files]]\ntarget = {:?}\ntext = \"\"\"\nfrom {} import *\n{line}\n\"\"\"",
        target.display().to_string(),
        settings.module,
    )
}

fn of_django(project: &Project, settings: &DjangoSettings, recipe: &Recipe) -> Vec<Near> {
    let path = settings.path.display();
    let domain: &str = &project.domain;
    let mut near = Vec::new();
    let is_over = recipe.over.is_some();
    if !is_over && refuses_host(project, settings) {
        near.push(Near {
            subject: "ALLOWED_HOSTS",
            message: format!(
                "{path} answers to other host names alone: each page of a workspace would be 400"
            ),
            mend: over(
                settings,
                project,
                &format!("ALLOWED_HOSTS = [\".{domain}\"]"),
            ),
            is_fatal: true,
        });
    }
    if !is_over && settings.redirects_to_https && project.tls.is_none() {
        near.push(Near {
            subject: "SECURE_SSL_REDIRECT",
            message: format!("{path} leads to HTTPS, and the workspaces answer over HTTP alone"),
            mend: format!(
                "set [tls] in the project file; or {}",
                over(settings, project, "SECURE_SSL_REDIRECT = False")
            ),
            is_fatal: true,
        });
    }
    let collects = |command: &ProcessCommand| text(command).contains("collectstatic");
    let builds = recipe
        .build
        .iter()
        .any(|words| words.contains(&"collectstatic".to_owned()));
    let by_web = recipe.processes.get(WEB).is_some_and(collects);
    if settings.needs_manifest
        && !settings.is_debug
        && !builds
        && !by_web
        && !recipe.release.iter().any(collects)
    {
        near.push(Near {
            subject: "static files",
            message: format!("{path} wants a manifest of static files, and nothing collects them"),
            mend: "write into the project file:\n[app]\nrelease = [[\"python\", \"manage.py\", \"migrate\", \"--noinput\"], \
                   [\"python\", \"manage.py\", \"collectstatic\", \"--noinput\"]]"
                .to_owned(),
            is_fatal: true,
        });
    }
    near
}

/// What a Procfile says for another house.
fn of_processes(recipe: &Recipe) -> Vec<Near> {
    let mut near = Vec::new();
    for (name, command) in &recipe.processes {
        let line = text(command);
        if let Some((_, rest)) = line.split_once("heroku-php-") {
            let words = rest.split_whitespace().skip(1);
            let folder = words.filter(|word| !word.starts_with('-')).last();
            let folder = folder.unwrap_or(".").trim_end_matches('/');
            near.push(Near {
                subject: "processes",
                message: format!("`{line}` runs a program of Heroku's, which is not here"),
                mend: format!(
                    "write into the project file:\n[app]\nrun.{name} = [\"php\", \"-S\", \"127.0.0.1:{{port}}\", \"-t\", {folder:?}]"
                ),
                is_fatal: true,
            });
        }
    }
    near
}

fn text(command: &ProcessCommand) -> String {
    match command {
        ProcessCommand::Arguments(words) => words.join(" "),
        ProcessCommand::Shell(line) => line.clone(),
    }
}
