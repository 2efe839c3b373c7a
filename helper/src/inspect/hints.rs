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
    let keys = text.lines().filter_map(|line| {
        let line = line.trim();
        let line = line.strip_prefix("export ").unwrap_or(line);
        let (key, _) = line.split_once('=')?;
        let is_key = |c: char| c.is_ascii_alphanumeric() || c == '_';
        (!key.is_empty() && key.chars().all(is_key)).then(|| key.to_owned())
    });
    Some(((*name).to_owned(), keys.take(MOST).collect()))
}

/// What settings say that `manage.py` names.
pub(super) fn django(snapshot: &Snapshot<'_>) -> Option<DjangoSettings> {
    let manage = snapshot.read("manage.py").ok()??;
    let manage = text::decode(&manage, Path::new("manage.py")).ok()?;
    let (_, rest) = manage.split_once("DJANGO_SETTINGS_MODULE")?;
    let module = rest.split(['"', '\'']).find(|part| part.contains('.'))?;
    let path = PathBuf::from(module.replace('.', "/"));
    let folder = path.with_extension("py");
    let content = snapshot.read(folder.to_str()?).ok().flatten();
    let (path, content) = match content {
        Some(content) => (folder, content),
        None => {
            let path = path.join("__init__.py");
            let content = snapshot.read(path.to_str()?).ok()??;
            (path, content)
        }
    };
    let text = text::decode(&content, &path).ok()?;
    Some(DjangoSettings {
        allowed_hosts: literal_list(&text, "ALLOWED_HOSTS"),
        is_debug: value_of(&text, "DEBUG") == Some("True"),
        redirects_to_https: value_of(&text, "SECURE_SSL_REDIRECT") == Some("True"),
        needs_manifest: text.contains("ManifestStaticFilesStorage")
            || text.contains("ManifestStorage"),
        path,
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
