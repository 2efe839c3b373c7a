//! cid's own copies of projects' certificates, which vhosts name.

use super::Pair;
use crate::{config::Project, domain::ProjectName, layout::Layout, system::nginx::Nginx};
use cid_kernel::fs;
use cid_protocol::fault::Fault;
use jiff::Timestamp;
use std::{path::PathBuf, sync::Arc};
use tokio::{sync::Mutex, task::spawn_blocking};

/// Looks after cid's copies of projects' certificates.
pub struct Certificates {
    layout: Arc<Layout>,
    nginx: Arc<dyn Nginx>,
    /// One change at a time; whether nginx has still to load one that was made.
    unloaded: Mutex<bool>,
}

impl Certificates {
    /// Those of this layout, which this nginx reads.
    pub fn new(layout: Arc<Layout>, nginx: Arc<dyn Nginx>) -> Self {
        Self {
            layout,
            nginx,
            unloaded: Mutex::default(),
        }
    }

    /// Where a project's copy is, if there is one.
    pub fn copy(&self, project: &ProjectName) -> Option<PathBuf> {
        Some(self.layout.certificate(project)).filter(|path| fs::exists(path))
    }

    /// Reads and checks what the operator gives for a project; `None`: nothing.
    ///
    /// # Errors
    /// As [`Pair::read`].
    pub async fn read(project: &Project) -> Result<Option<Pair>, Fault> {
        let Some(tls) = project.tls.clone() else {
            return Ok(None);
        };
        let domain = project.domain.to_string();
        let read =
            move || Pair::read(&tls.certificate, &tls.key, &domain, Timestamp::now()).map(Some);
        spawn_blocking(read)
            .await
            .unwrap_or_else(|error| Err(Fault::new(format!("cannot read a certificate: {error}"))))
    }

    /// Whether nginx would be shown something else by [`Certificates::refresh`].
    ///
    /// # Errors
    /// The copy cannot be read.
    pub fn differs(&self, project: &ProjectName, pair: &Pair) -> Result<bool, Fault> {
        let copy = fs::read_optional(&self.layout.certificate(project))?;
        Ok(copy.as_deref() != Some(&pair.to_pem()))
    }

    /// Brings a project's copy up to date, and has nginx load it where vhosts name it already. What
    /// is not good leaves the copy as it was.
    ///
    /// # Errors
    /// As [`Pair::read`]; nginx does not take it; or it cannot be written or loaded.
    pub async fn refresh(&self, project: &Project) -> Result<(), Fault> {
        let mut unloaded = self.unloaded.lock().await;
        let Some(pair) = Self::read(project).await? else {
            return Ok(());
        };
        if self.differs(&project.name, &pair)? {
            *unloaded |= self.replace(&project.name, &pair).await?;
        }
        if *unloaded {
            self.nginx.settle().await?;
            *unloaded = false;
        }
        Ok(())
    }

    /// Puts a new copy in place once nginx has taken it on its own; says whether there was one before.
    async fn replace(&self, project: &ProjectName, pair: &Pair) -> Result<bool, Fault> {
        let (path, text) = (self.layout.certificate(project), pair.to_pem());
        let folder = self.layout.certificate_trial_dir();
        fs::make_dir(&self.layout.certificate_dir(), 0o700)?;
        fs::make_dir(&folder, 0o700)?;
        let candidate = folder.join("candidate.pem");
        fs::write_atomic(&candidate, text.as_bytes(), 0o600)?;
        let tried = self.nginx.try_certificate(&candidate).await;
        fs::remove_file(&candidate)?;
        tried?;
        let was_there = fs::exists(&path);
        fs::write_atomic(&path, text.as_bytes(), 0o600)?;
        tracing::info!(
            PROJECT = project.as_str(),
            "its certificate is good until {}",
            pair.not_after()
        );
        Ok(was_there)
    }

    /// The projects that have a copy, sorted.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn list(&self) -> Result<Vec<ProjectName>, Fault> {
        let names = fs::names(&self.layout.certificate_dir())?;
        Ok(names
            .iter()
            .filter_map(|name| ProjectName::parse(name.strip_suffix(".pem")?))
            .collect())
    }

    /// Throws a project's copy away. No vhost may name it.
    ///
    /// # Errors
    /// It cannot be removed.
    pub async fn remove(&self, project: &ProjectName) -> Result<(), Fault> {
        let _unloaded = self.unloaded.lock().await;
        fs::remove_file(&self.layout.certificate(project)).map(drop)
    }
}
