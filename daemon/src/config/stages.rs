//! `[stages.NAME]`: environments that belong to the project, and which builds each of them takes.

use super::{
    AbsolutePath, Command, Database, Domain, EnvName, Project, RefName, Seconds, Tls, Visit,
    dotenv, place::Broken, placeholders, project::variables,
};
use crate::domain::Name;
use serde::{Deserialize, Deserializer, de::Error as _};
use std::collections::{BTreeMap, BTreeSet};

/// A project has no more stages.
const MAX_STAGES: usize = 16;
/// A stage answers under no more names.
const MAX_HOSTS: usize = 16;
/// A stage goes back no further.
const MAX_KEPT: u32 = 50;
/// A stage has no more commands that back its database up.
const MAX_BACKUPS: usize = 16;

/// The stages of a project, by name.
pub type Stages = BTreeMap<StageName, Stage>;

/// The name of a stage: `[a-z][a-z0-9-]{0,30}` without two hyphens in a row, which every workspace's name has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct StageName(Name);

impl TryFrom<String> for StageName {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Name::of_stage(&text).map(Self).ok_or_else(|| {
            format!(
                "`{text}` is not the name of a stage (a-z, 0-9 and single hyphens, beginning with a letter, at most 31; \
                 not catch-all, not build-NUMBER)"
            )
        })
    }
}

impl std::ops::Deref for StageName {
    type Target = Name;
    fn deref(&self) -> &Name {
        &self.0
    }
}

impl std::borrow::Borrow<Name> for StageName {
    fn borrow(&self) -> &Name {
        &self.0
    }
}

/// `[stages.NAME]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// Each push to this branch is for this stage; absent: `git.base`, where the stage has no `after`.
    pub branch: Option<RefName>,
    /// The names that it answers under, the first is in its address; empty: `STAGE.DOMAIN`.
    #[serde(default, deserialize_with = "hosts")]
    pub host: Vec<Domain>,
    /// It takes only builds that run or ran in this stage.
    pub after: Option<StageName>,
    /// What carries a build here.
    #[serde(default)]
    pub promote: Promote,
    /// For how long a build runs in `after` before it is promoted by itself.
    pub soak: Option<Seconds>,
    /// How many builds to go back to are kept.
    #[serde(default)]
    pub keep: Keep,
    /// Given to its commands and processes, over the project's `[env]`.
    #[serde(default, deserialize_with = "variables")]
    pub env: BTreeMap<EnvName, String>,
    /// A file with more of them, for cid's own user alone.
    pub secrets_file: Option<AbsolutePath>,
    /// Commands that back the database up before release commands run; `{backup}` is the file to write.
    #[serde(default, deserialize_with = "backups")]
    pub backup: Vec<Command>,
    /// The database, instead of the project's.
    pub database: Option<Database>,
    /// A certificate for all its names, instead of the project's.
    pub tls: Option<Tls>,
    /// Who may visit it, instead of the project's.
    pub visit: Option<Visit>,
}

/// `promote`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Promote {
    /// `cictl promote` alone.
    #[default]
    Manual,
    /// By itself, when a build has run well in `after` for `soak`.
    Auto,
}

/// `keep`: 1 to 50.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u32")]
pub struct Keep(u32);

impl Default for Keep {
    fn default() -> Self {
        Self(5)
    }
}

impl TryFrom<u32> for Keep {
    type Error = String;
    fn try_from(builds: u32) -> Result<Self, String> {
        match (1..=MAX_KEPT).contains(&builds) {
            true => Ok(Self(builds)),
            false => Err(format!("keep is a number of builds from 1 to {MAX_KEPT}")),
        }
    }
}

impl Keep {
    /// The number of builds.
    pub fn get(self) -> usize {
        self.0 as usize
    }
}

/// One name, or a list of them.
fn hosts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Domain>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Hosts {
        One(String),
        Several(Vec<String>),
    }
    let names = match Hosts::deserialize(deserializer)? {
        Hosts::One(name) => vec![name],
        Hosts::Several(names) => names,
    };
    if !(1..=MAX_HOSTS).contains(&names.len()) {
        return Err(D::Error::custom(format!(
            "host is a name, or a list of 1 to {MAX_HOSTS}"
        )));
    }
    let names = names.into_iter().map(Domain::try_from);
    names.collect::<Result<_, _>>().map_err(D::Error::custom)
}

