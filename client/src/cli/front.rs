//! `cictl front`

use super::{Cx, Outcome};
use crate::ui::text;
use cid_client::Exit;
use clap::{Args, Subcommand};

/// Switch the web front on and off
#[derive(Debug, Args)]
pub(super) struct Front {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Enable(Enable),
    /// Switch the web front off
    ///
    /// Its site leaves nginx, and its service stops. Who is signed in stays so.
    Disable,
}

/// Switch the web front on
///
/// Writes its site for nginx, has nginx take it, and starts its service, now and at each start of the machine.
/// When nginx does not take it, nothing has changed. Say in /etc/cid/cid.toml under [people] who may sign in.
#[derive(Debug, Args)]
struct Enable {
    /// Host name by which people reach it, e.g. ci.example.org
    #[arg(long, value_name = "NAME")]
    host: String,
    /// Certificate with its chain, and its key, both by absolute paths
    #[arg(long, num_args = 2, value_names = ["CERTIFICATE", "KEY"])]
    tls: Vec<String>,
    /// Without TLS, where something in front of this machine ends it
    #[arg(long, conflicts_with = "tls")]
    behind_tls: bool,
}

impl Front {
    pub(super) async fn run(self, cx: &Cx) -> Outcome {
        let client = cx.connect().await?;
        match self.verb {
            Verb::Enable(Enable {
                host,
                tls,
                behind_tls,
            }) => {
                let tls = match &tls[..] {
                    [certificate, key] => Some((certificate.as_str(), key.as_str())),
                    _ => None,
                };
                let front = client.enable_front(&host, tls, behind_tls).await?;
                for remark in &front.remarks {
                    cx.say(&text::clean(remark));
                }
                cx.print(&front, || text::clean(&front.url))?;
            }
            Verb::Disable => {
                let was_enabled = client.disable_front().await?;
                cx.say(match was_enabled {
                    true => "the front is off",
                    false => "the front was off",
                });
                let answer = serde_json::json!({ "was_enabled": was_enabled });
                cx.print(&answer, String::new)?;
            }
        }
        Ok(Exit::Done)
    }
}
