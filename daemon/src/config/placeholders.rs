//! Placeholders: what the project file leaves open and each workspace fills in. `[env]` is strict, with `{{` and
//! `}}` for braces; in commands a brace may mean something to a program, so other braces stay as they are.

use super::Project;
use crate::{domain::Workspace, layout::own_socket};

/// What a placeholder stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Placeholder {
    Url,
    Origin,
    Host,
    Name,
    Email,
    Port,
    Socket,
    Number,
    Directory,
}

const ALL: [(&str, Placeholder); 9] = [
    ("url", Placeholder::Url),
    ("origin", Placeholder::Origin),
    ("host", Placeholder::Host),
    ("name", Placeholder::Name),
    ("email", Placeholder::Email),
    ("port", Placeholder::Port),
    ("socket", Placeholder::Socket),
    ("number", Placeholder::Number),
    ("directory", Placeholder::Directory),
];

/// One workspace's values. [`Values::env`], [`Values::text`] and [`Values::word`] are the only places that fill
/// them in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Values {
    /// Its address, with a slash at the end.
    pub url: String,
    /// The host name in its address.
    pub host: String,
    /// Its name.
    pub name: String,
    /// Its owner's address.
    pub email: String,
    /// Its port, once one is reserved.
    pub port: Option<u16>,
    /// The Unix socket it may listen on.
    pub socket: String,
    /// Its number on this machine, if the project wants one.
    pub number: Option<u32>,
    /// `WORK_DIR/NAME`.
    pub directory: String,
}

impl Values {
    /// The values of the instance that answers, in a workspace that has this number.
    pub fn of(project: &Project, workspace: &Workspace, number: Option<u32>) -> Self {
        let host = match workspace.host() {
            Some(host) => host.to_owned(),
            None => project.host_for(&workspace.name),
        };
        Self {
            url: workspace.url.clone(),
            host,
            name: workspace.name.to_string(),
            email: workspace.owner.to_string(),
            port: workspace.port,
            socket: own_socket(&workspace.directory, &workspace.instance())
                .to_string_lossy()
                .into_owned(),
            number,
            directory: workspace.directory.to_string_lossy().into_owned(),
        }
    }

    /// The same length and alphabet as real ones, for checks before there is a workspace.
    fn sample() -> Self {
        Self {
            url: "http://a---example-com.x.localhost:8080/".into(),
            host: "a---example-com.x.localhost".into(),
            name: "a---example-com".into(),
            email: "a@example.com".into(),
            port: Some(20_000),
            socket: "/srv/cid/x/a---example-com/run/web.sock".into(),
            number: Some(1),
            directory: "/srv/cid/x/a---example-com".into(),
        }
    }

    /// A value of `[env]`; `None`: it needs a value that there is not yet.
    pub fn text(&self, text: &str) -> Option<String> {
        let Ok(pieces) = parse(text) else {
            // No file with such a value is in force.
            return Some(text.to_owned());
        };
        pieces
            .into_iter()
            .map(|piece| match piece {
                Piece::Text(text) => Some(text),
                Piece::Placeholder(placeholder) => self.get(placeholder),
            })
            .collect()
    }

    /// A word of a command of the project file. Other braces stay: they may mean something to the program.
    pub fn word(&self, word: &str) -> String {
        ALL.iter()
            .fold(word.to_owned(), |word, (name, placeholder)| {
                let mark = format!("{{{name}}}");
                match self.get(*placeholder) {
                    Some(value) if word.contains(&mark) => word.replace(&mark, &value),
                    _ => word,
                }
            })
    }

    fn get(&self, placeholder: Placeholder) -> Option<String> {
        Some(match placeholder {
            Placeholder::Url => self.url.clone(),
            Placeholder::Origin => self.url.trim_end_matches('/').to_owned(),
            Placeholder::Host => self.host.clone(),
            Placeholder::Name => self.name.clone(),
            Placeholder::Email => self.email.clone(),
            Placeholder::Port => self.port?.to_string(),
            Placeholder::Socket => self.socket.clone(),
            Placeholder::Number => self.number?.to_string(),
            Placeholder::Directory => self.directory.clone(),
        })
    }
}

/// A value of `[env]` filled in with made-up values.
///
/// # Errors
/// A brace belongs to no placeholder; the text shows nothing of the value.
pub(super) fn sample(text: &str) -> Result<String, String> {
    match parse(text) {
        Ok(_) => Ok(Values::sample().text(text).unwrap_or_default()),
        Err(place) => {
            let names: Vec<String> = ALL.iter().map(|(name, _)| format!("{{{name}}}")).collect();
            Err(format!(
                "the brace at character {place} of the value belongs to no placeholder (there are {}); write {{{{ or }}}} for a brace",
                names.join(", ")
            ))
        }
    }
}

