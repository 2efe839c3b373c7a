//! The operator's files: `cid.toml` for the daemon, one `projects.d/NAME.toml` per project. Strict:
//! an unknown key or a bad value is an error that shows file, line and key.

mod project;
mod projects;
mod settings;
mod values;

pub use project::{
    App, Command, Database, DatabaseKind, FileEntry, Git, Health, LinkEntry, LinkMode, Media,
    Project,
};
pub use projects::{Projects, Shelf};
pub use settings::{Limits, PortRange, Settings};
pub use values::{AbsolutePath, Domain, GitUrl, RefName, RelativePath, Seconds};

use std::path::{Path, PathBuf};

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
    let text = std::fs::read_to_string(path)
        .map_err(|error| ConfigError::Read(path.to_owned(), error.to_string()))?;
    toml::from_str(&text).map_err(|error| {
        ConfigError::Parse(path.to_owned(), error.to_string().trim_end().to_owned())
    })
}
