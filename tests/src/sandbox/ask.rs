//! Talking to a sandbox: the command line and the web port.

use super::Sandbox;
use crate::{
    command::{Output, run},
    http::{Answer, Request},
};
use anyhow::Result;
use std::{process::Command, time::Duration};

/// Longer than any limit of cid's own that a test waits for.
const VERB_LIMIT: Duration = Duration::from_secs(300);

impl Sandbox {
    /// Runs `cictl` against this sandbox.
    ///
    /// # Errors
    /// It cannot be started or does not end.
    pub fn cictl(&self, args: &[&str]) -> Result<Output> {
        self.cictl_within(args, VERB_LIMIT)
    }

    /// Runs `cictl` for at most `limit`.
    ///
    /// # Errors
    /// It cannot be started or does not end.
    pub fn cictl_within(&self, args: &[&str], limit: Duration) -> Result<Output> {
        run(self.cictl_command().args(args), limit)
    }

    /// Runs `cictl -o json`, which must succeed, and reads what it says.
    ///
    /// # Errors
    /// It fails, or what it says is no JSON document.
    pub fn json(&self, args: &[&str]) -> Result<serde_json::Value> {
        let args = [&["-o", "json"], args].concat();
        self.cictl(&args)?.ok()?.json()
    }

    /// `cictl --socket SOCKET`, to be given arguments.
    #[must_use]
    pub fn cictl_command(&self) -> Command {
        let mut command = self.command("cictl");
        command.arg("--socket").arg(self.socket());
        command
    }

    /// Asks the sandbox's web port for a page of this host.
    ///
    /// # Errors
    /// Nothing answers.
    pub fn get(&self, host: &str, path: &str) -> Result<Answer> {
        self.request(host, path).get()
    }

    /// A request to the sandbox's web port.
    #[must_use]
    pub fn request<'a>(&self, host: &'a str, path: &'a str) -> Request<'a> {
        Request {
            port: self.http_port,
            host,
            path,
            origin: None,
        }
    }
}
