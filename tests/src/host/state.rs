use super::Host;
use anyhow::{Result, bail};
use std::{
    collections::BTreeMap,
    fmt::Write,
    thread::sleep,
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(20);

/// What the daemon's standing helpers are known by: their units and private folders, what systemd makes
/// for a moment when one starts, and their job. They come and go with the daemon and with projects in
/// use, and are no workspace's. Nor is what nginx writes of all visits, which the daemon empties.
const STANDING: [&str; 4] = [
    "file /var/log/cid/visits.log",
    "cid-standing-",
    "/tmp/namespace-dev-",
    "--job 00000000-0000-0000-0000-000000000000",
];

/// Files, processes, listeners, users, groups and active units of a host, as one sorted list of facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostState(BTreeMap<String, String>);

impl Host {
    /// Looks at everything now; at files only below these folders. Waits while a helper starts that is
    /// to stand ready.
    ///
    /// # Errors
    /// The host is off, or a look fails.
    pub fn state(&self, folders: &[&str]) -> Result<HostState> {
        let start = Instant::now();
        let mut before = self.state_now(folders)?;
        loop {
            let state = self.state_now(folders)?;
            let is_quiet = state == before && !state.0.keys().any(|fact| is_for_a_moment(fact));
            if is_quiet || start.elapsed() > PATIENCE {
                return Ok(state);
            }
            before = state;
        }
    }

    fn state_now(&self, folders: &[&str]) -> Result<HostState> {
        let mut facts = BTreeMap::new();
        self.files(folders, &mut facts)?;
        let units = ["--plain", "--no-legend", "--type=service,socket,timer,path"];
        let units = [&["systemctl", "list-units"][..], &units].concat();
        let tables: [(&str, &[&str]); 5] = [
            ("listener", &["ss", "-Hlntu"]),
            ("socket", &["ss", "-Hax"]),
            ("user", &["getent", "passwd"]),
            ("group", &["getent", "group"]),
            ("unit", &units),
        ];
        for (kind, args) in tables {
            for line in self.run(args)?.ok()?.stdout.lines() {
                let words: Vec<&str> = line.split_whitespace().collect();
                if kind == "socket" && !can_be_called(&words) {
                    continue;
                }
                let name = match kind {
                    // netid, state, two queues, address
                    "listener" | "socket" => words.get(4).copied().unwrap_or_default(),
                    "unit" => words.first().copied().unwrap_or_default(),
                    _ => line,
                };
                facts.insert(format!("{kind} {name}"), String::new());
            }
        }
        self.processes(&mut facts)?;
        facts.retain(|fact, _| !STANDING.iter().any(|mark| fact.contains(mark)));
        Ok(HostState(facts))
    }

    /// Takes a second look and compares; what is just ending gets a little time.
    ///
    /// # Errors
    /// They differ; the message says in what.
    pub fn assert_same(&self, before: &HostState, folders: &[&str]) -> Result<()> {
        let start = Instant::now();
        loop {
            let difference = before.difference(&self.state(folders)?);
            if difference.is_empty() {
                return Ok(());
            }
            if start.elapsed() > PATIENCE {
                bail!("something changed (- before, + after):\n{difference}");
            }
            sleep(Duration::from_millis(200));
        }
    }

    fn files(&self, folders: &[&str], facts: &mut BTreeMap<String, String>) -> Result<()> {
        if folders.is_empty() {
            return Ok(());
        }
        let find = |more: &[&str]| {
            let args = [&["find"], folders, &["-xdev"], more].concat();
            self.run(&args)
        };
        // A folder's size and times change without anything in it having changed.
        let listed = find(&["-printf", "%p\\t%y, mode %m, owner %u:%g, link to %l\\n"])?;
        for line in listed.stdout.lines() {
            if let Some((path, fact)) = line.split_once('\t') {
                let fact = fact.trim_end_matches(", link to ");
                facts.insert(format!("file {path}"), fact.to_owned());
            }
        }
        let sums = find(&["-type", "f", "-exec", "sha256sum", "{}", "+"])?;
        for line in sums.stdout.lines() {
            if let Some((sum, path)) = line.split_once("  ") {
                facts
                    .entry(format!("file {path}"))
                    .or_default()
                    .push_str(&format!(", {}", sum.get(..16).unwrap_or(sum)));
            }
        }
        Ok(())
    }

    /// Counted, because several may look alike.
    fn processes(&self, facts: &mut BTreeMap<String, String>) -> Result<()> {
        let listed = self.run(&["ps", "-e", "-ww", "-o", "ppid=,user:32=,args="])?;
        for line in listed.ok()?.stdout.lines() {
            let Some((parent, shown)) = line.trim_start().split_once(' ') else {
                continue;
            };
            // A process without a parent in the host was brought in from outside: it is this look itself.
            let shown = shown.trim_start();
            let is_ours = parent == "0" && !shown.ends_with("/systemd");
            if !is_ours {
                *facts.entry(format!("process {shown}")).or_default() += "|";
            }
        }
        Ok(())
    }
}

/// Whether a socket accepts connections, by a line of `ss`. A datagram socket is never listening, and
/// counts as connected once a peer is connected to it.
fn can_be_called(words: &[&str]) -> bool {
    let has_name = words.get(4).is_some_and(|name| *name != "*");
    words.get(1) == Some(&"LISTEN") || (words.first() == Some(&"u_dgr") && has_name)
}

/// What systemd calls a helper before it is one.
fn is_for_a_moment(fact: &str) -> bool {
    fact.starts_with("process ") && fact.contains(" (d-helper)")
}

impl HostState {
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
