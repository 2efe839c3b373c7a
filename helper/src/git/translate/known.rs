//! The causes that are known, by the words of git and ssh, and what to do about each.

use super::{
    keys::{has_no_key, has_passphrase, home, key, keys_of, known_hosts, make_key},
    repository::{INCOMPLETE, UNREADABLE, UNREADABLE_BRANCH, UNWRITABLE},
};
use crate::git::program::Git;
use cid_protocol::fault::Lost;

/// A cause that git or ssh gives away by its words.
#[derive(Clone, Copy)]
pub(super) struct Known {
    /// One of these in the output gives it away.
    pub(super) marks: &'static [&'static str],
    /// Set where the same may work in a moment.
    pub(super) lost: Option<Lost>,
    /// Cause and hint.
    pub(super) means: fn(&Git<'_>) -> (String, String),
}

pub(super) const BROKEN_OFF: Known = Known {
    marks: &[
        "Connection closed by",
        "Connection reset",
        "closed by remote host",
        "kex_exchange_identification",
        "Broken pipe",
        "Timeout, server",
        "transfer closed",
        "unexpected disconnect",
        "hung up unexpectedly",
        "early EOF",
        "died of signal",
        "RPC failed",
        "Empty reply from server",
        "SSL_ERROR_SYSCALL",
        "non-properly terminated",
        "Recv failure",
        "error: 429",
        "error: 502",
        "error: 503",
        "error: 504",
    ],
    lost: Some(Lost::Connection),
    means: |git| {
        (
            format!("{} has broken the connection off", server(git)),
            match git.url.local() {
                Some(path) => format!("retry; if it stays so: git -C {} fsck", path.display()),
                None => {
                    "retry; if it stays so, ask who runs the server how many connections it takes"
                        .into()
                }
            },
        )
    },
};

/// git on the other side gave up with a reason of its own, and the connection ended with that.
pub(super) const GAVE_UP: Known = Known {
    marks: &[],
    lost: None,
    means: |git| {
        (
            format!("git gave up on {}", server(git)),
            "ask who runs it; `git fsck` in the repository there tells whether it is whole".into(),
        )
    },
};

/// What git says of a branch that has moved.
pub(super) const MOVED: &[&str] = &[
    "(stale info)",
    "reference already exists",
    "(fetch first)",
    "(non-fast-forward)",
];

const MOVED_BRANCH: Known = Known {
    marks: MOVED,
    lost: None,
    means: |_| {
        (
            "the branch is not where cid last saw it".into(),
            "somebody else pushed to it or removed it; retry to start from what is there now"
                .into(),
        )
    },
};

/// The server could not write the branch down. Only its own lines say why.
const UNMOVED_BRANCH: Known = Known {
    marks: &["cannot lock ref", "failed to update ref"],
    lost: None,
    means: |_| {
        (
            "the server could not move the branch".into(),
            "its lines say why: a push at the same moment (then retry), a lock that was left behind in the repository \
             there, or a missing right to write in it"
                .into(),
        )
    },
};

/// A server that lets nobody write with the key says so itself, before git speaks.
const READ_ONLY: Known = Known {
    marks: &[
        "read-only",
        "read only",
        "deploy key",
        "permission to",
        "Permission to",
        "denied to",
        "not authorized to write",
    ],
    lost: None,
    means: |_| {
        (
            "the key may only read".into(),
            "give the deploy key the right to write".into(),
        )
    },
};

/// How git marks what the server did not take. In brackets behind it are the server's words.
pub(super) const REJECTED_MARK: &str = "[remote rejected]";

pub(super) const REJECTED: &[Known] = &[
    Known {
        marks: &["(protected branch hook declined)"],
        lost: None,
        means: |_| {
            (
                "the server protects the branch".into(),
                "choose another `branch` in the project's file, or lift the protection for the deploy key".into(),
            )
        },
    },
    MOVED_BRANCH,
    UNMOVED_BRANCH,
    UNWRITABLE,
    Known {
        marks: &["remote unpack failed", "(unpacker error)"],
        lost: None,
        means: |_| {
            (
                "the server could not store it".into(),
                "look there: the disk may be full, or the repository damaged or read-only".into(),
            )
        },
    },
    Known {
        marks: &[REJECTED_MARK],
        lost: None,
        means: |_| {
            (
                "the server rejected it".into(),
                "the server's message, where it gives one, says why; its administrator can change the rule"
                    .into(),
            )
        },
    },
];

