//! What `cid-helper serve` is told to be and to leave alone. A unit's file makes it so; here the
//! helper sees for itself before it reads a request.

use crate::identity::{
    confine::{UNITS_OWN, Walls, confine},
    credentials::Expected,
};
use caps::Capability;
use cid_protocol::fault::{Fault, FaultContext};
use nix::unistd::{Group, User};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    str::FromStr,
};

#[derive(clap::Args)]
pub(crate) struct Expectations {
    /// Refuse to work as anybody else, or with more rights: a user's name or number
    #[arg(long, value_name = "USER", requires = "expect_groups")]
    expect_user: Option<String>,
    /// All groups it must run in, the primary one included: names or numbers
    #[arg(
        long,
        value_name = "GROUPS",
        value_delimiter = ',',
        requires = "expect_user"
    )]
    expect_groups: Vec<String>,
    /// Capabilities it must run with; without this, none
    #[arg(
        long,
        value_name = "CAPABILITIES",
        value_delimiter = ',',
        requires = "expect_user"
    )]
    expect_caps: Vec<String>,
    /// Change nothing but what is in such folders; may be given more than once
    #[arg(long, value_name = "PATH")]
    confine_write: Vec<PathBuf>,
    /// Read nothing but the system's own files and what is in such folders
    #[arg(long, value_name = "PATH")]
    confine_read: Vec<PathBuf>,
    /// From the first request that finds this folder, change nothing else in the folder it is in
    #[arg(long, value_name = "PATH")]
    narrow: Option<PathBuf>,
}

impl Expectations {
    /// Checks this process. Does nothing when nothing is expected.
    ///
    /// # Errors
    /// It runs as somebody else, or with more or fewer rights.
    pub(crate) fn verify(&self) -> Result<(), Fault> {
        let Some(user) = &self.expect_user else {
            return Ok(());
        };
        let expected = Expected {
            uid: id_of(user, |name| {
                Ok(User::from_name(name)?.map(|user| user.uid.as_raw()))
            })?,
            gid: None,
            groups: self
                .expect_groups
                .iter()
                .map(|group| {
                    id_of(group, |name| {
                        Ok(Group::from_name(name)?.map(|group| group.gid.as_raw()))
                    })
                })
                .collect::<Result<BTreeSet<_>, _>>()?,
            capabilities: bits(&self.expect_caps)?,
        };
        expected.verify()
    }

    /// Leaves the rest of the file system alone, and so does all that is started from here on.
    ///
    /// # Errors
    /// The kernel knows Landlock and refuses.
    pub(crate) fn confine(&self) -> Result<(), Fault> {
        if self.confine_write.is_empty() && self.confine_read.is_empty() {
            return Ok(());
        }
        self.confine_to(&self.confine_write)
    }

    /// Confines the calling thread, and all that it starts from here on, to the folder that was not there
    /// yet at the start. Does nothing while it is missing, and once it is done.
    ///
    /// # Errors
    /// The kernel knows Landlock and refuses.
    pub(crate) fn narrow(&mut self) -> Result<(), Fault> {
        let Some(folder) = self.narrow.take_if(|folder| folder.is_dir()) else {
            return Ok(());
        };
        let around = folder.parent().map(Path::to_owned);
        self.confine_write
            .retain(|path| Some(path) != around.as_ref());
        self.confine_write.push(folder);
        self.confine_to(&self.confine_write)
    }

    fn confine_to(&self, writable: &[PathBuf]) -> Result<(), Fault> {
        confine(&Walls {
            writable,
            readable: &self.confine_read,
            scratch: UNITS_OWN,
            ports: &[],
            terminal: None,
        })
    }
}

fn id_of(text: &str, look_up: impl Fn(&str) -> nix::Result<Option<u32>>) -> Result<u32, Fault> {
    if let Ok(number) = text.parse() {
        return Ok(number);
    }
    look_up(text)
        .cannot(format!("look up {text}"))?
        .ok_or_else(|| Fault::new(format!("cannot find {text} among users and groups")))
}

fn bits(names: &[String]) -> Result<u64, Fault> {
    names.iter().try_fold(0, |bits, name| {
        Capability::from_str(&name.to_ascii_uppercase())
            .map(|capability| bits | capability.bitmask())
            .map_err(|_| Fault::new(format!("cannot expect {name}: that is no capability")))
    })
}

#[cfg(test)]
mod tests {
    use crate::identity::expect::*;

    #[test]
    fn understands_names_and_numbers() {
        let user = |text: &str| {
            id_of(text, |name| {
                Ok(User::from_name(name)?.map(|user| user.uid.as_raw()))
            })
        };
        assert_eq!(user("root").unwrap(), 0);
        assert_eq!(user("61234").unwrap(), 61_234);
        assert!(user("no-such-user").is_err());
        let names = |names: &[&str]| bits(&names.iter().map(|&n| n.into()).collect::<Vec<_>>());
        assert_eq!(names(&["cap_dac_override", "CAP_FOWNER"]).unwrap(), 0b1010);
        assert_eq!(names(&[]).unwrap(), 0);
        assert!(names(&["cap_everything"]).is_err());
    }
}
