//! What the machine's own tables say of accounts and groups. A tool that was killed half-way leaves an account in
//! some of them and not in others.

use cid_protocol::fault::Fault;
use std::{collections::BTreeSet, io::ErrorKind, path::Path};

/// Where a machine has its tables.
const FOLDER: &str = "/etc";
/// The day since 1970 on which cid's accounts expired.
pub(super) const EXPIRED: u64 = 1;
/// No password opens what begins with one of these.
const LOCKED: [char; 2] = ['!', '*'];

/// The tables, as they are at one time. No `Debug`: passwords are in it.
pub struct Tables {
    passwd: String,
    shadow: String,
    group: String,
    /// `None`: this machine keeps no such table.
    gshadow: Option<String>,
    sub_ids: [String; 2],
}

/// All that they say of one name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traces {
    /// Its line among the users.
    pub user: Option<User>,
    /// Its line among the users' passwords.
    pub lock: Option<Lock>,
    /// The number of the group of this name.
    pub group: Option<u32>,
    /// That group's line among the groups' passwords.
    pub has_group_secret: bool,
    /// The machine keeps groups' passwords, and in a table of their own.
    pub keeps_group_secrets: bool,
    /// Groups that list it among their members, in the first table.
    pub member_of: BTreeSet<String>,
    /// The same in the table of passwords; where the machine keeps none, what the first says.
    pub secret_member_of: BTreeSet<String>,
    /// It has numbers for users of its own.
    pub has_sub_ids: bool,
}

/// A line of `passwd`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its number.
    pub uid: u32,
    /// The number of its primary group.
    pub gid: u32,
    /// Who it is, in words.
    pub comment: String,
    /// Where services look for its files.
    pub home: String,
    /// What a login starts.
    pub shell: String,
}

/// A line of `shadow`, without the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lock {
    /// No password opens it.
    pub is_locked: bool,
    /// The account has expired: whatever asks PAM does nothing for it.
    pub has_expired: bool,
}

impl Tables {
    /// This machine's.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn read() -> Result<Self, Fault> {
        Self::read_in(Path::new(FOLDER))
    }

    pub(super) fn read_in(folder: &Path) -> Result<Self, Fault> {
        let text = |name: &str| read(&folder.join(name));
        Ok(Self {
            passwd: text("passwd")?.unwrap_or_default(),
            shadow: text("shadow")?.unwrap_or_default(),
            group: text("group")?.unwrap_or_default(),
            gshadow: text("gshadow")?,
            sub_ids: [
                text("subuid")?.unwrap_or_default(),
                text("subgid")?.unwrap_or_default(),
            ],
        })
    }

    /// What they say of an account, and of the group that is called like it.
    pub fn of(&self, name: &str) -> Traces {
        let group = line(&self.group, name);
        let gshadow = self.gshadow.as_deref();
        Traces {
            user: line(&self.passwd, name).and_then(|fields| user(&fields)),
            lock: line(&self.shadow, name).map(|fields| lock(&fields)),
            group: group.and_then(|fields| fields.get(2)?.parse().ok()),
            has_group_secret: gshadow.is_some_and(|text| line(text, name).is_some()),
            keeps_group_secrets: gshadow.is_some(),
            member_of: lists(&self.group, name),
            secret_member_of: lists(gshadow.unwrap_or(&self.group), name),
            has_sub_ids: self.sub_ids.iter().any(|text| line(text, name).is_some()),
        }
    }

    /// All names that begin so, in any table.
    pub fn names(&self, prefix: &str) -> BTreeSet<String> {
        let texts = [&self.passwd, &self.shadow, &self.group];
        let texts = texts.into_iter().chain(&self.gshadow).chain(&self.sub_ids);
        let names = texts.flat_map(|text| text.lines()).flat_map(|line| {
            let mut fields = line.split(':');
            let first = fields.next();
            first.into_iter().chain(members(fields.next_back()))
        });
        let wanted = names.filter(|name| name.starts_with(prefix));
        wanted.map(str::to_owned).collect()
    }
}

impl Traces {
    /// Whether there is nothing of it.
    pub fn is_empty(&self) -> bool {
        let has_own = self.user.is_some() || self.group.is_some() || self.has_group_secret;
        !has_own && !self.has_lines()
    }

