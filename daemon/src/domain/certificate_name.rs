//! Whose a certificate is.

use super::{Name, ProjectName};
use std::fmt;

/// A project's certificate, for all names below its domain, or the own one of a stage: `PROJECT` or `PROJECT.STAGE`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CertificateName {
    project: ProjectName,
    stage: Option<Name>,
}

impl CertificateName {
    /// The project's.
    pub fn of_project(project: &ProjectName) -> Self {
        Self {
            project: project.clone(),
            stage: None,
        }
    }

    /// The own one of the stage `name`; of a workspace, which has none of its own, there is never a copy.
    pub fn of_stage(project: &ProjectName, name: &Name) -> Self {
        Self {
            project: project.clone(),
            stage: Some(name.clone()),
        }
    }

    /// Reads what [`fmt::Display`] writes; `None`: it is nothing that cid writes.
    pub fn parse(text: &str) -> Option<Self> {
        let (project, stage) = match text.split_once('.') {
            Some((project, stage)) => (project, Some(Name::of_stage(stage)?)),
            None => (text, None),
        };
        let project = ProjectName::parse(project)?;
        Some(Self { project, stage })
    }

    /// The project.
    pub fn project(&self) -> &ProjectName {
        &self.project
    }

    /// The key of the project's file that gives it.
    pub fn key(&self) -> String {
        match &self.stage {
            Some(stage) => format!("stages.{stage}.tls"),
            None => "tls".to_owned(),
        }
    }
}

impl fmt::Display for CertificateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.stage {
            Some(stage) => write!(f, "{}.{stage}", self.project),
            None => self.project.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_are_read_back_and_no_others() {
        for text in ["shop", "shop.production", "shop.eu-1"] {
            let name = CertificateName::parse(text).unwrap();
            assert_eq!(name.to_string(), text);
            assert_eq!(name.project().as_str(), "shop");
        }
        for text in [
            "",
            "trial/x",
            "shop.",
            "shop.a--b",
            "shop.a.b",
            ".a",
            "Shop",
        ] {
            assert_eq!(CertificateName::parse(text), None, "{text}");
        }
        let key = |text: &str| CertificateName::parse(text).unwrap().key();
        assert_eq!(key("shop"), "tls");
        assert_eq!(key("shop.eu-1"), "stages.eu-1.tls");
    }
}
