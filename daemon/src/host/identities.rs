//! Which unit each identity's work is done in: as whom, and what it may write.

use super::limits::Controllers;
use crate::{
    config::{GitUrl, Project, Projects, Settings},
    domain::{Account, Name, ProjectName, TOOLS, UnitName, builder, project_group, tester},
    layout::{Layout, TEST},
    system::{
        helpers::{Identity, WorkspaceUser},
        launcher::Place,
        units::{Profile, Unit},
    },
};
use cid_kernel::accounts;
use cid_protocol::{
    fault::Fault,
    request::{TREE, VENV},
};
use nix::unistd::getgrouplist;
use std::{
    ffi::{CString, OsString},
    path::{Path, PathBuf},
    sync::Arc,
};

const ROOT: &str = "root";
/// What apps run in.
const SUPERVISOR: &str = "cid-supervisor.service";

/// Knows who everybody is.
pub(super) struct Identities {
    pub(super) layout: Arc<Layout>,
    pub(super) settings: Arc<Settings>,
    pub(super) projects: Arc<Projects>,
    pub(super) controllers: Controllers,
}

impl Identities {
    /// Where an identity's work is done.
    ///
    /// # Errors
    /// The project's file does not say who that is.
    pub(super) fn place(&self, identity: &Identity) -> Result<Place, Fault> {
        match identity {
            Identity::Git(project) => self.git(project),
            Identity::Workspace(user) => self.workspace(user),
            Identity::Reaper(unit, number) => self.reaper(unit, *number),
            Identity::Build(project, key) => Ok(self.build(project, key)),
            Identity::Builder(project, directory) => Ok(self.builder(project, directory)),
            Identity::Tester(project, directory, network) => {
                Ok(self.tester(project, directory, *network))
            }
            Identity::Sealer(directory) => Ok(sealer(directory)),
            Identity::Tools => Ok(self.tools()),
            // What it removes is in the trash by then.
            Identity::Purge(trash) => Ok(as_purge(Unit::new(Profile::Purge).writable(trash))),
            Identity::Look => Ok(as_purge(Unit::new(Profile::Purge))),
            Identity::Access(_, directory) => {
                Ok(as_purge(Unit::new(Profile::Purge).writable(directory)))
            }
            Identity::Accounts => Ok(accounts()),
            Identity::NginxTest => Ok(Self::nginx_test()),
        }
    }

    fn git(&self, name: &ProjectName) -> Result<Place, Fault> {
        let project = self.project(name)?;
        let user = deploy_user(&project)?;
        let checks = expect(&user, &groups_of(&user, &project_group(name))?);
        let unit = Unit::new(Profile::Git)
            .with("User", user)
            // What it makes is the whole project's to read.
            .with("Group", project_group(name))
            .writable(&self.layout.mirror_dir(name));
        // A repository on this machine is pushed to by writing it.
        let unit = match local_repository(&project.git.url) {
            Some(path) => unit.writable(&path),
            None => unit,
        };
        Ok(Place { unit, checks })
    }

    fn workspace(&self, user: &WorkspaceUser) -> Result<Place, Fault> {
        let name = user.unit.project();
        let project = self.project(&name).ok();
        let Place { unit, mut checks } = as_account(self.account(user.number)?, &name);
        // Its own folder may be made while this unit starts; from then on it is confined to that.
        let work_dir = user
            .directory
            .parent()
            .unwrap_or(&user.directory)
            .to_owned();
        let mut unit = unit
            .writable(&work_dir)
            .env("HOME", &self.layout.helper_home());
        if let Some(project) = &project {
            unit = self.controllers.limit(unit, &project.limits.commands);
        }
        let shared = project.map_or_else(Vec::new, |project| project.shared_folders());
        for path in &shared {
            unit = unit.writable(path);
        }
        checks.extend(confine(
            "--confine-write",
            [work_dir].into_iter().chain(shared),
        ));
        checks.extend(confine("--confine-read", self.readable(&name)));
        if Name::of_stage(user.unit.name()).is_some() {
            // It runs from a build's files.
            checks.extend(confine("--confine-read", [self.layout.builds(&name)]));
        }
        checks.extend(confine("--narrow", [user.directory.clone()]));
        Ok(Place { unit, checks })
    }

    fn reaper(&self, unit: &UnitName, number: i64) -> Result<Place, Fault> {
        let Place { unit, checks } = as_account(self.account(number)?, &unit.project());
        let unit = unit
            // It must see all processes that are left, including those that tried to hide.
            .with("ProtectProc", "default")
            // It removes what apps left: message queues and the like are the machine's...
            .with("PrivateIPC", "no")
            // ...and the folders for temporary files those of the unit that apps run in.
            .with("JoinsNamespaceOf", SUPERVISOR);
        Ok(Place { unit, checks })
    }

