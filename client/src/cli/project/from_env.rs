//! A project file from the `.env` of the prototype that cid replaces.

use super::{
    app_folder, dotenv,
    values::{RULE, domain, invalid, is_name, quoted, repository},
};
use cid_client::Error;
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::{Component, Path},
};

/// Every key that the prototype knew.
const KNOWN: &[&str] = &[
    "WORK_DIR",
    "GIT_URL",
    "DOMAIN",
    "NGINX_PATH",
    "MEDIA_PATH",
    "PROJECT_PATH",
    "DB_PATH",
    "ENV_PATH",
    "FRONTEND_PATH",
];

/// What the command line says.
pub(super) struct Given<'a> {
    /// `None`: what the repository is called.
    pub(super) name: Option<&'a str>,
    pub(super) url: Option<&'a str>,
    pub(super) domain: Option<&'a str>,
    pub(super) base: &'a str,
}

/// The project's name, and its file for what a `.env` says.
///
/// # Errors
/// It cannot be read; repository or domain are missing or not usable; the repository's name is no
/// project's and no other is given.
pub(super) fn project_file(file: &Path, given: &Given<'_>) -> Result<(String, String), Error> {
    let at = file.display();
    let text = std::fs::read_to_string(file)
        .map_err(|error| invalid(format!("cannot read {at}: {error}")))?;
    let values = dotenv::parse(&text).map_err(|why| invalid(format!("cannot read {at}: {why}")))?;
    render(&values, given).map_err(|error| Error {
        message: format!("{at}: {}", error.message),
        ..error
    })
}

fn render(values: &BTreeMap<String, String>, given: &Given<'_>) -> Result<(String, String), Error> {
    let env = Env(values);
    env.refuse_expansion()?;
    let url = repository(env.given_or("GIT_URL", given.url, "--url")?)?;
    let domain = domain(env.given_or("DOMAIN", given.domain, "--domain")?)?;
    let name = match given.name {
        Some(name) => name,
        None => name_of(&url)?,
    };
    let mut out = format!(
        "# The project {name}, made from the prototype's .env: look at what is marked CHANGE, put it at\n\
         # /etc/cid/projects.d/{name}.toml (in a sandbox: DIR/etc/projects.d/{name}.toml), then run\n\
         # `systemctl reload cid` (not in a sandbox) and `cictl project check {name}`.\n\n\
         # DOMAIN: workspaces answer at <name>.{domain}.\n\
         domain = {}\n\
         # CHANGE: the account that speaks to the git server, with keys of its own. The prototype did that\n\
         # as root.\n\
         deploy_user = \"deploy\"\n",
        quoted(&domain)
    );
    for part in [work_dir(&env), nginx_path(&env)] {
        out.push_str(&part);
    }
    let _ = write!(
        out,
        "\n[git]\n# GIT_URL\nurl = {}\nbase = {}    # new branches start here\n",
        quoted(&url),
        quoted(given.base)
    );
    for part in [
        app(&env, &url),
        database(&env),
        media(&env),
        frontend(&env),
        others(values),
    ] {
        out.push_str(&part);
    }
    Ok((name.to_owned(), out))
}

/// What a repository is called: the end of its URL without `.git`.
fn name_of(url: &str) -> Result<&str, Error> {
    let name = end_of(url);
    if is_name(name) {
        return Ok(name);
    }
    let message = format!(
        "cannot call the project {name:?}, as its repository is called: a project's name {RULE}"
    );
    Err(invalid(message).with_hint("give one: cictl project init NAME --from-env FILE"))
}

/// The folder that a clone of it would be in.
fn end_of(url: &str) -> &str {
    let end = url.trim_end_matches('/');
    let end = end.rsplit(['/', ':']).next().unwrap_or(end);
    end.strip_suffix(".git").unwrap_or(end)
}

struct Env<'a>(&'a BTreeMap<String, String>);

impl Env<'_> {
    /// A value that is there and says something.
    fn get(&self, key: &str) -> Option<&str> {
        self.0
            .get(key)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    fn given_or<'a>(
        &'a self,
        key: &str,
        given: Option<&'a str>,
        option: &str,
    ) -> Result<&'a str, Error> {
        given.or(self.get(key)).ok_or_else(|| {
            invalid(format!("it has no {key}")).with_hint(format!("say it with {option}"))
        })
    }

    fn refuse_expansion(&self) -> Result<(), Error> {
        match KNOWN
            .iter()
            .find(|key| self.get(key).is_some_and(|value| value.contains('$')))
        {
            None => Ok(()),
            Some(key) => Err(
                invalid(format!("{key} holds a $, and variables are not filled in"))
                    .with_hint("write the value out in a copy of the file"),
            ),
        }
    }

    /// A key whose value is a path from the root: a part of the file for it, or a comment that says why
    /// not.
    fn path(&self, key: &str, part: impl FnOnce(&str) -> String) -> String {
        match self.get(key) {
            None => String::new(),
            Some(path) if is_usable(path) => part(path.trim_end_matches('/')),
            Some(path) => format!(
                "\n# {key} was {}: not a plain path from the root, so nothing is made of it.\n",
                quoted(path)
            ),
        }
    }
}

