//! Who gets nothing, whatever polkit's rules say: accounts that run other people's code.

use crate::domain::TOOLS;
use std::{
    collections::BTreeSet,
    ops::RangeInclusive,
    sync::{Arc, Mutex, PoisonError},
};

/// Accounts of workspaces, of builds, and of what builds run.
const PREFIXES: [&str; 3] = ["cidw-", "cidb-", TOOLS];

/// Accounts that are denied before anybody is asked. Cheap to clone.
#[derive(Clone)]
pub struct DenyList {
    uids: Vec<RangeInclusive<u32>>,
    names: Arc<dyn Fn() -> Vec<String> + Send + Sync>,
    /// Names stay until the daemon ends: a project file that breaks must not let its users in.
    seen: Arc<Mutex<BTreeSet<String>>>,
}

impl DenyList {
    /// User ids that cid gives to workspaces and builds, and the names of further accounts: the
    /// projects' deploy and run users. `names` is asked at every call, as project files change.
    pub fn new(
        uids: Vec<RangeInclusive<u32>>,
        names: impl Fn() -> Vec<String> + Send + Sync + 'static,
    ) -> Self {
        let seen = Arc::new(Mutex::new(names().into_iter().collect()));
        Self {
            uids,
            names: Arc::new(names),
            seen,
        }
    }

    /// Whether a user id is on it.
    pub fn has_uid(&self, uid: u32) -> bool {
        self.uids.iter().any(|range| range.contains(&uid))
    }

    /// Whether an account is on it.
    pub fn has_name(&self, name: &str) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.extend((self.names)());
        PREFIXES.iter().any(|prefix| name.starts_with(prefix)) || seen.contains(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_prefixes_and_names_are_denied() {
        let list = DenyList::new(vec![70_000..=79_999], || vec!["deploy".into()]);
        assert!(list.has_uid(70_000) && list.has_uid(79_999));
        assert!(!list.has_uid(69_999) && !list.has_uid(80_000) && !list.has_uid(0));
        for name in ["deploy", "cidw-7", "cidb-shop", "cid-tools"] {
            assert!(list.has_name(name), "{name}");
        }
        for name in ["anna", "deployer", "cid-web", "xcidw-7"] {
            assert!(!list.has_name(name), "{name}");
        }
    }

    #[test]
    fn a_name_stays_when_its_project_file_breaks() {
        let names = Arc::new(Mutex::new(vec!["deploy".to_owned()]));
        let list = DenyList::new(Vec::new(), {
            let names = Arc::clone(&names);
            move || names.lock().unwrap().clone()
        });
        *names.lock().unwrap() = vec!["runner".into()];
        assert!(list.has_name("deploy") && list.has_name("runner"));
    }
}
