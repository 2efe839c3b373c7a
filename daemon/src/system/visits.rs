//! Which workspaces had visitors: nginx writes a line with `PROJECT.NAME` for each request, and the daemon reads and
//! removes these lines.

use crate::domain::UnitName;
use cid_kernel::fs;
use cid_protocol::fault::Fault;
use std::{
    collections::BTreeSet,
    fs::OpenOptions,
    io::{BufRead as _, BufReader, Read as _},
    os::unix::fs::MetadataExt as _,
    path::Path,
};

/// At most so much is read of them: those who came before are the same mostly.
const MOST: u64 = 16 << 20;

/// Reads the lines since the last time, and empties the file. What nginx writes in the same moment is lost, which at
/// worst puts a workspace to sleep that its next visitor wakes. Blocks.
///
/// # Errors
/// The file cannot be read or emptied.
#[expect(
    clippy::disallowed_methods,
    reason = "the folder is cid's own, and no workspace can change it"
)]
pub fn take(file: &Path) -> Result<BTreeSet<UnitName>, Fault> {
    let cannot = |verb: &'static str| move |error| Fault::io(verb, file, error);
    let own = nix::unistd::geteuid().as_raw();
    match std::fs::symlink_metadata(file) {
        // Where nginx reopens its logs, it gives them to its workers.
        Ok(meta) if meta.uid() != own && own == 0 => fs::give(file, own)?,
        Ok(_) => {}
        Err(_) => return Ok(BTreeSet::new()),
    }
    let opened = OpenOptions::new().read(true).write(true).open(file);
    let opened = opened.map_err(cannot("open"))?;
    let mut units = BTreeSet::new();
    let mut last = String::new();
    for line in BufReader::new((&opened).take(MOST)).lines() {
        let line = line.map_err(cannot("read"))?;
        if line != last {
            units.extend(UnitName::parse(&line));
            last = line;
        }
    }
    opened.set_len(0).map_err(cannot("empty"))?;
    Ok(units)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_told_once_and_no_line_twice() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("visits.log");
        assert!(take(&file).unwrap().is_empty());
        let text = "shop.a--b\nshop.a--b\n../evil\n-\nshop.live\nshop.a--b\n";
        std::fs::write(&file, text).unwrap();
        let units: Vec<String> = take(&file)
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(units, ["shop.a--b", "shop.live"]);
        assert!(take(&file).unwrap().is_empty());
    }
}
