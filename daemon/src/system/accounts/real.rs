//! This machine's accounts, by the distribution's own tools.

use super::{Accounts, Tables, Wanted, tables::Traces, wanted::WORKSPACE};
use crate::{
    domain::Account,
    system::{exec, procs, standing::Standing},
};
use async_trait::async_trait;
use cid_kernel::{
    accounts::{self, user},
    cgroup, fs,
};
use cid_protocol::{fault::Fault, request::FindAccountFiles};
use std::{path::PathBuf, time::Duration};

/// The tools wait for each other's lock.
const LIMIT: Duration = Duration::from_secs(30);
/// More than there are pieces of an account: each tool brings or removes one.
const ROUNDS: usize = 8;

/// This machine's accounts, by tools that a helper runs which may change `/etc` and little else.
pub struct RealAccounts {
    /// The helper.
    pub tools: Standing,
    /// Has an empty file for each project's group that was made here, called like it. A purge of the
    /// package removes these groups, and no others: the operator may have some of such names.
    pub made_groups: PathBuf,
}

#[async_trait]
impl Accounts for RealAccounts {
    async fn make(&self, account: &Account, group: &str) -> Result<u32, Fault> {
        let gid = gid_of(group)?;
        refuse_elsewhere(account)?;
        self.complete(&Wanted::workspace(account, Some(group.to_owned())))
            .await?;
        Ok(gid)
    }

    fn exists(&self, account: &Account) -> Result<bool, Fault> {
        let is_user = user(&account.name)?.is_some();
        Ok(is_user || !Tables::read()?.of(&account.name).is_empty())
    }

    async fn remove(&self, account: &Account) -> Result<(), Fault> {
        self.clear(&Wanted::workspace(account, None)).await?;
        refuse_processes(account)
    }

    async fn make_project(&self, group: &str, own: &[String]) -> Result<(), Fault> {
        if accounts::group(group)?.is_none() {
            self.make_group(group).await?;
        }
        let traces = Tables::read()?.of(group);
        if traces.group.is_some() && traces.keeps_group_secrets && !traces.has_group_secret {
            self.run(&["gpasswd", "--restrict", group].map(str::to_owned))
                .await?;
        }
        for account in own {
            self.complete(&Wanted::of_project(account.clone(), group.to_owned()))
                .await?;
        }
        Ok(())
    }

    fn has_project(&self, group: &str, own: &[String]) -> Result<bool, Fault> {
        let tables = Tables::read()?;
        let is_there = own.iter().any(|account| !tables.of(account).is_empty());
        Ok(is_there || fs::exists(&self.made_groups.join(group)))
    }

    async fn remove_project(&self, group: &str, own: &[String]) -> Result<(), Fault> {
        for account in own {
            self.clear(&Wanted::of_project(account.clone(), group.to_owned()))
                .await?;
        }
        let note = self.made_groups.join(group);
        if !fs::exists(&note) {
            return Ok(());
        }
        let traces = Tables::read()?.of(group);
        if traces.group.is_none() && traces.has_group_secret {
            // No tool removes that line alone.
            self.run(&["groupadd", "--system", group].map(str::to_owned))
                .await?;
        }
        if accounts::group(group)?.is_some() {
            self.run(&["groupdel", group].map(str::to_owned)).await?;
        }
        fs::remove_file(&note).map(drop)
    }

    async fn complete(&self, wanted: &Wanted) -> Result<(), Fault> {
        self.tools.idle().await;
        for _ in 0..ROUNDS {
            let traces = Tables::read()?.of(wanted.name());
            if let Some(account) = wanted.account() {
                refuse_foreign(&account, &traces)?;
            }
            let Some(lack) = wanted.lacks(&traces).into_iter().next() else {
                return Ok(());
            };
            let Some(tool) = wanted.tool(&lack, &traces) else {
                return Err(unchanged(wanted.name(), &lack.to_string())
                    .hint("systemd-sysusers makes the accounts of the package"));
            };
            self.advance(wanted, &tool, &traces).await?;
        }
        let lacks = wanted.lacking(&Tables::read()?).join(", ");
        Err(unchanged(wanted.name(), &lacks))
    }

    async fn leftovers(&self, remove: bool) -> Result<Vec<PathBuf>, Fault> {
        let found = self.tools.ask(FindAccountFiles { remove }, LIMIT).await?;
        Ok(found.0.left)
    }

    fn numbers(&self, account: &str, group: &str) -> Result<(u32, u32), Fault> {
        let found = user(account)?.ok_or_else(|| {
            Fault::new(format!("cannot find the account {account}"))
                .hint("systemctl reload cid makes the accounts of all projects")
        })?;
        Ok((found.uid.as_raw(), gid_of(group)?))
    }
}

