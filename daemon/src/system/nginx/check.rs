//! `nginx -t`: whether nginx would take the files as they are.
//!
//! nginx first reads all of its configuration: certificates, names of upstreams, hashes. Then it reports that
//! the syntax is right. Only then does it touch the machine: pid file, folders, logs, addresses. That part is
//! left to the reload, which does it for real and is undone when it fails; so the test needs no right to
//! write or to bind. On a host it has no network either: a name that it does not find is the reload's to look up.

use super::{NginxPaths, aside};
use crate::{
    domain::UnitName,
    system::{
        exec,
        included::{Objection, Tester},
    },
};
use async_trait::async_trait;
use cid_protocol::fault::Fault;
use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::task::spawn_blocking;

pub(crate) use crate::system::included::Refusal;

/// 10,000 vhosts take 3 s.
const LIMIT: Duration = Duration::from_secs(30);

#[async_trait]
impl Tester for NginxPaths {
    async fn test(&self) -> Result<(), Objection> {
        match self.test_file(&self.config).await {
            Err(Objection::Refused(refusal))
                if self.runner.is_some() && missing_name(&refusal.message).is_some() =>
            {
                Ok(())
            }
            tested => tested,
        }
    }

    fn culprit(&self, unit: &UnitName, refusal: &Refusal) -> Fault {
        Fault::new(format!(
            "cannot put the vhost of {unit} in place: nginx says: {}",
            refusal.message
        ))
    }

    /// A certificate that is gone is its project's trouble, and nobody else's.
    async fn set_aside(&self, refusal: &Refusal) -> Result<bool, Fault> {
        let (vhosts, refusal) = (self.vhost_dir.clone(), refusal.clone());
        spawn_blocking(move || aside::set_aside_all(&vhosts, &refusal))
            .await
            .unwrap_or_else(|error| Err(Fault::new(format!("cannot set files aside: {error}"))))
    }

    fn foreign(&self, refusal: &Refusal) -> Fault {
        let command = self.test_command();
        match refusal.place() {
            Some(place) => Fault::new(format!(
                "cannot change nginx: its configuration is broken by {place}: {}",
                refusal.message
            ))
            .hint(format!(
                "mend that file until `{command}` passes, then try again"
            )),
            None => Fault::new(format!(
                "cannot change nginx: its configuration is broken: {}",
                refusal.message
            ))
            .hint(format!("mend it until `{command}` passes, then try again")),
        }
    }
}

impl NginxPaths {
    /// What a person types to ask nginx the same.
    pub(super) fn test_command(&self) -> String {
        format!(
            "nginx -t -c {} -p {}",
            self.config.display(),
            self.prefix.display()
        )
    }

    /// Runs nginx so that it only looks at a main configuration file.
    async fn run(&self, config: &Path) -> Result<exec::Output, Fault> {
        // Not `-q`: it would not say how far it came.
        let test = [
            self.program.as_os_str(),
            OsStr::new("-t"),
            OsStr::new("-c"),
            config.as_ref(),
            OsStr::new("-p"),
            self.prefix.as_ref(),
        ];
        match &self.runner {
            Some(runner) => {
                let command = test.map(|word| word.to_string_lossy().into_owned());
                runner.output(command.into(), LIMIT).await
            }
            None => exec::output(test[0], &test[1..], LIMIT).await,
        }
    }

    /// Whether nginx takes this main configuration file.
    pub(super) async fn test_file(&self, config: &Path) -> Result<(), Objection> {
        let output = self.run(config).await.map_err(Objection::Failed)?;
        match output.status {
            Some(0) => Ok(()),
            Some(_) => match objection(&output.stderr) {
                None => Ok(()),
                Some(refusal) => Err(Objection::Refused(refusal)),
            },
            None => Err(Objection::Failed(Fault::new(
                "cannot test nginx's configuration: the test was killed",
            ))),
        }
    }
}

/// What a test that failed has against the configuration; `None`: it read all of it, and then the machine
/// was in the way.
pub(crate) fn objection(said: &str) -> Option<Refusal> {
    let is_verdict = |line: &&str| {
        line.starts_with("nginx: the configuration file ") && line.ends_with(" syntax is ok")
    };
    let refusal = parse(said);
    let read_all = said
        .lines()
        .take_while(|line| !line.contains("[emerg]"))
        .any(|line| is_verdict(&line));
    (!(read_all && is_of_the_machine(&refusal.message))).then_some(refusal)
}

