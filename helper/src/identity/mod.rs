//! Who a helper is. On a host each works as the user it works for; this makes it so, or checks that
//! somebody else has, before anything of that user's is touched.

mod calls;
mod confine;
mod credentials;
mod expect;
mod limits;

pub(super) use expect::Expectations;

use calls::refuse_calls;
use caps::{CapSet, Capability};
use cid_kernel::cgroup::Kept;
use cid_protocol::{
    fault::{Fault, FaultContext},
    run_file::{RunAs, RunFile},
};
use confine::{Walls, confine};
use credentials::Expected;
use nix::{
    sys::prctl,
    unistd::{self, Gid, Uid},
};
use std::path::Path;

/// Below are the distribution's own users.
const FIRST_UID: u32 = 1000;
/// Nobody, which owns what has no owner, and the number that means "leave it as it is".
const RESERVED: [u32; 2] = [65_534, u32::MAX];

/// Who keeps the limits.
#[derive(Clone, Copy, Debug)]
pub(super) enum Keeper {
    /// The unit of systemd's that this process is in.
    Unit,
    /// A control group, and this process itself what that one does not.
    Group(Kept),
}

/// Becomes the run file's user with its limits and walls, and without the calls that no code of a
/// repository may make; of terminals it then reaches this one alone. In the sandbox there is no user, and
/// only the calls go, unless one is `required`.
///
/// # Errors
/// The user is one that nothing of a workspace's may be, or something of the present one would be
/// left.
pub(super) fn assume(
    run_file: &RunFile,
    required: bool,
    keeper: Keeper,
    terminal: Option<&Path>,
) -> Result<(), Fault> {
    let Some(run_as) = &run_file.run_as else {
        if required {
            return Err(Fault::new(format!(
                "cannot start anything of {}: its run file names no user",
                run_file.unit
            )));
        }
        return restrain();
    };
    let expected = expected(run_as)?;
    if unistd::geteuid().is_root() {
        drop_to(run_as)?;
        expected.verify()?;
        refuse_return()?;
    } else {
        // A unit of systemd's has done it.
        expected.verify()?;
    }
    match keeper {
        Keeper::Unit => {}
        Keeper::Group(kept) => limits::set(&run_as.limits, kept)?,
    }
    confine(&Walls {
        writable: &run_as.writable,
        readable: &run_as.readable,
        scratch: confine::SHARED,
        ports: &run_as.ports,
        terminal,
    })?;
    restrain()
}

/// Leaves code of a repository or a package without calls that it must not make, for good and for all that it
/// starts. Root's own, as it may be in a sandbox, obeys the modes of files from now on: it would else change the
/// packages of all workspaces, which are sealed by these. Of the calling thread alone.
///
/// # Errors
/// The kernel refuses.
pub(super) fn restrain() -> Result<(), Fault> {
    if unistd::geteuid().is_root() {
        for set in [CapSet::Effective, CapSet::Permitted] {
            caps::drop(None, set, Capability::CAP_DAC_OVERRIDE)
                .cannot("give up CAP_DAC_OVERRIDE")?;
        }
    }
    refuse_calls()
}

fn expected(run_as: &RunAs) -> Result<Expected, Fault> {
    let refuse = |what: &str, id: u32| {
        Err(Fault::new(format!(
            "cannot become {}: {what} {id} is not one of a workspace",
            run_as.user
        )))
    };
    if run_as.uid < FIRST_UID || RESERVED.contains(&run_as.uid) {
        return refuse("user", run_as.uid);
    }
    let groups = run_as.groups.iter().copied().chain([run_as.gid]);
    for group in groups.clone() {
        if group == 0 || RESERVED.contains(&group) {
            return refuse("group", group);
        }
    }
    Ok(Expected {
        uid: run_as.uid,
        gid: Some(run_as.gid),
        groups: groups.collect(),
        capabilities: 0,
    })
}

/// The order matters: the right to change groups goes with the user, and the right to empty the
/// bounding set too.
fn drop_to(run_as: &RunAs) -> Result<(), Fault> {
    prctl::set_no_new_privs().cannot("give up new privileges")?;
    for set in [CapSet::Ambient, CapSet::Inheritable, CapSet::Bounding] {
        caps::clear(None, set).cannot(format!("give up the {set:?} capabilities"))?;
    }
    let groups: Vec<Gid> = run_as.groups.iter().copied().map(Gid::from_raw).collect();
    unistd::setgroups(&groups).cannot("leave the groups of root")?;
    let gid = Gid::from_raw(run_as.gid);
    unistd::setresgid(gid, gid, gid).cannot(format!("become group {gid}"))?;
    let uid = Uid::from_raw(run_as.uid);
    unistd::setresuid(uid, uid, uid).cannot(format!("become user {uid}"))
}

/// Asked of the kernel, not concluded.
fn refuse_return() -> Result<(), Fault> {
    let (root, wheel) = (Uid::from_raw(0), Gid::from_raw(0));
    if unistd::setresuid(root, root, root).is_ok()
        || unistd::setresgid(wheel, wheel, wheel).is_ok()
        || unistd::setgroups(&[wheel]).is_ok()
    {
        return Err(Fault::new("cannot leave root for good: it can come back"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::identity::*;

    fn run_as(uid: u32, gid: u32, groups: &[u32]) -> RunAs {
        RunAs {
            user: "cidw-1".into(),
            uid,
            gid,
            groups: groups.into(),
            ..RunAs::default()
        }
    }

    #[test]
    fn refuses_who_no_workspace_may_be() {
        for bad in [
            run_as(0, 2000, &[]),
            run_as(999, 2000, &[]),
            run_as(65_534, 2000, &[]),
            run_as(u32::MAX, 2000, &[]),
            run_as(2000, 0, &[]),
            run_as(2000, 65_534, &[]),
            run_as(2000, u32::MAX, &[]),
            run_as(2000, 2000, &[65_534]),
            run_as(2000, 2000, &[2001, 0]),
        ] {
            let fault = expected(&bad).unwrap_err();
            assert!(
                fault.message.starts_with("cannot become cidw-1: "),
                "{fault}"
            );
        }
        for good in [1000, 65_533, 65_535, u32::MAX - 1] {
            assert_eq!(expected(&run_as(good, 1, &[65_533])).unwrap().uid, good);
        }
        let good = expected(&run_as(2000, 2001, &[2002])).unwrap();
        assert_eq!(good.groups, [2001, 2002].into());
    }
}
