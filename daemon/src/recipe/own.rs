//! Variables that cid sets by itself, where the app's settings read them and nothing else sets them: what differs
//! from workspace to workspace, and what an app does not start without.

use crate::config::{EnvName, Project};
use cid_protocol::request::{DjangoSettings, Inspection, ReadVariable, Unset};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a variable is set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OwnValue {
    /// A random text that the workspace keeps.
    Secret,
    /// The host name in the workspace's address, and those of this machine, with commas between.
    Host,
    /// The host name alone.
    OneHost,
    /// Its address without the slash at the end.
    Origin,
    /// A SQLite file of its own.
    Database,
}

impl OwnValue {
    /// In words.
    pub fn told(self) -> &'static str {
        match self {
            Self::Secret => "a random text",
            Self::Host | Self::OneHost => "the host name",
            Self::Origin => "the address",
            Self::Database => "a SQLite file",
        }
    }
}

/// Keys that an app signs with. Those for services elsewhere are not made up.
const SECRETS: &[&str] = &[
    "SECRET_KEY",
    "DJANGO_SECRET_KEY",
    "DJANGO_SECRET",
    "FLASK_SECRET_KEY",
    "APP_SECRET_KEY",
    "APP_SECRET",
    "APP_KEY",
    "JWT_SECRET",
    "JWT_SECRET_KEY",
    "SESSION_SECRET",
    "SESSION_SECRET_KEY",
];

/// Where Django's lists of names and origins are read from. Other lists of hosts mean other things.
pub(super) const HOSTS: &[&str] = &["ALLOWED_HOSTS", "DJANGO_ALLOWED_HOSTS"];
pub(super) const HOSTS_OF_PLATFORMS: &[&str] = &[
    "ALLOWED_HOST",
    "DJANGO_ALLOWED_HOST",
    "RAILWAY_PUBLIC_DOMAIN",
    "RENDER_EXTERNAL_HOSTNAME",
];
pub(super) const ORIGINS: &[&str] = &["CSRF_TRUSTED_ORIGINS", "DJANGO_CSRF_TRUSTED_ORIGINS"];
/// Where an app reads its own address from. Many other apps' variables of these names mean something else: it must be
/// one of this machine that stands there for it.
const SITES: &[&str] = &["APP_URL", "BASE_URL", "PUBLIC_URL", "SITE_ROOT", "SITE_URL"];
const LOCAL_SITES: &[&str] = &["//localhost", "//127.0.0.1"];
/// How a line shows that it reads a list with spaces between, in lower case.
const SPACES: &[&str] = &["split()", "split(\" \")", "split(' ')"];
/// How a line shows that it reads a list with commas between, in lower case.
const COMMAS: &[&str] = &["split(\",\")", "split(',')", "csv()", "env.list(", ".list("];

/// Settings of Django's over the repository's own: lines that workspaces need, and no commit holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Over {
    /// The repository's, as a module.
    pub module: String,
    /// Lines of Python.
    pub lines: Vec<String>,
}

impl Over {
    /// The module that takes its place, a file in the app's folder.
    pub const MODULE: &str = "cid_settings";

    /// What the file says.
    pub fn text(&self) -> String {
        format!(
            "# Written by cid: the repository's own settings, and what workspaces need beside.\nfrom {} import *\n\n{}\n",
            self.module,
            self.lines.join("\n")
        )
    }
}

/// Where the repository's settings refuse each visitor of a workspace, and the operator has chosen none.
pub(super) fn over(project: &Project, inspection: &Inspection) -> Option<Over> {
    let settings = inspection.settings.as_ref()?;
    if settings.has_others || super::settings(project).is_some() {
        return None;
    }
    let mut lines = Vec::new();
    if refuses_host(project, settings) {
        lines.push(format!("ALLOWED_HOSTS = [\".{}\"]", &*project.domain));
    }
    if settings.redirects_to_https && project.tls.is_none() {
        lines.push("SECURE_SSL_REDIRECT = False".to_owned());
    }
    let module = settings.module.clone();
    (!lines.is_empty()).then_some(Over { module, lines })
}

/// Whether a list in the settings leaves the workspaces' host names out.
pub(super) fn refuses_host(project: &Project, settings: &DjangoSettings) -> bool {
    let domain: &str = &project.domain;
    let Some(hosts) = &settings.allowed_hosts else {
        return false;
    };
    let lets_in = |host: &String| {
        host == "*"
            || host
                .strip_prefix('.')
                .is_some_and(|rest| domain == rest || domain.ends_with(&format!(".{rest}")))
    };
    // In debug mode newer versions of Django answer to names below localhost without a list, older ones do not.
    !hosts.iter().any(lets_in)
}

/// Name -> what it is set to.
pub(super) fn own(project: &Project, inspection: &Inspection) -> BTreeMap<String, OwnValue> {
    let reads = inspection.reads.iter();
    let unset = reads.filter(|read| !is_set(project, &read.name));
    unset
        .filter_map(|read| Some((read.name.clone(), value(read)?)))
        .collect()
}

/// Whether the project file sets it, or cid in every project.
pub(super) fn is_set(project: &Project, name: &str) -> bool {
    const SET: &[&str] = &["PORT", "HOST", "SOCKET", "HOME", "PATH", "TMPDIR", "LANG"];
    let by_cid = SET.contains(&name) || name.starts_with("CID_");
    let by_operator = project
        .env
        .keys()
        .map(EnvName::as_str)
        .any(|key| key == name);
    let by_table = (name == "DATABASE_URL" && project.database.is_some())
        || (["MEDIA_ROOT", "MEDIA_URL"].contains(&name) && project.media.is_some());
    by_cid || by_operator || by_table
}

