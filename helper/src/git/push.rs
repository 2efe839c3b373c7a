//! Writes and deletes the workspace's branch on the remote, never over what somebody else put there.

use crate::git::{
    branch_ref, commit_id,
    program::{Git, Output, REMOTE},
    translate,
};
use cid_protocol::{
    fault::Fault,
    request::{BranchDeletion, DeleteBranch, Push},
};
use nix::{
    errno::Errno,
    unistd::{AccessFlags, eaccess},
};
use std::path::Path;

/// Pushes the commit; a branch that has it already is no error.
///
/// # Errors
/// The branch is not where it is expected, or the remote cannot be reached or refuses.
pub(crate) fn push(ask: &Push) -> Result<(), Fault> {
    let branch = branch_ref(&ask.branch)?;
    let commit = commit_id(&ask.commit)?;
    let expected = ask.expected.as_deref().map(commit_id).transpose()?;
    let expected = expected.map(|id| id.to_string()).unwrap_or_default();
    let git = Git::new(&ask.mirror, &ask.remote)?;
    if let Some(repository) = git.url.local().filter(|_| ask.dry_run) {
        refuse_unwritable(repository)?;
    }
    let output = write(
        &git,
        &branch,
        &expected,
        &format!("{commit}:{branch}"),
        ask.dry_run,
    )?;
    if output.success {
        return Ok(());
    }
    // The server may still carry out a push whose answer was lost when this one arrives.
    if translate::is_elsewhere(&output) && position(&git, &branch)? == Some(commit.to_string()) {
        return Ok(());
    }
    let verb = format!("push {} to", ask.branch);
    Err(translate::fault(&verb, &git, &output))
}

/// Deletes the branch while it has the expected commit.
///
/// # Errors
/// The remote cannot be reached or refuses.
pub(crate) fn delete(ask: &DeleteBranch) -> Result<BranchDeletion, Fault> {
    let branch = branch_ref(&ask.branch)?;
    let expected = commit_id(&ask.expected)?.to_string();
    let git = Git::new(&ask.mirror, &ask.remote)?;
    let output = write(&git, &branch, &expected, &format!(":{branch}"), false)?;
    if output.success {
        return Ok(BranchDeletion::Deleted);
    }
    let fault = translate::fault(&format!("delete {} on", ask.branch), &git, &output);
    if fault.lost.is_some() {
        return Err(fault);
    }
    // Git says the same of a branch that is gone and of one that moved, so the remote is asked.
    match position(&git, &branch)? {
        None => Ok(BranchDeletion::Absent),
        Some(commit) if commit != expected => Ok(BranchDeletion::Moved),
        Some(_) => Err(fault),
    }
}

/// A push that is only tried writes nothing, so git does not see this. A repository that is not there is
/// git's to tell.
fn refuse_unwritable(repository: &Path) -> Result<(), Fault> {
    let inner = repository.join(".git");
    let folder = match inner.is_dir() {
        true => inner,
        false => repository.to_owned(),
    };
    for part in ["objects", "refs/heads"] {
        let part = folder.join(part);
        match eaccess(&part, AccessFlags::W_OK | AccessFlags::X_OK) {
            Ok(()) | Err(Errno::ENOENT | Errno::ENOTDIR) => {}
            Err(error) => {
                return Err(Fault::new(format!(
                    "cannot push to {}: {} cannot be written ({})",
                    repository.display(),
                    part.display(),
                    error.desc()
                ))
                .hint(translate::may_write(repository)));
            }
        }
    }
    Ok(())
}

/// The commit a branch has on the remote now.
fn position(git: &Git<'_>, branch: &str) -> Result<Option<String>, Fault> {
    let output = git.run(&["ls-remote", REMOTE, branch])?;
    if !output.success {
        return Err(translate::fault("ask", git, &output));
    }
    Ok(output.lines.iter().find_map(|line| {
        let (commit, name) = line.split_once('\t')?;
        (name == branch).then(|| commit.to_owned())
    }))
}

/// The lease makes the server compare: it is given the old value and refuses when it is another.
fn write(
    git: &Git<'_>,
    branch: &str,
    expected: &str,
    refspec: &str,
    dry_run: bool,
) -> Result<Output, Fault> {
    let lease = format!("--force-with-lease={branch}:{expected}");
    let mut arguments = vec!["push", "--porcelain", "--no-progress"];
    arguments.extend(dry_run.then_some("--dry-run"));
    arguments.extend([lease.as_str(), REMOTE, refspec]);
    git.run(&arguments)
}
