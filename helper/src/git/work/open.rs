//! Opens repositories that anybody may have made. libgit2 runs nothing of theirs.

use super::find::common_of;
use git2::{Config, ConfigLevel, Repository};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Extensions under which libgit2 sees all commits and branches.
const EXTENSIONS: &[&str] = &[
    "noop",
    "partialclone",
    "preciousobjects",
    "relativeworktrees",
    "worktreeconfig",
];
/// How many linked worktrees of one repository are looked at.
const WORKTREES: usize = 200;

/// Opens a `.git` folder, whatever user owns it: developers make repositories in a workspace too. With
/// files, what `core.worktree` and `core.bare` say does not count.
///
/// # Errors
/// It is not one, it is damaged, or git has ways of storing in it that libgit2 would not see.
pub(super) fn open(gitdir: &Path, workdir: Option<&Path>) -> Result<Repository, git2::Error> {
    // libgit2 refuses what it does not know as well, in words that nobody understands.
    refuse_extensions(&local_config(&common_of(gitdir))?)?;
    let repository = Repository::open_bare(gitdir)?;
    if let Some(workdir) = workdir {
        repository.set_workdir(workdir, false)?;
    }
    Ok(repository)
}

/// The configuration of the repository whose commits are here.
pub(super) fn local_config(common: &Path) -> Result<Config, git2::Error> {
    let file = common.join("config");
    let mut config = Config::new()?;
    match fs::symlink_metadata(&file) {
        Ok(_) => config.add_file(&file, ConfigLevel::Local, false)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(git2::Error::from_str(&error.to_string())),
    }
    Ok(config)
}

fn refuse_extensions(config: &Config) -> Result<(), git2::Error> {
    let mut entries = config.entries(Some(r"^extensions\."))?;
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = String::from_utf8_lossy(entry.name_bytes()).to_lowercase();
        let name = name.trim_start_matches("extensions.");
        let value = String::from_utf8_lossy(entry.value_bytes());
        let is_usual = matches!(
            (name, &*value),
            ("objectformat", "sha1") | ("refstorage", "files")
        );
        if EXTENSIONS.contains(&name) || is_usual {
            continue;
        }
        let what = match name {
            "objectformat" => format!("names its commits by {value}"),
            "refstorage" => format!("keeps its branches in a {value}"),
            other => format!("uses git's extension {other}"),
        };
        return Err(git2::Error::from_str(&format!(
            "it {what}, which cid cannot read"
        )));
    }
    Ok(())
}

/// The `.git` folders of a repository's linked worktrees.
pub(super) fn worktrees(common: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(common.join("worktrees"));
    let mut found: Vec<PathBuf> = entries
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| fs::symlink_metadata(path.join("HEAD")).is_ok())
        .take(WORKTREES)
        .collect();
    found.sort();
    found
}
