//! Which system calls code of a repository, a package or an app is refused, by seccomp: for good, and
//! for all that it starts. Landlock and the account say which files it reaches; this is about what
//! neither of them knows.

use cid_protocol::fault::{Fault, FaultContext};
use keyutils_raw::keyctl_join_session_keyring;
use nix::libc;
use seccompiler::{
    BpfProgram, Error, SeccompAction, SeccompCmpArgLen::Dword, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, apply_filter, sock_filter,
};
use std::{collections::BTreeMap, env};

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// A call that gives a file its mode.
struct SetsMode {
    call: i64,
    /// Which argument is the mode.
    mode: u8,
    /// Which argument says whether a file is made: otherwise the mode means nothing.
    flags: Option<u8>,
}

const fn sets_mode(call: i64, mode: u8, flags: Option<u8>) -> SetsMode {
    SetsMode { call, mode, flags }
}

/// From Linux 6.6 on, with this number everywhere.
const SYS_FCHMODAT2: i64 = 452;

/// Without `mkdir` and `mkdirat`: the kernel takes these bits out of their mode, and a folder gets the
/// one of its group from its parent alone.
const SET_MODE: &[SetsMode] = &[
    sets_mode(libc::SYS_fchmod, 1, None),
    sets_mode(libc::SYS_fchmodat, 2, None),
    sets_mode(SYS_FCHMODAT2, 2, None),
    sets_mode(libc::SYS_mknodat, 2, None),
    sets_mode(libc::SYS_mq_open, 2, Some(1)),
    sets_mode(libc::SYS_openat, 3, Some(2)),
];
/// Younger architectures have these no more.
#[cfg(target_arch = "x86_64")]
const SET_MODE_OF_OLD: &[SetsMode] = &[
    sets_mode(libc::SYS_chmod, 1, None),
    sets_mode(libc::SYS_creat, 1, None),
    sets_mode(libc::SYS_mknod, 1, None),
    sets_mode(libc::SYS_open, 2, Some(1)),
];
#[cfg(not(target_arch = "x86_64"))]
const SET_MODE_OF_OLD: &[SetsMode] = &[];

/// What runs such a file becomes the workspace's account, or keeps its group after the workspace is gone.
const SET_ID_BITS: [u32; 2] = [libc::S_ISUID, libc::S_ISGID];
/// Either makes a file. The flag for a nameless one holds that for a folder.
const MAKE_FILE: [i32; 2] = [libc::O_CREAT, libc::O_TMPFILE & !libc::O_DIRECTORY];

/// Keys are the account's, not the confinement's.
const KEYS: [i64; 3] = [libc::SYS_add_key, libc::SYS_keyctl, libc::SYS_request_key];

/// Type into a terminal what its reader takes for a person's.
const TYPE_AS_PERSON: [libc::c_ulong; 2] = [libc::TIOCSTI, libc::TIOCLINUX];

/// What these do a filter cannot see; programs fall back to other calls where a kernel does not have them.
const UNSEEN: [i64; 4] = [
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_openat2,
];

/// Both answer TCP clients as well, and Landlock's rules for ports do not know them.
const OTHER_TCP: [i32; 2] = [libc::IPPROTO_MPTCP, 256 /* IPPROTO_SMC */];

/// From here on a number means a call of x32 on x86-64: a second way to all of them.
const X32_CALLS: u32 = 0x4000_0000;

/// Takes these calls away from the calling thread and from all that it starts, and gives it a session
/// keyring of its own.
///
/// # Errors
/// The kernel has no seccomp, or refuses.
pub(crate) fn refuse_calls() -> Result<(), Fault> {
    // Where it cannot be had, the one that is there is out of reach as well.
    let _ = keyctl_join_session_keyring(None);
    programs()
        .and_then(|programs| {
            programs
                .iter()
                .try_for_each(|program| apply_filter(program))
        })
        .cannot("take system calls away by seccomp")
}

