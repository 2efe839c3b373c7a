//! Settings for every command that installs or builds.

use crate::{config::Project, engine::Cx};
use cid_protocol::environment::{completed, network};
use std::{collections::BTreeMap, path::PathBuf};

/// The network's settings, and the project's variables, which win.
pub(super) fn for_installers(project: &Project) -> BTreeMap<String, String> {
    let own = project.env.iter();
    let own = own.map(|(name, value)| (name.as_str().to_owned(), value.clone()));
    let mut all = network();
    all.extend(completed(own.collect()));
    all
}

/// The folder of a person's own installer settings in their sandbox; built-in installing reads them in that
/// person's HOME.
pub(super) fn settings_of_person(cx: &Cx) -> Option<PathBuf> {
    if cx.sys().accounts.is_some() {
        return None;
    }
    let of = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let folder = of("XDG_CONFIG_HOME").or_else(|| Some(of("HOME")?.join(".config")))?;
    ["pip", "uv"]
        .iter()
        .any(|name| folder.join(name).is_dir())
        .then_some(folder)
}
