//! What cid needs from the host and does not make itself: a table of checks, each with a question and
//! advice for when the answer is no. In a sandbox cid brings almost all of it along.

mod accounts;
mod disk;
mod dns;
mod engines;
mod front;
mod git;
mod mail;
mod nginx;

use super::Finding;
use crate::{cid::Cid, step::LONGER_NAMES};
use cid_protocol::fault::Fault;
use std::{pin::Pin, time::Duration};

/// A check that takes longer has no answer.
const LIMIT: Duration = Duration::from_secs(45);

/// Something that a check found wrong.
struct Trouble {
    /// Its exact subject, e.g. `of pressa`; may be empty.
    about: String,
    message: String,
    /// What to do; `None` for the check's own advice.
    mend: Option<String>,
}

impl Trouble {
    fn new(about: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            about: about.into(),
            message: message.into(),
            mend: None,
        }
    }

    fn mend(mut self, mend: impl Into<String>) -> Self {
        self.mend = Some(mend.into());
        self
    }

    fn from_fault(about: impl Into<String>, fault: Fault) -> Self {
        Self {
            about: about.into(),
            message: fault.message,
            mend: fault.hint,
        }
    }
}

type Troubles = Result<Vec<Trouble>, Fault>;
type Looking = Pin<Box<dyn Future<Output = Troubles> + Send>>;

/// One thing that cid needs from the host.
struct Check {
    /// The name of its findings.
    name: &'static str,
    /// The question.
    question: &'static str,
    /// What to do if the answer is no and there is no better advice.
    mend: &'static str,
    /// A sandbox needs it too.
    in_sandbox: bool,
    look: fn(Cid) -> Looking,
}

/// All checks, in the order in which people set up a server.
const CHECKS: &[Check] = &[
    Check {
        name: "deploy user",
        question: "does the account exist that talks to the git server?",
        mend: "make it, or mend deploy_user in the project file",
        in_sandbox: false,
        look: |cid| Box::pin(async move { Ok(accounts::deploy_users(&cid)) }),
    },
    Check {
        name: "access",
        question: "do the accounts and groups exist that share workspaces' files?",
        mend: "make it, or mend [access] in the project file",
        in_sandbox: false,
        look: |cid| Box::pin(async move { Ok(accounts::people(&cid)) }),
    },
    Check {
        name: "work_dir",
        question: "can the daemon write where workspaces live?",
        mend: "see the file's permissions",
        in_sandbox: false,
        look: |cid| Box::pin(disk::writable(cid)),
    },
    Check {
        name: "shared",
        question: "can workspaces and nginx use media and the shared database?",
        mend: "let the group cid-PROJECT and nginx in",
        in_sandbox: false,
        look: |cid| Box::pin(disk::shared(cid)),
    },
    Check {
        name: "disk",
        question: "is there room for another workspace?",
        mend: "free some space there, or delete workspaces that nobody needs",
        in_sandbox: true,
        look: |cid| Box::pin(disk::room(cid)),
    },
    Check {
        name: "access lists",
        question: "does the file system keep POSIX access lists?",
        mend: "use a file system that does, such as ext4 or xfs, and mount it without noacl",
        in_sandbox: false,
        look: |cid| Box::pin(disk::access_lists(cid)),
    },
    Check {
        name: "supervisord",
        question: "does the supervisord of the workspaces' processes run?",
        mend: "systemctl start cid-supervisor; why it stopped: journalctl -u cid-supervisor",
        in_sandbox: false,
        look: |cid| Box::pin(engines::supervisord(cid)),
    },
    Check {
        name: "nginx",
        question: "does nginx run?",
        mend: "systemctl start nginx; why it stopped: journalctl -u nginx",
        in_sandbox: false,
        look: |cid| Box::pin(engines::nginx(cid)),
    },
    Check {
        name: "nginx include",
        question: "does nginx read the workspaces' sites?",
        mend: "let the http block of /etc/nginx/nginx.conf include /etc/nginx/conf.d/*.conf, then: systemctl reload nginx",
        in_sandbox: false,
        look: |cid| Box::pin(nginx::include(cid)),
    },
    Check {
        name: "nginx workers",
        question: "do nginx's workers run as an account of their own?",
        mend: "let nginx.conf say `user www-data;`, then: systemctl restart nginx",
        in_sandbox: false,
        look: |cid| Box::pin(nginx::worker(cid)),
    },
    Check {
        name: "nginx names",
        question: "does nginx take host names as long as they can get?",
        mend: LONGER_NAMES,
        in_sandbox: false,
        look: |cid| Box::pin(nginx::names(cid)),
    },
    Check {
        name: "dns",
        question: "do names below the domain lead somewhere?",
        mend: "make a wildcard record *.DOMAIN that leads to this machine",
        in_sandbox: false,
        look: |cid| Box::pin(dns::wildcards(cid)),
    },
    Check {
        name: "front",
        question: "do people reach the web front that was switched on?",
        mend: "cictl front enable once more; systemctl status cid-web.service tells more",
        in_sandbox: false,
        look: |cid| Box::pin(front::troubles(cid)),
    },
    Check {
        name: "mail",
        question: "do links to sign in reach people?",
        mend: "see [mail] in cid.toml and the mail server's log",
        in_sandbox: true,
        look: |cid| Box::pin(mail::troubles(cid)),
    },
    Check {
        name: "polkit",
        question: "can polkit be asked who may do what?",
        mend: "systemctl unmask polkit && systemctl start polkit; systemctl status polkit tells more",
        in_sandbox: false,
        look: |_| Box::pin(engines::polkit()),
    },
    Check {
        name: "remote",
        question: "does the git server let the deploy user in?",
        mend: "cictl project check tells more",
        in_sandbox: false,
        look: |cid| Box::pin(git::remotes(cid)),
    },
];