/// A value of `[env]` that is the same in every workspace, with its braces; `None`: it is not.
pub(super) fn same_everywhere(text: &str) -> Option<String> {
    let Ok(pieces) = parse(text) else {
        return Some(text.to_owned());
    };
    pieces
        .into_iter()
        .map(|piece| match piece {
            Piece::Text(text) => Some(text),
            Piece::Placeholder(_) => None,
        })
        .collect()
}

/// The parts of a value that are the same in every workspace.
pub(super) fn literals(text: &str) -> Vec<String> {
    let Ok(pieces) = parse(text) else {
        return vec![text.to_owned()];
    };
    pieces
        .into_iter()
        .filter_map(|piece| match piece {
            Piece::Text(text) => Some(text),
            Piece::Placeholder(_) => None,
        })
        .collect()
}

/// A text that is to stay as it is, as a value of `[env]`.
pub(super) fn escaped(text: &str) -> String {
    text.replace('{', "{{").replace('}', "}}")
}

/// Whether a value of `[env]`, or a word of a command, names the workspace's number.
pub(super) fn names_number(text: &str) -> bool {
    text.contains("{number}")
}

#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Placeholder(Placeholder),
}

/// The pieces of a value; `Err`: the place, from 1, of a brace that belongs to nothing.
fn parse(text: &str) -> Result<Vec<Piece>, usize> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, brace) = rest.split_at(at);
        literal.push_str(before);
        let place = || text[..text.len() - brace.len()].chars().count() + 1;
        let escaped = brace
            .strip_prefix("{{")
            .map(|rest| ('{', rest))
            .or_else(|| brace.strip_prefix("}}").map(|rest| ('}', rest)));
        if let Some((brace, after)) = escaped {
            literal.push(brace);
            rest = after;
            continue;
        }
        let named = brace.strip_prefix('{').and_then(|inner| {
            let (name, after) = inner.split_once('}')?;
            let (_, placeholder) = ALL.iter().find(|(known, _)| *known == name)?;
            Some((*placeholder, after))
        });
        let (placeholder, after) = named.ok_or_else(place)?;
        if !literal.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut literal)));
        }
        pieces.push(Piece::Placeholder(placeholder));
        rest = after;
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        pieces.push(Piece::Text(literal));
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_placeholder_is_filled_in_and_doubled_braces_are_braces() {
        let values = Values::sample();
        for (text, filled) in [
            ("redis://127.0.0.1/{number}", "redis://127.0.0.1/1"),
            (
                "{origin}|{url}",
                "http://a---example-com.x.localhost:8080|http://a---example-com.x.localhost:8080/",
            ),
            (
                "{name}.{host}",
                "a---example-com.a---example-com.x.localhost",
            ),
            ("{email} {port}", "a@example.com 20000"),
            ("{socket}", "/srv/cid/x/a---example-com/run/web.sock"),
            ("{directory}/media", "/srv/cid/x/a---example-com/media"),
            ("{{\"a\": {{\"b\": 1}}}}", "{\"a\": {\"b\": 1}}"),
            ("{{name}}", "{name}"),
            ("{{{name}}}", "{a---example-com}"),
            ("", ""),
            ("ünïcode", "ünïcode"),
        ] {
            assert_eq!(sample(text).as_deref(), Ok(filled), "{text}");
            assert_eq!(values.text(text).as_deref(), Some(filled), "{text}");
        }
    }

    #[test]
    fn a_brace_that_stays_is_refused_with_its_place_and_without_the_value() {
        for (text, place) in [
            ("{", 1),
            ("}", 1),
            ("ü{Name}", 2),
            ("secret{nmae}", 7),
            ("{name", 1),
            ("{ name }", 1),
            ("{{{", 3),
            ("{}", 1),
            ("{name}}", 7),
            ("{\"a\": 1}", 1),
        ] {
            let said = sample(text).unwrap_err();
            assert!(
                said.contains(&format!("character {place} ")),
                "{text}: {said}"
            );
            assert!(!said.contains("secret"), "{said}");
        }
    }

    #[test]
    fn without_a_number_only_what_needs_it_waits() {
        let values = Values {
            number: None,
            ..Values::sample()
        };
        assert_eq!(values.text("q{number}"), None);
        assert_eq!(values.text("{{number}}").as_deref(), Some("{number}"));
        assert_eq!(same_everywhere("a{{b"), Some("a{b".into()));
        assert_eq!(same_everywhere("a{name}b"), None);
        assert_eq!(literals("ab{name}c{{d"), ["ab", "c{d"]);
    }

    #[test]
    fn words_of_commands_keep_other_braces() {
        let values = Values::sample();
        let line = "awk '{print $1}' ${X} {{name}} {port} {none}";
        assert_eq!(
            values.word(line),
            "awk '{print $1}' ${X} {a---example-com} 20000 {none}"
        );
    }
}
