//! Small translations between SQLite's columns and the domain.

use super::StoreError;
use serde::{Serialize, de::DeserializeOwned};

/// A unit enum or newtype as the bare text of its JSON string.
pub(super) fn text<T: Serialize>(value: &T) -> Result<String, StoreError> {
    match serde_json::to_value(value)? {
        serde_json::Value::String(text) => Ok(text),
        other => Ok(other.to_string()),
    }
}

/// The inverse of [`text`].
pub(super) fn parse<T: DeserializeOwned>(text: String) -> Result<T, StoreError> {
    Ok(serde_json::from_value(serde_json::Value::String(text))?)
}

/// A time as text that sorts by time.
pub(super) fn time(at: jiff::Timestamp) -> String {
    format!("{at:.6}")
}
