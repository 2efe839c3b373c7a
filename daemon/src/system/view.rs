//! A second path to the workspaces' folders on a host, for nginx only: a mount on which the kernel follows no
//! links. The owner of a folder could replace a socket with a link, and nginx may connect to more than a
//! workspace may.

use crate::layout::Layout;
use cid_protocol::fault::{Fault, FaultContext};
use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// `ST_NOSYMFOLLOW` of Linux's `include/linux/statfs.h`.
const NO_LINKS: u64 = 0x2000;
const HARD_LINKS: &str = "/proc/sys/fs/protected_hardlinks";

/// Where nginx sees a folder of `work_root` or one below it.
///
/// # Errors
/// It is not below `work_root`, nginx does not see it or would follow links there, or users may make hard
/// links to sockets that are not theirs.
pub(crate) fn of(layout: &Layout, folder: &Path) -> Result<PathBuf, Fault> {
    let below = folder.strip_prefix(&layout.work_root).map_err(|_| {
        Fault::new(format!(
            "cannot let nginx reach workspaces in {}: it is not below {}",
            folder.display(),
            layout.work_root.display()
        ))
        .hint("leave work_dir out of the project file, or have the app listen on its port and leave nginx.static out")
    })?;
    let seen = layout.work_view().join(below);
    check(folder, &seen)?;
    // A hard link to a socket is as good as its path.
    let protected = fs::read_to_string(HARD_LINKS).cannot(format!("read {HARD_LINKS}"))?;
    if protected.trim() != "1" {
        return Err(Fault::new(
            "cannot publish an app on a Unix socket: anybody may link others' sockets here",
        )
        .hint("set fs.protected_hardlinks to 1 (see sysctl.d(5)), as Debian does"));
    }
    Ok(seen)
}

/// Whether both are one folder, and no link is followed in the second.
fn check(folder: &Path, seen: &Path) -> Result<(), Fault> {
    let cannot = |why: &str| {
        Fault::new(format!(
            "cannot let nginx reach a workspace's folder: {} {why}",
            seen.display()
        ))
        .hint(
            "systemctl restart run-cid-work.mount; why it failed: journalctl -u run-cid-work.mount",
        )
    };
    let identity = |path: &Path| fs::metadata(path).map(|meta| (meta.dev(), meta.ino()));
    let own = identity(folder).map_err(|error| Fault::io("look at", folder, error))?;
    if identity(seen).ok() != Some(own) {
        return Err(cannot(&format!("does not show {}", folder.display())));
    }
    let mount = rustix::fs::statvfs(seen).map_err(|error| Fault::io("look at", seen, error))?;
    if mount.f_flag.bits() & NO_LINKS == 0 {
        return Err(cannot("is no mount on which links are not followed"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn believes_no_other_folder_and_no_mount_that_follows_links() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::sandbox(dir.path());
        let said = |folder: &Path| of(&layout, folder).unwrap_err().to_string();
        let folder = layout.work_root.join("p");
        fs::create_dir_all(&folder).unwrap();
        assert!(said(&dir.path().join("elsewhere")).contains("is not below"));
        assert!(said(&folder).contains("does not show"));
        fs::create_dir_all(layout.work_view().join("p")).unwrap();
        assert!(said(&folder).contains("does not show"));
        fs::remove_dir_all(layout.work_view()).unwrap();
        std::os::unix::fs::symlink(&layout.work_root, layout.work_view()).unwrap();
        assert!(said(&folder).contains("no mount on which links"));
    }
}
