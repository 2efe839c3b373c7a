//! Accounts as cid has them, what an account lacks of that, and the tool that brings it. Each tool does one thing
//! from any state, so an account that a killed tool left half-made is completed or removed piece by piece.

use super::tables::{EXPIRED, Tables, Traces};
use crate::domain::Account;

const NO_LOGIN: &str = "/usr/sbin/nologin";
/// Services look for people's files in their homes and trust them: keys, mail rules, units. A home must not
/// be a folder that a workspace can write.
const NO_HOME: &str = "/nonexistent";
/// What a workspace's account says of itself.
pub(super) const WORKSPACE: &str = "cid workspace";
/// What a project's own account says of itself.
const PROJECT: &str = "cid builds and tests";

/// An account as cid has it. Nobody can log in as it, and no service runs anything as it: it has no home, no shell
/// and no password, and it has expired, which every login through PAM is told. cid starts processes without PAM.
#[derive(Clone, Debug)]
pub struct Wanted {
    name: String,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    /// With a group of its own, of the same number; in the project's group, where that is known.
    Workspace { uid: u32, group: Option<String> },
    /// With the project's group.
    Project { group: String },
    /// The package's, which makes it.
    Package,
}

/// What an account lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lack {
    /// Its line among the users.
    User,
    /// It could be logged in as; why.
    Inert(&'static str),
    /// A group of its own.
    Group,
    /// That group's line among the groups' passwords.
    GroupSecret,
    /// To be in a group.
    Membership(String),
}

/// What is left of an account that is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    User,
    /// Lines of a user that is not among the users any more.
    Lines,
    Group,
    /// A password's line of a group that is not among the groups any more.
    GroupSecret,
}

impl Wanted {
    /// A workspace's. Without `group` it does not matter which groups it is in.
    pub fn workspace(account: &Account, group: Option<String>) -> Self {
        Self {
            name: account.name.clone(),
            kind: Kind::Workspace {
                uid: account.uid,
                group,
            },
        }
    }

    /// A project's own, for builds or their tests.
    pub fn of_project(name: String, group: String) -> Self {
        Self {
            name,
            kind: Kind::Project { group },
        }
    }

    /// One that the package makes.
    pub fn package(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            kind: Kind::Package,
        }
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The account of the workspace that it is.
    pub(super) fn account(&self) -> Option<Account> {
        match self.kind {
            Kind::Workspace { uid, .. } => Some(Account {
                name: self.name.clone(),
                uid,
            }),
            Kind::Project { .. } | Kind::Package => None,
        }
    }

    /// What it lacks, in words; empty: it is as it should be.
    pub fn lacking(&self, tables: &Tables) -> Vec<String> {
        let lacks = self.lacks(&tables.of(&self.name));
        lacks.iter().map(ToString::to_string).collect()
    }

    /// What it lacks; what comes first is to be brought first.
    pub(super) fn lacks(&self, traces: &Traces) -> Vec<Lack> {
        let mut lacks = Vec::new();
        match &traces.user {
            None => lacks.push(Lack::User),
            Some(_) => lacks.extend(usable(traces).map(Lack::Inert)),
        }
        if let Kind::Workspace { group, .. } = &self.kind {
            if traces.group.is_none() {
                lacks.push(Lack::Group);
            }
            if traces.keeps_group_secrets && !traces.has_group_secret {
                lacks.push(Lack::GroupSecret);
            }
            let is_in = |group: &&String| {
                traces.member_of.contains(*group) && traces.secret_member_of.contains(*group)
            };
            let missing = group.iter().filter(|group| !is_in(group));
            lacks.extend(missing.cloned().map(Lack::Membership));
        }
        lacks
    }

