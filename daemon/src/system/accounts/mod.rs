//! Accounts and groups of this machine.

mod real;
mod tables;
mod wanted;

pub use real::RealAccounts;
pub use tables::Tables;
pub use wanted::Wanted;

use crate::domain::Account;
use async_trait::async_trait;
use cid_protocol::fault::Fault;
use std::{ops::RangeInclusive, path::PathBuf};

/// What the names of workspaces' accounts begin with.
const PREFIX: &str = "cidw-";

/// An account that is called as those of workspaces are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The number in its name, which a workspace has in the ledger.
    pub number: i64,
    /// Name and user id.
    pub account: Account,
    /// It is all that cid would have made it, or a part of that.
    pub is_cids: bool,
}

/// All accounts in these tables that are called `cidw-N`, whole or not; `uids` are those of workspaces.
pub fn workspaces(tables: &Tables, uids: &RangeInclusive<u32>) -> Vec<Found> {
    let names = tables.names(PREFIX);
    names
        .iter()
        .filter_map(|name| found(tables, name, uids))
        .collect()
}

fn found(tables: &Tables, name: &str, uids: &RangeInclusive<u32>) -> Option<Found> {
    let number: i64 = name.strip_prefix(PREFIX)?.parse().ok()?;
    let traces = tables.of(name);
    let own = Account::of(number, uids).filter(|own| own.name == name);
    let is_user = |own: &Account| {
        let user = traces.user.as_ref();
        user.is_none_or(|user| user.uid == own.uid && user.comment == wanted::WORKSPACE)
    };
    let is_group = |own: &Account| traces.group.is_none_or(|gid| gid == own.uid);
    let is_cids = own
        .as_ref()
        .is_some_and(|own| is_user(own) && is_group(own));
    let uid = traces.user.as_ref().map(|user| user.uid).or(traces.group);
    Some(Found {
        number,
        is_cids,
        account: Account {
            name: name.to_owned(),
            uid: uid.or(own.map(|own| own.uid))?,
        },
    })
}

/// Makes and removes accounts. Everything may be done twice, and after half of it was done.
#[async_trait]
pub trait Accounts: Send + Sync {
    /// Makes a workspace's account, with a group of its own and in `group`, whose number it gives. What is there of
    /// it already is completed.
    ///
    /// # Errors
    /// The name or the number is somebody else's, or the tools fail.
    async fn make(&self, account: &Account, group: &str) -> Result<u32, Fault>;

    /// Whether anything has that name, cid's or not.
    ///
    /// # Errors
    /// The machine does not tell.
    fn exists(&self, account: &Account) -> Result<bool, Fault>;

    /// Removes all there is of it; nothing of that name is no error. Files are not touched.
    ///
    /// # Errors
    /// It is somebody else's, the tools fail, or a process still runs as it.
    async fn remove(&self, account: &Account) -> Result<(), Fault>;

    /// Makes a project's group and its own accounts.
    ///
    /// # Errors
    /// The tools fail.
    async fn make_project(&self, group: &str, own: &[String]) -> Result<(), Fault>;

    /// Whether there is anything of one of these accounts, or a group of this name that was made here.
    ///
    /// # Errors
    /// The machine does not tell.
    fn has_project(&self, group: &str, own: &[String]) -> Result<bool, Fault>;

    /// Removes a project's own accounts, and its group where that was made here; none of that name is no error.
    ///
    /// # Errors
    /// The tools fail, e.g. because the group is the primary one of an account.
    async fn remove_project(&self, group: &str, own: &[String]) -> Result<(), Fault>;

    /// Brings an account what it lacks.
    ///
    /// # Errors
    /// The name or the number is somebody else's, or the tools fail.
    async fn complete(&self, wanted: &Wanted) -> Result<(), Fault>;

    /// Files that killed tools have left beside the tables, some of which keep all tools from working; with `remove`
    /// they are removed. None while a tool is at work.
    ///
    /// # Errors
    /// They cannot be looked for, or not be removed.
    async fn leftovers(&self, remove: bool) -> Result<Vec<PathBuf>, Fault>;

    /// The numbers of an account and of a group that were made.
    ///
    /// # Errors
    /// No account or no group has that name.
    fn numbers(&self, account: &str, group: &str) -> Result<(u32, u32), Fault>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(files: &[(&str, &str)]) -> Vec<Found> {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        workspaces(&Tables::read_in(dir.path()).unwrap(), &(70000..=99999))
    }

    #[test]
    fn an_account_is_cids_when_name_number_and_comment_say_so() {
        let end = "/nonexistent:/usr/sbin/nologin\n";
        let cids = of(&[(
            "passwd",
            &format!("cidw-3:x:70002:70002:cid workspace:{end}"),
        )]);
        assert!(cids[0].is_cids && cids[0].number == 3);
        for other in [
            "cidw-3:x:70003:70003:cid workspace",
            "cidw-3:x:1003:1003:cid workspace",
            "cidw-03:x:70002:70002:cid workspace",
            "cidw-3:x:70002:70002:Ann Otter",
        ] {
            assert!(
                !of(&[("passwd", &format!("{other}:{end}"))])[0].is_cids,
                "{other}"
            );
        }
        for other in ["cidb-shop:x:990:990:cid builder:", "cidw-x:x:70002:70002::"] {
            assert_eq!(of(&[("passwd", &format!("{other}{end}"))]), []);
        }
    }

    #[test]
    fn what_a_killed_tool_left_of_an_account_is_found_in_whichever_table() {
        for (table, line) in [
            ("shadow", "cidw-3:!:20786:0:99999:7::1:"),
            ("group", "cidw-3:x:70002:"),
            ("gshadow", "cidw-3:!::"),
            ("group", "cid-shop:x:990:cidw-3"),
            ("subuid", "cidw-3:100000:65536"),
        ] {
            let found = of(&[(table, line)]);
            assert_eq!(found.len(), 1, "{table}");
            assert!(
                found[0].is_cids && found[0].account.uid == 70_002,
                "{table}"
            );
        }
        let other = of(&[("group", "cidw-3:x:1234:")]);
        assert!(!other[0].is_cids, "a group of the operator's");
    }
}
