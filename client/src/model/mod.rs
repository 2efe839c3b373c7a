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

/// Gives `as_str` and `Display` from one list of variants and their names. With the enumeration of messages it
/// comes from, and what begins the names there, it is also read by its name: what has none is `Unknown`.
macro_rules! names {
    ($type:ty = $message:ty [$prefix:literal] { $($variant:ident => $name:literal),+ $(,)? }) => {
        names!($type { $($variant => $name),+ });

        impl From<$message> for $type {
            fn from(from: $message) -> Self {
                const NAMES: &[($type, &str)] = &[$((<$type>::$variant, $name)),+];
                let name = from.as_str_name().strip_prefix($prefix).unwrap_or_default();
                let is_so = |(_, known): &&(Self, &str)| {
                    known.replace(['-', ' '], "_").eq_ignore_ascii_case(name)
                };
                NAMES.iter().find(is_so).map_or(Self::Unknown, |(one, _)| *one)
            }
        }
    };
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

/// Writes the name of something.
fn named<S: Serializer>(what: &impl ToString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&what.to_string())
}

/// Writes a duration as seconds with a fraction, `null` when there is none.
fn seconds<S: Serializer>(took: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    match took {
        Some(took) => serializer.serialize_f64(took.as_secs_f64()),
        None => serializer.serialize_none(),
    }
}
