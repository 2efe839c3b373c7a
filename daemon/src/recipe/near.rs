//! What would keep a workspace from answering, told by the repository's texts, with lines to paste.

use super::{
    Environment, Recipe, WEB,
    own::{HOSTS, HOSTS_OF_PLATFORMS, ORIGINS, is_set, refuses_host},
};
use crate::config::Project;
use cid_protocol::{
    request::{DjangoSettings, Inspection, ReadVariable, SUBMODULES, Unset},
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
    near.extend(without_packages(inspection, recipe));
    near.extend(hosts_unset(project, inspection, recipe));
    near.extend(unfetched(inspection));
    near.extend(of_processes(recipe));
    near
}

/// An app of Django's without Django.
fn without_packages(inspection: &Inspection, recipe: &Recipe) -> Option<Near> {
    let has_none = inspection.django && recipe.environment == Environment::None;
    has_none.then(|| Near {
        subject: "packages",
        message: "no packages are installed, not even Django: no file in `dir` of [app] or above it that cid reads declares any"
            .to_owned(),
        mend: "write into the project file what installs them, such as\n[app]\ninstall = [[\"pip\", \"install\", \"-r\", \"FILE\"]]"
            .to_owned(),
        is_fatal: true,
    })
}

/// Lists of Django's that a variable fills which nothing sets, in a way that cid cannot tell.
fn hosts_unset(project: &Project, inspection: &Inspection, recipe: &Recipe) -> Option<Near> {
    let is_unset = |read: &&ReadVariable| {
        let name = &read.name;
        let is_all = ["'*'", "\"*\""].iter().any(|all| read.line.contains(all));
        let is_list = HOSTS.contains(&name.as_str()) || ORIGINS.contains(&name.as_str());
        // What fails is named with all that the app does not start without.
        let fails = read.unset == Unset::Fails;
        is_list && !is_all && !fails && !is_set(project, name) && !recipe.own.contains_key(name)
    };
    let unset: Vec<&ReadVariable> = inspection.reads.iter().filter(is_unset).collect();
    let path = unset.first()?.path.display();
    let names: Vec<&str> = unset.iter().map(|read| read.name.as_str()).collect();
    let is_json = unset.iter().any(|read| read.line.contains("json"));
    let lines = match is_json {
        true => lines_of(&names).replace("\"{host}\"", "'[\"{host}\"]'"),
        false => lines_of(&names),
    };
    Some(Near {
        subject: "ALLOWED_HOSTS",
        message: format!(
            "{path} reads what nothing sets: {}: pages of a workspace may be 400 or 403",
            counted(&names)
        ),
        mend: format!("write into the project file:\n{lines}"),
        is_fatal: true,
    })
}

