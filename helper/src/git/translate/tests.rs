//! What people are told for what git and ssh print.

use crate::git::translate::*;
use cid_protocol::{fault::Lost, request::Remote};
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

fn told_of(url: &str, lines: &[&str]) -> Fault {
    let remote = Remote {
        url: url.into(),
        identity_file: None,
        known_hosts: None,
        credential_file: None,
    };
    let git = Git::new(Path::new("/m"), &remote).unwrap();
    let lines = lines.iter().map(|line| (*line).into()).collect();
    let success = false;
    fault("fetch from", &git, &Output { success, lines })
}

/// As git 2.47 says it.
#[test]
fn a_damaged_repository_is_not_a_broken_connection() {
    let there: &[&[&str]] = &[
        &[
            "remote: fatal: unable to read e7c6e30d2b66935ceb3eb5c1c19da253a9c6fd21        ",
            "error: git upload-pack: git-pack-objects died with error.",
            "remote: aborting due to possible repository corruption on the remote side.",
            "fatal: protocol error: bad pack header",
        ],
        &[
            "remote: fatal: loose object e7c6 (stored in ./objects/e7/c6) is corrupt        ",
            "remote: aborting due to possible repository corruption on the remote side.",
            "fatal: early EOF",
            "fatal: fetch-pack: invalid index-pack output",
        ],
    ];
    for lines in there {
        for url in [
            "https://h.example.org/x",
            "git@h.example.org:x",
            "/srv/x.git",
        ] {
            let fault = told_of(url, lines);
            assert!(
                fault.message.contains("the repository there is damaged"),
                "{fault}"
            );
            assert!(fault.lost.is_none());
        }
    }
    let here: &[&[&str]] = &[
        &[
            "fatal: unable to read e7c6",
            "error: remote unpack failed: eof before pack header was fully read",
            "!\tx:y\t[remote rejected] (unpacker error)",
        ],
        &[
            "error: object file ./objects/72/a88b is empty",
            "fatal: bad object 72a8",
            "error: /srv/r.git did not send all necessary objects",
        ],
        &[
            "fatal: packed object 72a8 (stored in ./objects/pack/p.pack) is corrupt",
            "fatal: early EOF",
        ],
    ];
    for lines in here {
        // Either may be the only whole one: nobody is told to remove it.
        for url in ["git@h.example.org:x", "/srv/x.git"] {
            let fault = told_of(url, lines);
            let hint = fault.hint.clone().unwrap_or_default();
            assert!(
                fault.message.contains("there or in cid's own copy /m")
                    && hint.contains("never removed"),
                "{fault} {hint}"
            );
        }
    }
    let closed = [
        "error: unable to open loose object 4d4a: Permission denied",
        "fatal: remote error: upload-pack: not our ref 4d4a",
    ];
    let local = told_of("/srv/x.git", &closed);
    assert!(
        local.message.ends_with(": git may not read all of it"),
        "{local}"
    );
    let ours = told_of("git@h.example.org:x", &closed[..1]);
    assert!(ours.message.contains("cid's own copy, /m"), "{ours}");
    for (id, told) in [
        ("4d4a86", "lacks what its"),
        ("0000000000", "all of its branches"),
    ] {
        let line = format!("fatal: remote error: upload-pack: not our ref {id}");
        let fault = told_of("/srv/x.git", &[&line]);
        assert!(fault.message.contains(told), "{fault}");
    }
}

#[test]
fn the_other_side_always_has_a_name() {
    let local = told_of("/srv/x.git", &["fatal: early EOF"]);
    assert!(
        local
            .message
            .ends_with(": git in /srv/x.git has broken the connection off"),
        "{local}"
    );
    for line in [
        "fatal: early EOF",
        "Connection refused",
        "Operation too slow",
    ] {
        for url in ["/srv/x.git", "https://h.example.org/x"] {
            let fault = told_of(url, &[line]);
            assert!(
                !fault.message.contains("  ") && !fault.message.contains(":  "),
                "{fault}"
            );
        }
    }
    // The server's own no is not the line's fault.
    let no = told(&["remote: fatal: out of memory", "fatal: early EOF"]);
    assert!(
        no.message.contains("git gave up on h.example.org") && no.lost.is_none(),
        "{no}"
    );
}

#[test]
fn a_repository_that_cannot_be_written_is_a_matter_of_rights() {
    for why in [
        "error: remote unpack failed: unable to create temporary object directory",
        "error: insufficient permission for adding an object to repository database objects",
    ] {
        let lines = [why, "!\tx:y\t[remote rejected] (unpacker error)"];
        let fault = told_of("/srv/x.git", &lines);
        assert!(
            fault
                .message
                .contains("git there may not write into the repository"),
            "{fault}"
        );
        assert!(fault.hint.unwrap().contains("write into /srv/x.git"));
    }
    let other = told(&[
        "error: remote unpack failed: index-pack abnormal exit",
        "!\tx:y\t[remote rejected] (unpacker error)",
    ]);
    assert!(
        other.message.contains("the server could not store it"),
        "{other}"
    );
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
