//! Runs the git program so that nothing but its arguments decides what it does: no configuration
//! of the machine or of a person, no hooks, no credential helpers, no questions.

use crate::{
    command::{self, Code},
    git::{
        credential::{Offer, without_token},
        remote::{Url, without_secret},
        ssh,
    },
};
use cid_protocol::{
    budget::BRANCHES,
    environment::{AGENT, Environment, passed_on},
    fault::{Fault, FaultContext},
    request::Remote,
};
use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

/// What the remote is called on git's command line, so that its URL is not seen there.
pub(super) const REMOTE: &str = "cid";

/// Settings of every call. They are of the command's own scope, which git does not hand to the
/// other side of a local transport: a local repository's own hooks stay in force.
const SETTINGS: &[(&str, &str)] = &[
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.askPass", ""),
    ("credential.helper", ""),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("submodule.recurse", "false"),
    ("fetch.recurseSubmodules", "false"),
    ("push.recurseSubmodules", "no"),
    ("push.followTags", "false"),
    ("push.gpgSign", "false"),
    ("transfer.bundleURI", "false"),
    // A server slower than this for so long is taken for dead.
    ("http.lowSpeedLimit", "1000"),
    ("http.lowSpeedTime", "30"),
    // Refuse what could harm a checkout; what old tools merely wrote untidily stays readable.
    ("fetch.fsckObjects", "true"),
    // One pack, also of a few objects: a pack that is not complete is one file, and is removed.
    ("fetch.unpackLimit", "1"),
    ("fetch.fsck.badDate", "ignore"),
    ("fetch.fsck.badDateOverflow", "ignore"),
    ("fetch.fsck.badEmail", "ignore"),
    ("fetch.fsck.badName", "ignore"),
    ("fetch.fsck.badTimezone", "ignore"),
    ("fetch.fsck.missingEmail", "ignore"),
    ("fetch.fsck.missingNameBeforeEmail", "ignore"),
    ("fetch.fsck.missingSpaceBeforeDate", "ignore"),
    ("fetch.fsck.missingSpaceBeforeEmail", "ignore"),
    ("fetch.fsck.multipleAuthors", "ignore"),
    ("fetch.fsck.nullSha1", "ignore"),
    ("fetch.fsck.zeroPaddedDate", "ignore"),
    ("fetch.fsck.zeroPaddedFilemode", "ignore"),
];

/// How many lines of output are kept, for messages and for lists.
const SHOWN: usize = 400;
const LISTED: usize = BRANCHES.most + 1;
/// How `timeout` ends when it had to end the program.
const TIMED_OUT: i32 = 124;

/// The git program on a mirror, with a remote called [`REMOTE`].
pub(super) struct Git<'a> {
    pub(super) mirror: &'a Path,
    pub(super) remote: &'a Remote,
    pub(super) url: Url,
    /// How long a call may take; `None`: as long as the request.
    pub(super) limit: Option<Duration>,
    /// Who says where to go: the operator, unless it is said otherwise.
    pub(super) code: Code,
}

/// What a call came to.
pub(super) struct Output {
    pub(super) success: bool,
    /// Output and error output, without secrets.
    pub(super) lines: Vec<String>,
}

impl<'a> Git<'a> {
    /// Checks the URL; starts nothing.
    pub(super) fn new(mirror: &'a Path, remote: &'a Remote) -> Result<Self, Fault> {
        Ok(Self {
            mirror,
            remote,
            url: Url::parse(&remote.url)?,
            limit: None,
            code: Code::Machines,
        })
    }

    /// Runs `git ARGUMENTS`.
    pub(super) fn run(&self, arguments: &[&str]) -> Result<Output, Fault> {
        self.call(arguments, SHOWN)
    }

    /// Runs `git ARGUMENTS` for its output, which may be long.
    pub(super) fn list(&self, arguments: &[&str]) -> Result<Output, Fault> {
        self.call(arguments, LISTED)
    }