/// One for each answer, as a filter has one.
fn programs() -> Result<[BpfProgram; 3], Error> {
    let unseen = UNSEEN.map(|call| (call, Vec::new()));
    let mut missing = compile(unseen.into(), libc::ENOSYS)?;
    missing.splice(0..0, without_x32());
    // What the kernel says of them where it does not have them: programs fall back to TCP.
    let other_tcp = OTHER_TCP.map(|protocol| rule(&[(2, u32::MAX, protocol.cast_unsigned())]));
    let other_tcp = Vec::from(other_tcp).into_iter().collect::<Result<_, _>>()?;
    Ok([
        compile(forbidden()?, libc::EPERM)?,
        missing,
        compile(
            [(libc::SYS_socket, other_tcp)].into(),
            libc::EPROTONOSUPPORT,
        )?,
    ])
}

fn forbidden() -> Result<Rules, Error> {
    let mut rules = Rules::from(KEYS.map(|call| (call, Vec::new())));
    for SetsMode { call, mode, flags } in SET_MODE.iter().chain(SET_MODE_OF_OLD) {
        let refused = rules.entry(*call).or_default();
        for bit in SET_ID_BITS {
            let sets = (*mode, bit, bit);
            match *flags {
                None => refused.push(rule(&[sets])?),
                Some(flags) => {
                    for makes in MAKE_FILE.map(i32::cast_unsigned) {
                        refused.push(rule(&[(flags, makes, makes), sets])?);
                    }
                }
            }
        }
    }
    for request in TYPE_AS_PERSON {
        // The kernel looks at the lower half alone, and so do the rules.
        let request = u32::try_from(request).unwrap_or(u32::MAX);
        let refused = rules.entry(libc::SYS_ioctl).or_default();
        refused.push(rule(&[(1, u32::MAX, request)])?);
    }
    Ok(rules)
}

/// Holds where each of these arguments has these bits like this.
fn rule(wanted: &[(u8, u32, u32)]) -> Result<SeccompRule, Error> {
    let conditions = wanted.iter().map(|&(argument, bits, value)| {
        let masked = SeccompCmpOp::MaskedEq(bits.into());
        SeccompCondition::new(argument, Dword, masked, value.into())
    });
    let conditions = conditions.collect::<Result<_, _>>()?;
    SeccompRule::new(conditions).map_err(Error::from)
}

/// A call of another architecture ends the process.
fn compile(rules: Rules, error: i32) -> Result<BpfProgram, Error> {
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(error.cast_unsigned()),
        env::consts::ARCH.try_into()?,
    )?;
    Ok(filter.try_into()?)
}

/// Load the call's number; from `X32_CALLS` on there is no such call.
fn without_x32() -> [sock_filter; 3] {
    const LOAD_NUMBER: u16 = 0x20;
    const SKIP_BELOW: u16 = 0x35;
    const RETURN: u16 = 0x06;
    let no_such_call = SeccompAction::Errno(libc::ENOSYS.cast_unsigned());
    [
        (LOAD_NUMBER, 0, 0),
        (SKIP_BELOW, 1, X32_CALLS),
        (RETURN, 0, no_such_call.into()),
    ]
    .map(|(code, jf, k)| sock_filter { code, jt: 0, jf, k })
}

#[cfg(test)]
mod tests {
    use crate::identity::calls::*;

    const X86_64: u32 = 0xc000_003e;
    const AARCH64: u32 = 0xc000_00b7;
    const I386: u32 = 0x4000_0003;

    fn own() -> u32 {
        match env::consts::ARCH {
            "x86_64" => X86_64,
            _ => AARCH64,
        }
    }

    /// What the kernel would do with a program, as far as these go.
    fn outcome(program: &BpfProgram, arch: u32, call: i64, arguments: &[u64]) -> u32 {
        let word = |at: u32| match at {
            0 => u32::try_from(call).unwrap(),
            4 => arch,
            _ => {
                let argument = arguments.get((at as usize - 16) / 8).copied().unwrap_or(0);
                let shift = if at.is_multiple_of(8) { 0 } else { 32 };
                u32::try_from((argument >> shift) & 0xffff_ffff).unwrap()
            }
        };
        let (mut at, mut held) = (0, 0);
        loop {
            let sock_filter { code, jt, jf, k } = program[at].clone();
            at += 1;
            let skipped = |holds: bool| usize::from(if holds { jt } else { jf });
            match code {
                0x06 => return k,
                0x20 => held = word(k),
                0x54 => held &= k,
                0x05 => at += k as usize,
                0x15 => at += skipped(held == k),
                0x25 => at += skipped(held > k),
                0x35 => at += skipped(held >= k),
                _ => panic!("no such instruction: {code:#x}"),
            }
        }
    }

