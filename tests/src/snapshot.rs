//! "Nothing is left" is a comparison: what files, processes, listeners, remote branches and
//! workspaces there are, before and after.

use crate::{git::GitServer, process::processes, sandbox::Sandbox};
use anyhow::{Context, Result, bail};
use std::{
    collections::BTreeMap,
    fmt::Write,
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

/// What is kept for the next workspace, or changes all the time.
const CACHES: [&str; 13] = [
    // Output of ended jobs stays as long as they are in the ledger.
    "log/jobs",
    "state/mirrors",
    "state/packages",
    "state/built",
    "state/templates",
    "state/tools",
    "state/cache",
    "state/cid.db",
    "state/cid.db-wal",
    "state/cid.db-shm",
    "state/home/.cache",
    // Given up while the disk is full.
    "state/cid.reserve",
    // The front's, which supervisord starts and restarts in its own time.
    "run/front.sock",
];
/// Here only names count: sockets, pid files, logs.
const NAMES_ONLY: [&str; 2] = ["run", "log"];
/// How long what is being cleaned up may take to be gone.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long the daemon may take for a file that it is just writing, such as a project's site.
const WRITING: Duration = Duration::from_secs(5);

/// The state of a sandbox and its git servers, as one sorted list of facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot(BTreeMap<String, String>);

impl Snapshot {
    /// Looks at everything now, or as soon as nothing is half written.
    ///
    /// # Errors
    /// Something cannot be looked at.
    pub fn take(sandbox: &Sandbox, servers: &[&GitServer]) -> Result<Self> {
        let start = Instant::now();
        loop {
            let snapshot = Self::look(sandbox, servers)?;
            if !snapshot.is_half_written() || start.elapsed() > WRITING {
                return Ok(snapshot);
            }
            sleep(Duration::from_millis(50));
        }
    }

    /// It holds a temporary file, `.NAME.tmp`, that is renamed when it is whole.
    fn is_half_written(&self) -> bool {
        self.0.keys().any(|key| {
            let name = key.rsplit('/').next().unwrap_or_default();
            name.starts_with('.') && name.ends_with(".tmp")
        })
    }

    fn look(sandbox: &Sandbox, servers: &[&GitServer]) -> Result<Self> {
        let mut facts = BTreeMap::new();
        let folders: Vec<&Path> = servers.iter().map(|server| server.path()).collect();
        files(sandbox.dir(), sandbox.dir(), &folders, &mut facts)?;
        running(sandbox, &mut facts);
        listeners(sandbox, &mut facts)?;
        for server in servers {
            for (name, commit) in server.refs()? {
                facts.insert(format!("ref {} {name}", server.path().display()), commit);
            }
        }
        for workspace in sandbox.json(&["list"])?.as_array().context("no list")? {
            let of = |key: &str| workspace[key].as_str().unwrap_or_default().to_owned();
            let key = format!("workspace {} of {}", of("email"), of("project"));
            facts.insert(key, of("state"));
        }
        Ok(Self(facts))
    }

    /// What is in one and not, or not so, in the other; empty when they are equal.
    #[must_use]
    pub fn difference(&self, after: &Self) -> String {
        let mut text = String::new();
        for (key, old) in &self.0 {
            // Writing to a String cannot fail.
            let _ = match after.0.get(key) {
                None => writeln!(text, "- {key}: {old}"),
                Some(new) if new != old => writeln!(text, "~ {key}: {old} -> {new}"),
                Some(_) => Ok(()),
            };
        }
        for (key, new) in after.0.iter().filter(|(key, _)| !self.0.contains_key(*key)) {
            let _ = writeln!(text, "+ {key}: {new}");
        }
        text
    }
}

/// Takes a second snapshot and compares; what is just ending gets a little time.
///
/// # Errors
/// They differ; the message says in what.
pub fn assert_same(before: &Snapshot, sandbox: &Sandbox, servers: &[&GitServer]) -> Result<()> {
    let start = Instant::now();
    loop {
        let after = Snapshot::take(sandbox, servers)?;
        let difference = before.difference(&after);
        if difference.is_empty() {
            return Ok(());
        }
        if start.elapsed() > PATIENCE {
            bail!("something changed (- before, + after):\n{difference}");
        }
        sleep(Duration::from_millis(200));
    }
}

/// The servers' own folders count by their refs alone.
fn files(
    root: &Path,
    dir: &Path,
    servers: &[&Path],
    facts: &mut BTreeMap<String, String>,
) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))? {
        let entry = entry?;
        let path = entry.path();
        let relative = path.strip_prefix(root)?;
        // A workspace's own lock files, such as uv.lock, do count.
        let is_lock = relative
            .extension()
            .is_some_and(|extension| extension == "lock")
            && (relative.starts_with("state") || relative.starts_with("run"));
        // The project's site: the daemon puts it there in its own time.
        let is_site = relative.to_string_lossy().ends_with(".catch-all.conf");
        if is_site
            || CACHES.iter().any(|cache| relative == Path::new(cache))
            || servers.contains(&path.as_path())
            || relative.ends_with("__pycache__")
            || is_lock
        {
            continue;
        }
        let names_only = NAMES_ONLY.iter().any(|top| relative.starts_with(top));
        // What goes away while it is looked at is as good as gone.
        let Ok(fact) = file_fact(&path, names_only) else {
            continue;
        };
        facts.insert(format!("file {}", relative.display()), fact);
        if entry.file_type()?.is_dir() {
            files(root, &path, servers, facts)?;
        }
    }
    Ok(())
}

