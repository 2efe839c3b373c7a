//! Accounts and groups of this machine.

use super::{Fault, exec, fs, standing::Standing};
use crate::domain::Account;
use async_trait::async_trait;
use nix::unistd::{Group, User};
use std::{
    ops::RangeInclusive,
    path::{Path, PathBuf},
    time::Duration,
};

/// The tools wait for each other's lock.
const LIMIT: Duration = Duration::from_secs(30);
const NO_LOGIN: &str = "/usr/sbin/nologin";

/// What a workspace's account says of itself.
const COMMENT: &str = "cid workspace";
/// Every account that was made is in it.
const ACCOUNTS: &str = "/etc/passwd";

/// An account that is called as those of workspaces are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The number in its name, which a workspace has in the ledger.
    pub number: i64,
    /// Name and user id.
    pub account: Account,
    /// It is all that cid would have made it.
    pub is_cids: bool,
    /// Its home; in a workspace's folder.
    pub home: PathBuf,
}

/// All accounts of this machine that are called `cidw-N`; `uids` are those of workspaces.
///
/// # Errors
/// They cannot be read.
pub fn workspaces(uids: &RangeInclusive<u32>) -> Result<Vec<Found>, Fault> {
    let text = fs::read_optional(Path::new(ACCOUNTS))?.unwrap_or_default();
    Ok(text.lines().filter_map(|line| found(line, uids)).collect())
}

fn found(line: &str, uids: &RangeInclusive<u32>) -> Option<Found> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, uid, _, comment, home, _] = fields[..] else {
        return None;
    };
    let number: i64 = name.strip_prefix("cidw-")?.parse().ok()?;
    let account = Account {
        name: name.to_owned(),
        uid: uid.parse().ok()?,
    };
    Some(Found {
        number,
        is_cids: comment == COMMENT && Account::of(number, uids).as_ref() == Some(&account),
        account,
        home: home.into(),
    })
}

/// Makes and removes accounts. Everything may be done twice.
#[async_trait]
pub trait Accounts: Send + Sync {
    /// Makes a workspace's account, with a group of its own and in `group`, whose number it gives.
    ///
    /// # Errors
    /// The name or the number is somebody else's, or the tools fail.
    async fn make(&self, account: &Account, home: &Path, group: &str) -> Result<u32, Fault>;

    /// Whether there is one of that name, whoever's it is.
    ///
    /// # Errors
    /// The machine does not tell.
    fn exists(&self, account: &Account) -> Result<bool, Fault>;

    /// Removes it; none of that name is no error. Its home is not touched.
    ///
    /// # Errors
    /// The tools fail.
    async fn remove(&self, account: &Account) -> Result<(), Fault>;

    /// Makes a project's group and the account that builds its environments.
    ///
    /// # Errors
    /// The tools fail.
    async fn make_project(&self, group: &str, builder: &str) -> Result<(), Fault>;

    /// Whether there is a builder of this name, or a group of this name that was made here.
    ///
    /// # Errors
    /// The machine does not tell.
    fn has_project(&self, group: &str, builder: &str) -> Result<bool, Fault>;

    /// Removes a project's builder, and its group where that was made here; none of that name is no error.
    ///
    /// # Errors
    /// The tools fail: something runs as the builder, or the group is somebody's first one.
    async fn remove_project(&self, group: &str, builder: &str) -> Result<(), Fault>;

    /// The numbers of an account and of a group that were made.
    ///
    /// # Errors
    /// There is none of that name.
    fn numbers(&self, account: &str, group: &str) -> Result<(u32, u32), Fault>;
}

/// This machine's, by the distribution's own tools, run by a helper that may change `/etc` and little
/// else.
pub struct RealAccounts {
    /// The helper.
    pub tools: Standing,
    /// Has an empty file for each project's group that was made here, called like it. A purge of the
    /// package removes these groups, and no others: the operator may have some of such names.
    pub made_groups: PathBuf,
}

#[async_trait]
impl Accounts for RealAccounts {
    async fn make(&self, account: &Account, home: &Path, group: &str) -> Result<u32, Fault> {
        let gid = gid_of(group)?;
        if let Some(there) = user(&account.name)? {
            if there.uid.as_raw() == account.uid && there.dir == home {
                return Ok(gid);
            }
            return Err(Fault::new(format!(
                "cannot make the account {}: it exists, with the number {} and the home {}",
                account.name,
                there.uid,
                there.dir.display()
            ))
            .hint("cid's accounts are called cidw-N; remove the other one, or restore the ledger that knows it"));
        }
        let uid = account.uid.to_string();
        // Its own group gets the same number, outside of the range that is people's.
        let (lowest, highest) = (format!("GID_MIN={uid}"), format!("GID_MAX={uid}"));
        let home = home.to_string_lossy();
        let args = [
            "--key",
            &lowest,
            "--key",
            &highest,
            "--uid",
            &uid,
            "--user-group",
            "--groups",
            group,
            "--home-dir",
            &home,
            "--no-create-home",
            "--shell",
            NO_LOGIN,
            "--no-log-init",
            "--comment",
            COMMENT,
            &account.name,
        ];
        self.run("useradd", &args).await.map(|()| gid)
    }

