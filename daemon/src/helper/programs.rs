//! One file that supervisord does not take, or one log folder that is missing, keeps it from starting
//! at all, and with it the apps of every workspace. Here is what keeps one's trouble one's own.

use super::{command, environment::Environment};
use crate::system::{
    fault::{Fault, FaultContext},
    included,
    supervisor::loader,
};
use std::{
    env,
    ffi::OsStr,
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process::Command,
};

/// As the daemon makes them: others than root have no business with what apps print.
const LOG_DIR_MODE: u32 = 0o750;
/// Reads the configuration as supervisord does at its start, and nothing else.
const READ: &str = "import sys; from supervisor.options import ServerOptions; ServerOptions().realize(sys.argv[1:])";
/// How `systemd` says that a service ended by itself, and badly.
const ENDED_BADLY: &str = "exit-code";

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

/// After supervisord has ended badly: moves the program files aside that it does not take, so that its
/// next start is one for all others. The daemon's doctor misses them and can write them again.
///
/// # Errors
/// It cannot be asked; or what it does not take is not one of these files.
pub(super) fn set_aside(programs: &Path, config: &Path) -> Result<(), Fault> {
    if env::var_os("SERVICE_RESULT").is_none_or(|result| result != ENDED_BADLY) {
        return Ok(());
    }
    // Each turn takes one of them away.
    while let Some(said) = complaint(config)? {
        let refusal = loader::parse(&said);
        let Some(file) = refusal.file.filter(|file| file.parent() == Some(programs)) else {
            return Err(Fault::new(format!(
                "cannot find a program file to blame; supervisord says: {}",
                refusal.message
            )));
        };
        included::set_aside(&file)?;
        eprintln!(
            "cid-helper: {} keeps supervisord from starting, and is now {}.broken: {}",
            file.display(),
            file.display(),
            refusal.message
        );
    }
    Ok(())
}

/// What supervisord has against its configuration.
fn complaint(config: &Path) -> Result<Option<String>, Fault> {
    let env: Environment = env::vars_os().collect();
    let python = command::find(OsStr::new("python3"), &env, Path::new("/"))?;
    // `-I`: nothing of a folder or variable that somebody else may have set.
    let mut read = Command::new(&python);
    read.args(["-I", "-c", READ, "-c"]).arg(config);
    let output = read.output().cannot("run python3")?;
    if output.status.success() {
        return Ok(None);
    }
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let error = said
        .rsplit_once("Error: ")
        .map_or(&*said, |(_, error)| error);
    Ok(Some(error.trim().to_owned()))
}
