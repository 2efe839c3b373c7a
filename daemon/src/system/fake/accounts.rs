//! The made-up machine's accounts: names. Their numbers are this process's own.

use super::Fake;
use crate::{
    domain::Account,
    system::accounts::{Accounts, Wanted},
};
use async_trait::async_trait;
use cid_protocol::fault::Fault;
use std::path::PathBuf;

#[async_trait]
impl Accounts for Fake {
    async fn make(&self, account: &Account, _: &str) -> Result<u32, Fault> {
        self.state().accounts.insert(account.name.clone());
        Ok(nix::unistd::getegid().as_raw())
    }

    fn exists(&self, account: &Account) -> Result<bool, Fault> {
        Ok(self.state().accounts.contains(&account.name))
    }

    async fn remove(&self, account: &Account) -> Result<(), Fault> {
        self.state().accounts.remove(&account.name);
        Ok(())
    }

    async fn make_project(&self, _: &str, own: &[String]) -> Result<(), Fault> {
        self.state().accounts.extend(own.iter().cloned());
        Ok(())
    }

    fn has_project(&self, _: &str, own: &[String]) -> Result<bool, Fault> {
        Ok(own.iter().any(|one| self.state().accounts.contains(one)))
    }

    async fn remove_project(&self, _: &str, own: &[String]) -> Result<(), Fault> {
        self.state().accounts.retain(|one| !own.contains(one));
        Ok(())
    }

    async fn complete(&self, _: &Wanted) -> Result<(), Fault> {
        Ok(())
    }

    async fn leftovers(&self, _: bool) -> Result<Vec<PathBuf>, Fault> {
        Ok(Vec::new())
    }

    fn numbers(&self, _: &str, _: &str) -> Result<(u32, u32), Fault> {
        Ok((
            nix::unistd::geteuid().as_raw(),
            nix::unistd::getegid().as_raw(),
        ))
    }
}
