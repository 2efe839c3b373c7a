//! `cictl shell`

use super::{Cx, Outcome, Target, terminal};
use cid_client::{Error, Kind};
use clap::Args;

/// Open a shell in a workspace, as its user
///
/// It is in the workspace's clone, with its settings and its packages, on a terminal
/// of its own. git there commits in the name of the workspace's person. Nothing in it
/// reaches the keys, the agent or the files of who opened it; what it prints is
/// the workspace's word all the same, a question for a password included.
///
/// It ends with cictl, with the connection by which cictl was started, and with the
/// workspace. Its exit status is the shell's.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cictl shell anna@example.com
  ssh -t server cictl shell anna@example.com")]
pub(super) struct Shell {
    #[command(flatten)]
    target: Target,
}

impl Shell {
    pub(super) async fn run(self, cx: &Cx) -> Outcome {
        if cx.is_json() || !terminal::is_there() {
            let message = "cannot open a shell: it needs a terminal as input and output";
            let hint = format!(
                "from afar: ssh -t HOST cictl shell {0}; without a terminal: cictl run {0} -- COMMAND",
                self.target.words()
            );
            return Err(Error::new(Kind::Invalid, message).with_hint(hint).into());
        }
        terminal::run(cx, &self.target, Vec::new()).await
    }
}