fn value(read: &ReadVariable) -> Option<OwnValue> {
    let name = read.name.as_str();
    let line = read.line.to_ascii_lowercase();
    // In JSON, or with spaces between, it would be written otherwise.
    let has = |marks: &[&str]| marks.iter().any(|mark| line.contains(mark));
    let (has_commas, has_spaces) = (has(COMMAS), has(SPACES));
    let is_hosts = HOSTS.contains(&name) || line.starts_with("allowed_hosts");
    match read.unset {
        _ if is_hosts && has_commas => Some(OwnValue::Host),
        _ if is_hosts && has_spaces => Some(OwnValue::OneHost),
        _ if ORIGINS.contains(&name) && (has_commas || has_spaces) => Some(OwnValue::Origin),
        _ if SITES.contains(&name) && has(LOCAL_SITES) => Some(OwnValue::Origin),
        Unset::Default => None,
        _ if HOSTS_OF_PLATFORMS.contains(&name) => Some(OwnValue::OneHost),
        _ if SECRETS.contains(&name) => Some(OwnValue::Secret),
        Unset::Fails if name == "DATABASE_URL" && !line.contains("postgres") => {
            Some(OwnValue::Database)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_app_needs_is_set_where_nothing_else_sets_it() {
        use Unset::{Default, Fails, Nothing};
        let of = |more: &str, name: &str, unset: Unset, line: &str| {
            let text = format!("domain = \"x.localhost\"\n[git]\nurl = \"/x.git\"\n{more}");
            let project: Project = toml::from_str(&text).unwrap();
            let inspection = Inspection {
                reads: vec![ReadVariable {
                    name: name.into(),
                    path: "settings.py".into(),
                    unset,
                    line: line.into(),
                }],
                ..Inspection::default()
            };
            own(&project, &inspection).get(name).copied()
        };
        let plain = |name, unset| of("", name, unset, "");
        assert_eq!(plain("SECRET_KEY", Fails), Some(OwnValue::Secret));
        assert_eq!(plain("DJANGO_SECRET_KEY", Nothing), Some(OwnValue::Secret));
        assert_eq!(plain("SECRET_KEY", Default), None);
        assert_eq!(plain("STRIPE_SECRET_KEY", Fails), None);
        let hosts = "os.getenv('DJANGO_ALLOWED_HOSTS', '*').split(',')";
        assert_eq!(
            of("", "DJANGO_ALLOWED_HOSTS", Default, hosts),
            Some(OwnValue::Host)
        );
        let origins = "env.list(\"CSRF_TRUSTED_ORIGINS\", default=[])";
        assert_eq!(
            of("", "CSRF_TRUSTED_ORIGINS", Default, origins),
            Some(OwnValue::Origin)
        );
        assert_eq!(plain("ALLOWED_HOSTS", Fails), None, "it may be JSON");
        assert_eq!(of("", "WEBHOOK_ALLOWED_HOSTS", Default, hosts), None);
        assert_eq!(plain("DATABASE_URL", Fails), Some(OwnValue::Database));
        assert_eq!(plain("DATABASE_URL", Nothing), None);
        assert_eq!(
            of("", "DATABASE_URL", Fails, "DATABASE_URL: PostgresDsn"),
            None
        );
        assert_eq!(
            of("", "ALLOWED_HOSTS", Fails, "json.loads(os.environ["),
            None
        );
        for (name, unset, line, expected) in [
            (
                "ALLOWED_HOSTS",
                Fails,
                "os.environ['ALLOWED_HOSTS'].split()",
                Some(OwnValue::OneHost),
            ),
            (
                "DJANGO_ALLOWED_HOSTS",
                Default,
                "os.environ.get('DJANGO_ALLOWED_HOSTS', 'localhost').split(' ')",
                Some(OwnValue::OneHost),
            ),
            (
                "MY_HOSTS",
                Default,
                "ALLOWED_HOSTS = os.getenv('MY_HOSTS', '').split(',')",
                Some(OwnValue::Host),
            ),
            (
                "RENDER_EXTERNAL_HOSTNAME",
                Nothing,
                "",
                Some(OwnValue::OneHost),
            ),
            (
                "SITE_ROOT",
                Default,
                "SITE_ROOT = os.getenv('SITE_ROOT', 'http://localhost:8000')",
                Some(OwnValue::Origin),
            ),
            (
                "SITE_ROOT",
                Default,
                "SITE_ROOT = os.getenv('SITE_ROOT', '/srv')",
                None,
            ),
            (
                "SEARCH_URL",
                Default,
                "os.getenv('SEARCH_URL', 'http://localhost:9200')",
                None,
            ),
        ] {
            assert_eq!(of("", name, unset, line), expected, "{name}: {line}");
        }
        let given = "[env]\nSECRET_KEY = \"x\"";
        assert_eq!(of(given, "SECRET_KEY", Fails, ""), None);
        let database = "[database]\nkind = \"shared\"\nurl = \"sqlite:////x\"";
        assert_eq!(of(database, "DATABASE_URL", Fails, ""), None);
    }
}
