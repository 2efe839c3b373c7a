//! The git server as the deploy user meets it, and people's own git.

use super::{Trouble, Troubles};
use crate::{
    rpc::Api,
    system::{Fault, fs},
};
use std::{path::Path, time::Duration};

/// A server that does not answer by then is as good as down.
const LIMIT: Duration = Duration::from_secs(30);
const MACHINES: &str = "/etc/gitconfig";

/// Projects whose repository the deploy user cannot read: keys, host keys, address.
pub(super) async fn remotes(api: Api) -> Troubles {
    let limit = LIMIT.min(*api.settings.limits.git);
    let shelf = api.projects.all();
    let asking = shelf.values().flatten().map(|project| {
        let (api, project) = (api.clone(), project.clone());
        tokio::spawn(async move {
            let fetched = api.engine.fetch(&project, &project.git.base, limit).await;
            let about = format!("of {}", project.name);
            fetched.err().map(|fault| Trouble::from_fault(about, fault))
        })
    });
    let mut troubles = Vec::new();
    for asked in asking.collect::<Vec<_>>() {
        troubles.extend(asked.await.ok().flatten());
    }
    Ok(troubles)
}

/// Whether the machine's git reads cid's file. Where nobody shares workspaces' files, nobody needs it.
pub(super) fn include(api: &Api) -> Troubles {
    let shelf = api.projects.all();
    let is_shared = shelf
        .values()
        .flatten()
        .any(|project| project.access.group.is_some() || !project.access.people.is_empty());
    let file = api.layout.git_config();
    if !is_shared || is_included(Path::new(MACHINES), &file)? {
        return Ok(Vec::new());
    }
    let message = format!("{MACHINES} does not include {}", file.display());
    Ok(vec![Trouble::new("", message)])
}

fn is_included(machines: &Path, file: &Path) -> Result<bool, Fault> {
    if !fs::exists(machines) {
        return Ok(false);
    }
    let read = || {
        let config = git2::Config::open(machines)?;
        let mut paths = config.multivar("include.path", None)?;
        let mut is_there = false;
        while let Some(entry) = paths.next() {
            is_there |= entry?.value().is_ok_and(|value| Path::new(value) == file);
        }
        Ok(is_there)
    };
    read().map_err(|error: git2::Error| Fault::io("read", machines, error.message()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_include() {
        let dir = tempfile::tempdir().unwrap();
        let (machines, file) = (dir.path().join("a"), Path::new("/var/lib/cid/git/config"));
        assert!(!is_included(&machines, file).unwrap());
        for (text, is) in [
            ("[user]\n\tname = x\n", false),
            ("[include]\n\tpath = /other\n", false),
            (
                "[include]\n\tpath = /other\n\tpath = /var/lib/cid/git/config\n",
                true,
            ),
        ] {
            fs::write_atomic(&machines, text.as_bytes(), 0o644).unwrap();
            assert_eq!(is_included(&machines, file).unwrap(), is, "{text}");
        }
    }
}
