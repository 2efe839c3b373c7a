//! The made-up nginx: files in a folder, and what it has loaded of them.

use super::{Fake, list, read, write};
use crate::{
    domain::UnitName,
    system::{Effect, nginx::Nginx},
};
use async_trait::async_trait;
use cid_kernel::fs;
use cid_protocol::fault::Fault;
use std::{collections::BTreeMap, path::Path};

pub(super) struct FakeNginx(pub(super) Fake);

#[async_trait]
impl Nginx for FakeNginx {
    async fn put(&self, unit: &UnitName, vhost: &str) -> Result<(), Fault> {
        self.0.answers("nginx")?;
        if vhost.contains("bad") {
            return Err(Fault::new(format!(
                "cannot put the vhost of {unit} in place: it is bad"
            )));
        }
        write(&self.0.layout.vhost_dir(), unit, vhost)?;
        self.settle().await
    }

    async fn put_back(&self, unit: &UnitName, vhost: &str) -> Result<Effect, Fault> {
        write(&self.0.layout.vhost_dir(), unit, vhost)?;
        Ok(match self.settle().await {
            Ok(()) => Effect::Done,
            Err(fault) => Effect::Owed(fault.message),
        })
    }

    async fn remove(&self, unit: &UnitName) -> Result<Effect, Fault> {
        fs::remove_file(&self.0.layout.vhost_dir().join(format!("{unit}.conf")))?;
        Ok(match self.settle().await {
            Ok(()) => Effect::Done,
            Err(fault) => Effect::Owed(fault.message),
        })
    }

    fn read(&self, unit: &UnitName) -> Result<Option<String>, Fault> {
        read(&self.0.layout.vhost_dir(), unit)
    }

    fn list(&self) -> Result<Vec<UnitName>, Fault> {
        list(&self.0.layout.vhost_dir())
    }

    async fn settle(&self) -> Result<(), Fault> {
        self.0.answers("nginx")?;
        self.0.load_vhosts()
    }

    async fn check(&self) -> Result<(), Fault> {
        self.0.answers("nginx")
    }

    async fn configuration(&self) -> Result<String, Fault> {
        self.0.answers("nginx").map(|()| String::new())
    }

    async fn try_certificate(&self, _: &Path) -> Result<(), Fault> {
        Ok(())
    }
}

impl Fake {
    /// Has nginx read the vhosts that are there.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn load_vhosts(&self) -> Result<(), Fault> {
        let nginx = FakeNginx(self.clone());
        let mut vhosts = BTreeMap::new();
        for unit in nginx.list()? {
            if let Some(text) = Nginx::read(&nginx, &unit)? {
                vhosts.insert(unit, text);
            }
        }
        self.state().vhosts = vhosts;
        Ok(())
    }
}
