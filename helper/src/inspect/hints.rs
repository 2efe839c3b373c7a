//! What works at home and not in a workspace, told by the repository's texts: variables that nothing sets, and
//! Django's settings. Nothing of the repository is run.

use super::{snapshot::Snapshot, text};
use cid_protocol::request::DjangoSettings;
use std::path::{Path, PathBuf};

/// Samples of the variables that an app wants.
const SAMPLES: &[&str] = &[
    ".env.example",
    ".env.sample",
    ".env.dist",
    ".env.template",
    "env.example",
    "sample.env",
];
/// More names say no more.
const MOST: usize = 40;

/// The sample that is there, and the names in it.
pub(super) fn sample(snapshot: &Snapshot<'_>) -> Option<(String, Vec<String>)> {
    let name = SAMPLES.iter().find(|name| snapshot.has(name))?;
    let content = snapshot.read(name).ok()??;
    let text = text::decode(&content, Path::new(name)).ok()?;
    Some(((*name).to_owned(), names(&text).take(MOST).collect()))
}

/// The names that a text in the form of `.env` sets.
pub(super) fn names(text: &str) -> impl Iterator<Item = String> {
    text.lines().filter_map(|line| {
        let line = line.trim();
        let line = line.strip_prefix("export ").unwrap_or(line);
        let (key, _) = line.split_once('=')?;
        let is_key = |c: char| c.is_ascii_alphanumeric() || c == '_';
        (!key.is_empty() && key.chars().all(is_key)).then(|| key.to_owned())
    })
}

/// The settings module that `manage.py` names.
pub(super) fn settings_module(snapshot: &Snapshot<'_>) -> Option<String> {
    let manage = snapshot.read("manage.py").ok()??;
    let manage = text::decode(&manage, Path::new("manage.py")).ok()?;
    let (_, rest) = manage.split_once("DJANGO_SETTINGS_MODULE")?;
    let is_module = |part: &&str| {
        part.contains('.')
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "._".contains(c))
    };
    let module = rest.split(['"', '\'']).find(is_module)?;
    Some(module.to_owned())
}

/// Whether a server loads other settings than `manage.py`: what is said over the one does not reach the other.
pub(super) fn has_other_settings(snapshot: &Snapshot<'_>, module: &str) -> bool {
    let package = module.split('.').next().unwrap_or_default();
    ["wsgi.py", "asgi.py"].iter().any(|name| {
        let path = Path::new(package).join(name);
        let Some(path) = path.to_str() else {
            return false;
        };
        let Ok(Some(text)) = snapshot.read(path) else {
            return false;
        };
        let text = String::from_utf8_lossy(&text);
        text.contains("DJANGO_SETTINGS_MODULE")
            && ![format!("\"{module}\""), format!("'{module}'")]
                .iter()
                .any(|own| text.contains(own))
    })
}

/// What a settings module's files say; what an earlier one says counts.
pub(super) fn django(files: &[(PathBuf, String)], module: &str) -> Option<DjangoSettings> {
    let (path, _) = files.first()?;
    let texts = || files.iter().map(|(_, text)| text.as_str());
    let value = |name: &str| texts().find_map(|text| value_of(text, name));
    let is_set = |text: &&str| value_of(text, "ALLOWED_HOSTS").is_some();
    let all: String = texts().collect();
    Some(DjangoSettings {
        allowed_hosts: texts()
            .find(is_set)
            .and_then(|text| literal_list(text, "ALLOWED_HOSTS")),
        is_debug: value("DEBUG") == Some("True"),
        redirects_to_https: value("SECURE_SSL_REDIRECT") == Some("True"),
        needs_manifest: all.contains("ManifestStaticFilesStorage")
            || all.contains("ManifestStorage"),
        has_static_root: all.contains("STATIC_ROOT"),
        path: path.clone(),
        module: module.to_owned(),
        has_others: false,
    })
}

/// What stands at the right of `NAME = ` in one line.
fn value_of<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.lines().rev().find_map(|line| {
        let rest = line.strip_prefix(name)?.trim_start().strip_prefix('=')?;
        Some(rest.split('#').next().unwrap_or_default().trim())
    })
}

/// The texts in a list that holds nothing else; `None`: it is computed, or there is none.
fn literal_list(text: &str, name: &str) -> Option<Vec<String>> {
    let begin = text.rfind(&format!("\n{name} = ["))?;
    let (_, rest) = text[begin..].split_once('[')?;
    let (list, after) = rest.split_once(']')?;
    if after.lines().next().is_some_and(|rest| rest.contains('+')) {
        return None;
    }
    let items = list.split(',').map(|item| {
        let item = item
            .lines()
            .map(|line| line.split('#').next().unwrap_or_default());
        item.collect::<String>().trim().to_owned()
    });
    let items = items.filter(|item| !item.is_empty());
    items
        .map(|item| {
            let inner = item.strip_prefix(['"', '\''])?.strip_suffix(['"', '\''])?;
            Some(inner.to_owned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_texts_are_read_and_computed_ones_are_not() {
        let of = |text: &str| literal_list(text, "ALLOWED_HOSTS");
        let list = |names: &[&str]| Some(names.iter().map(|&name| name.to_owned()).collect());
        assert_eq!(of("a\nALLOWED_HOSTS = []\n"), list(&[]));
        assert_eq!(
            of("\nALLOWED_HOSTS = [\n    'a.org',  # b\n    \"b.org\",\n]\n"),
            list(&["a.org", "b.org"])
        );
        assert_eq!(of("\nALLOWED_HOSTS = [env('X')]\n"), None);
        assert_eq!(of("\nALLOWED_HOSTS = ['a'] + more\n"), None);
        assert_eq!(of("\nALLOWED_HOSTS = env.list('X')\n"), None);
        assert_eq!(
            value_of("DEBUG = True # x\nDEBUG = False\n", "DEBUG"),
            Some("False")
        );
    }
}
