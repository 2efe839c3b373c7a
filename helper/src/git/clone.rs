//! Makes the clone from the mirror, without a start of git: a repository that shares the mirror's
//! objects, is on the workspace's branch, and from which a person can push at once.

use crate::{
    git::{branch_ref, commit_id, mirror, remote::Url},
    tree::purge,
};
use cid_protocol::{
    fault::{Fault, FaultContext},
    request::{CloneTree, Person},
};
use git2::{Repository, RepositoryInitOptions, build::CheckoutBuilder};
use std::{
    fs::{self, File},
    io::Write,
    path::Path,
};

/// Written last, with what the clone was made of.
const MARK: &str = ".git/cid-complete";

/// Whether a clone was made to its end.
pub(crate) fn is_complete(tree: &Path) -> bool {
    fs::symlink_metadata(tree.join(MARK)).is_ok_and(|meta| meta.is_file())
}

/// Makes the clone. One that an earlier attempt completed is left alone, a half-made one is
/// removed first.
///
/// # Errors
/// The mirror lacks a commit, or the target cannot be written.
pub(crate) fn clone(ask: &CloneTree) -> Result<(), Fault> {
    let mark = format!("{} {} {}\n", ask.branch, ask.commit, ask.base_commit);
    if fs::read_to_string(ask.target.join(MARK)).is_ok_and(|text| text == mark) {
        return Ok(());
    }
    let mirror = mirror::open(&ask.mirror)?;
    for commit in [&ask.commit, &ask.base_commit] {
        mirror.find_commit(commit_id(commit)?).map_err(|error| {
            Fault::new(format!(
                "cannot find commit {commit} in {}: {}",
                ask.mirror.display(),
                error.message()
            ))
        })?;
    }
    purge::make_empty(&ask.target)?;
    make(ask).map_err(|error| {
        Fault::new(format!(
            "cannot clone {} to {}: {error}",
            ask.mirror.display(),
            ask.target.display()
        ))
    })?;
    introduce(&ask.person)?;
    let path = ask.target.join(MARK);
    File::create(&path)
        .and_then(|mut file| {
            file.write_all(mark.as_bytes())
                .and_then(|()| file.sync_all())
        })
        .map_err(|error| Fault::io("write", &path, error))
}

/// Tells git of the workspace's own user who commits. In HOME and not in the clone, for there it would
/// hold for everybody's git.
fn introduce(person: &Person) -> Result<(), Fault> {
    let path = person.home.join(".gitconfig");
    if path.exists() {
        return Ok(());
    }
    let name = person.email.split('@').next().unwrap_or(&person.email);
    git2::Config::open(&path)
        .and_then(|mut config| {
            config.set_str("user.name", name)?;
            config.set_str("user.email", &person.email)
        })
        .cannot(format!("write {}", path.display()))
}

fn make(ask: &CloneTree) -> Result<(), Fault> {
    let (base, branch) = (branch_ref(&ask.base)?, branch_ref(&ask.branch)?);
    let repository = init(ask)?;
    configure(&repository, ask, &branch).cannot("write its configuration")?;
    let (commit, base_commit) = (commit_id(&ask.commit)?, commit_id(&ask.base_commit)?);
    let remote_ref = |local: &str| local.replacen("refs/heads/", "refs/remotes/origin/", 1);
    let log = "clone: by cid";
    let references = || -> Result<(), git2::Error> {
        repository.reference(&remote_ref(&base), base_commit, true, log)?;
        if branch != base {
            repository.reference(&remote_ref(&branch), commit, true, log)?;
        }
        repository.reference_symbolic("refs/remotes/origin/HEAD", &remote_ref(&base), true, log)?;
        repository.reference(&branch, commit, true, log)?;
        repository.set_head(&branch)
    };
    references().cannot("write its references")?;
    repository
        .checkout_head(Some(CheckoutBuilder::new().force()))
        .cannot("check its files out")
}

fn init(ask: &CloneTree) -> Result<Repository, Fault> {
    let mut options = RepositoryInitOptions::new();
    options
        .external_template(false)
        .no_reinit(true)
        .mkdir(false);
    Repository::init_opts(&ask.target, &options).cannot("make the repository")?;
    let objects =
        fs::canonicalize(ask.mirror.join("objects")).cannot("find the mirror's objects")?;
    let objects = objects
        .to_str()
        .filter(|path| !path.contains('\n'))
        .ok_or_else(|| {
            Fault::new(format!(
                "cannot share the objects of {}: its path is no plain text",
                ask.mirror.display()
            ))
        })?;
    write_inside(
        &ask.target,
        ".git/objects/info/alternates",
        &format!("{objects}\n"),
    )?;
    // Opened again: the alternates are read when a repository is opened.
    Repository::open(&ask.target).cannot("open the repository")
}

fn write_inside(target: &Path, name: &str, text: &str) -> Result<(), Fault> {
    let path = target.join(name);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(|error| Fault::io("make", parent, error))?;
    }
    fs::write(&path, text).map_err(|error| Fault::io("write", &path, error))
}

fn configure(repository: &Repository, ask: &CloneTree, branch: &str) -> Result<(), git2::Error> {
    let mut config = repository.config()?.open_level(git2::ConfigLevel::Local)?;
    config.set_str("remote.origin.url", &without_credentials(&ask.url))?;
    // As `git clone` writes it. One refspec for each of the two branches would make every
    // `git fetch` fail once either is gone from the remote.
    config.set_str("remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*")?;
    config.set_str(&format!("branch.{}.remote", ask.branch), "origin")?;
    config.set_str(&format!("branch.{}.merge", ask.branch), branch)
}

/// A token in the operator's URL is the deploy identity's, not the developers'.
fn without_credentials(url: &str) -> String {
    if let (Ok(Url::Https(_)), Some(rest)) = (Url::parse(url), url.strip_prefix("https://")) {
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if let Some((_, host)) = authority.rsplit_once('@') {
            return format!("https://{host}/{path}");
        }
    }
    url.to_owned()
}

#[cfg(test)]
mod tests {
    use crate::git::clone::*;

    #[test]
    fn says_once_who_commits() {
        let home = tempfile::tempdir().unwrap();
        let person = |email: &str| Person {
            home: home.path().into(),
            email: email.into(),
        };
        introduce(&person("anna.b+c@example.com")).unwrap();
        introduce(&person("ben@example.com")).unwrap();
        let config = git2::Config::open(&home.path().join(".gitconfig")).unwrap();
        assert_eq!(config.get_string("user.name").unwrap(), "anna.b+c");
        let email = config.get_string("user.email").unwrap();
        assert_eq!(email, "anna.b+c@example.com");
    }

    #[test]
    fn keeps_tokens_out_of_clones() {
        assert_eq!(
            without_credentials("https://u:t@h.org/a/b@c.git"),
            "https://h.org/a/b@c.git"
        );
        assert_eq!(
            without_credentials("https://h.org/a.git"),
            "https://h.org/a.git"
        );
        assert_eq!(without_credentials("git@h.org:a.git"), "git@h.org:a.git");
    }
}
