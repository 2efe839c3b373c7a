//! Turns what git and ssh print into a cause and what to do about it.

use super::{
    program::{Git, Output},
    ssh,
};
use crate::system::{
    fault::{Fault, Lost},
    procs,
};
use nix::unistd::{User, geteuid, getppid};
use std::path::{Path, PathBuf};

/// A failed call as a fault: `cannot VERB URL: cause`.
pub(super) fn fault(verb: &str, git: &Git<'_>, output: &Output) -> Fault {
    let url = git.url.shown();
    let text = own_words(output).collect::<Vec<_>>().join("\n");
    let table = match text.contains(REJECTED_MARK) {
        true => REJECTED,
        false => KNOWN,
    };
    let known = table
        .iter()
        .find(|known| known.marks.iter().any(|mark| text.contains(mark)))
        .or_else(|| is_silent(output).then_some(&BROKEN_OFF));
    let (cause, hint) = match known {
        Some(known) => {
            let (cause, hint) = (known.means)(git);
            (cause, Some(hint))
        }
        None => (last_words(output), None),
    };
    let mut fault = Fault::new(format!(
        "cannot {verb} {url}: {cause}{}",
        server_words(output)
    ));
    fault.hint = hint;
    fault.lost = known
        .and_then(|known| known.lost)
        .filter(|_| !has_refused(output));
    fault
}

/// Whether the branch is not where the push expected it.
pub(super) fn is_elsewhere(output: &Output) -> bool {
    own_words(output).any(|line| MOVED.iter().any(|mark| line.contains(mark)))
}

/// What git and ssh say themselves. The server's words are shown, and never searched for a cause: a
/// hook may say anything.
fn own_words(output: &Output) -> impl Iterator<Item = &str> {
    let lines = output.lines.iter().map(String::as_str);
    lines.filter(|line| !line.starts_with(SERVER))
}

/// Whether ssh has lost the connection and nobody has said a word about it.
fn is_silent(output: &Output) -> bool {
    let mut words = output.lines.iter().map(|line| line.trim());
    let is_lost = output.lines.iter().any(|line| line == ssh::LOST);
    is_lost
        && words.all(|line| line.is_empty() || NOISE.iter().any(|noise| line.starts_with(noise)))
}

/// Whether the server itself gives a reason, whatever became of the connection then.
fn has_refused(output: &Output) -> bool {
    let words = output
        .lines
        .iter()
        .filter_map(|line| line.strip_prefix(SERVER));
    words
        .map(|words| words.trim().to_ascii_lowercase())
        .any(|words| {
            ["fatal:", "error:"]
                .iter()
                .any(|mark| words.starts_with(mark))
        })
}

/// How git marks a line that the server wrote.
const SERVER: &str = "remote:";

#[derive(Clone, Copy)]
struct Known {
    /// One of these in the output gives it away.
    marks: &'static [&'static str],
    /// Set where the same may work in a moment.
    lost: Option<Lost>,
    /// Cause and hint.
    means: fn(&Git<'_>) -> (String, String),
}

const BROKEN_OFF: Known = Known {
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
            format!("{} has broken the connection off", git.url.host()),
            "retry; if it stays so, ask who runs the server how many connections it takes".into(),
        )
    },
};