fn backups<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Command>, D::Error> {
    let commands = Vec::<Command>::deserialize(deserializer)?;
    match commands.len() > MAX_BACKUPS {
        true => Err(D::Error::custom(format!("at most {MAX_BACKUPS} commands"))),
        false => Ok(commands),
    }
}

/// Rules over several keys.
pub(super) fn check(project: &Project) -> Result<(), Broken> {
    if project.stages.len() > MAX_STAGES {
        return Err(Broken::new("stages", format!("at most {MAX_STAGES}")));
    }
    let mut taken = BTreeMap::new();
    for (name, stage) in &project.stages {
        let key = |key: &str| format!("stages.{}.{key}", name.as_str());
        let broken = |of: &str, why: String| Err(Broken::new(key(of), why));
        if let Some(visit) = &stage.visit {
            visit.check(&key("visit"))?;
        }
        if let Some(after) = &stage.after {
            if !project.stages.contains_key(after) {
                return broken("after", format!("there is no stage {}", after.as_str()));
            }
            if stage.branch.is_some() {
                return broken(
                    "branch",
                    "a stage with `after` takes the builds of that stage, not a branch's: leave one of them out".into(),
                );
            }
        }
        if leads_back(project, name) {
            return broken("after", "it leads in a circle: a stage comes first".into());
        }
        if stage.after.is_none() && stage.promote == Promote::Auto {
            return broken(
                "promote",
                "each push is deployed to a stage without `after` anyway: leave it out".into(),
            );
        }
        if stage.soak.is_some() && stage.promote == Promote::Manual {
            return broken("soak", "only with promote = \"auto\"".into());
        }
        let names_backup =
            |command: &Command| command.words().iter().any(|w| w.contains("{backup}"));
        if !stage.backup.is_empty() && !stage.backup.iter().any(names_backup) {
            return broken(
                "backup",
                "no command names {backup}, the file that is kept with the deployment".into(),
            );
        }
        for host in project.hosts_of(name) {
            if let Some(why) = clash(project, name, &host) {
                return broken("host", why);
            }
            if let Some(other) = taken.insert(host.clone(), name) {
                return broken(
                    "host",
                    match other == name {
                        true => format!("{host} is named twice"),
                        false => format!("{host} is the stage {}'s already", other.as_str()),
                    },
                );
            }
        }
        check_variables(name, stage)?;
    }
    Ok(())
}

/// Whether `after` leads back to this stage.
fn leads_back(project: &Project, name: &StageName) -> bool {
    let mut seen = BTreeSet::new();
    let mut at = name;
    while let Some(after) = project
        .stages
        .get(at)
        .and_then(|stage| stage.after.as_ref())
    {
        if !seen.insert(after) {
            break;
        }
        at = after;
    }
    seen.contains(name)
}

/// A workspace could come to have the name.
fn clash(project: &Project, stage: &StageName, host: &str) -> Option<String> {
    if host == *project.domain {
        return None;
    }
    let label = host
        .strip_suffix(project.domain.as_str())?
        .strip_suffix('.')?;
    let is_workspaces = label.contains("--") && !label.contains('.');
    let other = Name::of_stage(label).filter(|label| label != &**stage);
    match other.filter(|other| project.stages.contains_key(other)) {
        Some(other)
            if project
                .stages
                .get(&other)
                .is_some_and(|stage| stage.host.is_empty()) =>
        {
            Some(format!("{host} is the stage {other}'s already"))
        }
        _ if is_workspaces => Some(format!("{host} is a name that a workspace could get")),
        _ => None,
    }
}

/// As of `[env]`; a stage writes no `.env`, but what is to be filled in must be right.
fn check_variables(name: &StageName, stage: &Stage) -> Result<(), Broken> {
    for (variable, value) in &stage.env {
        if let Err(why) = placeholders::sample(value) {
            let key = format!("stages.{}.env.{}", name.as_str(), variable.as_str());
            return Err(Broken::new(key, why));
        }
    }
    let database = stage.database.iter().map(|database| &database.url);
    for url in database {
        if let Err(why) = dotenv::assignment("", url) {
            let key = format!("stages.{}.database.url", name.as_str());
            return Err(Broken::new(key, why.to_string()));
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "stages_tests.rs"]
mod tests;
