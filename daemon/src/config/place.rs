//! Where in a file a key stands, for rules over several values. A rule for one value fails while the value
//! is read, and the reader knows the place.

use std::borrow::Cow;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// A rule that values break together.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken {
    /// The key to look at, e.g. `app.env`.
    pub(super) key: Cow<'static, str>,
    /// The rule, in words. Holds no value that may be a secret.
    pub(super) message: String,
}

impl Broken {
    pub(super) fn new(key: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            message: message.into(),
        }
    }

    /// With the line of the key, if this text has it.
    pub(super) fn told(&self, text: &str) -> String {
        let Self { key, message } = self;
        match line(text, key) {
            Some(line) => format!("line {line}, {key}: {message}"),
            None => format!("{key}: {message}"),
        }
    }
}

/// The line of a key like `git.branch`, from 1; `None`: the file does not set it.
pub(super) fn line(text: &str, key: &str) -> Option<usize> {
    let document = DeTable::parse(text).ok()?;
    let begin = begin(document.get_ref(), key)?;
    Some(text.get(..begin)?.matches('\n').count() + 1)
}

/// Where a key begins. Its table may be written in any of TOML's ways.
fn begin(table: &DeTable<'_>, key: &str) -> Option<usize> {
    let (first, rest) = match key.split_once('.') {
        Some((first, rest)) => (first, Some(rest)),
        None => (key, None),
    };
    let (found, value) = table
        .iter()
        .find(|(found, _)| found.get_ref().as_ref() == first)?;
    match (rest, value.get_ref()) {
        (None, _) => Some(Spanned::span(found).start),
        (Some(rest), DeValue::Table(inner)) => begin(inner, rest),
        (Some(_), _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_key_in_whatever_way_its_table_is_written() {
        let text = "# one\ndomain = \"x\"\n[git]\nbranch = \"b\"\n[app]\nrun.web = [\"x\"]\n";
        for (key, at) in [
            ("domain", Some(2)),
            ("git.branch", Some(4)),
            ("app.run.web", Some(6)),
            ("git.base", None),
            ("work_dir", None),
        ] {
            assert_eq!(line(text, key), at, "{key}");
        }
        assert_eq!(
            line("a = 1\ngit = { branch = \"b\" }\n", "git.branch"),
            Some(2)
        );
        assert_eq!(line("git.branch = \"b\"\n", "git.branch"), Some(1));
        let broken = Broken::new("git.branch", "no");
        assert_eq!(broken.told(text), "line 4, git.branch: no");
        assert_eq!(broken.told(""), "git.branch: no");
    }
}
