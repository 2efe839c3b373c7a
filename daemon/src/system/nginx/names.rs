//! Names that nginx looks up when it reads its configuration, such as upstreams. Its test has no network:
//! another helper looks the names up, and the test reads them from a hosts file of its own, which holds the
//! machine's entries and the learnt ones.

use crate::system::helpers::{Identity, Launcher, ask_once};
use cid_kernel::fs;
use cid_protocol::{fault::Fault, request::Resolve};
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

/// A name server that does not answer by then is as good as none. libc gives up after 10 s.
const LIMIT: Duration = Duration::from_secs(12);
/// What was learnt longer ago is asked for again, beside whatever is going on.
const FRESH: Duration = Duration::from_mins(1);
/// A question that took so long...
const SLOW: Duration = Duration::from_secs(2);
/// ...and brought nothing is not asked again for this time: one job tests several times.
const QUIET: Duration = Duration::from_secs(15);
/// As many names as are learnt at most.
const MAX_NAMES: usize = 256;

/// Where the machine says what it knows of names itself.
pub(crate) const MACHINE: &str = "/etc/hosts";

/// The hosts file of nginx's test.
pub(crate) struct HostsFile {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    learnt: BTreeMap<String, Learnt>,
    /// Names that nobody knew, after a long time, and since when that is so.
    missed: BTreeMap<String, Instant>,
    /// What the file says; `None`: nothing is learnt, and there is none.
    text: Option<String>,
}

struct Learnt {
    addresses: BTreeSet<IpAddr>,
    when: Instant,
}

impl HostsFile {
    /// One at this path, in which nothing is yet. An earlier daemon's goes.
    pub(crate) fn new(path: PathBuf) -> Self {
        if let Err(fault) = fs::remove_file(&path) {
            tracing::warn!("{fault}");
        }
        Self {
            path,
            state: Mutex::default(),
        }
    }

    /// Its path, and a word that changes whenever the content changes: a unit that has an earlier file does
    /// not see the change. `None`: the machine's file is enough.
    pub(crate) fn current(&self) -> Option<(&Path, String)> {
        let state = self.state();
        let text = state.text.as_ref()?;
        let digest = Sha256::digest(text);
        Some((&self.path, data_encoding::HEXLOWER.encode(&digest[..8])))
    }

    /// Brings it up to date with the machine's and with what is learnt.
    fn write(&self, state: &mut State) -> Result<(), Fault> {
        if state.learnt.is_empty() {
            state.text = None;
            return fs::remove_file(&self.path).map(drop);
        }
        let machine = std::fs::read(MACHINE).unwrap_or_default();
        let mut text = String::from_utf8_lossy(&machine).into_owned();
        text.push_str("\n# Learnt for the test of nginx's configuration:\n");
        for (name, learnt) in &state.learnt {
            for address in &learnt.addresses {
                text.push_str(&format!("{address} {name}\n"));
            }
        }
        if state.text.as_deref() != Some(&text) {
            fs::write_atomic(&self.path, text.as_bytes(), 0o644)?;
            state.text = Some(text);
        }
        Ok(())
    }