/// Runs all checks in parallel.
pub(super) async fn check(cid: &Cid, findings: &mut Vec<Finding>) {
    let is_sandbox = !cid.sys.is_host();
    let checks: Vec<_> = CHECKS
        .iter()
        .filter(|check| check.in_sandbox || !is_sandbox)
        .map(|check| {
            let looking = tokio::time::timeout(LIMIT, (check.look)(cid.clone()));
            (check, tokio::spawn(looking))
        })
        .collect();
    for (check, looking) in checks {
        let troubles = match looking.await {
            Ok(Ok(troubles)) => troubles,
            Ok(Err(_)) => Err(Fault::new(format!("no answer within {LIMIT:?}"))),
            Err(error) => Err(Fault::new(error.to_string())),
        };
        findings.extend(told(check, troubles));
    }
}

/// Debian's own supervisord, which comes with the package and starts by itself. It does no harm.
pub(super) async fn unused_supervisord(cid: &Cid) -> Option<Finding> {
    cid.sys.host.as_ref()?;
    engines::unused_supervisord().await.then(|| {
        Finding::note(
            "supervisor.service",
            "Debian's own supervisord runs beside cid's, takes 20 MB and has nothing to run; to switch it off: \
             systemctl disable --now supervisor",
        )
    })
}

fn told(check: &Check, troubles: Troubles) -> Vec<Finding> {
    let troubles = troubles.unwrap_or_else(|fault| {
        let question = check.question;
        vec![Trouble::from_fault("", fault).unanswered(question)]
    });
    let finding = |trouble: Trouble| {
        let subject = format!("{} {}", check.name, trouble.about);
        let mend = trouble.mend.as_deref().unwrap_or(check.mend);
        Finding::broken(subject.trim_end(), trouble.message, mend)
    };
    troubles.into_iter().map(finding).collect()
}

impl Trouble {
    fn unanswered(mut self, question: &str) -> Self {
        self.message = format!("{question} cid cannot tell: {}", self.message);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_check_asks_something_of_its_own_and_says_what_to_do() {
        let names: BTreeSet<_> = CHECKS.iter().map(|check| check.name).collect();
        assert_eq!(names.len(), CHECKS.len());
        for check in CHECKS {
            assert!(check.question.ends_with('?'), "{}", check.question);
            assert!(!check.mend.is_empty());
        }
    }

    #[test]
    fn what_cannot_be_told_says_so() {
        let findings = told(&CHECKS[0], Err(Fault::new("cannot look")));
        assert!(
            findings[0]
                .message
                .contains("? cid cannot tell: cannot look")
        );
        assert_eq!(findings[0].repair, CHECKS[0].mend);
    }
}
