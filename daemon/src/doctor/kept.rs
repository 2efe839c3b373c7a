//! Folders that are in use: no advice may say to remove one, or a folder around it.

use crate::{
    cid::Cid,
    config::{Project, Projects},
    domain::Workspace,
};
use cid_kernel::fs;
use std::path::{Path, PathBuf};

/// The folders of workspaces, the paths that project files name, and cid's own folders, all with links resolved.
pub(super) fn folders<'a>(
    cid: &Cid,
    workspaces: impl Iterator<Item = &'a Workspace>,
) -> Vec<PathBuf> {
    let shelf = cid.projects.all();
    let named = shelf.values().flatten().flat_map(|project| {
        let work_dir = Projects::work_dir(project, &cid.layout.work_root);
        named_by(project).into_iter().chain([work_dir])
    });
    let layout = &cid.layout;
    let own = [
        &layout.config_dir,
        &layout.run_dir,
        &layout.state_dir,
        &layout.log_dir,
    ];
    workspaces
        .map(|workspace| workspace.directory.clone())
        .chain(named)
        .chain(own.into_iter().cloned())
        .map(|path| fs::resolved(&path))
        .collect()
}

/// Whether one of `kept` is this folder or lies in it.
pub(super) fn holds_any(folder: &Path, kept: &[PathBuf]) -> bool {
    let folder = fs::resolved(folder);
    kept.iter().any(|kept| kept.starts_with(&folder))
}

/// Everything of this machine that a project's file names.
fn named_by(project: &Project) -> Vec<PathBuf> {
    let git = &project.git;
    let url = git.url.strip_prefix("file://").unwrap_or(&git.url);
    let keys = [
        &git.identity_file,
        &git.known_hosts,
        &git.credential_file,
        &git.webhook_secret_file,
    ];
    let keys = keys.into_iter().flatten().map(|path| path.to_path_buf());
    let tls = project.certificates().into_iter().map(|given| given.tls);
    let tls = tls.flat_map(|tls| [tls.certificate.to_path_buf(), tls.key.to_path_buf()]);
    let env = project.app.env.iter().map(|path| path.to_path_buf());
    let links = project.links.iter().map(|link| link.source.to_path_buf());
    let templates = project
        .files
        .iter()
        .filter_map(|file| file.template.clone());
    let all = keys.chain(tls).chain(env).chain(links).chain(templates);
    all.chain(project.shared_folders())
        .chain([PathBuf::from(url)])
        .filter(|path| path.is_absolute())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_around_something_needed_is_needed() {
        let kept = ["/srv/cid/shop/anna".into(), "/srv/media".into()];
        for folder in ["/srv", "/srv/cid", "/srv/cid/shop/anna", "/srv/media/"] {
            assert!(holds_any(Path::new(folder), &kept), "{folder}");
        }
        for folder in ["/srv/cid/shop/ann", "/srv/cid/shop/anna/src", "/srv/med"] {
            assert!(!holds_any(Path::new(folder), &kept), "{folder}");
        }
    }

    #[test]
    fn a_project_needs_what_its_file_names() {
        let text = "domain = \"x.localhost\"\n[git]\nurl = \"file:///r/x.git\"\n\
            [media]\npath = \"/m\"\n[database]\nkind = \"shared\"\nurl = \"sqlite:////d/db\"\n\
            [[links]]\nsource = \"/l\"\ntarget = \"l\"\n[[files]]\ntemplate = \"t\"\ntarget = \"t\"\n";
        let named = named_by(&toml::from_str(text).unwrap());
        for path in ["/r/x.git", "/m", "/d", "/l"] {
            assert!(named.contains(&path.into()), "{named:?}");
        }
        assert_eq!(named.len(), 4, "{named:?}");
    }
}
