//! Asks the remote where its branches are: one connection, and nothing is fetched.

use crate::git::{
    HEADS, mirror,
    program::{Git, REMOTE},
    translate,
};
use cid_protocol::{
    budget::{BRANCHES, Over},
    fault::Fault,
    request::{Branches, ListBranches},
};

/// The commits of the wanted branches that the remote has.
///
/// # Errors
/// The remote cannot be reached or read, or has too many branches.
pub(crate) fn list(ask: &ListBranches) -> Result<Branches, Fault> {
    let git = Git::new(&ask.mirror, &ask.remote)?;
    if mirror::open(&ask.mirror).is_err() {
        mirror::prepare(&ask.mirror, &ask.base)?;
    }
    let output = git.list(&["ls-remote", "--quiet", "--heads", REMOTE])?;
    if !output.success {
        return Err(translate::fault("ask", &git, &output));
    }
    let place = format_args!("the branches of {}", git.url.shown()).to_string();
    BRANCHES
        .check(output.lines.len(), place)
        .map_err(|over| Fault::new(over.to_string()).hint(Over::HINT))?;
    let commits = output.lines.iter().filter_map(|line| {
        let (commit, name) = line.split_once('\t')?;
        let name = name.strip_prefix(HEADS)?;
        let is_hex = commit.bytes().all(|byte| byte.is_ascii_hexdigit());
        (is_hex && ask.wanted.contains(name)).then(|| (name.to_owned(), commit.to_owned()))
    });
    Ok(Branches {
        commits: commits.collect(),
    })
}
