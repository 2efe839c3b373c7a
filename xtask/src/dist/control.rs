//! What dpkg is told: the control file, the maintainer scripts, checksums.

use super::stage::Stage;
use crate::build;
use anyhow::{Context, Result, ensure};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const SCRIPTS: &[&str] = &["preinst", "postinst", "prerm", "postrm"];

/// Writes `DEBIAN/` and says for which architecture the package is.
pub(super) fn write(stage: &Stage, work: &Path, version: &str) -> Result<String> {
    let source = build::root().join("packaging/debian");
    let files = files(stage.root())?;
    let architecture = output(Command::new("dpkg").arg("--print-architecture"))?;
    let size: u64 = files
        .iter()
        .filter_map(|path| {
            Some(
                fs::metadata(stage.root().join(path))
                    .ok()?
                    .len()
                    .div_ceil(1024),
            )
        })
        .sum();
    let control = fs::read_to_string(source.join("control"))?
        .replace("@VERSION@", version)
        .replace("@ARCHITECTURE@", &architecture)
        .replace("@INSTALLED_SIZE@", &size.to_string())
        .replace("@SHLIBS@", &libraries(stage, work)?);
    stage.write("DEBIAN/control", control)?;
    stage.write("DEBIAN/md5sums", sums(stage.root(), &files)?)?;
    stage.write("DEBIAN/conffiles", fs::read(source.join("conffiles"))?)?;
    for script in SCRIPTS {
        let path = source.join(script);
        let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        stage.write_with_mode(&format!("DEBIAN/{script}"), text, 0o755)?;
    }
    Ok(architecture)
}

/// The packages of the libraries that the programs load.
fn libraries(stage: &Stage, work: &Path) -> Result<String> {
    // dpkg-shlibdeps takes its own file to be that of a source package.
    let debian = work.join("debian");
    fs::create_dir_all(&debian)?;
    fs::write(
        debian.join("control"),
        "Source: cid\n\nPackage: cid\nArchitecture: any\n",
    )?;
    let mut command = Command::new("dpkg-shlibdeps");
    command.arg("-O").current_dir(work);
    for program in Stage::program_paths() {
        command.arg(stage.root().join(program));
    }
    let line = output(&mut command)?;
    line.strip_prefix("shlibs:Depends=")
        .map(str::to_owned)
        .with_context(|| format!("dpkg-shlibdeps says {line}"))
}

fn sums(root: &Path, files: &[PathBuf]) -> Result<String> {
    let sums = output(
        Command::new("md5sum")
            .arg("--")
            .args(files)
            .current_dir(root),
    )?;
    Ok(sums + "\n")
}

/// Regular files below a folder, relative to it, sorted.
fn files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path().strip_prefix(root)?.to_owned());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// What a command prints, which must succeed.
pub(super) fn output(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| {
        format!("cannot start {program}: it is in the package dpkg-dev or coreutils")
    })?;
    ensure!(
        output.status.success(),
        "{program} ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
}