    fn put(&self, name: &str, addresses: BTreeSet<IpAddr>) -> Result<(), Fault> {
        let mut state = self.state();
        let learnt = Learnt {
            addresses,
            when: Instant::now(),
        };
        state.learnt.insert(name.to_owned(), learnt);
        self.write(&mut state)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks names up for nginx's test.
pub struct Names {
    hosts: Arc<HostsFile>,
    launcher: Arc<dyn Launcher>,
    /// Held while old names are asked for again.
    again: Arc<tokio::sync::Mutex<()>>,
}

impl Names {
    /// Knows none yet.
    pub(crate) fn new(hosts: Arc<HostsFile>, launcher: Arc<dyn Launcher>) -> Self {
        Self {
            hosts,
            launcher,
            again: Arc::default(),
        }
    }

    /// Before a test: takes up what the machine's own file says by now, and has names asked for again that
    /// were learnt some time ago. Waits for nothing.
    pub(super) fn keep_true(self: &Arc<Self>) {
        let old: Vec<String> = {
            let mut state = self.hosts.state();
            if let Err(fault) = self.hosts.write(&mut state) {
                tracing::warn!("{fault}");
            }
            let old = state
                .learnt
                .iter()
                .filter(|(_, learnt)| learnt.when.elapsed() > FRESH);
            old.map(|(name, _)| name.clone()).collect()
        };
        if old.is_empty() {
            return;
        }
        let Ok(turn) = Arc::clone(&self.again).try_lock_owned() else {
            return;
        };
        let names = Arc::clone(self);
        tokio::spawn(async move {
            let _turn = turn;
            let answers = names.ask(&old).await;
            names.take(old, answers);
        });
    }

    /// Whether a name that the test has not found is found, and in the file now.
    pub(super) async fn learn(&self, name: &str) -> bool {
        {
            let mut state = self.hosts.state();
            state.missed.retain(|_, since| since.elapsed() < QUIET);
            let is_known = state.learnt.contains_key(name) || state.missed.contains_key(name);
            if is_known || state.learnt.len() >= MAX_NAMES {
                return false;
            }
        }
        let began = Instant::now();
        let addresses = self.ask(&[name.to_owned()]).await.pop().unwrap_or_default();
        if addresses.is_empty() {
            if began.elapsed() > SLOW {
                let mut state = self.hosts.state();
                state.missed.insert(name.to_owned(), Instant::now());
            }
            return false;
        }
        let written = self.hosts.put(name, addresses);
        if let Err(fault) = &written {
            tracing::warn!("{fault}");
        }
        written.is_ok()
    }

    /// What is no longer found is forgotten: the next test misses it, and says so where it really is gone.
    fn take(&self, names: Vec<String>, answers: Vec<BTreeSet<IpAddr>>) {
        let mut state = self.hosts.state();
        for (name, addresses) in names.into_iter().zip(answers) {
            match addresses.is_empty() {
                true => drop(state.learnt.remove(&name)),
                false => {
                    let when = Instant::now();
                    state.learnt.insert(name, Learnt { addresses, when });
                }
            }
        }
        if let Err(fault) = self.hosts.write(&mut state) {
            tracing::warn!("{fault}");
        }
    }

    /// For each name its addresses; none where nobody knows it or nobody answers in time.
    async fn ask(&self, names: &[String]) -> Vec<BTreeSet<IpAddr>> {
        let request = Resolve {
            names: names.to_vec(),
        };
        let launcher = self.launcher.as_ref();
        let cancel = CancellationToken::new();
        match ask_once(launcher, Identity::Tools, LIMIT, cancel, request).await {
            Ok(resolved) => {
                let sets = resolved.answers.into_iter();
                sets.map(|addresses| addresses.into_iter().collect())
                    .collect()
            }
            Err(fault) => {
                tracing::warn!("cannot look up {}: {fault}", names.join(", "));
                vec![BTreeSet::new(); names.len()]
            }
        }
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Names").field(&self.hosts.path).finish()
    }
}

/// The name that nginx could not look up, by its complaint: `host not found in WHAT "NAME[:PORT]"`, where
/// WHAT is an upstream, a resolver, a syslog server and so on.
pub(crate) fn missing(complaint: &str) -> Option<&str> {
    let rest = complaint.strip_prefix("host not found in ")?;
    let url = rest.split('"').nth(1)?;
    let (name, port) = url.rsplit_once(':').unwrap_or((url, "0"));
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    let is_name = name.len() <= 253 && name.strip_suffix('.').unwrap_or(name).split('.').all(label);
    let is_port = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    (is_name && is_port).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_name_is_taken_for_one() {
        for (complaint, name) in [
            (
                "host not found in upstream \"api.example.org\"",
                Some("api.example.org"),
            ),
            (
                "host not found in upstream \"backend:8080\"",
                Some("backend"),
            ),
            (
                "host not found in \"here_1.test.:80\" of the \"listen\" directive",
                Some("here_1.test."),
            ),
            ("host not found in resolver \"ns\"", Some("ns")),
            ("host not found in upstream \"a b\"", None),
            ("host not found in upstream \"a\nb\"", None),
            ("host not found in upstream \"a..b\"", None),
            ("host not found in upstream \"a:x\"", None),
            ("host not found in upstream \"\"", None),
            ("host not found in upstream", None),
            ("invalid host in upstream \"a\"", None),
        ] {
            assert_eq!(missing(complaint), name, "{complaint}");
        }
    }

    #[test]
    fn the_file_has_the_machines_names_and_what_was_learnt() {
        let dir = tempfile::tempdir().unwrap();
        let hosts = HostsFile::new(dir.path().join("hosts"));
        assert!(hosts.current().is_none());
        hosts
            .put("a.test", ["192.0.2.1".parse().unwrap()].into())
            .unwrap();
        let first = hosts.current().unwrap().1;
        let text = std::fs::read_to_string(dir.path().join("hosts")).unwrap();
        assert!(text.ends_with("\n192.0.2.1 a.test\n"), "{text}");
        let machine = std::fs::read_to_string(MACHINE).unwrap();
        assert!(text.starts_with(&machine), "{text}");
        hosts
            .put("a.test", ["192.0.2.1".parse().unwrap()].into())
            .unwrap();
        assert_eq!(hosts.current().unwrap().1, first, "nothing is new");
        hosts
            .put("a.test", ["192.0.2.2".parse().unwrap()].into())
            .unwrap();
        assert_ne!(hosts.current().unwrap().1, first);
    }
}
