//! Links by mail: asked for by visitors, made and sent afterwards, so that an answer tells nothing of an address.

use super::{Link, SignIn};
use crate::{
    config::Mail,
    domain::Email,
    error::Error,
    system::{
        helpers::{Identity, Launcher, ask_once},
        mail,
    },
};
use cid_protocol::{
    budget::MAILS,
    fault::Fault,
    request::{MailTaken, SendMail},
};
use futures::StreamExt;
use jiff::Timestamp;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{
        Semaphore,
        mpsc::{Receiver, Sender, channel},
    },
    time::sleep,
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

/// How long one attempt may take.
const LIMIT: Duration = Duration::from_secs(60);
/// The pauses before further attempts; a link is good for 15 minutes.
const PAUSES: [Duration; 2] = [Duration::from_secs(15), Duration::from_secs(60)];
/// How many mails are on their way at once.
const AT_ONCE: usize = 4;

/// The language of a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// English.
    English,
    /// Russian.
    Russian,
}

/// A link that a visitor has asked for.
pub(super) struct Asked {
    email: Email,
    language: Language,
}

/// Mails that wait, and how the last ones went.
pub(super) struct Post {
    waiting: Sender<Asked>,
    taken: Mutex<Option<Receiver<Asked>>>,
    told: Mutex<PostState>,
}

/// How sending mail goes.
#[derive(Clone, Debug, Default)]
pub struct PostState {
    /// How many wait or are on their way.
    pub waiting: usize,
    /// The last one that could not be sent, if none was sent since: when, and why.
    pub failed: Option<(Timestamp, String)>,
}

impl Default for Post {
    fn default() -> Self {
        let (waiting, taken) = channel(MAILS.most);
        Self {
            waiting,
            taken: Mutex::new(Some(taken)),
            told: Mutex::default(),
        }
    }
}

impl Post {
    fn told(&self) -> MutexGuard<'_, PostState> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SignIn {
    /// Whether visitors can have a link sent: it is known how, and what its address begins with.
    pub fn can_mail(&self) -> bool {
        self.settings.mail.is_some() && self.front_url().is_some()
    }

    /// Has a link for this address sent, if it may sign in. The answer is the same, and as quick, whether it may
    /// or not.
    ///
    /// # Errors
    /// No mail can be sent here, this is no address, or too much was asked for.
    pub fn ask_for_link(&self, email: &str, client: &str, language: Language) -> Result<(), Error> {
        if !self.can_mail() {
            return Err(Error::Precondition {
                message: "cid sends no mail here".into(),
                hint: Some("an administrator makes links: cictl people link EMAIL".into()),
            });
        }
        self.asks.asks_of_client(client)?;
        let email = Email::parse(email.trim())
            .map_err(|error| Error::invalid("email", error.to_string()))?;
        self.asks.asks_of_address(&email)?;
        let asked = Asked { email, language };
        self.post.told().waiting += 1;
        self.post.waiting.try_send(asked).map_err(|_| {
            self.post.told().waiting -= 1;
            Error::Exhausted {
                message: MAILS.over("one more").to_string(),
                hint: Some("try again in a few minutes".into()),
            }
        })
    }

    /// How sending mail goes.
    pub fn post(&self) -> PostState {
        self.post.told().clone()
    }

    /// Makes and sends the links that are asked for, until the daemon stops.
    pub async fn deliver_forever(self, launcher: Arc<dyn Launcher>, stopping: CancellationToken) {
        let taken = &self.post.taken;
        let taken = taken.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(taken) = taken else { return };
        // A mail that waits for its next attempt takes no place.
        let places = Semaphore::new(AT_ONCE);
        let all = ReceiverStream::new(taken).for_each_concurrent(MAILS.most, async |asked| {
            let launcher = launcher.as_ref();
            let outcome = self.deliver(&asked, launcher, &places, &stopping).await;
            let mut told = self.post.told();
            told.waiting -= 1;
            match outcome {
                Ok(false) => {}
                Ok(true) => told.failed = None,
                Err(why) => {
                    tracing::warn!("{why}");
                    told.failed = Some((Timestamp::now(), why));
                }
            }
        });
        tokio::select! {
            () = all => {}
            () = stopping.cancelled() => {}
        }
    }

    /// Whether a mail was sent: none is for an address that may not sign in, or has links enough.
    async fn deliver(
        &self,
        asked: &Asked,
        launcher: &dyn Launcher,
        places: &Semaphore,
        stopping: &CancellationToken,
    ) -> Result<bool, String> {
        let (Some(mail), Some(front)) = (&self.settings.mail, self.front_url()) else {
            return Ok(false);
        };
        let link = match self.link(asked.email.clone(), &front).await {
            Ok(link) => link,
            Err(Error::Precondition { .. } | Error::Exhausted { .. }) => {
                tracing::info!("no link is sent: its address may not sign in, or has links enough");
                return Ok(false);
            }
            Err(error) => return Err(format!("cannot make a link to send: {error}")),
        };
        let request = letter(mail, asked, &front, &link).map_err(|fault| fault.message)?;
        let mut pauses = PAUSES.into_iter();
        loop {
            let cancel = stopping.clone();
            let place = places.acquire().await;
            let sent = ask_once(launcher, Identity::Tools, LIMIT, cancel, request.clone()).await;
            drop(place);
            let fault = match sent {
                Ok(MailTaken::Taken) => return Ok(true),
                Ok(MailTaken::Refused(why)) => {
                    return Err(format!("the mail server refuses a link: {why}"));
                }
                Err(fault) => fault,
            };
            match pauses.next() {
                Some(pause) => sleep(pause).await,
                None => return Err(fault.message),
            }
        }
    }
}

/// The mail with a link.
fn letter(mail: &Mail, asked: &Asked, front: &str, link: &Link) -> Result<SendMail, Fault> {
    let host = front.split("://").last().unwrap_or(front);
    let host = host.trim_end_matches('/');
    let (email, url, code) = (&asked.email, &link.url, &link.code);
    let (subject, text) = match asked.language {
        Language::English => (
            format!("Sign in to {host}"),
            format!(
                "Open this link to sign in as {email}:\n\n{url}\n\n\
                 On another device, open {front}sign-in and type your address and this code: {code}\n\n\
                 Link and code are good once, for 15 minutes. If you did not ask for them, do\n\
                 nothing: without them nobody is signed in.\n"
            ),
        ),
        Language::Russian => (
            format!("Вход на {host}"),
            format!(
                "Откройте эту ссылку, чтобы войти как {email}:\n\n{url}\n\n\
                 На другом устройстве откройте {front}sign-in и введите свой адрес и код: {code}\n\n\
                 Ссылка и код действуют один раз, 15 минут. Если вы их не запрашивали, ничего не\n\
                 делайте: без них никто не войдёт.\n"
            ),
        ),
    };
    mail::letter(mail, email, subject, text)
}
