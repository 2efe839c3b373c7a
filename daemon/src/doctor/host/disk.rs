//! File systems that cid works on.

use super::{Trouble, Troubles};
use crate::system::unwritable::unwritable;
use crate::{
    cid::Cid,
    config::Projects,
    doctor::{shared, surplus},
};
use cid_kernel::room::{Shortage, shortage};
use cid_protocol::fault::Fault;
use rustix::{fs as sys, io::Errno};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    slice,
};

/// Where workspaces live.
async fn work_dirs(cid: &Cid) -> Result<BTreeSet<PathBuf>, Fault> {
    let workspaces = cid.store.workspaces(None, 0, usize::MAX >> 1).await?;
    Ok(surplus::work_dirs(cid, workspaces.iter())
        .into_keys()
        .collect())
}

/// Everything that workspaces and cid write.
async fn places(cid: &Cid) -> Result<BTreeSet<PathBuf>, Fault> {
    let shelf = cid.projects.all();
    let media = shelf
        .values()
        .flatten()
        .filter_map(|project| project.media.as_ref());
    let mut places = work_dirs(cid).await?;
    places.extend(media.map(|media| media.path.to_path_buf()));
    places.extend([cid.layout.state_dir.clone(), cid.layout.log_dir.clone()]);
    // Missing folders are reported by other checks.
    places.retain(|place| place.is_dir());
    Ok(places)
}

/// Folders of workspaces that the daemon cannot write to, usually because its unit does not allow it.
pub(super) async fn writable(cid: Cid) -> Troubles {
    let dirs = work_dirs(&cid).await?;
    let faults = dirs.iter().filter_map(|dir| unwritable(dir));
    Ok(faults.map(|fault| Trouble::from_fault("", fault)).collect())
}

/// What workspaces share and one of its intended users cannot use.
pub(super) async fn shared(cid: Cid) -> Troubles {
    let shelf = cid.projects.all();
    let mut troubles = Vec::new();
    for project in shelf.values().flatten() {
        for (key, state) in shared::look(&cid, project).await {
            let about = format!("{key} of {}", project.name);
            troubles.extend(state.err().map(|fault| Trouble::from_fault(about, fault)));
        }
    }
    Ok(troubles)
}

/// File systems with less room than a creation needs.
pub(super) async fn room(cid: Cid) -> Troubles {
    let least = cid.settings.min_free_mib;
    let mut places = places(&cid).await?;
    for project in cid.projects.all().values().flatten() {
        let work_dir = Projects::work_dir(project, &cid.layout.work_root);
        places.extend(cid.layout.places(&project.name, &work_dir));
    }
    let mut told = BTreeSet::new();
    let troubles = places.into_iter().filter_map(|place| {
        let shortage = shortage(slice::from_ref(&place), least)?;
        let is_new = told.insert(sys::stat(&place).ok()?.st_dev);
        is_new.then(|| Trouble::new("", shortage.to_string()).mend(Shortage::HINT))
    });
    Ok(troubles.collect())
}

/// File systems that keep no access lists.
pub(super) async fn access_lists(cid: Cid) -> Troubles {
    let places = places(&cid).await?;
    let lacking = places.into_iter().filter(|place| !keeps_lists(place));
    Ok(lacking
        .map(|place| Trouble::new("", format!("{} keeps none", fs_of(&place))))
        .collect())
}

fn fs_of(place: &Path) -> String {
    format!("the file system of {}", place.display())
}

fn keeps_lists(place: &Path) -> bool {
    let mut list = [0_u8; 1024];
    let read = sys::getxattr(place, c"system.posix_acl_access", &mut list[..]);
    !matches!(read, Err(Errno::OPNOTSUPP))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_a_folder_that_is_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let missing = unwritable(&dir.path().join("x")).unwrap();
        assert!(missing.hint.unwrap().starts_with("mkdir -p "));
        assert!(unwritable(Path::new("/home/x")).is_some());
        assert!(unwritable(dir.path()).is_none());
        assert!(!keeps_lists(Path::new("/proc")));
    }
}