    fn exists(&self, account: &Account) -> Result<bool, Fault> {
        Ok(user(&account.name)?.is_some())
    }

    async fn remove(&self, account: &Account) -> Result<(), Fault> {
        match user(&account.name)? {
            Some(_) => self.run("userdel", &[&account.name]).await,
            None => Ok(()),
        }
    }

    async fn make_project(&self, group: &str, builder: &str) -> Result<(), Fault> {
        if self::group(group)?.is_none() {
            self.make_group(group).await?;
        }
        if user(builder)?.is_some() {
            return Ok(());
        }
        let args = [
            "--system",
            "--gid",
            group,
            // Each build has one of its own.
            "--home-dir",
            "/nonexistent",
            "--no-create-home",
            "--shell",
            NO_LOGIN,
            "--comment",
            "cid builder",
            builder,
        ];
        self.run("useradd", &args).await
    }

    fn has_project(&self, group: &str, builder: &str) -> Result<bool, Fault> {
        Ok(user(builder)?.is_some() || fs::exists(&self.made_groups.join(group)))
    }

    async fn remove_project(&self, group: &str, builder: &str) -> Result<(), Fault> {
        if user(builder)?.is_some() {
            self.run("userdel", &[builder]).await?;
        }
        let note = self.made_groups.join(group);
        if !fs::exists(&note) {
            return Ok(());
        }
        if self::group(group)?.is_some() {
            self.run("groupdel", &[group]).await?;
        }
        fs::remove_file(&note).map(drop)
    }

    fn numbers(&self, account: &str, group: &str) -> Result<(u32, u32), Fault> {
        let found = user(account)?.ok_or_else(|| {
            Fault::new(format!("cannot find the account {account}"))
                .hint("systemctl reload cid makes the accounts of all projects")
        })?;
        Ok((found.uid.as_raw(), gid_of(group)?))
    }
}

fn user(name: &str) -> Result<Option<User>, Fault> {
    User::from_name(name)
        .map_err(|error| Fault::new(format!("cannot look up the account {name}: {error}")))
}

fn group(name: &str) -> Result<Option<Group>, Fault> {
    Group::from_name(name)
        .map_err(|error| Fault::new(format!("cannot look up the group {name}: {error}")))
}

fn gid_of(name: &str) -> Result<u32, Fault> {
    let found = group(name)?.ok_or_else(|| {
        Fault::new(format!("cannot find the group {name}"))
            .hint("systemctl reload cid makes the groups of all projects")
    })?;
    Ok(found.gid.as_raw())
}

impl RealAccounts {
    /// Noted before it is made: a daemon that dies in between leaves no group of nobody's.
    async fn make_group(&self, group: &str) -> Result<(), Fault> {
        fs::make_dir(&self.made_groups, 0o700)?;
        let note = self.made_groups.join(group);
        fs::write_atomic(&note, b"", 0o600)?;
        let made = self.run("groupadd", &["--system", group]).await;
        if made.is_err() && self::group(group)?.is_none() {
            fs::remove_file(&note)?;
        }
        made
    }

    async fn run(&self, program: &str, args: &[&str]) -> Result<(), Fault> {
        let path = exec::find(program)
            .ok_or_else(|| Fault::new(format!("cannot find {program}")).hint("install passwd"))?;
        let command = std::iter::once(path.to_string_lossy().into_owned());
        let command = command.chain(args.iter().map(|&arg| arg.to_owned()));
        let output = self.tools.output(command.collect(), LIMIT).await?;
        match output.status {
            Some(0) => Ok(()),
            _ => Err(Fault::new(format!(
                "cannot change the accounts: {program} says: {}",
                output.stderr.trim()
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_cids_when_name_number_and_comment_say_so() {
        let of = |line: &str| found(line, &(70000..=99999));
        let home = "/srv/cid/shop/anna/home:/usr/sbin/nologin";
        let cids = of(&format!("cidw-3:x:70002:70002:cid workspace:{home}")).unwrap();
        assert!(cids.is_cids && cids.number == 3 && cids.home.ends_with("anna/home"));
        for other in [
            "cidw-3:x:70003:70003:cid workspace",
            "cidw-3:x:1003:1003:cid workspace",
            "cidw-03:x:70002:70002:cid workspace",
            "cidw-3:x:70002:70002:Ann Otter",
        ] {
            assert!(!of(&format!("{other}:{home}")).unwrap().is_cids, "{other}");
        }
        for other in ["cidb-shop:x:990:990:cid builder", "cidw-x:x:70002:70002:"] {
            assert_eq!(of(&format!("{other}:{home}")), None);
        }
    }
}
