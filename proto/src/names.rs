//! Names for people of what messages enumerate.

use crate::v1::JobKind;
use std::fmt;

/// In lower case, e.g. `repair-access`; `unknown` for what a later version sent.
impl fmt::Display for JobKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::Unspecified {
            return f.pad("unknown");
        }
        let name = self.as_str_name().trim_start_matches("JOB_KIND_");
        f.pad(&name.to_lowercase().replace('_', "-"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_jobs_have_lower_case_names() {
        let name = |value: i32| JobKind::try_from(value).unwrap_or_default().to_string();
        assert_eq!(name(JobKind::RepairAccess.into()), "repair-access");
        assert_eq!(name(99), "unknown");
        assert_eq!(format!("{:>8}", JobKind::Build), "   build");
    }
}
