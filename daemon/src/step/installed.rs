//! What is installed for a workspace or a build, and how its programs find it.

use crate::domain::Packages;
use cid_protocol::request::{Dependencies, PACKAGES};
use std::path::{Path, PathBuf};

/// The environment.
pub type Installed = Packages;

impl Installed {
    /// An environment, and what lies in it for these kinds.
    pub(super) fn of(target: PathBuf, dependencies: &[Dependencies], app: &Path) -> Self {
        let is_python = dependencies.is_empty() || dependencies.iter().any(|kind| kind.is_python());
        let beside = dependencies.iter().filter_map(|kind| kind.beside());
        let variables = beside.map(|(folder, variable)| {
            let folder = target.join(PACKAGES).join(folder);
            (variable.to_owned(), folder.to_string_lossy().into_owned())
        });
        let programs = dependencies.iter().filter_map(|kind| kind.programs());
        Self {
            shared: None,
            variables: variables.collect(),
            programs: programs.map(|folder| app.join(folder)).collect(),
            packages: Some(target.clone()),
            path: is_python.then_some(target),
            node: None,
        }
    }

    /// PATH of commands and processes that work in this tree.
    pub(super) fn search_path(&self, tree: &Path) -> String {
        let bins = [&self.path, &self.shared].into_iter().flatten();
        let bins = bins.map(|path| path.join("bin"));
        let programs = self.programs.iter().map(|folder| tree.join(folder));
        joined(bins.chain(programs).chain(self.node.clone()))
    }
}

/// PATH of commands and processes.
pub(super) fn joined(bins: impl IntoIterator<Item = PathBuf>) -> String {
    const SYSTEM: &str = "/usr/local/bin:/usr/bin:/bin";
    bins.into_iter()
        .map(|bin| format!("{}:", bin.display()))
        .chain([SYSTEM.to_owned()])
        .collect()
}
