//! Files generated from their source, so that they cannot contradict it: settings, manual pages,
//! completions, the list of libraries.

use super::{control::output, man, stage::Stage};
use crate::build;
use anyhow::{Context, Result};
use std::{fs, path::Path, process::Command};

const COMPLETIONS: &[(&str, &str)] = &[
    ("bash", "usr/share/bash-completion/completions/cictl"),
    ("zsh", "usr/share/zsh/vendor-completions/_cictl"),
    ("fish", "usr/share/fish/vendor_completions.d/cictl.fish"),
];

/// Writes all of them.
pub(super) fn documents(stage: &Stage, bins: &Path, version: &str) -> Result<()> {
    settings(stage)?;
    pages(stage, bins)?;
    for (shell, to) in COMPLETIONS {
        let script = output(Command::new(bins.join("cictl")).args(["completions", shell]))?;
        stage.write(to, script + "\n")?;
    }
    let doc = "usr/share/doc/cid";
    stage.write(&format!("{doc}/copyright"), copyright()?)?;
    stage.write_gzip(&format!("{doc}/libraries.gz"), libraries()?)?;
    let changes = fs::read(build::root().join("CHANGELOG.md"))?;
    stage.write_gzip(&format!("{doc}/NEWS.gz"), changes)?;
    stage.write_gzip(&format!("{doc}/changelog.gz"), changelog(version)?)
}

/// The operator's own file: every setting with its default, and none of them set.
fn settings(stage: &Stage) -> Result<()> {
    let example = fs::read_to_string(build::root().join("examples/cid.toml"))?;
    // Apps read what everybody reads in /etc.
    stage.write_with_mode("etc/cid/cid.toml", commented(&example), 0o640)
}

fn commented(example: &str) -> String {
    example
        .lines()
        .map(|line| match line {
            "" => "\n".to_owned(),
            line if line.starts_with('#') => format!("{line}\n"),
            line => format!("#{line}\n"),
        })
        .collect()
}

fn pages(stage: &Stage, bins: &Path) -> Result<()> {
    let folder = stage.root().with_file_name("man");
    fs::create_dir_all(&folder)?;
    build::check(Command::new(bins.join("cictl")).arg("man").arg(&folder))?;
    for entry in fs::read_dir(&folder)? {
        let entry = entry?;
        let name = entry.file_name();
        stage.write_gzip(
            &format!("usr/share/man/man1/{}.gz", name.to_string_lossy()),
            fs::read(entry.path())?,
        )?;
    }
    let root = build::root();
    let read = |path: &str| {
        fs::read_to_string(root.join(path)).with_context(|| format!("cannot read {path}"))
    };
    let page = |name: &str, text: String| {
        let section = &name[name.len() - 1..];
        stage.write_gzip(&format!("usr/share/man/man{section}/{name}.gz"), text)
    };
    page("cid.8", read("packaging/man/cid.8")?)?;
    page("cid.toml.5", man::settings(&read("examples/cid.toml")?))?;
    page(
        "cid-project.5",
        man::document(&man::PROJECT, &read("docs/project-file.md")?),
    )
}

fn copyright() -> Result<String> {
    let root = build::root();
    let mit = fs::read_to_string(root.join("LICENSE-MIT"))?;
    let (_, terms) = mit
        .split_once("\n\n")
        .and_then(|(_, rest)| rest.split_once("\n\n"))
        .context("LICENSE-MIT does not begin with a title and a copyright")?;
    let indented: Vec<String> = terms
        .trim_end()
        .lines()
        .map(|line| {
            if line.is_empty() {
                " .".into()
            } else {
                format!(" {line}")
            }
        })
        .collect();
    let text = fs::read_to_string(root.join("packaging/debian/copyright"))?;
    Ok(text.replace("@MIT@", &indented.join("\n")))
}

/// Debian's form of a changelog, which points to ours.
fn changelog(version: &str) -> Result<String> {
    let date = output(Command::new("date").arg("-R"))?;
    let control = fs::read_to_string(build::root().join("packaging/debian/control"))?;
    let maintainer = control
        .lines()
        .find_map(|line| line.strip_prefix("Maintainer: "))
        .context("control names no maintainer")?;
    Ok(format!(
        "cid ({version}) unstable; urgency=medium\n\n  * See /usr/share/doc/cid/NEWS.gz.\n\n -- \
         {maintainer}  {date}\n"
    ))
}

/// Name, version, licence and home of each library that the programs are linked with.
fn libraries() -> Result<String> {
    let mut tree = build::cargo();
    tree.args([
        "tree",
        "--workspace",
        "--exclude",
        "xtask",
        "--exclude",
        "cid-testkit",
    ]);
    tree.args(["--edges", "normal", "--prefix", "none", "--no-dedupe"]);
    tree.args(["--format", "{p}  {l}  {r}"]);
    let mut lines: Vec<String> = output(&mut tree)?
        .lines()
        // Our own have a path behind their version.
        .filter(|line| !line.contains(" (/"))
        .map(|line| line.trim_end().replace(" (proc-macro)", ""))
        .collect();
    lines.sort();
    lines.dedup();
    Ok(lines.join("\n") + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_settings_set_nothing() {
        let example = "# Ports.\nports = \"1-2\"\n\n[limits]\n\n# Git.\ngit = \"2m\"\n";
        let text = commented(example);
        assert_eq!(
            text,
            "# Ports.\n#ports = \"1-2\"\n\n#[limits]\n\n# Git.\n#git = \"2m\"\n"
        );
    }
}