/// The first that fits counts, so the special ones come first.
pub(super) const KNOWN: &[Known] = &[
    Known {
        marks: &["REMOTE HOST IDENTIFICATION HAS CHANGED"],
        lost: None,
        means: |git| {
            (
                format!(
                    "the host key of {} is not the one that is known",
                    git.url.host()
                ),
                format!(
                    "find out whether the server was set up anew or somebody stands between; then replace its line in {}",
                    known_hosts(git).display()
                ),
            )
        },
    },
    Known {
        marks: &["Host key verification failed", "host key is known for"],
        lost: None,
        means: |git| {
            (
                format!("the host key of {} is not known", git.url.host()),
                format!(
                    "compare its fingerprint with the one its administrator gives, then add it: ssh-keyscan {}{} >> {}",
                    git.url
                        .port()
                        .map(|port| format!("-p {port} "))
                        .unwrap_or_default(),
                    git.url.host(),
                    known_hosts(git).display()
                ),
            )
        },
    },
    Known {
        marks: &["UNPROTECTED PRIVATE KEY FILE", "bad permissions"],
        lost: None,
        means: |git| {
            (
                "ssh does not use a private key that others can read".into(),
                format!("chmod 600 {}", key(git)),
            )
        },
    },
    Known {
        marks: &["Permission denied (", "Too many authentication failures"],
        lost: None,
        means: |git| {
            let own = git.remote.identity_file.clone();
            let keys = own.map_or_else(|| keys_of(&home()), |file| vec![file]);
            if let Some(locked) = keys.iter().find(|key| has_passphrase(key)) {
                return (
                    format!("the key {} has a passphrase", locked.display()),
                    format!(
                        "nobody is there to type it: ssh-keygen -p -N '' -f {} takes it away, or name a key without",
                        locked.display()
                    ),
                );
            }
            match git.remote.identity_file.is_none() && has_no_key(&home()) {
                true => (
                    "there is no key for the server to accept".into(),
                    make_key(&home()),
                ),
                false => (
                    "the server does not accept the key".into(),
                    format!("give the server the public half of {}", key(git)),
                ),
            }
        },
    },
    Known {
        marks: &[
            "Could not resolve host",
            "Name or service not known",
            "Temporary failure in name resolution",
        ],
        lost: Some(Lost::Server),
        means: |git| {
            (
                format!("no address is known for {}", git.url.host()),
                "check the URL and this machine's DNS".into(),
            )
        },
    },
    Known {
        marks: &[
            "Connection refused",
            "Connection timed out",
            "SSL connection timeout",
            "Operation timed out",
            "No route to host",
            "Network is unreachable",
            "Failed to connect",
            "Couldn't connect",
            "banner exchange",
        ],
        lost: Some(Lost::Server),
        means: |git| {
            (
                format!("{} cannot be reached or does not answer", server(git)),
                "check the URL, the network and whether the server is up, then retry".into(),
            )
        },
    },
    Known {
        marks: &["Operation too slow"],
        lost: Some(Lost::Connection),
        means: |git| {
            (
                format!("{} stopped sending", server(git)),
                "retry; if it stays so, ask who runs the server".into(),
            )
        },
    },
    Known {
        marks: &[
            "could not read Username",
            "could not read Password",
            "Authentication failed",
            "error: 401",
            "error: 403",
        ],
        lost: None,
        means: |git| match &git.remote.credential_file {
            Some(file) => (
                "the server does not take the user or the token".into(),
                format!("put one that may read and write into {}", file.display()),
            ),
            None => (
                "the server wants a password".into(),
                "use the repository's ssh URL with a deploy key, or set git.credential_file".into(),
            ),
        },
    },
    Known {
        marks: &["dubious ownership"],
        lost: None,
        means: |git| match git.url.local() {
            Some(_) => (
                "the repository belongs to another user and git does not trust it".into(),
                "check the path in the project's file; cid trusts exactly that path".into(),
            ),
            None => (
                format!(
                    "on {} the repository belongs to another user than the one who serves it",
                    server(git)
                ),
                "have its files given to that user there, e.g. by chown -R".into(),
            ),
        },
    },
    Known {
        marks: &[
            "does not appear to be a git repository",
            "epository not found",
            "not found: did you run git update-server-info",
            "' not found",
            "does not exist",
            "No such file or directory",
        ],
        lost: None,
        means: |_| {
            (
                "there is no repository, or this user may not see it".into(),
                "check the URL in the project's file and the key's rights on the server".into(),
            )
        },
    },
    Known {
        marks: &["No space left on device", "Disk quota exceeded"],
        lost: None,
        means: |git| {
            (
                "the disk is full".into(),
                format!("make room on the disk of {}", git.mirror.display()),
            )
        },
    },
    UNREADABLE,
    UNREADABLE_BRANCH,
    INCOMPLETE,
    MOVED_BRANCH,
    UNMOVED_BRANCH,
    READ_ONLY,
    Known {
        marks: &["fsck error", "error in object", "fsckObjects"],
        lost: None,
        means: |_| {
            (
                "the repository holds objects that git calls malformed or dangerous".into(),
                "git fsck in a full clone names them".into(),
            )
        },
    },
    BROKEN_OFF,
];

/// The other side in words: its host, or the local repository.
fn server(git: &Git<'_>) -> String {
    match git.url.local() {
        Some(path) => format!("git in {}", path.display()),
        None => git.url.host().to_owned(),
    }
}
