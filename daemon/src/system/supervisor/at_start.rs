//! Before each start of supervisord: one program file that it does not take is that workspace's trouble and
//! nobody else's. Needs no daemon.

use super::refusal;
use crate::system::{exec, included};
use cid_protocol::fault::{Fault, FaultContext};
use std::{env, path::Path, process::Command};

/// Reads the configuration as supervisord does at its start, and nothing else.
const READ: &str = "import sys; from supervisor.options import ServerOptions; ServerOptions().realize(sys.argv[1:])";
/// How `systemd` says that a service ended by itself, and badly.
const ENDED_BADLY: &str = "exit-code";

/// After supervisord has ended badly: moves the program files aside that it does not take, so that its
/// next start is one for all others. The daemon's doctor misses them and can write them again.
///
/// # Errors
/// It cannot be asked; or what it does not take is not one of these files.
pub fn set_aside(programs: &Path, config: &Path) -> Result<(), Fault> {
    if env::var_os("SERVICE_RESULT").is_none_or(|result| result != ENDED_BADLY) {
        return Ok(());
    }
    // Each turn takes one of them away.
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

/// What supervisord has against its configuration.
#[expect(
    clippy::disallowed_methods,
    reason = "before systemd starts it: there is no runtime"
)]
fn complaint(config: &Path) -> Result<Option<String>, Fault> {
    let python = exec::find("python3").ok_or_else(|| Fault::new("cannot find python3"))?;
    // Nothing of the folder that this happens to run in, nor of root's home. PYTHONPATH is the unit's, and has
    // cid's own part of supervisord.
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
