//! Settings for every command that installs or builds.

use crate::{
    config::{Project, Values},
    engine::Cx,
};
use cid_protocol::environment::{completed, network};
use std::{collections::BTreeMap, path::PathBuf};

/// The network's settings, and the project's variables, which win: those of a workspace, or those that are the same
/// in all for what they share.
pub(super) fn for_installers(
    project: &Project,
    values: Option<&Values>,
) -> BTreeMap<String, String> {
    let own = values.map_or_else(|| project.env_of_all(), |values| project.env_of(values));
    let mut all = network();
    all.extend(completed(own));
    all
}

/// The folder of a person's own installer settings in their sandbox; built-in installing reads them in that
/// person's HOME.
pub(super) fn settings_of_person(cx: &Cx) -> Option<PathBuf> {
    if cx.sys().is_host() {
        return None;
    }
    let of = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let folder = of("XDG_CONFIG_HOME").or_else(|| Some(of("HOME")?.join(".config")))?;
    ["pip", "uv"]
        .iter()
        .any(|name| folder.join(name).is_dir())
        .then_some(folder)
}
