//! cid's own copies of projects' certificates, which vhosts name.

use super::Pair;
use crate::{
    config::{GivenCertificate, Project, Tls},
    domain::{CertificateName, Name, ProjectName},
    layout::Layout,
    system::nginx::Nginx,
};
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

    /// Where this copy is, if there is one.
    pub fn copy(&self, name: &CertificateName) -> Option<PathBuf> {
        Some(self.layout.certificate(name)).filter(|path| fs::exists(path))
    }

    /// The copy that a workspace or a stage answers with, and what its project's file says of it; `None`: there is
    /// no copy that is for its names. What the file does not give any more stays in use, and a stage whose own one
    /// was never good has the project's, where that is for its names.
    pub fn serving(&self, project: &Project, name: &Name) -> Option<(PathBuf, Option<Tls>)> {
        let given = project.certificate_of(name);
        let tls = given.as_ref().map(|given| given.tls.clone());
        let wanted = given.and_then(|given| self.copy(&given.name));
        let own = || self.copy(&CertificateName::of_stage(&project.name, name));
        let of_project = || {
            let copy = self.copy(&CertificateName::of_project(&project.name));
            copy.filter(|_| project.is_below_domain(name))
        };
        let copy = wanted.or_else(own).or_else(of_project)?;
        Some((copy, tls))
    }

    /// Where [`Certificates::serving`] finds it; also where nothing is, and where the project's file says nothing.
    pub fn path_of(&self, of: &ProjectName, project: Option<&Project>, name: &Name) -> PathBuf {
        let serving = project.and_then(|project| self.serving(project, name));
        let own = || self.copy(&CertificateName::of_stage(of, name));
        let of_project = || self.layout.certificate(&CertificateName::of_project(of));
        let serving = serving.map(|(path, _)| path);
        serving.or_else(own).unwrap_or_else(of_project)
    }

    /// Reads and checks what the operator gives.
    ///
    /// # Errors
    /// As [`Pair::read`].
    pub async fn read(given: &GivenCertificate) -> Result<Pair, Fault> {
        let GivenCertificate { tls, hosts, .. } = given.clone();
        let read = move || Pair::read(&tls.certificate, &tls.key, &hosts, Timestamp::now());
        spawn_blocking(read)
            .await
            .unwrap_or_else(|error| Err(Fault::new(format!("cannot read a certificate: {error}"))))
    }

    /// Whether nginx would be shown something else by [`Certificates::refresh`].
    ///
    /// # Errors
    /// The copy cannot be read.
    pub fn differs(&self, name: &CertificateName, pair: &Pair) -> Result<bool, Fault> {
        let copy = fs::read_optional(&self.layout.certificate(name))?;
        Ok(copy.as_deref() != Some(&pair.to_pem()))
    }

    /// Brings a copy up to date, and has nginx load it where vhosts name it already. What
    /// is not good leaves the copy as it was.
    ///
    /// # Errors
    /// As [`Pair::read`]; nginx does not take it; or it cannot be written or loaded.
    pub async fn refresh(&self, given: &GivenCertificate) -> Result<(), Fault> {
        let mut unloaded = self.unloaded.lock().await;
        let pair = Self::read(given).await?;
        if self.differs(&given.name, &pair)? {
            *unloaded |= self.replace(&given.name, &pair).await?;
        }
        if *unloaded {
            self.nginx.settle().await?;
            *unloaded = false;
        }
        Ok(())
    }

    /// Puts a new copy in place once nginx has taken it on its own; says whether there was one before.
    async fn replace(&self, name: &CertificateName, pair: &Pair) -> Result<bool, Fault> {
        let (path, text) = (self.layout.certificate(name), pair.to_pem());
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
            PROJECT = name.project().as_str(),
            "its certificate ({}) is good until {}",
            name.key(),
            pair.not_after()
        );
        Ok(was_there)
    }

    /// All copies, sorted.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn list(&self) -> Result<Vec<CertificateName>, Fault> {
        let names = fs::names(&self.layout.certificate_dir())?;
        Ok(names
            .iter()
            .filter_map(|name| CertificateName::parse(name.strip_suffix(".pem")?))
            .collect())
    }

    /// The copies of one project.
    ///
    /// # Errors
    /// As of [`Certificates::list`].
    pub fn of_project(&self, project: &ProjectName) -> Result<Vec<CertificateName>, Fault> {
        let mut all = self.list()?;
        all.retain(|name| name.project() == project);
        Ok(all)
    }

    /// Throws a copy away. No vhost may name it.
    ///
    /// # Errors
    /// It cannot be removed.
    pub async fn remove(&self, name: &CertificateName) -> Result<(), Fault> {
        let _unloaded = self.unloaded.lock().await;
        fs::remove_file(&self.layout.certificate(name)).map(drop)
    }
}
