//! Advice for when the daemon cannot be connected to. It follows from the state of the socket and the caller,
//! not from guesses.

use crate::{DEFAULT_SOCKET, connect::DialError};
use nix::unistd::{Gid, Group, User, getegid, getgrouplist, getgroups, getuid};
use std::{ffi::CString, path::Path};

/// On a host the socket belongs to this group.
const GROUP: &str = "cid";
/// If this program exists, the package is installed.
const INSTALLED: &str = "/usr/lib/cid/cid";

/// What to do about a socket that could not be connected to, for this reason.
pub(crate) fn for_unreachable(socket: &Path, error: Option<&DialError>) -> String {
    let is_hosts = socket == Path::new(DEFAULT_SOCKET);
    match error {
        Some(error) if error.is_refusal() && is_hosts => closed(&Caller::look()),
        Some(error) if error.is_refusal() => {
            "it is another user's: pass another socket with --socket or CID_SOCKET, or ask its owner"
                .to_owned()
        }
        _ if is_hosts && Path::new(INSTALLED).exists() => STOPPED.to_owned(),
        _ => ELSEWHERE.to_owned(),
    }
}

const STOPPED: &str = "cid is installed here and its socket is not served: an administrator looks with \
     `systemctl status cid.socket cid.service` and starts it with `systemctl start cid.socket`";
const ELSEWHERE: &str = "is cid running? pass its socket with --socket or CID_SOCKET; a sandbox has it at \
     DIR/run/cid.sock";

/// The prefix of the names of accounts that cid makes.
const CIDS: [&str; 4] = ["cidw-", "cidb-", "cidt-", "cid-tools"];

/// The user who could not open a host's socket.
struct Caller {
    /// The account's name, whatever the environment says.
    account: String,
    membership: Membership,
}

/// A user's membership in the group.
#[derive(Clone, Copy)]
enum Membership {
    /// This process is in the group.
    Here,
    /// The account is in the group, but this login began before that.
    OnPaper,
    /// Neither.
    None,
}

impl Caller {
    fn look() -> Self {
        let uid = getuid();
        let user = User::from_uid(uid).ok().flatten();
        let group = Group::from_name(GROUP).ok().flatten();
        let membership = group.map_or(Membership::None, |group| {
            membership(user.as_ref(), group.gid)
        });
        Self {
            account: user.map_or_else(|| uid.to_string(), |user| user.name),
            membership,
        }
    }
}

fn membership(user: Option<&User>, group: Gid) -> Membership {
    let has = |groups: Vec<Gid>| groups.contains(&group);
    if getegid() == group || getgroups().is_ok_and(has) {
        return Membership::Here;
    }
    let on_paper = user.and_then(|user| {
        let name = CString::new(user.name.as_str()).ok()?;
        getgrouplist(&name, user.gid).ok()
    });
    match on_paper.is_some_and(has) {
        true => Membership::OnPaper,
        false => Membership::None,
    }
}

fn closed(caller: &Caller) -> String {
    let Caller { account, .. } = caller;
    if CIDS.iter().any(|prefix| account.starts_with(prefix)) {
        return format!("{account} is an account of workspaces and builds, which may not use cid");
    }
    match caller.membership {
        Membership::None => format!(
            "{account} is not in the group {GROUP}: an administrator adds you with \
             `adduser {account} {GROUP}`, then log in again; the deploy user of a project may not use cid"
        ),
        Membership::OnPaper => format!(
            "{account} is in the group {GROUP}, but this login is older than that: log in again, or go on \
             in a shell of `newgrp {GROUP}`"
        ),
        Membership::Here => format!(
            "you are in the group {GROUP}, and the socket is closed to it all the same: an administrator \
             looks with `ls -l {DEFAULT_SOCKET}` and makes it anew with `systemctl restart cid.socket`"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connect::DialError;
    use std::io::ErrorKind;

    fn advice_to(account: &str, membership: Membership) -> String {
        closed(&Caller {
            account: account.into(),
            membership,
        })
    }

    fn advice(membership: Membership) -> String {
        advice_to("eve", membership)
    }

    #[test]
    fn accounts_of_cids_own_are_not_sent_into_its_group() {
        for account in ["cidw-7", "cidb-shop", "cidt-shop", "cid-tools"] {
            let said = advice_to(account, Membership::None);
            assert!(!said.contains("adduser") && said.contains("may not use cid"));
        }
        assert!(advice(Membership::None).contains("deploy user"));
    }

    #[test]
    fn each_way_of_not_being_let_in_has_its_own_advice() {
        assert!(advice(Membership::None).contains("`adduser eve cid`"));
        let on_paper = advice(Membership::OnPaper);
        assert!(on_paper.contains("log in again") && on_paper.contains("newgrp cid"));
        assert!(!on_paper.contains("adduser"));
        assert!(!advice(Membership::Here).contains("adduser"));
    }

    #[test]
    fn about_another_socket_nothing_is_guessed() {
        let refused = DialError::of(ErrorKind::PermissionDenied);
        let said = for_unreachable(Path::new("/tmp/x/run/cid.sock"), Some(&refused));
        assert!(
            !said.contains("group") && said.contains("--socket"),
            "{said}"
        );
        let absent = DialError::of(ErrorKind::NotFound);
        let said = for_unreachable(Path::new("/tmp/x/run/cid.sock"), Some(&absent));
        assert!(said.contains("is cid running?") && !said.contains("systemctl"));
    }

    #[test]
    fn the_own_groups_are_found() {
        let user = User::from_uid(getuid()).unwrap().unwrap();
        assert!(matches!(
            membership(Some(&user), getegid()),
            Membership::Here
        ));
        let nobodys = Gid::from_raw(4_000_000_001);
        assert!(matches!(membership(Some(&user), nobodys), Membership::None));
    }
}
