use crate::{
    command::{Output, run},
    project::{Tree, copy_tree},
    sshd::{Keys, Sshd},
};
use anyhow::{Context, Result};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// Runs git in `dir` without anybody's own configuration.
///
/// # Errors
/// It cannot be started or does not end.
pub fn git(dir: &Path, args: &[&str]) -> Result<Output> {
    run(&mut command(dir, args), Duration::from_secs(120))
}

fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new("git");
    command
        .arg("-C")
        .arg(dir)
        .args(args)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0");
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "Test");
        command.env(format!("GIT_{role}_EMAIL"), "test@example.com");
    }
    command
}

/// A bare repository with a `main` branch, and how cid reaches it.
#[derive(Debug)]
pub struct GitServer {
    /// What a project file says under `git.url`.
    pub url: String,
    bare: PathBuf,
    ssh: Option<(Sshd, Keys)>,
}

impl GitServer {
    /// `PARENT/NAME.git` with one commit of what lies in `tree`, reached by its path.
    ///
    /// # Errors
    /// git fails.
    pub fn local(parent: &Path, name: &str, tree: &Path) -> Result<Self> {
        Self::make(parent, name, |seed| copy_tree(tree, seed))
    }

    /// The same of a made-up project.
    ///
    /// # Errors
    /// git fails.
    pub fn local_tree(parent: &Path, name: &str, tree: &Tree) -> Result<Self> {
        Self::make(parent, name, |seed| tree.write(seed))
    }

    /// The same, reached through an sshd of its own on this port.
    ///
    /// # Errors
    /// git or sshd fails.
    pub fn ssh(parent: &Path, name: &str, tree: &Tree, port: u16) -> Result<Self> {
        Self::ssh_behind(parent, name, tree, (port, port), "MaxStartups 200")
    }

    /// The same with two ports, one that is told and one that sshd listens on, and further lines for
    /// sshd's configuration.
    ///
    /// # Errors
    /// git or sshd fails.
    pub fn ssh_behind(
        parent: &Path,
        name: &str,
        tree: &Tree,
        (told, port): (u16, u16),
        more: &str,
    ) -> Result<Self> {
        let mut server = Self::local_tree(parent, name, tree)?;
        let keys = Keys::make(&parent.join(format!("{name}-keys")), told)?;
        let sshd = Sshd::start_with(&keys, port, more)?;
        let url = sshd.url(&server.bare);
        server.url = url.replacen(&format!(":{port}/"), &format!(":{told}/"), 1);
        server.ssh = Some((sshd, keys));
        Ok(server)
    }

    /// One made earlier.
    #[must_use]
    pub fn existing(parent: &Path, name: &str) -> Self {
        let bare = parent.join(format!("{name}.git"));
        Self {
            url: bare.display().to_string(),
            bare,
            ssh: None,
        }
    }

    fn make(parent: &Path, name: &str, fill: impl Fn(&Path) -> Result<()>) -> Result<Self> {
        let bare = parent.join(format!("{name}.git"));
        let seed = parent.join(format!("{name}-seed"));
        fs::create_dir_all(&bare)?;
        fs::create_dir_all(&seed)?;
        git(
            &bare,
            &["init", "--quiet", "--bare", "--initial-branch=main"],
        )?
        .ok()?;
        git(&seed, &["init", "--quiet", "--initial-branch=main"])?.ok()?;
        fill(&seed)?;
        let url = bare.display().to_string();
        git(&seed, &["add", "--all"])?.ok()?;
        git(&seed, &["commit", "--quiet", "--message", "First"])?.ok()?;
        git(&seed, &["push", "--quiet", &url, "main"])?.ok()?;
        fs::remove_dir_all(&seed).context("cannot remove the seed")?;
        Ok(Self {
            url,
            bare,
            ssh: None,
        })
    }

    /// The bare repository.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.bare
    }

    /// The keys of a server reached through SSH.
    #[must_use]
    pub fn keys(&self) -> Option<&Keys> {
        self.ssh.as_ref().map(|(_, keys)| keys)
    }

    /// A project file for it, answering below `NAME.localhost`; `more` are further tables.
    #[must_use]
    pub fn project_toml(&self, name: &str, more: &str) -> String {
        let mut text = format!(
            "domain = \"{name}.localhost\"\n\n[git]\nurl = \"{}\"\n",
            self.url
        );
        if let Some(keys) = self.keys() {
            text.push_str(&format!(
                "identity_file = \"{}\"\nknown_hosts = \"{}\"\n",
                keys.identity.display(),
                keys.known_hosts.display()
            ));
        }
        format!("{text}\n{more}")
    }

    /// What a branch points to; `None` when there is no such branch.
    ///
    /// # Errors
    /// git fails.
    pub fn branch(&self, name: &str) -> Result<Option<String>> {
        let name = format!("refs/heads/{name}");
        Ok(self
            .refs()?
            .into_iter()
            .find_map(|(found, commit)| (found == name).then_some(commit)))
    }

    /// All refs and what they point to.
    ///
    /// # Errors
    /// git fails.
    pub fn refs(&self) -> Result<Vec<(String, String)>> {
        let output = git(
            &self.bare,
            &["for-each-ref", "--format=%(refname) %(objectname)"],
        )?
        .ok()?;
        let pairs = output
            .stdout
            .lines()
            .filter_map(|line| line.split_once(' '));
        Ok(pairs
            .map(|(name, commit)| (name.to_owned(), commit.to_owned()))
            .collect())
    }

    /// Adds a commit with this file to a branch, as another person would from another clone.
    ///
    /// # Errors
    /// git fails.
    pub fn commit_file(&self, branch: &str, path: &str, content: &str) -> Result<()> {
        let dir = tempfile::tempdir()?;
        let bare = self.bare.display().to_string();
        git(
            dir.path(),
            &["clone", "--quiet", "--branch", branch, &bare, "."],
        )?
        .ok()?;
        Tree::default().with(path, content).write(dir.path())?;
        git(dir.path(), &["add", "--all"])?.ok()?;
        git(
            dir.path(),
            &["commit", "--quiet", "--message", &format!("Change {path}")],
        )?
        .ok()?;
        git(dir.path(), &["push", "--quiet", "origin", branch])?.ok()?;
        Ok(())
    }

    /// Lets the server refuse every push, with this sentence.
    ///
    /// # Errors
    /// The hook cannot be written.
    pub fn reject_pushes(&self, sentence: &str) -> Result<()> {
        let hook = self.bare.join("hooks/pre-receive");
        fs::create_dir_all(self.bare.join("hooks"))?;
        fs::write(&hook, format!("#!/bin/sh\necho '{sentence}' >&2\nexit 1\n"))?;
        fs::set_permissions(&hook, fs::Permissions::from_mode(0o755))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_can_be_added_until_pushes_are_rejected() {
        let dir = tempfile::tempdir().unwrap();
        let server = GitServer::local_tree(dir.path(), "hello", &Tree::hello()).unwrap();
        let first = server.branch("main").unwrap().unwrap();
        server.commit_file("main", "new.txt", "new\n").unwrap();
        assert_ne!(server.branch("main").unwrap().unwrap(), first);
        server.reject_pushes("not today").unwrap();
        let error = server.commit_file("main", "newer.txt", "x").unwrap_err();
        assert!(format!("{error:#}").contains("not today"), "{error:#}");
        assert_eq!(server.branch("other").unwrap(), None);
    }
}