/// The tools say that all went well, and it did not.
fn unchanged(name: &str, how: &str) -> Fault {
    Fault::new(format!("cannot change the account {name}: {how}")).hint(format!(
        "look what /etc/passwd, shadow, group and gshadow say of {name}"
    ))
}

/// What the tables have under this name is not an account of cid's, nor a part of one.
fn refuse_foreign(account: &Account, traces: &Traces) -> Result<(), Fault> {
    let Account { name, uid } = account;
    let refuse = |what: String| {
        Err(Fault::new(format!("cannot change the account {name}: {what}"))
            .hint("cid's accounts are called cidw-N; remove the other one, or restore the ledger that knows it"))
    };
    match (&traces.user, traces.group) {
        (Some(user), _) if user.uid != *uid || user.comment != WORKSPACE => refuse(format!(
            "it exists, with the number {} and the comment {:?}",
            user.uid, user.comment
        )),
        (_, Some(gid)) if gid != *uid => refuse(format!(
            "a group of this name exists, with the number {gid}"
        )),
        _ => Ok(()),
    }
}

/// By any parent and in any control group, except for the helper that ended the others.
fn refuse_processes(account: &Account) -> Result<(), Fault> {
    let mut left = procs::of(account.uid);
    left.retain(|pid| !cgroup::is_helpers(*pid));
    if left.is_empty() {
        return Ok(());
    }
    let left: Vec<String> = left.iter().map(u32::to_string).collect();
    Err(Fault::new(format!(
        "cannot remove the account {}: processes still run as it: {}",
        account.name,
        left.join(", ")
    ))
    .hint("ps says who started them"))
}

/// A directory server may have one of this name that the tables do not.
fn refuse_elsewhere(account: &Account) -> Result<(), Fault> {
    let there = user(&account.name)?.map(|user| user.uid.as_raw());
    match there {
        Some(uid) if uid != account.uid => Err(Fault::new(format!(
            "cannot make the account {}: it exists, with the number {uid}",
            account.name
        ))
        .hint("cid's accounts are called cidw-N; remove the other one, or restore the ledger that knows it")),
        _ => Ok(()),
    }
}

fn gid_of(name: &str) -> Result<u32, Fault> {
    accounts::gid_of(
        name,
        "systemctl reload cid makes the groups of all projects",
    )
}

impl RealAccounts {
    /// Removes all there is of an account.
    async fn clear(&self, wanted: &Wanted) -> Result<(), Fault> {
        // A tool that nobody waits for any more may still be making it.
        self.tools.idle().await;
        for _ in 0..ROUNDS {
            let traces = Tables::read()?.of(wanted.name());
            if let Some(account) = wanted.account() {
                refuse_foreign(&account, &traces)?;
            }
            let Some(left) = Wanted::left(&traces) else {
                return Ok(());
            };
            match wanted.removal(left, &traces) {
                Some(tool) => self.advance(wanted, &tool, &traces).await?,
                None => break,
            }
        }
        Err(unchanged(wanted.name(), "something of it is left"))
    }

    /// Recorded before it is made: a daemon that dies in between leaves no unrecorded group.
    async fn make_group(&self, group: &str) -> Result<(), Fault> {
        fs::make_dir(&self.made_groups, 0o700)?;
        let note = self.made_groups.join(group);
        fs::write_atomic(&note, b"", 0o600)?;
        let made = self
            .run(&["groupadd", "--system", group].map(str::to_owned))
            .await;
        if made.is_err() && accounts::group(group)?.is_none() {
            fs::remove_file(&note)?;
        }
        made
    }

    /// A tool that changed something and failed was killed half-way: work continues from there.
    async fn advance(
        &self,
        wanted: &Wanted,
        tool: &[String],
        before: &Traces,
    ) -> Result<(), Fault> {
        match self.run(tool).await {
            Err(fault) if Tables::read()?.of(wanted.name()) == *before => Err(fault),
            _ => Ok(()),
        }
    }

    /// A killed tool leaves a lock behind. Others take it for a live lock once its process number is reused.
    async fn run(&self, tool: &[String]) -> Result<(), Fault> {
        let ran = self.run_once(tool).await;
        if ran.is_err() && !self.leftovers(true).await?.is_empty() {
            return self.run_once(tool).await;
        }
        ran
    }

    async fn run_once(&self, tool: &[String]) -> Result<(), Fault> {
        let [program, args @ ..] = tool else {
            return Err(Fault::new("cannot change the accounts: there is no tool"));
        };
        let path = exec::find(program)
            .ok_or_else(|| Fault::new(format!("cannot find {program}")).hint("install passwd"))?;
        let command = std::iter::once(path.to_string_lossy().into_owned());
        let command = command.chain(args.iter().cloned());
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