    /// Whether there is something of a user beside its line in `passwd`.
    pub fn has_lines(&self) -> bool {
        let is_member = !self.member_of.is_empty() || !self.secret_member_of.is_empty();
        self.lock.is_some() || self.has_sub_ids || is_member
    }
}

/// What people wrote about themselves need not be UTF-8. `None`: there is no such file.
fn read(path: &Path) -> Result<Option<String>, Fault> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Fault::io("read", path, error)),
    }
}

fn line<'a>(text: &'a str, name: &str) -> Option<Vec<&'a str>> {
    text.lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|fields| fields.first() == Some(&name))
}

fn user(fields: &[&str]) -> Option<User> {
    let [_, _, uid, gid, comment, home, shell] = *fields else {
        return None;
    };
    Some(User {
        uid: uid.parse().ok()?,
        gid: gid.parse().ok()?,
        comment: comment.to_owned(),
        home: home.to_owned(),
        shell: shell.to_owned(),
    })
}

fn lock(fields: &[&str]) -> Lock {
    let field = |at: usize| fields.get(at).copied().unwrap_or_default();
    let expires: Option<u64> = field(7).parse().ok();
    Lock {
        is_locked: field(1).starts_with(LOCKED),
        has_expired: expires.is_some_and(|day| day <= EXPIRED),
    }
}

fn members(field: Option<&str>) -> impl Iterator<Item = &str> {
    field.unwrap_or_default().split(',')
}

/// Groups that have this name among their members.
fn lists(text: &str, name: &str) -> BTreeSet<String> {
    let groups = text.lines().filter_map(|line| {
        let (group, rest) = line.split_once(':')?;
        let (_, list) = rest.rsplit_once(':')?;
        members(Some(list))
            .any(|member| member == name)
            .then_some(group)
    });
    groups.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(with: &[(&str, &str)]) -> Tables {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in with {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        Tables::read_in(dir.path()).unwrap()
    }

    #[test]
    fn reads_all_that_there_is_of_a_name() {
        let tables = tables(&[
            (
                "passwd",
                "root:x:0:0:root:/root:/bin/bash\ncidw-1:x:70000:70000:cid workspace:/nonexistent:/usr/sbin/nologin\n",
            ),
            ("shadow", "cidw-1:!:20786:0:99999:7::1:\n"),
            ("group", "cid-shop:x:990:cidw-1,cidw-12\ncidw-1:x:70000:\n"),
            ("gshadow", "cid-shop:!::cidw-12\n"),
            ("subuid", "cidw-1:100000:65536\n"),
        ]);
        let traces = tables.of("cidw-1");
        let user = traces.user.as_ref().unwrap();
        assert_eq!(
            (user.uid, user.gid, &*user.home),
            (70_000, 70_000, "/nonexistent")
        );
        let lock = traces.lock.unwrap();
        assert!(lock.is_locked && lock.has_expired);
        assert_eq!(traces.group, Some(70_000));
        assert!(!traces.has_group_secret && traces.keeps_group_secrets && traces.has_sub_ids);
        assert_eq!(traces.member_of, ["cid-shop".to_owned()].into());
        assert_eq!(traces.secret_member_of, [].into());
        assert!(!traces.is_empty() && traces.has_lines());
        // One that is only in lists is found as well.
        let found: Vec<String> = tables.names("cidw-").into_iter().collect();
        assert_eq!(found, ["cidw-1", "cidw-12"]);
        assert!(tables.of("cidw-2").is_empty());
        assert!(!tables.of("cidw-12").is_empty());
    }

    #[test]
    fn an_account_is_locked_and_expired_by_its_own_line_alone() {
        for (line, wanted) in [
            ("a:!:20786:0:99999:7::1:", (true, true)),
            ("a:*:20786:0:99999:7::1:", (true, true)),
            ("a:!$6$x:20786:0:99999:7:::", (true, false)),
            ("a::20786:0:99999:7::1:", (false, true)),
            ("a:$6$x:20786:0:99999:7::99999:", (false, false)),
            ("a:!", (true, false)),
        ] {
            let lock = tables(&[("shadow", line)]).of("a").lock.unwrap();
            assert_eq!((lock.is_locked, lock.has_expired), wanted, "{line}");
        }
    }
}
