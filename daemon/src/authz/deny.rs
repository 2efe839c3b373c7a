//! Accounts that are always denied, whatever polkit's rules say: they run other people's code.

use crate::domain::{ProjectName, TOOLS};
use std::{ops::RangeInclusive, sync::Arc};

/// Accounts of workspaces, of builds, and of the tools that builds run.
const PREFIXES: [&str; 4] = ["cidw-", "cidb-", "cidt-", TOOLS];

/// Returns the project whose deploy user an account is.
type Deploys = dyn Fn(&str) -> Option<ProjectName> + Send + Sync;

/// Accounts that are denied before any authority is asked. Cheap to clone.
#[derive(Clone)]
pub struct DenyList {
    uids: Vec<RangeInclusive<u32>>,
    deploys: Arc<Deploys>,
}

impl DenyList {
    /// `uids` are the user ids that cid gives to workspaces and builds. `deploys` tells whose deploy user
    /// an account is; it is called for every request because project files change.
    pub fn new(
        uids: Vec<RangeInclusive<u32>>,
        deploys: impl Fn(&str) -> Option<ProjectName> + Send + Sync + 'static,
    ) -> Self {
        Self {
            uids,
            deploys: Arc::new(deploys),
        }
    }

    /// Whether a user id is on the list.
    pub fn has_uid(&self, uid: u32) -> bool {
        self.uids.iter().any(|range| range.contains(&uid))
    }

    /// Describes an account that is on the list.
    pub fn what_is(&self, name: &str) -> Option<String> {
        if PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
            return Some("an account of workspaces and builds".into());
        }
        let project = (self.deploys)(name)?;
        Some(format!("the deploy user of the project {project}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_prefixes_and_deploy_users_are_denied() {
        let list = DenyList::new(vec![70_000..=79_999], |name| {
            ProjectName::parse("shop").filter(|_| name == "deploy")
        });
        assert!(list.has_uid(70_000) && list.has_uid(79_999));
        assert!(!list.has_uid(69_999) && !list.has_uid(80_000) && !list.has_uid(0));
        for name in ["cidw-7", "cidb-shop", "cidt-shop", "cid-tools"] {
            let what = list.what_is(name);
            assert_eq!(what.as_deref(), Some("an account of workspaces and builds"));
        }
        let what = list.what_is("deploy");
        assert_eq!(what.as_deref(), Some("the deploy user of the project shop"));
        for name in ["anna", "deployer", "cid-web", "xcidw-7"] {
            assert_eq!(list.what_is(name), None);
        }
    }
}
