//! What a job is about, as its row says.

use super::{StoreError, rows::parse};
use crate::domain::{About, JobKind};
use rusqlite::Row;
use std::path::PathBuf;

/// Reads it from a row of the columns that `jobs` asks for.
pub(super) fn about(row: &Row<'_>) -> Result<About, StoreError> {
    let creator = parse(row.get(12)?)?;
    let directory = |column: usize| {
        let text: Option<String> = row.get(column)?;
        Ok::<_, StoreError>(PathBuf::from(text.unwrap_or_default()))
    };
    Ok(match row.get(13)? {
        Some(id) => About::Build {
            id,
            number: row.get::<_, String>(4)?.parse().unwrap_or_default(),
            is_template: parse::<JobKind>(row.get(5)?)? == JobKind::Template,
            directory: directory(14)?,
            creator,
        },
        None => About::Workspace {
            id: row.get(1)?,
            owner: parse(row.get(2)?)?,
            name: parse(row.get(4)?)?,
            directory: directory(11)?,
            creator,
        },
    })
}