/// Whether a complaint is a system call's: `CALL() ... failed (NUMBER: WORDS)`.
fn is_of_the_machine(message: &str) -> bool {
    let is_call = message.split_once("()").is_some_and(|(call, _)| {
        !call.is_empty() && call.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    });
    let number = message
        .rsplit_once(" failed (")
        .and_then(|(_, reason)| reason.split_once(": "));
    is_call
        && message.ends_with(')')
        && number.is_some_and(|(number, _)| {
            !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
        })
}

/// Takes message and place out of `nginx: [emerg] MESSAGE in FILE:LINE`. Some complaints, such as
/// about the size of a hash, have no place.
pub(super) fn parse(stderr: &str) -> Refusal {
    let line = stderr
        .lines()
        .find(|line| line.contains("[emerg]"))
        .or(stderr.lines().next())
        .unwrap_or("no reason given");
    let message = line
        .split_once("[emerg] ")
        .map_or(line, |(_, message)| message)
        .trim();
    // In the error log the process number comes first: `123#123: MESSAGE`.
    let message = match message.split_once(": ") {
        Some((head, rest))
            if head.contains('#') && head.bytes().all(|b| b.is_ascii_digit() || b == b'#') =>
        {
            rest
        }
        _ => message,
    };
    let place = message.rsplit_once(" in /").and_then(|(before, place)| {
        let (file, line) = place.rsplit_once(':')?;
        Some((
            before,
            PathBuf::from(format!("/{file}")),
            line.parse().ok()?,
        ))
    });
    match place {
        Some((before, file, line)) => Refusal {
            message: before.to_owned(),
            file: Some(file),
            line: Some(line),
        },
        None => Refusal {
            message: message.to_owned(),
            file: None,
            line: None,
        },
    }
}

/// The name that nginx could not look up, by its complaint: `host not found in WHAT "NAME[:PORT]"`, where
/// WHAT is an upstream, a resolver, a syslog server and so on.
pub(crate) fn missing_name(complaint: &str) -> Option<&str> {
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
            assert_eq!(missing_name(complaint), name, "{complaint}");
        }
    }

    #[test]
    fn finds_the_place() {
        let refusal = parse(
            "nginx: [emerg] unknown directive \"foo\" in /etc/nginx.d/a b.conf:3\nnginx: configuration file x test failed\n",
        );
        assert_eq!(refusal.message, "unknown directive \"foo\"");
        assert_eq!(refusal.place().unwrap(), "/etc/nginx.d/a b.conf:3");
    }

    #[test]
    fn some_complaints_have_none() {
        let refusal = parse(
            "nginx: [emerg] could not build server_names_hash, you should increase server_names_hash_bucket_size: 64\n",
        );
        assert_eq!(refusal.place(), None);
        assert!(refusal.message.starts_with("could not build"));
    }

    #[test]
    fn what_fails_of_the_machine_after_all_was_read_is_no_objection() {
        const OK: &str = "nginx: the configuration file /etc/nginx/nginx.conf syntax is ok\n";
        let objection = |said: &str| objection(said).map(|refusal| refusal.message);
        for machine in [
            "open() \"/run/nginx.pid\" failed (30: Read-only file system)",
            "bind() to 192.0.2.1:80 failed (99: Cannot assign requested address)",
            "mkdir() \"/srv/a/b\" failed (2: No such file or directory)",
        ] {
            let line = format!("nginx: [emerg] {machine}\n");
            assert_eq!(objection(&format!("{OK}{line}")), None);
            // The same before nginx has read all is about a file that the configuration needs.
            assert_eq!(objection(&line).as_deref(), Some(machine));
            assert_eq!(objection(&format!("{line}{OK}")).as_deref(), Some(machine));
        }
        for text in [
            "zero size shared memory zone \"a\"",
            "host not found in upstream \"a\"",
            "",
        ] {
            let said = format!("{OK}nginx: [emerg] {text}\n");
            assert_eq!(objection(&said).as_deref(), Some(text));
        }
        assert!(objection("").is_some());
    }

    #[test]
    fn reads_lines_of_the_error_log_too() {
        let refusal = parse(
            "2026/11/22 13:00:00 [emerg] 12#12: bind() to 127.0.0.1:80 failed (98: Address already in use)",
        );
        assert_eq!(
            refusal.message,
            "bind() to 127.0.0.1:80 failed (98: Address already in use)"
        );
    }
}
