//! One log folder that is missing keeps supervisord from starting, and with it the apps of every workspace.

use std::{
    ffi::OsStr,
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

/// As the daemon makes them: others than root have no business with what apps print.
const LOG_DIR_MODE: u32 = 0o750;
/// Makes the log folder of each program file, `UNIT.conf`, where there is none. What cannot be made is
/// told, and keeps nobody else down.
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

fn units(programs: &Path) -> io::Result<Vec<PathBuf>> {
    let mut units = Vec::new();
    for entry in fs::read_dir(programs)? {
        let name = PathBuf::from(entry?.file_name());
        if name.extension() == Some(OsStr::new("conf")) {
            units.push(name.with_extension(""));
        }
    }
    Ok(units)
}
