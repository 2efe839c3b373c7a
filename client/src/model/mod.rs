//! What the daemon talks about, as plain values. Serialised, they are the JSON
//! that `cictl -o json` and the front's event stream print.

pub mod audit;
pub mod build;
pub mod job;
pub mod people;
pub mod project;
pub mod stage;
pub mod system;
pub mod workspace;

use serde::Serializer;
use std::time::Duration;

/// Gives `as_str` and `Display` from one list of variants and their names.
macro_rules! names {
    ($type:ty { $($variant:ident => $name:literal),+ $(,)? }) => {
        impl $type {
            /// The lower-case name, as in JSON and in tables.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    };
}
use names;

/// Writes a duration as seconds with a fraction, `null` when there is none.
fn seconds<S: Serializer>(took: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    match took {
        Some(took) => serializer.serialize_f64(took.as_secs_f64()),
        None => serializer.serialize_none(),
    }
}
