//! `nginx -t`: whether nginx would start with the files as they are.

use super::NginxPaths;
use crate::{
    domain::UnitName,
    system::{
        Fault, exec,
        included::{Objection, Refusal, Tester},
    },
};
use async_trait::async_trait;
use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    time::Duration,
};

/// 10,000 vhosts take 3 s; a host name that does not resolve takes longer.
const LIMIT: Duration = Duration::from_secs(30);

#[async_trait]
impl Tester for NginxPaths {
    async fn test(&self) -> Result<(), Objection> {
        self.test_file(&self.config).await
    }

    fn culprit(&self, unit: &UnitName, refusal: &Refusal) -> Fault {
        Fault::new(format!(
            "cannot put the vhost of {unit} in place: nginx says: {}",
            refusal.message
        ))
    }

    fn foreign(&self, refusal: &Refusal) -> Fault {
        let command = format!(
            "nginx -t -c {} -p {}",
            self.config.display(),
            self.prefix.display()
        );
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
    /// Runs nginx so that it only looks at a main configuration file: `-t` tests it, `-T` prints it too.
    pub(super) async fn run(&self, what: &str, config: &Path) -> Result<exec::Output, Fault> {
        let test = [
            self.program.as_os_str(),
            OsStr::new(what),
            OsStr::new("-q"),
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

    /// Whether nginx would start with this main configuration file.
    pub(super) async fn test_file(&self, config: &Path) -> Result<(), Objection> {
        let output = self.run("-t", config).await.map_err(Objection::Failed)?;
        match output.status {
            Some(0) => Ok(()),
            Some(_) => Err(Objection::Refused(parse(&output.stderr))),
            None => Err(Objection::Failed(Fault::new(
                "cannot test nginx's configuration: the test was killed",
            ))),
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

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
