//! Runs before each start of supervisord: a program file that supervisord refuses must affect its own
//! workspace only. Needs no daemon.

use super::refusal;
use crate::system::{exec, included};
use cid_protocol::fault::{Fault, FaultContext};
use std::{env, path::Path, process::Command};

/// Reads the configuration as supervisord does when it starts, and does nothing else.
const READ: &str = "import sys; from supervisor.options import ServerOptions; ServerOptions().realize(sys.argv[1:])";
/// systemd's word for a service that ended by itself with a failure.
const ENDED_BADLY: &str = "exit-code";

/// After supervisord has failed: moves program files aside that it refuses, so that its next start works for
/// all others. The daemon's doctor misses them and can write them again.
///
/// # Errors
/// supervisord cannot be asked, or it refuses something other than these files.
pub fn set_aside(programs: &Path, config: &Path) -> Result<(), Fault> {
    if env::var_os("SERVICE_RESULT").is_none_or(|result| result != ENDED_BADLY) {
        return Ok(());
    }
    // Each turn removes one of them.
    while let Some(said) = complaint(config)? {
        let refusal = refusal::parse(&said);
        let Some(file) = refusal.file.filter(|file| file.parent() == Some(programs)) else {
            return Err(Fault::new(format!(
                "cannot find a program file to blame; supervisord says: {}",
                refusal.message
            )));
        };
        included::set_aside(&file)?;
        eprintln!(
            "cid: {} keeps supervisord from starting, and is now {}.broken: {}",
            file.display(),
            file.display(),
            refusal.message
        );
    }
    Ok(())
}

/// supervisord's complaint about its configuration.
#[expect(
    clippy::disallowed_methods,
    reason = "before systemd starts it: there is no runtime"
)]
fn complaint(config: &Path) -> Result<Option<String>, Fault> {
    let python = exec::find("python3").ok_or_else(|| Fault::new("cannot find python3"))?;
    // Reads nothing from the current folder or root's home. The unit sets PYTHONPATH, which holds cid's own
    // part of supervisord.
    let mut read = Command::new(&python);
    read.args(["-P", "-s", "-c", READ, "-c"]).arg(config);
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
