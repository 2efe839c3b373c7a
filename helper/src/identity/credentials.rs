//! What the kernel says of this process's user, groups and capabilities, and whether that is what
//! was meant.

use cid_protocol::fault::{Fault, FaultContext};
use std::{collections::BTreeSet, fs};

/// Real, effective, saved and file system ids; capability sets by their line's name.
#[derive(Debug, Default, PartialEq, Eq)]
struct Credentials {
    uids: Vec<u32>,
    gids: Vec<u32>,
    groups: BTreeSet<u32>,
    no_new_privs: bool,
    inheritable: u64,
    permitted: u64,
    effective: u64,
    bounding: u64,
    ambient: u64,
}

/// What they shall be.
#[derive(Debug)]
pub(super) struct Expected {
    /// All four of them.
    pub(super) uid: u32,
    /// All four of them; `None`: any of `groups`.
    pub(super) gid: Option<u32>,
    /// All, the primary one included.
    pub(super) groups: BTreeSet<u32>,
    /// Held, and nothing beyond them to be had, as a set of bits.
    pub(super) capabilities: u64,
}

impl Credentials {
    /// Of this process, which has one thread so far.
    fn read() -> Result<Self, Fault> {
        let text = fs::read_to_string("/proc/self/status").cannot("read /proc/self/status")?;
        Self::parse(&text).ok_or_else(|| Fault::new("cannot understand /proc/self/status"))
    }

    fn parse(text: &str) -> Option<Self> {
        let field = |name: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
                .map(str::trim)
        };
        let numbers = |name: &str| -> Option<Vec<u32>> {
            field(name)?
                .split_ascii_whitespace()
                .map(|number| number.parse().ok())
                .collect()
        };
        let set = |name: &str| u64::from_str_radix(field(name)?, 16).ok();
        Some(Self {
            uids: numbers("Uid").filter(|ids| ids.len() == 4)?,
            gids: numbers("Gid").filter(|ids| ids.len() == 4)?,
            groups: numbers("Groups")?.into_iter().collect(),
            no_new_privs: field("NoNewPrivs")? == "1",
            inheritable: set("CapInh")?,
            permitted: set("CapPrm")?,
            effective: set("CapEff")?,
            bounding: set("CapBnd")?,
            ambient: set("CapAmb")?,
        })
    }
}

impl Expected {
    /// Checks this process.
    ///
    /// # Errors
    /// Anything is not as expected; the message names all of it.
    pub(super) fn verify(&self) -> Result<(), Fault> {
        let wrong = self.differences(&Credentials::read()?);
        if wrong.is_empty() {
            return Ok(());
        }
        Err(Fault::new(format!(
            "cannot work as user {}: {}",
            self.uid,
            wrong.join("; ")
        )))
    }

    fn differences(&self, found: &Credentials) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut check = |right: bool, what: String| {
            if !right {
                wrong.push(what);
            }
        };
        check(
            found.uids.iter().all(|&uid| uid == self.uid),
            format!("it runs as {:?}", found.uids),
        );
        let gid = self.gid.or(found.gids.first().copied());
        check(
            found.gids.iter().all(|&id| Some(id) == gid),
            format!("its groups are {:?}", found.gids),
        );
        let groups: BTreeSet<u32> = found.groups.iter().copied().chain(gid).collect();
        check(
            groups == self.groups,
            format!("it is in the groups {groups:?}, not {:?}", self.groups),
        );
        check(found.no_new_privs, "it may gain privileges".into());
        for (name, set) in [
            ("permitted", found.permitted),
            ("effective", found.effective),
        ] {
            check(
                set == self.capabilities,
                format!(
                    "its {name} capabilities are {set:x}, not {:x}",
                    self.capabilities
                ),
            );
        }
        for (name, set) in [
            ("inheritable", found.inheritable),
            ("bounding", found.bounding),
            ("ambient", found.ambient),
        ] {
            check(
                set & !self.capabilities == 0,
                format!("its {name} capabilities {set:x} allow too much"),
            );
        }
        wrong
    }
}

#[cfg(test)]
mod tests {
    use crate::identity::credentials::*;

    const STATUS: &str = "Name:\tx\nUid:\t2000\t2000\t2000\t2000\nGid:\t2001\t2001\t2001\t2001\n\
        Groups:\t2001 2002 \nCapInh:\t0\nCapPrm:\t0\nCapEff:\t0\nCapBnd:\t0\nCapAmb:\t0\n\
        NoNewPrivs:\t1\n";

    fn wrong(from: &str, to: &str) -> Vec<String> {
        assert!(STATUS.contains(from));
        let expected = Expected {
            uid: 2000,
            gid: Some(2001),
            groups: [2001, 2002].into(),
            capabilities: 0,
        };
        expected.differences(&Credentials::parse(&STATUS.replace(from, to)).unwrap())
    }

    #[test]
    fn sees_every_single_difference() {
        assert_eq!(wrong("x", "x"), [""; 0]);
        for (from, to) in [
            ("\t2000\t2000\n", "\t2000\t0\n"),
            ("Uid:\t2000", "Uid:\t0"),
            ("\t2001\t2001\n", "\t0\t2001\n"),
            ("Groups:\t2001 2002", "Groups:\t2001"),
            ("Groups:\t2001 2002", "Groups:\t2001 2002 0"),
            ("CapInh:\t0", "CapInh:\t1"),
            ("CapPrm:\t0", "CapPrm:\t1"),
            ("CapEff:\t0", "CapEff:\t1"),
            ("CapBnd:\t0", "CapBnd:\t000001ffffffffff"),
            ("CapAmb:\t0", "CapAmb:\t1"),
            ("NoNewPrivs:\t1", "NoNewPrivs:\t0"),
        ] {
            assert_eq!(wrong(from, to).len(), 1, "{from} -> {to}");
        }
        // Whether the primary group is among the others as well says nothing.
        assert_eq!(wrong("Groups:\t2001 2002", "Groups:\t2002"), [""; 0]);
        assert!(Credentials::parse("").is_none());
    }

    #[test]
    fn tells_a_capability_from_all() {
        let expected = Expected {
            uid: 2000,
            gid: None,
            groups: [2001, 2002].into(),
            capabilities: 0b1010,
        };
        let held = STATUS
            .replace("CapPrm:\t0", "CapPrm:\ta")
            .replace("CapEff:\t0", "CapEff:\ta")
            .replace("CapBnd:\t0", "CapBnd:\ta");
        let differences = |text: &str| expected.differences(&Credentials::parse(text).unwrap());
        assert_eq!(differences(&held), [""; 0]);
        assert_eq!(differences(STATUS).len(), 2);
        assert_eq!(
            differences(&held.replace("CapBnd:\ta", "CapBnd:\tb")).len(),
            1
        );
    }
}
