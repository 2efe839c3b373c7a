use super::{
    Debian, Host, bootstrap,
    scratch::Storage,
    store::{self, Stored},
};
use anyhow::{Context, Result};
use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
    sync::Arc,
};

/// What hosts are booted from: a Debian that is never written to, and layers over it.
#[derive(Clone, Debug)]
pub struct HostImage {
    /// The topmost first.
    layers: Vec<Arc<Stored>>,
    key: u64,
}

impl HostImage {
    /// This Debian, plain, with the packages that cid depends on. The first call on a machine builds
    /// it, which takes a minute or two and the package archive.
    ///
    /// # Errors
    /// It cannot be built.
    pub fn of(debian: Debian) -> Result<Self> {
        let key = bootstrap::key(debian)?;
        let stored = store::take(&format!("image-{key:016x}"), |root| {
            eprintln!("==> building the image of Debian {debian}; this is done once");
            bootstrap::build(debian, root)
        })?;
        Ok(Self {
            layers: vec![Arc::new(stored)],
            key,
        })
    }

    /// This image with a package installed, so that not every host has to install it. Built once
    /// for each content of the file.
    ///
    /// # Errors
    /// The package cannot be installed.
    pub fn with_deb(&self, deb: &Path) -> Result<Self> {
        let bytes = fs::read(deb).with_context(|| format!("cannot read {}", deb.display()))?;
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        self.with_layer(&format!("deb-{:016x}", hasher.finish()), |host| {
            host.install_deb(deb)
        })
    }

    /// This image after `prepare` has run on a host booted from it. Built once for each key, which
    /// has to change when what `prepare` does changes.
    ///
    /// # Errors
    /// `prepare` fails, or the host does not boot or shut down.
    pub fn with_layer(&self, key: &str, prepare: impl FnOnce(&Host) -> Result<()>) -> Result<Self> {
        let mut hasher = DefaultHasher::new();
        (self.key, key).hash(&mut hasher);
        let key = hasher.finish();
        let stored = store::take(&format!("layer-{key:016x}"), |new| {
            let host = Host::boot_on(self, Storage::Disk, false)?;
            prepare(&host)?;
            host.finish(|upper| Ok(fs::rename(upper, new)?))
        })?;
        let mut layers = self.layers.clone();
        layers.insert(0, Arc::new(stored));
        Ok(Self { layers, key })
    }

    pub(super) fn layers(&self) -> impl Iterator<Item = PathBuf> {
        self.layers.iter().map(|stored| stored.path().to_owned())
    }
}