/// Submodules, which stay empty: what is imported or read from there is missing.
fn unfetched(inspection: &Inspection) -> Option<Near> {
    let first = inspection.submodules.first()?;
    let shown: Vec<&str> = inspection.submodules.iter().map(String::as_str).collect();
    Some(Near {
        subject: "submodules",
        message: format!(
            "{SUBMODULES}{} stays empty: what the app imports or reads from there is missing",
            counted(&shown)
        ),
        mend: format!(
            "have its files in the repository itself (git rm {first}, and git subtree add --prefix {first} URL BRANCH); or install it as \
             a package from its own address:\n[app]\ninstall = [[\"pip\", \"install\", \"-r\", \"requirements.txt\", \"git+https://...\"]]"
        ),
        is_fatal: true,
    })
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
        name if HOSTS.contains(&name) || HOSTS_OF_PLATFORMS.contains(&name) => {
            format!("{name} = \"{{host}}\"")
        }
        name if ORIGINS.contains(&name) => format!("{name} = \"{{origin}}\""),
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
        if name == WEB
            && let Some(port) = fixed_port(&line)
        {
            near.push(Near {
                subject: "processes",
                message: format!(
                    "`{line}` listens on port {port}, whichever the workspace's is: no two of them would run"
                ),
                mend: format!(
                    "write into the project file:\n[app]\nrun.{name} = {}",
                    on_any_port(&line, port)
                ),
                is_fatal: true,
            });
        }
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

/// The port that a line names in place of the workspace's.
fn fixed_port(line: &str) -> Option<&str> {
    const NAMED: &[&str] = &["PORT", "SOCKET", "{port}", "{socket}", "unix:"];
    if NAMED.iter().any(|named| line.contains(named)) {
        return None;
    }
    let is_port = |word: &&str| word.len() >= 4 && word.parse::<u16>().is_ok();
    let words: Vec<&str> = line.split_whitespace().collect();
    let after_option = words.windows(2).filter_map(|pair| {
        ["-p", "--port", "-port"]
            .contains(&pair[0])
            .then_some(pair[1])
    });
    let in_word = words.iter().filter_map(|word| {
        let begin = [
            "--port=",
            "-p",
            "0.0.0.0:",
            "127.0.0.1:",
            "localhost:",
            "[::]:",
        ];
        let bind = word.trim_start_matches("--bind=").trim_start_matches("-b");
        begin.iter().find_map(|begin| bind.strip_prefix(begin))
    });
    after_option.chain(in_word).find(is_port)
}

/// The same as the project file's words, on the workspace's port.
fn on_any_port(line: &str, port: &str) -> String {
    // It takes a shell, or quotes that would have to be read as one does.
    if line.contains(['|', '&', ';', '>', '<', '$', '\'', '"', '`', '\\', '{', '}']) {
        return format!("[\"sh\", \"-c\", \"... with $PORT in place of {port}\"]");
    }
    let words = line.split_whitespace();
    let words: Vec<String> = words
        .map(|word| {
            format!(
                "{:?}",
                word.replace(port, "{port}").replace("0.0.0.0", "127.0.0.1")
            )
        })
        .collect();
    format!("[{}]", words.join(", "))
}

fn text(command: &ProcessCommand) -> String {
    match command {
        ProcessCommand::Arguments(words) => words.join(" "),
        ProcessCommand::Shell(line) => line.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_of_its_own_is_told_from_the_workspaces() {
        for (line, port) in [
            (
                "daphne -b 0.0.0.0 -p 8000 config.asgi:application",
                Some("8000"),
            ),
            ("gunicorn --bind 0.0.0.0:8000 app.wsgi", Some("8000")),
            ("gunicorn --bind=127.0.0.1:8000 app.wsgi", Some("8000")),
            ("python manage.py runserver 0.0.0.0:8000", Some("8000")),
            ("uvicorn app:app --port=8080", Some("8080")),
            ("gunicorn -b :$PORT app.wsgi", None),
            ("gunicorn -b unix:{socket} app.wsgi", None),
            ("gunicorn -w 4 app.wsgi --timeout 1200", None),
            ("celery -A app worker -p 99", None),
        ] {
            assert_eq!(fixed_port(line), port, "{line}");
        }
        let daphne = "daphne -b 0.0.0.0 -p 8000 config.asgi:application";
        assert_eq!(
            on_any_port(daphne, "8000"),
            r#"["daphne", "-b", "127.0.0.1", "-p", "{port}", "config.asgi:application"]"#
        );
        let shell = on_any_port("a && b -p 8000", "8000");
        assert!(shell.starts_with("[\"sh\", \"-c\""), "{shell}");
    }

    fn near(more: &str, inspection: &Inspection) -> Vec<Near> {
        let text = format!("domain = \"x.localhost\"\n[git]\nurl = \"/x.git\"\n{more}");
        let project: Project = toml::from_str(&text).unwrap();
        let recipe = Recipe::new(&project, inspection).unwrap();
        near_misses(&project, inspection, &recipe)
    }

    #[test]
    fn lists_of_hosts_that_nothing_fills_are_named_with_lines() {
        let of = |line: &str, unset: Unset, more: &str| {
            let inspection = Inspection {
                processes: vec![("web".into(), "serve $PORT".into())],
                reads: vec![ReadVariable {
                    name: "ALLOWED_HOSTS".into(),
                    path: "settings.py".into(),
                    unset,
                    line: line.into(),
                }],
                ..Inspection::default()
            };
            near(more, &inspection).pop().map(|near| near.mend)
        };
        let paste = "[env]\nALLOWED_HOSTS = \"{host}\"";
        for unset in [Unset::Nothing, Unset::Default, Unset::Fails] {
            let mend = of("hosts(os.getenv('ALLOWED_HOSTS'))", unset, "").unwrap();
            assert!(mend.ends_with(paste), "{mend}");
        }
        let mend = of("json.loads(os.getenv('ALLOWED_HOSTS'))", Unset::Nothing, "").unwrap();
        assert!(mend.ends_with("ALLOWED_HOSTS = '[\"{host}\"]'"), "{mend}");
        let all = "hosts(os.getenv('ALLOWED_HOSTS', '*'))";
        assert_eq!(of(all, Unset::Default, ""), None);
        assert_eq!(of("x", Unset::Nothing, paste), None);
    }

    #[test]
    fn empty_submodules_are_a_likely_cause() {
        let inspection = Inspection {
            django: true,
            submodules: vec!["libs/theme".into()],
            ..Inspection::default()
        };
        let found = near("", &inspection);
        let fatal = found.iter().filter(|one| one.is_fatal);
        let messages: Vec<String> = fatal.map(|one| one.message.clone()).collect();
        assert!(
            messages[0].starts_with("no packages are installed"),
            "{messages:?}"
        );
        assert!(
            messages[1].contains("libs/theme stays empty"),
            "{messages:?}"
        );
        // What is installed is another matter.
        let ready = near("[app]\nenv = \"/srv/venv\"", &inspection);
        assert_eq!(ready.len(), 1);
    }

    #[test]
    fn settings_to_paste_name_their_module_where_a_server_loads_others() {
        let inspection = Inspection {
            django: true,
            settings: Some(DjangoSettings {
                module: "config.settings.local".into(),
                has_others: true,
                allowed_hosts: Some(Vec::new()),
                ..DjangoSettings::default()
            }),
            ..Inspection::default()
        };
        let found = near("", &inspection);
        let mend = &found
            .iter()
            .find(|one| one.subject == "ALLOWED_HOSTS")
            .unwrap()
            .mend;
        assert!(
            mend.contains("from config.settings.local import *"),
            "{mend}"
        );
    }
}
