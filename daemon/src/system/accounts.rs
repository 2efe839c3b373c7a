//! Accounts and groups of this machine.

use super::{Fault, exec, standing::Standing};
use crate::domain::Account;
use async_trait::async_trait;
use nix::unistd::{Group, User};
use std::{path::Path, time::Duration};

/// The tools wait for each other's lock.
const LIMIT: Duration = Duration::from_secs(30);
const NO_LOGIN: &str = "/usr/sbin/nologin";

/// Makes and removes accounts. Everything may be done twice.
#[async_trait]
pub trait Accounts: Send + Sync {
    /// Makes a workspace's account, with a group of its own and in `group`, whose number it gives.
    ///
    /// # Errors
    /// The name or the number is somebody else's, or the tools fail.
    async fn make(&self, account: &Account, home: &Path, group: &str) -> Result<u32, Fault>;

    /// The numbers of the primary group of an account that is somebody's and stays so, and of `group`.
    ///
    /// # Errors
    /// There is none of that name and number any more, or no such group.
    fn lookup(&self, account: &Account, group: &str) -> Result<(u32, u32), Fault>;

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

    /// Takes the account away from under a process that runs as it, and goes on; none of that name is no
    /// error.
    ///
    /// # Errors
    /// The tools fail.
    async fn withdraw(&self, account: &Account) -> Result<(), Fault>;

    /// Makes a project's group and the account that builds its environments.
    ///
    /// # Errors
    /// The tools fail.
    async fn make_project(&self, group: &str, builder: &str) -> Result<(), Fault>;

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
            "cid workspace",
            &account.name,
        ];
        self.run("useradd", &args).await.map(|()| gid)
    }

    fn lookup(&self, account: &Account, group: &str) -> Result<(u32, u32), Fault> {
        let there = user(&account.name)?.filter(|there| there.uid.as_raw() == account.uid);
        let there = there.ok_or_else(|| {
            Fault::new(format!(
                "cannot find the account {} with the number {}",
                account.name, account.uid
            ))
            .hint("try again; the account was changed meanwhile")
        })?;
        Ok((there.gid.as_raw(), gid_of(group)?))
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

    async fn withdraw(&self, account: &Account) -> Result<(), Fault> {
        match user(&account.name)? {
            // Without --force it refuses; homes and mail only go with --remove.
            Some(_) => self.run("userdel", &["--force", &account.name]).await,
            None => Ok(()),
        }
    }

    async fn make_project(&self, group: &str, builder: &str) -> Result<(), Fault> {
        if self::group(group)?.is_none() {
            self.run("groupadd", &["--system", group]).await?;
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