    /// The tool and its arguments that bring it. `None`: it is not for cid to make.
    pub(super) fn tool(&self, lack: &Lack, traces: &Traces) -> Option<Vec<String>> {
        let name = self.name.as_str();
        Some(match lack {
            Lack::User => self.add(traces)?,
            Lack::Inert(_) => {
                let words = [
                    "usermod",
                    "--home",
                    NO_HOME,
                    "--shell",
                    NO_LOGIN,
                    "--password",
                    "!",
                ];
                let mut tool = owned(&words);
                tool.extend(expired());
                tool.push(name.to_owned());
                tool
            }
            Lack::Group => {
                let Kind::Workspace { uid, .. } = self.kind else {
                    return None;
                };
                owned(&["groupadd", "--gid", &uid.to_string(), name])
            }
            Lack::GroupSecret => owned(&["gpasswd", "--restrict", name]),
            Lack::Membership(group) => owned(&["gpasswd", "--add", name, group]),
        })
    }

    fn add(&self, traces: &Traces) -> Option<Vec<String>> {
        let mut tool = owned(&["useradd"]);
        match &self.kind {
            Kind::Workspace { uid, group } => {
                let uid = uid.to_string();
                tool.extend(owned(&["--uid", &uid]));
                match traces.group {
                    Some(_) => tool.extend(owned(&["--gid", &self.name])),
                    // Its own group gets the same number, outside of the range that is people's.
                    None => {
                        let (lowest, highest) =
                            (format!("GID_MIN={uid}"), format!("GID_MAX={uid}"));
                        let range = ["--key", &lowest, "--key", &highest, "--user-group"];
                        tool.extend(owned(&range));
                    }
                }
                if let Some(group) = group {
                    tool.extend(owned(&["--groups", group]));
                }
                tool.extend(owned(&["--no-log-init", "--comment", WORKSPACE]));
            }
            Kind::Project { group } => {
                tool.extend(owned(&["--system", "--gid", group, "--comment", PROJECT]));
            }
            Kind::Package => return None,
        }
        // Each build has a home of its own, and so has each workspace; neither is the account's.
        tool.extend(owned(&[
            "--home-dir",
            NO_HOME,
            "--no-create-home",
            "--shell",
            NO_LOGIN,
        ]));
        tool.extend(expired());
        tool.push(self.name.clone());
        Some(tool)
    }

    /// What of it is to be removed first; `None`: nothing is left.
    pub(super) fn left(traces: &Traces) -> Option<Left> {
        match traces {
            Traces { user: Some(_), .. } => Some(Left::User),
            traces if traces.has_lines() => Some(Left::Lines),
            Traces { group: Some(_), .. } => Some(Left::Group),
            Traces {
                has_group_secret: true,
                ..
            } => Some(Left::GroupSecret),
            _ => None,
        }
    }

    /// The tool that removes it, or that makes whole what none removes alone.
    pub(super) fn removal(&self, left: Left, traces: &Traces) -> Option<Vec<String>> {
        let name = self.name.as_str();
        match left {
            Left::User => Some(owned(&["userdel", name])),
            Left::Lines => self.add(traces),
            Left::Group => Some(owned(&["groupdel", name])),
            Left::GroupSecret => self.tool(&Lack::Group, traces),
        }
    }
}

/// Why it could be logged in as, or be run as by a service.
fn usable(traces: &Traces) -> Option<&'static str> {
    let user = traces.user.as_ref()?;
    match traces.lock {
        _ if user.home != NO_HOME => Some("it has a home, whose files services believe"),
        _ if user.shell != NO_LOGIN => Some("it has a shell"),
        None => Some("it has no line in /etc/shadow"),
        Some(lock) if !lock.is_locked => Some("it is not locked"),
        Some(lock) if !lock.has_expired => Some("it has not expired"),
        Some(_) => None,
    }
}

impl std::fmt::Display for Lack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::User => f.write_str("there is no such user"),
            Self::Inert(why) => f.write_str(why),
            Self::Group => f.write_str("it has no group of its own"),
            Self::GroupSecret => f.write_str("its group has no line in /etc/gshadow"),
            Self::Membership(group) => write!(f, "it is not in the group {group}"),
        }
    }
}

fn expired() -> [String; 2] {
    ["--expiredate".to_owned(), EXPIRED.to_string()]
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

#[cfg(test)]
#[path = "wanted_tests.rs"]
mod tests;