fn is_usable(path: &str) -> bool {
    path.len() > 1
        && path.starts_with('/')
        && !Path::new(path)
            .components()
            .any(|part| part == Component::ParentDir)
        && path
            .chars()
            .all(|c| c.is_alphanumeric() || "/._-+@,:=~".contains(c))
}

fn work_dir(env: &Env<'_>) -> String {
    env.path("WORK_DIR", |path| {
        format!(
            "# WORK_DIR: workspaces are {path}/<name>. A folder of its own is better than the prototype's: what\n\
             # is in there and not cid's shows in `cictl doctor`. On a server a place outside of /srv/cid needs\n\
             # a drop-in, and one below /home does not work: leave the line out for /srv/cid/PROJECT.\n\
             work_dir = {}\n",
            quoted(path)
        )
    })
}

fn nginx_path(env: &Env<'_>) -> String {
    match env.get("NGINX_PATH") {
        None => String::new(),
        Some(_) => "# NGINX_PATH is not needed any more: cid keeps its sites in a folder of its own, which nginx\n\
                    # includes. Remove the prototype's files there, or their names are answered twice.\n"
            .into(),
    }
}

fn app(env: &Env<'_>, url: &str) -> String {
    let mut lines = String::new();
    if let Some(path) = env.get("PROJECT_PATH") {
        lines.push_str(&app_folder::lines(path, end_of(url)));
    }
    lines.push_str(&env.path("ENV_PATH", environment));
    match lines.is_empty() {
        true => lines,
        false => format!("\n[app]\n{}", lines.trim_start_matches('\n')),
    }
}

/// A folder of programs, a program in it, or a file of settings: by its name, as it may be on another
/// machine.
fn environment(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or_default();
    if name == ".env" || name.ends_with(".env") {
        return "# ENV_PATH led to a file of settings: what the app needs of it belongs under [env] below. Every\n\
                # workspace gets its own .env from there.\n"
            .into();
    }
    let folder = match path.rsplit_once("/bin/") {
        Some((folder, program)) if !program.contains('/') => folder,
        _ => path.strip_suffix("/bin").unwrap_or(path),
    };
    if folder.is_empty() {
        return format!(
            "# CHANGE: ENV_PATH was {}, the machine's own programs and no environment: cid installs what the\n\
             # repository declares.\n",
            quoted(path)
        );
    }
    format!(
        "# ENV_PATH: one ready environment for all workspaces. Without this line cid installs what the\n\
         # repository declares, which is better: a branch may then change it.\n\
         env = {}\n",
        quoted(folder)
    )
}

fn database(env: &Env<'_>) -> String {
    env.path("DB_PATH", |path| {
        format!(
            "\n# DB_PATH: one SQLite file for all workspaces, as DATABASE_URL. Without this table each workspace\n\
             # has the app's own default. Migrations do not run unasked on what is shared: see app.release.\n\
             # On a server its folder must be writable for the group cid-PROJECT.\n\
             [database]\nkind = \"shared\"\nurl = {}\n",
            quoted(&format!("sqlite:///{path}"))
        )
    })
}

fn media(env: &Env<'_>) -> String {
    env.path("MEDIA_PATH", |path| {
        format!(
            "\n# MEDIA_PATH: linked into each tree and served by nginx. CHANGE, if the app has its media elsewhere.\n\
             [media]\npath = {}\nlink = \"media\"\nurl = \"/media/\"\n",
            quoted(path)
        )
    })
}

fn frontend(env: &Env<'_>) -> String {
    env.path("FRONTEND_PATH", |path| {
        let name = path.rsplit('/').next().unwrap_or_default();
        format!(
            "\n# FRONTEND_PATH: linked into each tree. CHANGE the target: where in the repository the app looks for\n\
             # it.\n\
             [[links]]\nsource = {}\ntarget = {}\n",
            quoted(path),
            quoted(name)
        )
    })
}

/// Keys alone: their values may be secrets.
fn others(values: &BTreeMap<String, String>) -> String {
    let others: Vec<&str> = values
        .keys()
        .map(String::as_str)
        .filter(|key| !KNOWN.contains(key))
        .collect();
    let mut text = String::from(
        "\n# Given to every command and process, and written to each workspace's .env.\n[env]\n",
    );
    if !others.is_empty() {
        text.push_str("# Not taken over, as they were not the prototype's own settings. What the app needs, put here:\n");
        for key in others {
            let _ = writeln!(text, "# {key} = \"...\"");
        }
    }
    text
}

#[cfg(test)]
#[path = "from_env_tests.rs"]
mod tests;