    fn call(&self, arguments: &[&str], lines: usize) -> Result<Output, Fault> {
        let seconds = self.limit.map(|limit| limit.as_secs().max(1).to_string());
        let limit = seconds
            .as_deref()
            .map(|seconds| ["timeout", "--kill-after=1", seconds]);
        let argv: Vec<OsString> = limit
            .iter()
            .flatten()
            .chain([&"git"])
            .chain(arguments)
            .map(Into::into)
            .collect();
        let mut env = self.environment()?;
        let offer = Offer::to(&self.url)?;
        if let Some(offer) = &offer {
            offer.announce(&mut env)?;
        }
        let spared = |pid| self.is_operators() && ssh::keeps(pid);
        let collected = command::collect(self.code, &argv, &env, self.mirror, lines, &spared);
        let (status, lines) = collected.map_err(|fault| {
            if fault.cancelled {
                fault
            } else {
                fault.hint("cid needs the package git")
            }
        })?;
        let mut lines: Vec<String> = lines
            .iter()
            .map(|line| without_token(&without_secret(line)))
            .collect();
        if let Some(seconds) = seconds.filter(|_| status.code() == Some(TIMED_OUT)) {
            lines.push(format!("no answer within {seconds} s"));
        }
        Ok(Output {
            success: status.success(),
            lines,
        })
    }

    fn is_operators(&self) -> bool {
        self.code == Code::Machines
    }

    fn environment(&self) -> Result<Environment, Fault> {
        let mut env = passed_on();
        if let Some(agent) = std::env::var_os(AGENT) {
            env.insert(AGENT.into(), agent);
        }
        let global = match self.url.local() {
            Some(path) => self.trust(path)?,
            None => "/dev/null".into(),
        };
        let mut set = |name: &str, value: OsString| env.insert(name.into(), value);
        set("LC_ALL", "C".into());
        set("GIT_DIR", self.mirror.into());
        set("GIT_CONFIG_NOSYSTEM", "1".into());
        set("GIT_CONFIG_GLOBAL", global.into());
        set("GIT_ATTR_NOSYSTEM", "1".into());
        set("GIT_TERMINAL_PROMPT", "0".into());
        set("GIT_ALLOW_PROTOCOL", self.url.protocol().into());
        if matches!(self.url, Url::Ssh(_)) {
            for (name, value) in ssh::environment(self.remote, self.is_operators())? {
                set(name, value);
            }
        }
        let url = self.url.text();
        let settings = SETTINGS
            .iter()
            .copied()
            .chain([("remote.cid.url", url.as_str())]);
        let mut count = 0;
        for (key, value) in settings {
            set(&format!("GIT_CONFIG_KEY_{count}"), key.into());
            set(&format!("GIT_CONFIG_VALUE_{count}"), value.into());
            count += 1;
        }
        set("GIT_CONFIG_COUNT", count.to_string().into());
        Ok(env)
    }

    /// A local repository may belong to somebody else: the operator chose it. Git must be told in
    /// a file, because the process that serves the other side does not see this one's settings.
    fn trust(&self, repository: &Path) -> Result<PathBuf, Fault> {
        let mut text = String::from("[safe]\n");
        let mut trusted = vec![repository.to_owned(), repository.join(".git")];
        trusted.extend(
            fs::canonicalize(repository)
                .ok()
                .filter(|real| real != repository),
        );
        for path in trusted {
            let path = path
                .to_str()
                .ok_or_else(|| Fault::io("use", &path, "the path is no UTF-8"))?;
            let quoted = path.replace('\\', "\\\\").replace('"', "\\\"");
            text.push_str(&format!("\tdirectory = \"{quoted}\"\n"));
        }
        let file = self.mirror.join("cid-trusted.gitconfig");
        if fs::read_to_string(&file).is_ok_and(|old| old == text) {
            return Ok(file);
        }
        let temporary = self
            .mirror
            .join(format!("cid-trusted.gitconfig.{}", std::process::id()));
        fs::write(&temporary, text)
            .and_then(|()| fs::rename(&temporary, &file))
            .cannot(format!("write {}", file.display()))?;
        Ok(file)
    }
}