    fn account(&self, number: i64) -> Result<Account, Fault> {
        Account::of(number, &self.settings.workspace_uids.0).ok_or_else(|| {
            Fault::new("cannot make another workspace: its account would be out of workspace_uids")
                .hint("widen workspace_uids in cid.toml")
        })
    }

    fn build(&self, name: &ProjectName, key: &str) -> Place {
        self.as_builder(name, self.layout.packages(name).join(key))
    }

    fn builder(&self, name: &ProjectName, directory: &Path) -> Place {
        self.as_builder(name, directory.to_owned())
    }

    fn tester(&self, name: &ProjectName, directory: &Path, network: bool) -> Place {
        let test = directory.join(TEST);
        // Not the HOME of the commands that made it.
        let sealed = [TREE, VENV].map(|name| directory.join(name));
        let Place { unit, checks } = self.of_project(tester(name), name, test, &sealed);
        let unit = match network {
            true => unit,
            false => unit.with("PrivateNetwork", "yes"),
        };
        Place { unit, checks }
    }

    fn as_builder(&self, name: &ProjectName, environment: PathBuf) -> Place {
        self.of_project(builder(name), name, environment, &[])
    }

    /// A unit of one of the project's own accounts that may write in this folder, and read in those.
    fn of_project(
        &self,
        user: String,
        name: &ProjectName,
        environment: PathBuf,
        read: &[PathBuf],
    ) -> Place {
        let group = project_group(name);
        let mut checks = expect(&user, std::slice::from_ref(&group));
        let unit = Unit::new(Profile::Build)
            .with("User", user)
            .with("Group", group)
            .writable(&environment)
            .env("HOME", &self.layout.helper_home());
        checks.extend(confine("--confine-write", [environment]));
        checks.extend(confine("--confine-read", self.readable(name)));
        checks.extend(confine("--confine-read", read.iter().cloned()));
        let unit = match self.project(name) {
            Ok(project) => self.controllers.limit(unit, &project.limits.commands),
            Err(_) => unit,
        };
        Place { unit, checks }
    }

    /// Everyone runs what it installs, and nobody else may change it.
    fn tools(&self) -> Place {
        let tools = self.layout.tools_dir();
        let home = self.layout.helper_home();
        let mut checks = expect(TOOLS, &[TOOLS.to_owned()]);
        let unit = Unit::new(Profile::Tools)
            .with("User", TOOLS)
            .with("Group", TOOLS)
            .writable(&tools)
            .env("HOME", &home);
        checks.extend(confine("--confine-write", [tools]));
        checks.extend(confine("--confine-read", [home]));
        Place { unit, checks }
    }

    /// It has no network, and writes nothing.
    fn nginx_test() -> Place {
        Place {
            unit: Unit::new(Profile::NginxTest),
            checks: Vec::new(),
        }
    }

    /// What everybody who works for a project reads.
    fn readable(&self, name: &ProjectName) -> [PathBuf; 5] {
        [
            self.layout.helper_home(),
            self.layout.mirror_dir(name),
            self.layout.packages(name),
            self.layout.templates(name),
            self.layout.tools_dir(),
        ]
    }

    fn project(&self, name: &ProjectName) -> Result<Arc<Project>, Fault> {
        let project = self.projects.standing(name.as_str());
        project.map_err(|error| Fault::new(error.to_string()))
    }
}

/// A unit of a workspace's user that may write nothing yet.
fn as_account(account: Account, project: &ProjectName) -> Place {
    let group = project_group(project);
    let checks = expect(&account.name, &[account.name.clone(), group.clone()]);
    let unit = Unit::new(Profile::Workspace)
        .with("User", account.name.clone())
        .with("Group", account.name)
        .with("SupplementaryGroups", group);
    Place { unit, checks }
}

fn accounts() -> Place {
    let mut checks = expect(ROOT, &[ROOT.to_owned()]);
    // Tools that are killed leave accounts half-made.
    checks.extend(["--finish", "--expect-caps", "cap_chown"].map(OsString::from));
    Place {
        unit: Unit::new(Profile::Accounts),
        checks,
    }
}

