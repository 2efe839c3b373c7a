//! A webhook: a hint that is believed where its signature is good. Nothing else of it is used.

use super::signature::{Doubt, Headers, Reader};
use crate::{
    authz::{Claim, Subject},
    cid::Cid,
    config::Project,
    domain::Delivery,
    error::Error,
    system::credential,
};
use cid_protocol::budget::{HOOK_BODY, cut};
use jiff::Timestamp;
use std::sync::Arc;

/// A sender's words are cut here.
const WORD: usize = 80;

/// What a sender says of a delivery.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// The headers with signatures.
    pub headers: Headers,
    /// What it calls its kind.
    pub event: String,
    /// What it calls it.
    pub id: String,
}

/// A delivery whose body is being read.
pub struct Hook {
    project: Arc<Project>,
    said: Said,
    /// Until its signature is read; then why it is not believed.
    reader: Result<Reader, Doubt>,
    read: usize,
}

impl Hook {
    /// A delivery that begins. Its body is worth reading where [`Hook::doubt`] has nothing to say.
    ///
    /// # Errors
    /// There is no such project, it takes no webhooks, or its secret cannot be read. Callers get one answer for all.
    pub fn begin(cid: &Cid, project: &str, said: Said) -> Result<Self, Error> {
        let none = || Error::not_found("there is nothing here");
        let project = cid.projects.get(project).map_err(|_| none())?;
        let file = project.git.webhook_secret_file.as_ref().ok_or_else(none)?;
        let secrets = credential::webhook_secrets(file).map_err(|fault| {
            tracing::error!(
                PROJECT = project.name.as_str(),
                "no webhook is taken: {fault}"
            );
            // What is wrong with a file of the operator's is not for the world.
            none()
        })?;
        let reader = Reader::new(&said.headers, &secrets, Timestamp::now().as_second());
        Ok(Self {
            project,
            said,
            reader,
            read: 0,
        })
    }

    /// Why it is not believed, whatever its body is.
    pub fn doubt(&self) -> Option<Doubt> {
        self.reader.as_ref().err().copied()
    }

    /// The next piece of its body.
    ///
    /// # Errors
    /// It is too long.
    pub fn update(&mut self, piece: &[u8]) -> Result<(), Error> {
        self.read = self.read.saturating_add(piece.len());
        HOOK_BODY
            .check(self.read, "this delivery")
            .map_err(|over| Error::over("body", &over))?;
        if let Ok(reader) = &mut self.reader {
            reader.update(piece);
        }
        Ok(())
    }

    /// The body has come. A good delivery has the remote looked at soon.
    ///
    /// # Errors
    /// It is not believed.
    pub fn end(self, cid: &Cid) -> Result<(), Error> {
        let Self {
            project,
            said,
            reader,
            ..
        } = self;
        let known = reader.and_then(Reader::finish);
        let is_ping = said.event == "ping";
        let delivery = Delivery {
            at: Timestamp::now(),
            scheme: known.map(|scheme| scheme.to_string()).unwrap_or_default(),
            event: word(&said.event),
            id: word(&said.id),
            accepted: known.is_ok(),
            outcome: match &known {
                Err(doubt) => doubt.to_string(),
                Ok(_) if is_ping => "the secret is right".into(),
                Ok(_) => String::new(),
            },
        };
        cid.deliveries.keep(&project.name, delivery);
        match known {
            Ok(_) if is_ping => Ok(()),
            Ok(_) => {
                cid.looks.hint(&project.name);
                Ok(())
            }
            Err(doubt) => Err(Error::Denied {
                message: format!("this delivery is not believed: {doubt}"),
                hint: None,
            }),
        }
    }
}

/// The deliveries of a project, newest first.
///
/// # Errors
/// There is no such project, it takes no webhooks, or the actor may not.
pub async fn hooks(cid: &Cid, claim: Claim, project: &str) -> Result<Vec<Delivery>, Error> {
    let project = cid.projects.named_or_only(project)?;
    let subject = Subject::of_project(&project.name);
    let _permit = claim.bind(subject).await?;
    if project.git.webhook_secret_file.is_none() {
        return Err(Error::Precondition {
            message: format!("the project {} takes no webhooks", project.name),
            hint: Some("set webhook_secret_file under [git] in its file".into()),
        });
    }
    Ok(cid.deliveries.of(&project.name))
}

fn word(text: &str) -> String {
    let plain: String = text.chars().filter(|c| !c.is_control()).collect();
    cut(&plain, WORD).to_owned()
}
