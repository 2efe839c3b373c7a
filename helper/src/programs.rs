//! One log folder that is missing keeps supervisord from starting, and with it the apps of every workspace.

use std::{
    ffi::OsStr,
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

/// As the daemon makes them: only root may read what apps print.
const LOG_DIR_MODE: u32 = 0o750;

/// Makes the log folders that program files name and that are missing. What cannot be made is told, and keeps nobody
/// else down.
pub(super) fn make_log_dirs(programs: &Path, logs: &Path) {
    let units = match units(programs) {
        Ok(units) => units,
        Err(error) => return eprintln!("cid-helper: cannot list {}: {error}", programs.display()),
    };
    for unit in units {
        let dir = logs.join(unit);
        let made = DirBuilder::new().mode(LOG_DIR_MODE).create(&dir);
        match made {
            Ok(()) => eprintln!("cid-helper: {} was missing, and is made", dir.display()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => eprintln!("cid-helper: cannot make {}: {error}", dir.display()),
        }
    }
}

/// `PROJECT.NAME`: all instances `PROJECT.NAME.N` of a workspace write their logs into one folder.
fn workspace(instance: PathBuf) -> PathBuf {
    let text = instance.to_str().unwrap_or_default();
    match text.match_indices('.').nth(1) {
        Some((end, _)) => text[..end].into(),
        None => instance,
    }
}

fn units(programs: &Path) -> io::Result<Vec<PathBuf>> {
    let mut units = Vec::new();
    for entry in fs::read_dir(programs)? {
        let name = PathBuf::from(entry?.file_name());
        if name.extension() == Some(OsStr::new("conf")) {
            units.push(workspace(name.with_extension("")));
        }
    }
    Ok(units)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_of_a_workspace_have_one_log_folder() {
        let dir = tempfile::tempdir().unwrap();
        let (programs, logs) = (dir.path().join("programs"), dir.path().join("logs"));
        fs::create_dir(&programs).unwrap();
        fs::create_dir(&logs).unwrap();
        for name in [
            "shop.anna.conf",
            "shop.ben.7.conf",
            ".shop.x.conf.tmp",
            "README",
        ] {
            fs::write(programs.join(name), "").unwrap();
        }
        make_log_dirs(&programs, &logs);
        let made = fs::read_dir(&logs).unwrap().flatten();
        let mut made: Vec<_> = made.map(|entry| entry.file_name()).collect();
        made.sort();
        assert_eq!(made, ["shop.anna", "shop.ben"]);
    }
}
