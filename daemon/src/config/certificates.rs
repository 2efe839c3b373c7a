//! Which certificate answers for a project's workspaces, and for each of its stages.

use super::{Project, Tls};
use crate::domain::{CertificateName, Name};

/// A certificate that a project's file gives.
#[derive(Clone, Debug)]
pub struct GivenCertificate {
    /// Whose it is.
    pub name: CertificateName,
    /// Where it is.
    pub tls: Tls,
    /// What it must be for: `*.DOMAIN`, or the names of its stage.
    pub hosts: Vec<String>,
}

impl Project {
    /// The project's certificate and the own ones of its stages.
    pub fn certificates(&self) -> Vec<GivenCertificate> {
        let stages = self.stages.keys().filter_map(|name| self.own_of(name));
        self.certificate_for_domain()
            .into_iter()
            .chain(stages)
            .collect()
    }

    /// The certificate that a workspace or a stage is to answer with; `None`: it answers over HTTP alone.
    pub fn certificate_of(&self, name: &Name) -> Option<GivenCertificate> {
        let of_project = || {
            let given = self.certificate_for_domain();
            given.filter(|_| self.is_below_domain(name))
        };
        self.own_of(name).or_else(of_project)
    }

    /// Whether a workspace or a stage answers over HTTPS.
    pub fn is_https(&self, name: &Name) -> bool {
        self.certificate_of(name).is_some()
    }

    /// Whether a certificate for `*.DOMAIN` is for all names that it answers under.
    pub fn is_below_domain(&self, name: &Name) -> bool {
        let is_below = |host: &String| {
            let label = host.strip_suffix(self.domain.as_str());
            label
                .and_then(|label| label.strip_suffix('.'))
                .is_some_and(|label| !label.contains('.'))
        };
        self.hosts_of(name).iter().all(is_below)
    }

    /// The one for all names below the project's domain.
    pub fn certificate_for_domain(&self) -> Option<GivenCertificate> {
        Some(GivenCertificate {
            name: CertificateName::of_project(&self.name),
            tls: self.tls.clone()?,
            hosts: vec![format!("*.{}", *self.domain)],
        })
    }

    fn own_of(&self, name: &Name) -> Option<GivenCertificate> {
        Some(GivenCertificate {
            name: CertificateName::of_stage(&self.name, name),
            tls: self.stage(name)?.tls.clone()?,
            hosts: self.hosts_of(name),
        })
    }
}
