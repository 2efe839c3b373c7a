//! How much of the machine a helper's unit may use, as the project's file says.

use crate::{config::Amounts, system::units::Unit};
use cid_kernel::cgroup;
use std::path::Path;

/// Which limits the kernel keeps for a unit as a whole. In a container they may be somebody else's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Controllers {
    memory: bool,
    processes: bool,
}

impl Controllers {
    /// This machine's.
    pub(super) fn look() -> Self {
        let names = cgroup::folder_of(Path::new("/"))
            .and_then(|root| std::fs::read_to_string(root.join("cgroup.controllers")).ok())
            .unwrap_or_default();
        let has = |wanted: &str| names.split_whitespace().any(|name| name == wanted);
        Self {
            memory: has("memory"),
            processes: has("pids"),
        }
    }

    /// Gives a unit the limits that the project's file names; the others are the profile's.
    pub(super) fn limit(self, unit: Unit, amounts: &Amounts) -> Unit {
        let memory = amounts.memory.map(|size| *size);
        let processes = amounts.processes.map(|count| *count);
        let limits = [
            ("MemoryMax", memory),
            ("TasksMax", processes),
            ("LimitNOFILE", amounts.open_files.map(|count| *count)),
            ("LimitFSIZE", amounts.file_size.map(|size| *size)),
            // Where the unit as a whole has no limit, each process gets one.
            ("LimitDATA", memory.filter(|_| !self.memory)),
            ("LimitNPROC", processes.filter(|_| !self.processes)),
        ];
        limits
            .into_iter()
            .fold(unit, |unit, (key, value)| match value {
                Some(value) => unit.with(key, value.to_string()),
                None => unit,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::units::Profile;

    fn properties(controllers: Controllers) -> Vec<String> {
        let text = "memory = \"1G\"\nprocesses = 100\nopen_files = 512\nfile_size = \"2G\"";
        let unit = Unit::new(Profile::Workspace);
        let unit = controllers.limit(unit, &toml::from_str(text).unwrap());
        let words = unit.command().into_iter();
        words.map(|word| word.into_string().unwrap()).collect()
    }

    #[test]
    fn a_unit_gets_what_the_file_says_after_what_its_profile_says() {
        let all = Controllers {
            memory: true,
            processes: true,
        };
        let words = properties(all);
        let position = |text: &str| words.iter().position(|word| word == text);
        assert!(position("MemoryMax=1073741824") > position("MemoryMax=75%"));
        assert!(position("TasksMax=100") > position("TasksMax=1024"));
        assert!(position("LimitNOFILE=512") > position("LimitNOFILE=8192"));
        assert!(position("LimitFSIZE=2147483648") > position("LimitFSIZE=16G"));
        assert_eq!(position("LimitNPROC=100"), None);
    }

    #[test]
    fn without_controllers_each_process_is_limited() {
        let none = Controllers {
            memory: false,
            processes: false,
        };
        let words = properties(none);
        for limit in ["LimitDATA=1073741824", "LimitNPROC=100"] {
            assert!(words.iter().any(|word| word == limit), "{limit}");
        }
    }
}
