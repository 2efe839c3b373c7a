use anyhow::{Context, Result, bail};
use std::{env, path::PathBuf};

/// The folder of the built programs: `CID_BIN_DIR`, or where the running program was built.
///
/// # Errors
/// A program is missing there.
pub fn binaries() -> Result<PathBuf> {
    let dir = match env::var_os("CID_BIN_DIR") {
        Some(dir) => PathBuf::from(dir),
        None => {
            let program = env::current_exe().context("cannot tell which program this is")?;
            // A test lies in `PROFILE/deps/`, everything else in `PROFILE/`.
            program
                .ancestors()
                .skip(1)
                .find(|dir| !dir.ends_with("deps"))
                .map(PathBuf::from)
                .context("a program without a folder")?
        }
    };
    for name in ["cid", "cid-helper", "cictl", "cid-web"] {
        if !dir.join(name).is_file() {
            bail!(
                "{name} is not in {}: run `cargo build --workspace --bins` first",
                dir.display()
            );
        }
    }
    Ok(dir)
}
