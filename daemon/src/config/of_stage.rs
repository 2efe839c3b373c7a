//! A project as one of its stages has it.

use super::{AbsolutePath, Project, Stage, StageName, Visit, Who, placeholders, secrets_file};
use crate::domain::{Name, UnitName};
use cid_protocol::fault::Fault;
use std::sync::Arc;

impl Project {
    /// The stages in the order in which builds go through them: those that none precedes first.
    pub fn stages_in_order(&self) -> Vec<&StageName> {
        let before = |name: &StageName| {
            let mut at = self.stages.get(name);
            let mut count = 0;
            // A circle is refused when the file is read.
            while let Some(after) = at.and_then(|stage| stage.after.as_ref())
                && count < self.stages.len()
            {
                (at, count) = (self.stages.get(after), count + 1);
            }
            count
        };
        let mut names: Vec<&StageName> = self.stages.keys().collect();
        names.sort_by_key(|name| before(name));
        names
    }

    /// The stage of this name, which no workspace can have.
    pub fn stage(&self, name: &Name) -> Option<&Stage> {
        self.stages.get(name)
    }

    /// The branches whose pushes are built: the base branch, then those of stages.
    pub fn built_branches(&self) -> Vec<&str> {
        let own = self
            .stages
            .values()
            .filter_map(|stage| stage.branch.as_ref());
        let mut branches = vec![self.git.base.as_str()];
        for branch in own {
            if !branches.contains(&branch.as_str()) {
                branches.push(branch);
            }
        }
        branches
    }

    /// The branch whose pushes lead to a stage: its own, or that of the first stage before it.
    pub fn branch_that_leads_to(&self, stage: &Name) -> &str {
        let mut name = stage;
        // Circles are refused.
        while let Some(Stage {
            after: Some(after), ..
        }) = self.stage(name)
        {
            name = after;
        }
        let own = self.stage(name).and_then(|stage| stage.branch.as_ref());
        own.map_or(self.git.base.as_str(), |branch| branch.as_str())
    }

    /// All host names that a workspace or a stage answers under, the one in its address first.
    pub fn hosts_of(&self, name: &Name) -> Vec<String> {
        match self.stage(name).map(|stage| &stage.host) {
            Some(hosts) if !hosts.is_empty() => hosts.iter().map(ToString::to_string).collect(),
            _ => vec![self.host_for(name)],
        }
    }

    /// The host names of a stage's unit; none for a workspace's, whose address has its only one.
    pub fn hosts_of_unit(&self, unit: &UnitName) -> Vec<String> {
        match Name::of_stage(unit.name()) {
            Some(name) if self.stage(&name).is_some() => self.hosts_of(&name),
            _ => Vec::new(),
        }
    }

    /// The project as this environment has it: a stage's own variables and database count. What its secrets file
    /// says is not among them.
    #[must_use]
    pub fn for_environment(self, name: &Name) -> Self {
        match self.stage(name) {
            None => self,
            Some(stage) => self.with(stage),
        }
    }

    /// The same with what the secrets file says, for the daemon's own use alone.
    ///
    /// # Errors
    /// The secrets file cannot be read, or others could read it.
    pub fn seen_within(self: &Arc<Self>, name: &Name) -> Result<Arc<Self>, Fault> {
        let Some(stage) = self.stage(name) else {
            return Ok(Arc::clone(self));
        };
        let mut project = self.with(stage);
        if let Some(file) = &stage.secrets_file {
            for (name, value) in secrets_file::read(file)? {
                project.env.insert(name, placeholders::escaped(&value));
                project.hidden.push(value);
            }
        }
        Ok(Arc::new(project))
    }

    /// Who may visit the workspace or stage of this name.
    pub fn visit_of(&self, name: &str) -> &Visit {
        let stage = Name::of_stage(name).and_then(|name| self.stage(&name));
        stage
            .and_then(|stage| stage.visit.as_ref())
            .unwrap_or(&self.visit)
    }

    /// Whether one of its sites is for people who are signed in at the front.
    pub fn is_for_people(&self) -> bool {
        let stages = self
            .stages
            .values()
            .filter_map(|stage| stage.visit.as_ref());
        stages
            .chain([&self.visit])
            .any(|visit| visit.who == Who::People)
    }

    /// Whether each file of passwords can be used, by its key.
    pub fn check_visits(&self) -> Vec<(String, Result<String, Fault>)> {
        let stages = self.stages.iter();
        let stages = stages.filter_map(|(name, stage)| {
            Some((
                format!("stages.{}.visit", name.as_str()),
                stage.visit.as_ref()?,
            ))
        });
        std::iter::once(("visit".to_owned(), &self.visit))
            .chain(stages)
            .filter_map(|(key, visit)| Some((format!("{key}.passwords"), visit.look()?)))
            .collect()
    }

    /// Whether the secrets file of each stage that names one can be used, by its key.
    pub fn check_secrets(&self) -> Vec<(String, Result<String, Fault>)> {
        let files = self.stages.iter();
        let files = files.filter_map(|(name, stage)| Some((name, stage.secrets_file.as_ref()?)));
        let check = |(name, file): (&StageName, &AbsolutePath)| {
            let key = format!("stages.{}.secrets_file", name.as_str());
            let looked = match secrets_file::read(file) {
                Ok(all) => Ok(format!(
                    "{} is cid's alone and has {} variables",
                    file.display(),
                    all.len()
                )),
                Err(fault) => {
                    let told = self.error_at(key.clone(), fault.message.clone());
                    Err(Fault {
                        message: told.to_string(),
                        ..fault
                    })
                }
            };
            (key, looked)
        };
        files.map(check).collect()
    }

    fn with(&self, stage: &Stage) -> Self {
        let mut project = self.clone();
        project.env.extend(stage.env.clone());
        if stage.database.is_some() {
            project.database.clone_from(&stage.database);
        }
        project
    }
}
