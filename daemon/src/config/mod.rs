//! The operator's files: `cid.toml` for the daemon, one `projects.d/NAME.toml` per project. Strict:
//! an unknown key or a bad value is an error that shows file, line and key.

mod app;
mod certificates;
mod deploy_users;
pub mod dotenv;
mod empty_database;
mod last_good;
mod limits;
mod mail;
mod nginx;
mod notify;
mod numbers;
mod of_stage;
mod people;
mod place;
mod placeholders;
mod private;
mod project;
mod projects;
mod secrets_file;
mod settings;
mod shared_hosts;
mod sleep;
mod stages;
mod tables;
mod test_gate;
mod tls;
mod values;
mod visit;

pub use app::{App, Command, Health, NodeRange, PythonVersion};
pub use certificates::GivenCertificate;
pub use limits::{Amounts, Count, ProjectLimits, Size};
pub use mail::{Mail, MailTls};
pub use nginx::NginxSettings;
pub use notify::{Forge, ForgeStatus, Notify, Repository, WebUrl, Webhook};
pub use people::{Front, FrontUrl, People, SignIn};
pub use placeholders::Values;
pub use private::read_private;
pub use project::Project;
pub use projects::{Projects, Shelf};
pub use settings::{Limits, OwnNginx, PortRange, Settings, UidRange};
pub use sleep::Sleep;
pub use stages::{Promote, Stage, StageName, Stages};
pub use tables::{
    Access, Database, DatabaseKind, EnvName, FileEntry, Git, LinkEntry, LinkMode, Media,
    OnBranchDeleted, UrlPrefix,
};
pub use test_gate::{TestGate, TestNetwork};
pub use tls::{HstsSeconds, Tls};
pub use values::{
    AbsolutePath, BranchPattern, Domain, GitUrl, PlainPath, Poll, RefName, RelativePath,
    SearchPath, Seconds, WorkDir,
};
pub use visit::{OpenPath, Visit, Who};

use cid_kernel::fs;
use cid_protocol::budget::PROJECT_FILE;
use std::{
    io::Read as _,
    path::{Path, PathBuf},
};

/// Why a file cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("cannot read {0}: {1}")]
    Read(PathBuf, String),
    /// It breaks a rule; the text shows the line.
    #[error("{0}: {1}")]
    Parse(PathBuf, String),
}

fn load<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, ConfigError> {
    parse(path, &read(path)?)
}

fn read(path: &Path) -> Result<String, ConfigError> {
    let unread = |error: String| ConfigError::Read(path.to_owned(), error);
    let file = fs::open(path).map_err(|error| unread(error.to_string()))?;
    let mut text = String::new();
    file.take(PROJECT_FILE.most as u64 + 1)
        .read_to_string(&mut text)
        .map_err(|error| unread(error.to_string()))?;
    let taken = PROJECT_FILE.check(text.len(), "this file");
    taken.map_err(|over| unread(over.to_string()))?;
    Ok(text)
}

fn parse<T: serde::de::DeserializeOwned>(path: &Path, text: &str) -> Result<T, ConfigError> {
    toml::from_str(text).map_err(|error| ConfigError::Parse(path.to_owned(), explain(text, &error)))
}

/// toml's own words show the line, which is what one wants to see, except where values are secrets:
/// there only the place is told.
fn explain(text: &str, error: &toml::de::Error) -> String {
    let begin = error.span().map_or(0, |span| span.start.min(text.len()));
    let before = text.get(..begin).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let table = before
        .lines()
        .rev()
        .map(str::trim)
        .find(|line| line.starts_with('['))
        .unwrap_or_default();
    let begin_of_line = before.rfind('\n').map_or(0, |end| end + 1);
    let shown = text.get(begin_of_line..).unwrap_or_default().trim_start();
    // Tables may be written in one line too.
    let has_key = |key: &str| {
        let rest = shown.strip_prefix(key).unwrap_or_default().trim_start();
        rest.starts_with(['=', '.'])
    };
    let secret = ["env", "database", "stages"].into_iter().find(|key| {
        table.starts_with(&format!("[{key}")) && *key != "stages"
            || table.is_empty() && has_key(key)
            || table.starts_with("[stages.") && (table.contains(&format!(".{key}")) || has_key(key))
    });
    if let Some(key) = secret {
        return format!(
            "line {line}, in [{key}]: cannot read it (not shown, for it may be a secret); names are like A_B and do not begin with CID_, values are strings in quotes, without control characters"
        );
    }
    let shown = error.to_string().trim_end().to_owned();
    let is_bare = error.message().contains("unquoted key");
    match table {
        "[access.people]" if is_bare => {
            format!("{shown}; an address stands in quotes: \"anna@example.com\" = \"anna\"")
        }
        _ => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_quotes_is_told_of_them() {
        let text = "domain = \"x.localhost\"\n[access.people]\nanna@example.com = \"anna\"\n";
        let said = explain(text, &toml::from_str::<Project>(text).unwrap_err());
        assert!(
            said.contains("line 3") && said.contains("in quotes"),
            "{said}"
        );
    }

    #[test]
    fn a_bad_line_is_shown_unless_it_may_be_a_secret() {
        let said = |text: &str| explain(text, &toml::from_str::<Project>(text).unwrap_err());
        let head = "domain = \"x.localhost\"\n[git]\nurl = \"/srv/x.git\"\n";
        let shown = said(&format!("{head}basis = \"main\"\n"));
        assert!(
            shown.contains("basis = \"main\"") && shown.contains("line 4"),
            "{shown}"
        );
        let hidden = said(&format!("{head}[env]\nSECRET_KEY = 123456\n"));
        assert!(
            !hidden.contains("123456") && hidden.contains("line 5"),
            "{hidden}"
        );
        let stage = "[stages.test]\nkeep = 2\n";
        for line in [
            "env = { SECRET_KEY = 123456 }",
            "env.SECRET_KEY = 123456",
            "[stages.test.env]\nSECRET_KEY = 123456",
            "database = { url = 123456 }",
        ] {
            let hidden = said(&format!("{head}{stage}{line}\n"));
            assert!(
                !hidden.contains("123456") && hidden.contains("line "),
                "{hidden}"
            );
        }
        let shown = said(&format!("{head}{stage}afetr = \"test\"\n"));
        assert!(
            shown.contains("afetr") && shown.contains("line 6"),
            "{shown}"
        );
        for line in ["env = { SECRET_KEY = 123456 }", "env.SECRET_KEY = 123456"] {
            let hidden = said(&format!("{line}\n{head}"));
            assert!(
                !hidden.contains("123456") && hidden.contains("line 1, in [env]"),
                "{hidden}"
            );
        }
    }
}
