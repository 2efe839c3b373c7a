//! The tree as it will lie on disk, and what goes into it unchanged.

use crate::build;
use anyhow::{Context, Result};
use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
};

const PROGRAMS: &[(&str, &str)] = &[
    ("cid", "usr/lib/cid/cid"),
    ("cid-helper", "usr/lib/cid/cid-helper"),
    ("cid-web", "usr/lib/cid/cid-web"),
    ("cictl", "usr/bin/cictl"),
];

const LINKS: &[(&str, &str)] = &[
    ("../lib/cid/cid", "usr/sbin/cid"),
    // Each start of nginx starts it first. Not by `WantedBy=`: nothing is to be enabled, or left behind.
    (
        "../cid-nginx-check.service",
        "usr/lib/systemd/system/nginx.service.wants/cid-nginx-check.service",
    ),
];

/// From the checkout, to the machine. A folder goes with all files directly in it.
const FILES: &[(&str, &str)] = &[
    ("systemd/system", "usr/lib/systemd/system"),
    ("systemd/sysusers.d", "usr/lib/sysusers.d"),
    ("systemd/tmpfiles.d", "usr/lib/tmpfiles.d"),
    ("polkit/actions", "usr/share/polkit-1/actions"),
    ("polkit/rules.d", "usr/share/polkit-1/rules.d"),
    ("packaging/supervisord.conf", "usr/lib/cid/supervisord.conf"),
    ("packaging/supervisor", "usr/lib/cid/python"),
    ("packaging/nginx/cid.conf", "etc/nginx/conf.d/cid.conf"),
    (
        "packaging/nginx/front.conf",
        "usr/share/doc/cid/examples/front.conf",
    ),
    (
        "packaging/examples/project.toml",
        "usr/share/doc/cid/examples/project.toml",
    ),
    ("docs/server.md", "usr/share/doc/cid/server.md"),
    (
        "docs/troubleshooting.md",
        "usr/share/doc/cid/troubleshooting.md",
    ),
    ("docs/delivery.md", "usr/share/doc/cid/delivery.md"),
    ("docs/project-file.md", "usr/share/doc/cid/project-file.md"),
    ("docs/security.md", "usr/share/doc/cid/security.md"),
    ("docs/recovery.md", "usr/share/doc/cid/recovery.md"),
    ("docs/limits.md", "usr/share/doc/cid/limits.md"),
    (
        "packaging/lintian-overrides",
        "usr/share/lintian/overrides/cid",
    ),
];

/// Folders that begin empty. Project files may hold secrets.
const FOLDERS: &[(&str, u32)] = &[("etc/cid/projects.d", 0o700)];

/// The staged tree.
pub(super) struct Stage {
    root: PathBuf,
}

impl Stage {
    pub(super) fn new(root: &Path) -> Result<Self> {
        fs::create_dir_all(root)?;
        fs::set_permissions(root, fs::Permissions::from_mode(0o755))?;
        Ok(Self {
            root: root.to_owned(),
        })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// The staged programs, relative to the root.
    pub(super) fn program_paths() -> impl Iterator<Item = &'static str> {
        PROGRAMS.iter().map(|(_, to)| *to)
    }

    /// Puts the built programs in place, without the names that only a debugger wants.
    pub(super) fn programs(&self, bins: &Path) -> Result<()> {
        for (name, to) in PROGRAMS {
            let to = self.place(to)?;
            build::check(
                Command::new("strip")
                    .args(["--strip-unneeded", "--remove-section=.comment", "-o"])
                    .arg(&to)
                    .arg(bins.join(name)),
            )?;
            fs::set_permissions(&to, fs::Permissions::from_mode(0o755))?;
        }
        for (target, link) in LINKS {
            symlink(target, self.place(link)?)?;
        }
        Ok(())
    }

    /// Puts everything in place that goes as it is.
    pub(super) fn files(&self) -> Result<()> {
        for (from, to) in FILES {
            let from = build::root().join(from);
            if !from.is_dir() {
                self.copy(&from, to)?;
                continue;
            }
            for entry in fs::read_dir(&from)? {
                let entry = entry?;
                let name = entry.file_name();
                self.copy(&entry.path(), &format!("{to}/{}", name.to_string_lossy()))?;
            }
        }
        for (folder, mode) in FOLDERS {
            let folder = self.place(&format!("{folder}/x"))?;
            let folder = folder.parent().context("a folder without a name")?;
            fs::set_permissions(folder, fs::Permissions::from_mode(*mode))?;
        }
        Ok(())
    }

    /// Writes a file that others may read.
    pub(super) fn write(&self, to: &str, content: impl AsRef<[u8]>) -> Result<()> {
        self.write_with_mode(to, content, 0o644)
    }

    pub(super) fn write_with_mode(
        &self,
        to: &str,
        content: impl AsRef<[u8]>,
        mode: u32,
    ) -> Result<()> {
        let path = self.place(to)?;
        fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(fs::set_permissions(
            &path,
            fs::Permissions::from_mode(mode),
        )?)
    }

    /// Writes a file compressed, always to the same bytes.
    pub(super) fn write_gzip(&self, to: &str, content: impl AsRef<[u8]>) -> Result<()> {
        let plain = to.strip_suffix(".gz").context("not a .gz")?;
        self.write(plain, content)?;
        let plain = self.root.join(plain);
        build::check(
            Command::new("gzip")
                .args(["--best", "--no-name", "--force"])
                .arg(plain),
        )
    }

    fn copy(&self, from: &Path, to: &str) -> Result<()> {
        let content = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
        self.write(to, content)
    }

    /// Where it goes, with the folders on the way there.
    fn place(&self, to: &str) -> Result<PathBuf> {
        let mut folder = self.root.clone();
        for part in Path::new(to).parent().into_iter().flatten() {
            folder.push(part);
            if !folder.is_dir() {
                fs::create_dir(&folder)?;
                // Independent of the builder's umask.
                fs::set_permissions(&folder, fs::Permissions::from_mode(0o755))?;
            }
        }
        Ok(self.root.join(to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An older build may have left a program that is not built any more.
    #[test]
    fn every_program_that_is_shipped_is_built() {
        let built = build::PROGRAMS.map(|(_, program)| program);
        for (program, path) in PROGRAMS {
            assert!(built.contains(program), "{path}");
        }
    }
}
