//! `cictl people`

use super::{Cx, Outcome};
use crate::ui::{table, text};
use cid_client::Exit;
use clap::{Args, Subcommand};

/// Manage who is signed in at the web front
///
/// Without a verb: everyone who is signed in.
#[derive(Debug, Args)]
pub(super) struct People {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List who is signed in at the front
    List,
    Link(Link),
    SignOut(SignOut),
}

/// Make a link with which somebody signs in, to hand over
///
/// It is good once, and for 15 minutes. Who has it signs in as this address: send it to nobody else.
#[derive(Debug, Args)]
struct Link {
    /// Address of the person who signs in with it
    email: String,
}

/// Sign somebody out, in all browsers
///
/// Links that were made for this address end too.
#[derive(Debug, Args)]
struct SignOut {
    /// Address of the person to sign out
    email: String,
}

impl People {
    pub(super) async fn run(self, cx: &Cx) -> Outcome {
        let client = cx.connect().await?;
        match self.verb.unwrap_or(Verb::List) {
            Verb::List => {
                let people = client.signed_in().await?;
                let none = "nobody is signed in at the front";
                cx.print_list(&people, none, || table::people(&people, cx.width()))?;
            }
            Verb::Link(Link { email }) => {
                let link = client.link(&email).await?;
                let until = text::time(link.expires_at);
                cx.say(&format!(
                    "good once, until {until}; on another device: the address and the code {}",
                    text::clean(&link.code)
                ));
                cx.print(&link, || text::clean(&link.url))?;
            }
            Verb::SignOut(SignOut { email }) => {
                let ended = client.end_sessions(&email).await?;
                let email = text::clean(&email);
                cx.say(&match ended {
                    0 => format!("{email} was not signed in"),
                    1 => format!("{email} is signed out of 1 browser"),
                    _ => format!("{email} is signed out of {ended} browsers"),
                });
                cx.print(&serde_json::json!({ "ended": ended }), String::new)?;
            }
        }
        Ok(Exit::Done)
    }
}
