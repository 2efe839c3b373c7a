//! Unix accounts that cid makes: one per workspace; a builder, a tester and a group per project.

use super::{ProjectName, Workspace};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Longest name of an account or group (useradd's limit).
const MAX_LEN: usize = 32;

/// The account of one workspace. Its number is the workspace's number in the ledger, which is never reused:
/// an old file cannot come to belong to somebody else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// `cidw-N`.
    pub name: String,
    /// Its user id; its own group has the same id.
    pub uid: u32,
}

impl Account {
    /// The account of the workspace with this number in the ledger; `None` if the range `uids` is used up.
    pub fn of(number: i64, uids: &std::ops::RangeInclusive<u32>) -> Option<Self> {
        let offset = u32::try_from(number.checked_sub(1)?).ok()?;
        let uid = uids.start().checked_add(offset)?;
        uids.contains(&uid).then(|| Self {
            name: format!("cidw-{number}"),
            uid,
        })
    }
}

/// The accounts of all workspaces; empty in a sandbox.
#[derive(Clone, Debug)]
pub struct AccountRange(Option<std::ops::RangeInclusive<u32>>);

impl AccountRange {
    /// These user ids; `None` in a sandbox.
    pub fn new(uids: Option<std::ops::RangeInclusive<u32>>) -> Self {
        Self(uids)
    }

    /// The account of one workspace; `None` in a sandbox, and if the range is used up.
    pub fn of(&self, workspace: &Workspace) -> Option<Account> {
        Account::of(workspace.id, self.0.as_ref()?)
    }
}

/// The group of all accounts of a project.
pub fn project_group(project: &ProjectName) -> String {
    short("cid-", project)
}

/// The account that builds a project's shared packages.
pub fn builder(project: &ProjectName) -> String {
    short("cidb-", project)
}

/// The account that runs the tests of a project's builds.
pub fn tester(project: &ProjectName) -> String {
    short("cidt-", project)
}

/// The accounts that a project has besides those of its workspaces and stages.
pub fn project_accounts(project: &ProjectName) -> [String; 2] {
    [builder(project), tester(project)]
}

/// The account that fetches tools for builds. The package makes it, like the front's account.
pub const TOOLS: &str = "cid-tools";
/// Groups of accounts that the package makes.
const TAKEN: [&str; 2] = ["cid-web", TOOLS];

fn short(prefix: &str, project: &ProjectName) -> String {
    let whole = format!("{prefix}{project}");
    if whole.len() <= MAX_LEN && !TAKEN.contains(&whole.as_str()) {
        return whole;
    }
    let mark = data_encoding::HEXLOWER.encode(&Sha256::digest(project.as_str())[..3]);
    format!(
        "{}-{mark}",
        &whole[..whole.len().min(MAX_LEN - 1 - mark.len())]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_accounts_within_their_range() {
        let uids = 30000..=30001;
        let first = Account::of(1, &uids).unwrap();
        assert_eq!((first.name.as_str(), first.uid), ("cidw-1", 30000));
        assert_eq!(Account::of(2, &uids).unwrap().uid, 30001);
        assert_eq!(Account::of(3, &uids), None);
        assert_eq!(Account::of(0, &uids), None);
    }

    #[test]
    fn long_names_of_projects_fit_and_differ() {
        let name = |text: &str| ProjectName::parse(text).unwrap();
        let long = [name(&"a".repeat(31)), name(&format!("{}b", "a".repeat(30)))];
        let groups: Vec<String> = long.iter().map(project_group).collect();
        assert!(groups.iter().all(|group| group.len() <= MAX_LEN));
        assert_ne!(groups[0], groups[1]);
        assert_eq!(builder(&name("shop")), "cidb-shop");
        assert_eq!(tester(&name("shop")), "cidt-shop");
        assert_eq!(project_group(&name("shop")), "cid-shop");
        for taken in ["web", "tools"] {
            assert_ne!(project_group(&name(taken)), format!("cid-{taken}"));
        }
    }
}
