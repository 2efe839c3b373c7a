//! Accounts and groups of this machine, by name and by number.

use cid_protocol::fault::{Fault, FaultContext};
use nix::unistd::{Gid, Group, Uid, User};

/// The account of this name; `None` if there is none.
///
/// # Errors
/// It cannot be looked up.
pub fn user(name: &str) -> Result<Option<User>, Fault> {
    User::from_name(name).cannot(format_args!("look up the account {name}"))
}

/// The group of this name; `None` if there is none.
///
/// # Errors
/// It cannot be looked up.
pub fn group(name: &str) -> Result<Option<Group>, Fault> {
    Group::from_name(name).cannot(format_args!("look up the group {name}"))
}

/// The number of the account of this name.
///
/// # Errors
/// No account has this name (`advice` says what to do), or it cannot be looked up.
pub fn uid_of(name: &str, advice: &str) -> Result<u32, Fault> {
    let missing = || Fault::new(format!("cannot find the account {name}")).hint(advice);
    Ok(user(name)?.ok_or_else(missing)?.uid.as_raw())
}

/// The number of the group of this name.
///
/// # Errors
/// No group has this name (`advice` says what to do), or it cannot be looked up.
pub fn gid_of(name: &str, advice: &str) -> Result<u32, Fault> {
    let missing = || Fault::new(format!("cannot find the group {name}")).hint(advice);
    Ok(group(name)?.ok_or_else(missing)?.gid.as_raw())
}

/// The name of the account with this number; `None` if there is none.
///
/// # Errors
/// It cannot be looked up.
pub fn user_name(uid: u32) -> Result<Option<String>, Fault> {
    let found = User::from_uid(Uid::from_raw(uid)).cannot(format_args!("look up user {uid}"))?;
    Ok(found.map(|user| user.name))
}

/// The name of the group with this number; `None` if there is none.
///
/// # Errors
/// It cannot be looked up.
pub fn group_name(gid: u32) -> Result<Option<String>, Fault> {
    let found = Group::from_gid(Gid::from_raw(gid)).cannot(format_args!("look up group {gid}"))?;
    Ok(found.map(|group| group.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_exists_is_found_both_ways_and_what_does_not_is_named() {
        assert_eq!(uid_of("root", "").unwrap(), 0);
        assert_eq!(gid_of("root", "").unwrap(), 0);
        assert_eq!(user_name(0).unwrap().as_deref(), Some("root"));
        assert_eq!(group_name(0).unwrap().as_deref(), Some("root"));
        assert!(user("no-such-user").unwrap().is_none());
        let fault = uid_of("no-such-user", "make it").unwrap_err();
        assert_eq!(fault.message, "cannot find the account no-such-user");
        assert_eq!(fault.hint.as_deref(), Some("make it"));
        let fault = gid_of("no-such-user", "make it").unwrap_err();
        assert_eq!(fault.message, "cannot find the group no-such-user");
    }
}