/// A unit of root's that may give files of this folder to root.
fn sealer(directory: &Path) -> Place {
    let mut checks = expect(ROOT, &[ROOT.to_owned()]);
    checks.extend(["--expect-caps", "cap_chown,cap_dac_read_search"].map(OsString::from));
    Place {
        unit: Unit::new(Profile::Seal).writable(directory),
        checks,
    }
}

/// A unit of root's with the two capabilities of its profile.
fn as_purge(unit: Unit) -> Place {
    let mut checks = expect(ROOT, &[ROOT.to_owned()]);
    checks.extend(["--expect-caps", "cap_dac_override,cap_fowner"].map(OsString::from));
    Place { unit, checks }
}

/// Arguments with which a helper refuses to be anybody else, or to be in other groups.
fn expect(user: &str, groups: &[String]) -> Vec<OsString> {
    vec![
        "--expect-user".into(),
        user.into(),
        "--expect-groups".into(),
        groups.join(",").into(),
    ]
}

/// Arguments with which a helper shuts itself in.
fn confine(
    flag: &'static str,
    paths: impl IntoIterator<Item = PathBuf>,
) -> impl Iterator<Item = OsString> {
    paths
        .into_iter()
        .flat_map(move |path| [flag.into(), path.into_os_string()])
}

/// The numbers of all groups that an account runs in when `primary` is its first one.
fn groups_of(account: &str, primary: &str) -> Result<Vec<String>, Fault> {
    if !matches!(accounts::user(account), Ok(Some(_))) {
        return Err(Fault::new(format!("cannot find the account {account}"))
            .hint("make it, or mend deploy_user in the project file"));
    }
    let cannot = |error: &dyn std::fmt::Display| {
        Fault::new(format!("cannot look up the groups of {account}: {error}"))
    };
    let group = accounts::group(primary)
        .map_err(|error| cannot(&error))?
        .ok_or_else(|| {
            cannot(&format!("there is no group {primary}"))
                .hint("systemctl reload cid makes it: then try again")
        })?;
    let name = CString::new(account).map_err(|error| cannot(&error))?;
    let all = getgrouplist(&name, group.gid).map_err(|error| cannot(&error))?;
    Ok(all.iter().map(ToString::to_string).collect())
}

/// Who does a project's network work.
pub(super) fn deploy_user(project: &Project) -> Result<String, Fault> {
    project.deploy_user.clone().ok_or_else(|| {
        Fault::new(format!(
            "cannot reach the repository of {}: its project file names no deploy_user",
            project.name
        ))
        .hint("set deploy_user to the account whose keys git is to use")
    })
}

fn local_repository(url: &GitUrl) -> Option<PathBuf> {
    let text = url.to_string();
    let path = PathBuf::from(text.strip_prefix("file://").unwrap_or(&text));
    path.is_absolute().then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Name;

    /// A host whose projects have no files.
    fn identities(dir: &Path) -> Identities {
        let layout = Layout::sandbox(dir);
        std::fs::create_dir_all(layout.projects_dir()).unwrap();
        Identities {
            settings: Arc::default(),
            projects: Arc::new(Projects::load(&layout).unwrap()),
            controllers: Controllers::look(),
            layout: Arc::new(layout),
        }
    }

    fn writable(place: &Place) -> Vec<String> {
        let command = place.unit.command();
        let words = command.iter().map(|word| word.to_string_lossy());
        words
            .filter_map(|word| Some(word.strip_prefix("ReadWritePaths=-")?.to_owned()))
            .collect()
    }

    #[test]
    fn where_a_workspace_is_does_not_depend_on_its_projects_file() {
        let dir = tempfile::tempdir().unwrap();
        let identities = identities(dir.path());
        let project = ProjectName::parse("shop").unwrap();
        let email = crate::domain::Email::parse("anna@example.com").unwrap();
        let name = Name::candidates(&email).next().unwrap();
        let unit = UnitName::new(&project, &name);
        let directory = PathBuf::from("/data/old").join(name.as_str());
        let user = WorkspaceUser {
            unit: unit.clone(),
            number: 1,
            directory: directory.clone(),
        };
        for (identity, folder) in [
            (Identity::Workspace(user), "/data/old"),
            (
                Identity::Access(unit, directory.clone()),
                &*directory.to_string_lossy(),
            ),
            (
                Identity::Purge("/data/old/.trash".into()),
                "/data/old/.trash",
            ),
        ] {
            let place = identities.place(&identity).unwrap();
            assert_eq!(writable(&place), [folder], "{identity:?}");
        }
        let look = identities.place(&Identity::Look).unwrap();
        assert_eq!(writable(&look), [""; 0]);
    }
}
