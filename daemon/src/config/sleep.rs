//! `[sleep]` of a project: when the processes of a workspace that nobody visits stop.

use super::Seconds;
use serde::Deserialize;

/// `[sleep]` of a project file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sleep {
    /// For how long nobody has come; `None`: they always run. Stages never sleep.
    pub after: Option<Seconds>,
}