    const ALLOWED: u32 = libc::SECCOMP_RET_ALLOW;

    fn refused(error: i32) -> u32 {
        libc::SECCOMP_RET_ERRNO | error.cast_unsigned()
    }

    /// The strictest of all.
    fn answer_on(arch: u32, call: i64, arguments: &[u64]) -> u32 {
        let programs = programs().unwrap();
        let outcomes = programs.iter().map(|of| outcome(of, arch, call, arguments));
        outcomes.min_by_key(|of| of.cast_signed()).unwrap()
    }

    fn answer(call: i64, arguments: &[u64]) -> u32 {
        answer_on(own(), call, arguments)
    }

    /// Bits that a call does not look at change nothing.
    const HIGH: u64 = 0xffff_ffff_0000_0000;

    #[test]
    fn no_call_sets_the_bits_and_each_sets_others() {
        for SetsMode { call, mode, flags } in SET_MODE.iter().chain(SET_MODE_OF_OLD) {
            let try_it = |bits: u64, with: i32| {
                let mut arguments = [0; 6];
                arguments[usize::from(*mode)] = bits;
                if let Some(flags) = flags {
                    arguments[usize::from(*flags)] = u64::from(with.cast_unsigned());
                }
                answer(*call, &arguments)
            };
            for with in [libc::O_CREAT, libc::O_TMPFILE, libc::O_CREAT | libc::O_RDWR] {
                for bits in [
                    0o4000,
                    0o2000,
                    0o6777,
                    0o4755,
                    0o2755,
                    0o10_4644,
                    HIGH | 0o4000,
                ] {
                    assert_eq!(try_it(bits, with), refused(libc::EPERM), "{call} {bits:o}");
                }
                for bits in [0, 0o755, 0o1777, 0o10_0644, HIGH] {
                    assert_eq!(try_it(bits, with), ALLOWED, "{call} {bits:o}");
                }
            }
            // Where no file is made, the register holds whatever it held.
            for with in [
                libc::O_RDONLY,
                libc::O_RDWR | libc::O_TRUNC,
                libc::O_DIRECTORY,
            ] {
                let expected = if flags.is_some() {
                    ALLOWED
                } else {
                    refused(libc::EPERM)
                };
                assert_eq!(try_it(0o6777, with), expected, "{call}");
            }
        }
    }

    #[test]
    fn what_cannot_be_looked_into_is_not_there() {
        for call in UNSEEN {
            assert_eq!(answer(call, &[]), refused(libc::ENOSYS), "{call}");
        }
        for call in KEYS {
            assert_eq!(answer(call, &[]), refused(libc::EPERM), "{call}");
        }
        for request in TYPE_AS_PERSON {
            for request in [request, request | HIGH] {
                assert_eq!(answer(libc::SYS_ioctl, &[0, request]), refused(libc::EPERM));
            }
        }
        assert_eq!(answer(libc::SYS_ioctl, &[0, libc::TIOCGWINSZ]), ALLOWED);
        for protocol in OTHER_TCP {
            let arguments = [2, 1, u64::from(protocol.cast_unsigned())];
            assert_eq!(
                answer(libc::SYS_socket, &arguments),
                refused(libc::EPROTONOSUPPORT)
            );
        }
        assert_eq!(answer(libc::SYS_socket, &[2, 1, 6]), ALLOWED);
        assert_eq!(answer(libc::SYS_mkdirat, &[0, 0, 0o2775]), ALLOWED);
    }

    #[test]
    fn there_is_no_second_way_to_a_call() {
        let x32 = |call: i64| call | i64::from(X32_CALLS);
        for call in [0, 1, SYS_FCHMODAT2, libc::SYS_fchmodat, 512] {
            let answer = answer(x32(call), &[0, 0o4755, 0o4755]);
            assert_eq!(answer, refused(libc::ENOSYS), "{call}");
        }
        // 15 is chmod there.
        let others = [I386, if own() == X86_64 { AARCH64 } else { X86_64 }];
        for arch in others {
            let answer = answer_on(arch, 15, &[0, 0o4755]);
            assert_eq!(answer, libc::SECCOMP_RET_KILL_PROCESS);
        }
    }
}
