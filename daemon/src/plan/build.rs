//! A commit becomes a build.

use crate::{
    config::{Command, Project, TestNetwork},
    domain::{Build, JobKind},
    engine::Plan,
    layout::Layout,
    step::{
        ExportCommit, Inspect, InstallDependencies, MakeBuildFolder, RunBuild, SealFiles, TestBuild,
    },
};
use sha2::{Digest, Sha256};

/// The steps that make a build and test it. The mirror has the commit.
pub fn build(layout: &Layout, project: &Project, build: &Build) -> Plan {
    let directory = || build.directory.clone();
    let app_dir = || project.app.dir().to_owned();
    made_ready(JobKind::Build, layout, project, build)
        .then(&RunBuild {
            directory: directory(),
            app_dir: app_dir(),
            commands: words(project.app.build.as_deref()),
        })
        .then(&SealFiles {
            directory: directory(),
        })
        .then(&TestBuild {
            directory: directory(),
            app_dir: app_dir(),
            commands: words(project.app.test.as_deref()),
            seconds: project.test.timeout.as_secs(),
            network: project.test.network == TestNetwork::Full,
        })
}

/// The commit's files and their packages in a folder, as builds and templates begin.
pub(super) fn made_ready(kind: JobKind, layout: &Layout, project: &Project, build: &Build) -> Plan {
    let mirror = || layout.mirror(&project.name);
    let directory = || build.directory.clone();
    let commit = || build.source.commit.clone();
    Plan::new(kind)
        .then(&Inspect {
            mirror: mirror(),
            commit: Some(commit()),
            clone: None,
        })
        .then(&MakeBuildFolder {
            directory: directory(),
        })
        .then(&ExportCommit {
            mirror: mirror(),
            commit: commit(),
            directory: directory(),
        })
        .then(&InstallDependencies {
            mirror: mirror(),
            directory: directory(),
            follows: None,
        })
}

fn words(commands: Option<&[Command]>) -> Vec<Vec<String>> {
    let commands = commands.unwrap_or_default().iter();
    commands.map(|command| command.words().to_vec()).collect()
}

/// Names what a commit is built and tested by; the same name means the same build. It tells no value.
pub fn recipe_of(project: &Project) -> String {
    let (app, test) = (&project.app, &project.test);
    let env = |env: &std::collections::BTreeMap<_, String>| format!("{env:?}");
    let parts = [
        format!("{:?}", app.dir()),
        format!("{:?} {:?} {:?}", app.env, app.install, app.install_inputs),
        format!("{:?}", app.python),
        format!(
            "{:?} {:?}",
            words(app.build.as_deref()),
            words(app.test.as_deref())
        ),
        env(&project.env),
        env(&test.env),
        format!("{:?} {:?}", test.network, test.timeout),
    ];
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    data_encoding::HEXLOWER.encode(&hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(more: &str) -> String {
        let text = format!("domain = \"x.localhost\"\n[git]\nurl = \"/srv/x.git\"\n{more}");
        recipe_of(&toml::from_str(&text).unwrap())
    }

    #[test]
    fn another_recipe_has_another_name() {
        let recipes = [
            "",
            "[app]\nbuild = [[\"make\"]]",
            "[app]\ntest = [[\"make\"]]",
            "[app]\ntest = [[\"make\", \"-k\"]]",
            "[app]\ndir = \"site\"",
            "[env]\nA = \"1\"",
            "[test]\nenv = { A = \"1\" }",
            "[test]\nnetwork = \"full\"",
        ]
        .map(recipe);
        let all: std::collections::HashSet<_> = recipes.iter().collect();
        assert_eq!(all.len(), recipes.len());
        assert_eq!(recipe("[access]\ngroup = \"web\""), recipe(""));
    }
}
