//! Git. The network half is the git program's, run as the deploy user on the bare mirror, with a
//! clean environment and every way to run a program closed. The local half is libgit2's, which
//! runs no hooks, filters or monitors.

pub(super) mod branches;
pub(super) mod clone;
pub(super) mod credential;
pub(super) mod fetch;
pub(super) mod files;
mod growth;
mod mirror;
mod program;
pub(super) mod push;
mod remote;
pub(super) mod ssh;
mod translate;
pub(super) mod work;

pub(super) use mirror::open as open_mirror;

use cid_protocol::fault::Fault;

/// What a remote holds: its branches, and its tags.
const REFS: [&str; 2] = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"];

/// Before the name of each branch.
const HEADS: &str = "refs/heads/";

/// A branch name as git takes it, in its full form `refs/heads/NAME`.
fn branch_ref(name: &str) -> Result<String, Fault> {
    let full = format!("refs/heads/{name}");
    if name.starts_with('-') || !git2::Reference::is_valid_name(&full) {
        return Err(Fault::new(format!(
            "cannot use {name:?} as the name of a branch: git does not take it"
        )));
    }
    Ok(full)
}

/// A full commit id; what else git would understand by a name must not reach it.
fn commit_id(text: &str) -> Result<git2::Oid, Fault> {
    git2::Oid::from_str(text)
        .ok()
        .filter(|_| text.len() == 40)
        .ok_or_else(|| {
            Fault::new(format!(
                "cannot use {text:?} as a commit: it is no full commit id"
            ))
        })
}

#[cfg(test)]
mod tests {
    use crate::git::*;

    #[test]
    fn takes_only_plain_branches_and_full_ids() {
        assert_eq!(branch_ref("devel-anna").unwrap(), "refs/heads/devel-anna");
        for bad in ["--x", "a..b", "../x", "", "a b", "a:b", "x.lock", "a\nb"] {
            assert!(branch_ref(bad).is_err(), "{bad:?}");
        }
        assert!(commit_id(&"a".repeat(40)).is_ok());
        for bad in ["", "HEAD", "abc", "--all"] {
            assert!(commit_id(bad).is_err(), "{bad:?}");
        }
    }
}