fn file_fact(path: &Path, names_only: bool) -> Result<String> {
    let meta = path.symlink_metadata()?;
    let kind = meta.file_type();
    let what = if kind.is_dir() {
        "folder".to_owned()
    } else if kind.is_symlink() {
        format!("link to {}", fs::read_link(path)?.display())
    } else if kind.is_socket() {
        "socket".to_owned()
    } else if !kind.is_file() {
        "special file".to_owned()
    } else if names_only {
        "file".to_owned()
    } else {
        let mut hasher = DefaultHasher::new();
        fs::read(path)?.hash(&mut hasher);
        format!(
            "file of {} bytes, hash {:016x}",
            meta.len(),
            hasher.finish()
        )
    };
    Ok(format!(
        "{what}, mode {:o}, owner {}:{}",
        meta.mode() & 0o7777,
        meta.uid(),
        meta.gid()
    ))
}

/// The daemon, its front and the engines come and go with the sandbox, not with a workspace.
fn running(sandbox: &Sandbox, facts: &mut BTreeMap<String, String>) {
    for process in processes(sandbox.dir()) {
        let is_engine = ["cid", "cid-web", "nginx", "supervisord"].contains(&process.name.as_str());
        if !is_engine {
            *facts
                .entry(format!("process {}", process.command))
                .or_default() += "|";
        }
    }
}

fn listeners(sandbox: &Sandbox, facts: &mut BTreeMap<String, String>) -> Result<()> {
    const LISTEN: &str = "0A";
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let text = fs::read_to_string(table).with_context(|| format!("cannot read {table}"))?;
        for line in text.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let port = fields
                .get(1)
                .and_then(|address| address.rsplit_once(':'))
                .and_then(|(_, port)| u16::from_str_radix(port, 16).ok());
            if let Some(port) = port
                && fields.get(3) == Some(&LISTEN)
                && sandbox.ports().apps().contains(&port)
            {
                facts.insert(format!("listener on port {port}"), String::new());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_says_what_came_went_and_changed() {
        let snapshot = |pairs: &[(&str, &str)]| {
            Snapshot(
                pairs
                    .iter()
                    .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                    .collect(),
            )
        };
        let before = snapshot(&[("a", "1"), ("b", "1"), ("c", "1")]);
        let after = snapshot(&[("b", "1"), ("c", "2"), ("d", "1")]);
        assert_eq!(before.difference(&after), "- a: 1\n~ c: 1 -> 2\n+ d: 1\n");
        assert_eq!(before.difference(&before), "");
    }

    #[test]
    fn modes_links_and_content_count() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        fs::write(&path, "1").unwrap();
        let first = file_fact(&path, false).unwrap();
        fs::write(&path, "2").unwrap();
        assert_ne!(file_fact(&path, false).unwrap(), first);
        std::os::unix::fs::symlink("x", dir.path().join("y")).unwrap();
        assert!(
            file_fact(&dir.path().join("y"), false)
                .unwrap()
                .starts_with("link to x")
        );
    }
}