/// What git says of a branch that has moved.
const MOVED: &[&str] = &[
    "(stale info)",
    "cannot lock ref",
    "failed to update ref",
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
const REJECTED_MARK: &str = "[remote rejected]";

const REJECTED: &[Known] = &[
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
    Known {
        marks: &[REJECTED_MARK],
        lost: None,
        means: |_| {
            (
                "the server rejected it".into(),
                "its message says why; its administrator can change the rule".into(),
            )
        },
    },
];

/// The first that fits counts, so the special ones come first.
const KNOWN: &[Known] = &[
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
        means: |git| match git.remote.identity_file.is_none() && has_no_key(&home()) {
            true => (
                "there is no key for the server to accept".into(),
                make_key(&home()),
            ),
            false => (
                "the server does not accept the key".into(),
                format!("give the server the public half of {}", key(git)),
            ),
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
                format!("{} cannot be reached or does not answer", git.url.host()),
                "check the URL, the network and whether the server is up, then retry".into(),
            )
        },
    },
    Known {
        marks: &["Operation too slow"],
        lost: Some(Lost::Connection),
        means: |git| {
            (
                format!("{} stopped sending", git.url.host()),
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
        means: |_| {
            (
                "the repository belongs to another user and git does not trust it".into(),
                "check the path in the project's file; cid trusts exactly that path".into(),
            )
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
    MOVED_BRANCH,
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

fn known_hosts(git: &Git<'_>) -> PathBuf {
    git.remote
        .known_hosts
        .clone()
        .unwrap_or_else(|| home().join(".ssh/known_hosts"))
}

fn key(git: &Git<'_>) -> String {
    match &git.remote.identity_file {
        Some(file) => file.display().to_string(),
        None => format!("the deploy user's key in {}", home().join(".ssh").display()),
    }
}

/// Whether ssh finds no key of the user's own to show.
fn has_no_key(home: &Path) -> bool {
    const KINDS: [&str; 6] = ["rsa", "dsa", "ecdsa", "ecdsa_sk", "ed25519", "ed25519_sk"];
    let ssh = home.join(".ssh");
    let keys = KINDS.map(|kind| ssh.join(format!("id_{kind}")));
    // Either may name keys elsewhere.
    let other = ssh.join("config").exists() || std::env::var_os("SSH_AUTH_SOCK").is_some();
    !other && !keys.iter().any(|key| key.exists())
}

fn make_key(home: &Path) -> String {
    let key = home.join(".ssh/id_ed25519");
    // In a sandbox cid's own user is who reads this.
    let is_own = procs::user(getppid().as_raw().cast_unsigned()) == Some(geteuid().as_raw());
    let user = User::from_uid(geteuid()).ok().flatten();
    let who = match user {
        Some(user) if !is_own => format!("runuser -u {} -- ", user.name),
        _ => String::new(),
    };
    format!(
        "make one: {who}ssh-keygen -t ed25519 -N '' -f {0}; then give the server its public half, {0}.pub",
        key.display()
    )
}

fn home() -> PathBuf {
    std::env::home_dir().unwrap_or_else(|| "~".into())
}

/// What git says of every failure.
const NOISE: &[&str] = &[
    "fatal: Could not read from remote repository",
    "Please make sure you have",
    "and the repository exists.",
    "Done",
    "To ",
    ssh::LOST,
];

/// The last line that means something to people.
fn last_words(output: &Output) -> String {
    let is_noise = |line: &str| NOISE.iter().any(|noise| line.starts_with(noise));
    let mut lines = output.lines.iter().rev().map(|line| line.trim());
    lines
        .find(|line| !line.is_empty() && !is_noise(line))
        .map_or_else(
            || "git failed without a word".into(),
            |line| {
                line.trim_start_matches("fatal: ")
                    .trim_start_matches("error: ")
                    .to_owned()
            },
        )
}

/// What the server itself had to say; the reason behind its refusal, where that is all.
fn server_words(output: &Output) -> String {
    let words: Vec<_> = output
        .lines
        .iter()
        .filter_map(|line| line.strip_prefix(SERVER))
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .take(10)
        .collect();
    let refusal = || {
        Some(
            own_words(output)
                .find_map(|line| line.split_once(REJECTED_MARK))?
                .1
                .trim(),
        )
    };
    match (words.is_empty(), refusal()) {
        (false, _) => format!(" (the server says: {})", words.join(" ")),
        (true, Some(reason)) => format!(" {reason}"),
        (true, None) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::helper::request::Remote;
    use std::path::Path;

    fn told(lines: &[&str]) -> Fault {
        let remote = Remote {
            url: "ssh://git@h.example.org:2222/x".into(),
            identity_file: Some("/k".into()),
            known_hosts: Some("/kh".into()),
            credential_file: None,
        };
        let git = Git::new(Path::new("/m"), &remote).unwrap();
        fault(
            "fetch from",
            &git,
            &Output {
                success: false,
                lines: lines.iter().map(|l| (*l).into()).collect(),
            },
        )
    }

    #[test]
    fn knows_causes() {
        let unknown = told(&[
            "No ED25519 host key is known for h",
            "Host key verification failed.",
            "fatal: Could not read",
        ]);
        assert_eq!(
            unknown.message,
            "cannot fetch from ssh://git@h.example.org:2222/x: the host key of h.example.org is not known"
        );
        assert!(
            unknown
                .hint
                .unwrap()
                .contains("ssh-keyscan -p 2222 h.example.org >> /kh")
        );
        assert!(
            told(&["git@h: Permission denied (publickey)."])
                .hint
                .unwrap()
                .contains("/k")
        );
        assert!(
            told(&["fatal: '/x' does not appear to be a git repository"])
                .message
                .contains("no repository")
        );
    }

    #[test]
    fn knows_what_may_work_in_a_moment_from_a_no() {
        const GIT: &str = "fatal: Could not read from remote repository.";
        const MORE: &str = "Please make sure you have the correct access rights";
        let table: &[(&[&str], Option<Lost>)] = &[
            (
                &[
                    "kex_exchange_identification: Connection closed by remote host",
                    "Connection closed by 127.0.0.1 port 22",
                    ssh::LOST,
                    GIT,
                ],
                Some(Lost::Connection),
            ),
            (
                &[
                    "kex_exchange_identification: read: Connection reset by peer",
                    GIT,
                ],
                Some(Lost::Connection),
            ),
            // What keeps the connection says nothing when it is lost.
            (&[ssh::LOST, GIT, "", MORE], Some(Lost::Connection)),
            (
                &["error: ssh died of signal 9", GIT],
                Some(Lost::Connection),
            ),
            (
                &["fatal: unable to access 'https://h/': The requested URL returned error: 503"],
                Some(Lost::Connection),
            ),
            (
                &[
                    "ssh: connect to host h port 22: Connection refused",
                    ssh::LOST,
                    GIT,
                ],
                Some(Lost::Server),
            ),
            (
                &["ssh: Could not resolve hostname h: Temporary failure in name resolution"],
                Some(Lost::Server),
            ),
            (
                &["git@h: Permission denied (publickey).", ssh::LOST, GIT],
                None,
            ),
            (&["Host key verification failed.", ssh::LOST, GIT], None),
            (&["ssh: no such option", ssh::LOST, GIT], None),
            (&["ERROR: Repository not found.", GIT], None),
            (
                &["fatal: '/x' does not appear to be a git repository", GIT],
                None,
            ),
            (&[GIT, MORE], None),
            (
                &["remote: fatal: unable to read a tree", "fatal: early EOF"],
                None,
            ),
            (
                &["!\tx:y\t[remote rejected] (pre-receive hook declined)"],
                None,
            ),
            (&["!\tx:y\t[rejected] (stale info)"], None),
        ];
        for (lines, lost) in table {
            assert_eq!(told(lines).lost, *lost, "{lines:?}");
        }
    }

    #[test]
    fn knows_a_user_without_a_key() {
        let home = tempfile::tempdir().unwrap();
        let is_asked = std::env::var_os("SSH_AUTH_SOCK").is_none();
        assert_eq!(has_no_key(home.path()), is_asked);
        assert!(make_key(home.path()).contains("ssh-keygen -t ed25519 -N '' -f "));
        let ssh = home.path().join(".ssh");
        std::fs::create_dir(&ssh).unwrap();
        assert_eq!(has_no_key(home.path()), is_asked);
        std::fs::write(ssh.join("id_rsa"), "x").unwrap();
        assert!(!has_no_key(home.path()));
        std::fs::remove_file(ssh.join("id_rsa")).unwrap();
        std::fs::write(ssh.join("config"), "IdentityFile /k").unwrap();
        assert!(!has_no_key(home.path()));
    }

    #[test]
    fn passes_the_servers_words_on() {
        let fault = told(&[
            "remote: only on Mondays",
            "!\tx:y\t[remote rejected] (pre-receive hook declined)",
        ]);
        assert!(
            fault
                .message
                .ends_with("the server rejected it (the server says: only on Mondays)"),
            "{fault}"
        );
    }

    #[test]
    fn the_servers_words_are_no_cause() {
        let rejected = told(&[
            "remote: issue X does not exist; permission to merge: read-only until Monday",
            "!\tx:y\t[remote rejected] (pre-receive hook declined)",
        ]);
        assert!(
            rejected.message.contains("the server rejected it"),
            "{rejected}"
        );
        let gerrit = told(&["!\tx:y\t[remote rejected] (change 5 does not exist)"]);
        assert!(
            gerrit
                .message
                .ends_with("the server rejected it (change 5 does not exist)"),
            "{gerrit}"
        );
        let protected = told(&["!\tx:y\t[remote rejected] (protected branch hook declined)"]);
        assert!(
            protected.message.contains("protects the branch"),
            "{protected}"
        );
    }

    #[test]
    fn a_key_that_may_only_read_is_named() {
        for words in [
            "ERROR: The key you are authenticating with has been marked as read only.",
            "ERROR: Permission to a/b.git denied to deploy key",
            "Deploy Key: 1:cid is not authorized to write to a/b.",
        ] {
            let fault = told(&[words, "fatal: Could not read from remote repository."]);
            assert!(fault.message.contains("the key may only read"), "{fault}");
        }
    }

    #[test]
    fn gives_gits_last_words_for_the_rest() {
        assert!(
            told(&["fatal: something new", ""])
                .message
                .ends_with(": something new")
        );
    }
}
