//! `[app]`: what the repository does not say or says wrongly.

use super::{RelativePath, SearchPath, Seconds};
use crate::domain::ProcessType;
use cid_protocol::budget::COMMAND;
use serde::{Deserialize, Deserializer, de::Error as _};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// `[app]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct App {
    /// Where in the repository the app lives.
    pub dir: Option<RelativePath>,
    /// A ready environment instead of installing one.
    pub env: Option<SearchPath>,
    /// Commands that install dependencies, instead of what is found.
    pub install: Option<Vec<Command>>,
    /// Files and folders that decide what these make, where cid cannot tell by the commands.
    pub install_inputs: Vec<RelativePath>,
    /// Process types of the Procfile that are not started.
    pub skip: Vec<ProcessType>,
    /// Which Python to use, such as `3.12`, instead of what the repository asks for.
    pub python: Option<PythonVersion>,
    /// Which Node to use, such as `22`, instead of what the repository asks for.
    pub node: Option<NodeRange>,
    /// Commands before every start, e.g. migrations, instead of what is found.
    pub release: Option<Vec<Command>>,
    /// Commands that make what a build needs beside its packages, e.g. collected assets.
    pub build: Option<Vec<Command>>,
    /// Whether what release commands make for the base branch is made once, in a template; `None`: where they are
    /// cid's own.
    pub template: Option<bool>,
    /// Commands for data that every workspace begins with, after the release commands.
    pub seed: Vec<Command>,
    /// Commands that depend on the workspace, after the release commands and `seed`.
    pub personal: Vec<Command>,
    /// Commands that test a build.
    pub test: Option<Vec<Command>>,
    /// Process type -> command, instead of what is found. `web` is the one behind nginx.
    pub run: BTreeMap<ProcessType, Command>,
    /// When the web process counts as answering.
    pub health: Health,
}

impl App {
    /// The app's folder in a tree.
    pub fn inside(&self, tree: &Path) -> PathBuf {
        match self.dir() {
            dir if dir == Path::new(".") => tree.to_owned(),
            dir => tree.join(dir),
        }
    }

    /// Where in the repository the app lives; `.` for its root.
    pub fn dir(&self) -> &Path {
        self.dir
            .as_ref()
            .map_or(Path::new("."), |dir| dir.as_path())
    }
}

/// A program and its arguments: no shell, so at least the program, and no NUL.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct Command(Vec<String>);

impl TryFrom<Vec<String>> for Command {
    type Error = String;
    fn try_from(words: Vec<String>) -> Result<Self, String> {
        match words.first() {
            None => Err(
                "a command needs at least a program, e.g. [\"python\", \"manage.py\", \"migrate\"]"
                    .into(),
            ),
            Some(program) if program.is_empty() => {
                Err("a command's program must not be empty".into())
            }
            Some(_) if words.iter().any(|word| word.contains('\0')) => {
                Err("a command must not hold NUL".into())
            }
            Some(_) => {
                let bytes = words.iter().map(|word| word.len() + 1).sum();
                let taken = COMMAND.check(bytes, "a command");
                taken.map_err(|over| over.to_string())?;
                Ok(Self(words))
            }
        }
    }
}

impl Command {
    /// The program and its arguments.
    pub fn words(&self) -> &[String] {
        &self.0
    }
}

/// A version of Python: 3 and a minor version, perhaps with more.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct PythonVersion(Vec<u32>);

impl TryFrom<String> for PythonVersion {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let numbers: Result<Vec<u32>, _> = text.split('.').map(str::parse).collect();
        match numbers {
            Ok(numbers) if numbers.first() == Some(&3) && (2..=3).contains(&numbers.len()) => {
                Ok(Self(numbers))
            }
            _ => Err(format!("`{text}` is not a version of Python like 3.12")),
        }
    }
}

impl PythonVersion {
    /// As it is written.
    pub fn text(&self) -> String {
        let numbers: Vec<String> = self.0.iter().map(u32::to_string).collect();
        numbers.join(".")
    }
}

/// A version of Node or a range of them, as npm reads it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct NodeRange(String);

impl TryFrom<String> for NodeRange {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let is_of_range = |c: char| c.is_ascii_digit() || ". <>=^~|-xX*".contains(c);
        let is_range = text.contains(|c: char| c.is_ascii_digit());
        match is_range && text.len() <= 64 && text.chars().all(is_of_range) {
            true => Ok(Self(text)),
            false => Err(format!(
                "`{text}` is not a version of Node like 22 or >=20 <25"
            )),
        }
    }
}

impl NodeRange {
    /// As it is written.
    pub fn text(&self) -> String {
        self.0.clone()
    }
}

/// `app.health`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Health {
    /// Which page to ask for.
    pub path: HttpPath,
    /// For how long it may not answer after its start.
    pub timeout: Seconds,
    /// Status codes that count, redirects too; empty: 2xx and 401, at the end of redirects.
    #[serde(deserialize_with = "statuses")]
    pub status: Vec<u16>,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            path: HttpPath("/".into()),
            timeout: Seconds::new(60),
            status: Vec::new(),
        }
    }
}

impl Health {
    /// Whether an answer with this status counts.
    pub fn accepts(&self, status: u16) -> bool {
        if self.status.is_empty() {
            matches!(status, 200..=299 | 401)
        } else {
            self.status.contains(&status)
        }
    }
}

/// HTTP knows 100 to 599. What another number was meant to be cannot be told.
fn statuses<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u16>, D::Error> {
    let all = Vec::<u16>::deserialize(deserializer)?;
    match all.iter().find(|status| !(100..=599).contains(*status)) {
        Some(status) => Err(D::Error::custom(format!(
            "`{status}` is not a status code of HTTP (100 to 599)"
        ))),
        None => Ok(all),
    }
}

/// A path of a URL: begins with `/`, visible ASCII without quotes and the like.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct HttpPath(String);

impl TryFrom<String> for HttpPath {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let good = text.starts_with('/')
            && text.len() <= 512
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"/-._~%?&=+,:@!*()".contains(&b));
        if good {
            Ok(Self(text))
        } else {
            Err(format!("`{text}` is not a path of a URL like /health"))
        }
    }
}

impl HttpPath {
    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
