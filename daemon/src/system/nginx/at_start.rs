//! Runs before each start of nginx: an error in one workspace's site, such as a missing certificate, must
//! affect that site only. Needs no daemon.

use super::{aside, check};
use cid_protocol::fault::{Fault, FaultContext};
use std::{fs::OpenOptions, io::Write, path::Path, process::Command};

/// Where the machine says what it knows of names itself.
const MACHINE: &str = "/etc/hosts";
const NGINX: &str = "/usr/sbin/nginx";
/// Names of upstreams that nginx may miss, at most.
const MAX_NAMES: usize = 256;

/// Sets vhosts of workspaces aside, one after the other, until nginx takes its configuration or has
/// something against it that is not cid's. The daemon's doctor tells of them, and puts them back.
///
/// # Errors
/// nginx cannot be asked; or what it does not take is somebody else's.
pub fn set_aside(vhosts: &Path, config: &Path) -> Result<(), Fault> {
    let files = std::fs::read_dir(vhosts).cannot(format!("list {}", vhosts.display()))?;
    // Each turn takes one of them away, or what stands in for it, or knows another name.
    let turns = 2 * files.count() + MAX_NAMES;
    for _ in 0..turns {
        let Some(refusal) = complaint(config)? else {
            return Ok(());
        };
        if let Some(name) = check::missing_name(&refusal.message) {
            assume(name)?;
            continue;
        }
        let to_blame = aside::to_blame(vhosts, &refusal);
        if to_blame.is_empty() {
            let place = refusal
                .place()
                .map_or(String::new(), |at| format!(" in {at}"));
            return Err(Fault::new(format!(
                "cannot find a vhost of a workspace to blame; nginx says: {}{place}",
                refusal.message
            )));
        }
        for file in to_blame {
            aside::set_aside(&file, &refusal.message)?;
            eprintln!(
                "cid: {} keeps nginx from starting, and is set aside: {}",
                file.display(),
                refusal.message
            );
        }
    }
    Err(Fault::new(
        "cannot make nginx take its configuration: it has ever more against it",
    ))
}

/// What nginx has against its configuration.
#[expect(
    clippy::disallowed_methods,
    reason = "before systemd starts it: there is no runtime"
)]
fn complaint(config: &Path) -> Result<Option<check::Refusal>, Fault> {
    let mut test = Command::new(NGINX);
    test.env_clear().arg("-t").arg("-c").arg(config);
    let output = test.output().cannot(format!("run {NGINX}"))?;
    match output.status.success() {
        true => Ok(None),
        false => Ok(check::objection(&String::from_utf8_lossy(&output.stderr))),
    }
}

/// Has nginx find a name. It has a hosts file of this unit's own; the machine's cannot be written.
fn assume(name: &str) -> Result<(), Fault> {
    OpenOptions::new()
        .append(true)
        .open(MACHINE)
        .and_then(|mut hosts| writeln!(hosts, "127.0.0.1 {name}"))
        .cannot(format!("have nginx read on, which does not find {name}"))
}
