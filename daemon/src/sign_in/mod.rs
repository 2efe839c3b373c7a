//! Signing in at the front: a link proves an address once, and becomes a session. The daemon makes both and
//! checks both; the front only carries the session's token.

mod attempts;
mod mail;
mod secret;
mod visit;

pub use mail::{Language, PostState};

use crate::{
    authz::{Guest, Person},
    config::{FrontUrl, Settings, SignIn as Mode},
    domain::Email,
    error::Error,
    store::{NewLink, NewSession, Proof, Purpose, Refused, Sessions, Store},
};
use attempts::Attempts;
use cid_protocol::{
    budget::{LINKS, LINKS_OF_ADDRESS, SESSIONS},
    fault::Fault,
};
use jiff::{SignedDuration, Timestamp};
use mail::Post;
use secret::Secret;
use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

/// How long a link is good.
const LINK_LIFE: SignedDuration = SignedDuration::from_mins(15);
/// How long a session lasts that is not used.
const SESSION_LIFE: SignedDuration = SignedDuration::from_hours(24 * 30);
/// Where the front takes links; the token follows.
const LINK_PATH: &str = "sign-in/";

/// A link that was made.
pub struct Link {
    /// The whole address to open.
    pub url: String,
    /// Instead of it, with the e-mail address.
    pub code: String,
    /// When both end.
    pub expires_at: Timestamp,
}

/// A session's token. Shown to the front once.
pub struct Token(String);

impl Token {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// Links and sessions. Cheap to clone.
#[derive(Clone)]
pub struct SignIn {
    store: Store,
    settings: Arc<Settings>,
    default: Mode,
    attempts: Arc<Attempts>,
    /// Links that were asked for by mail.
    asks: Arc<Attempts>,
    post: Arc<Post>,
    /// Where the front answers that was switched on.
    front: Arc<Mutex<Option<String>>>,
}

impl SignIn {
    /// `default` is what holds where the settings say nothing.
    pub fn new(store: Store, settings: Arc<Settings>, default: Mode) -> Self {
        let attempts = Arc::default();
        Self {
            store,
            settings,
            default,
            attempts,
            asks: Arc::default(),
            post: Arc::default(),
            front: Arc::default(),
        }
    }

    /// Whether visitors must sign in.
    pub fn mode(&self) -> Mode {
        self.settings.front.sign_in.unwrap_or(self.default)
    }

    /// The front's address by the settings.
    pub fn set_url(&self) -> Option<&str> {
        self.settings.front.url.as_ref().map(FrontUrl::as_str)
    }

    /// The front's address, by the settings or as it was switched on.
    pub fn front_url(&self) -> Option<String> {
        let set = self.set_url().map(str::to_owned);
        let front = || {
            self.front
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone()
        };
        set.or_else(front)
    }

    /// Remembers where the front answers that was switched on.
    pub fn answer_at(&self, url: Option<String>) {
        *self.front.lock().unwrap_or_else(PoisonError::into_inner) = url;
    }

    /// Makes a link for an address. `front` is where the front answers.
    ///
    /// # Errors
    /// The address may not sign in, has too many links, or the ledger fails.
    pub async fn link(&self, email: Email, front: &str) -> Result<Link, Error> {
        if !self.settings.people.may_sign_in(&email) {
            return Err(Error::Precondition {
                message: format!("{email} may not sign in"),
                hint: Some(
                    "name the address or its domain under [people] in cid.toml, and restart cid"
                        .into(),
                ),
            });
        }
        if front.is_empty() {
            return Err(Error::Precondition {
                message: "cannot make a link: cid does not know where people reach the front"
                    .into(),
                hint: Some("set url under [front] in cid.toml, and restart cid".into()),
            });
        }
        let (token, code) = (Secret::token()?, Secret::code()?);
        let made_at = Timestamp::now();
        let expires_at = after(made_at, LINK_LIFE);
        let new = NewLink {
            token: token.hash(),
            code: code.hash(),
            email: email.clone(),
            purpose: Purpose::SignIn,
            made_at,
            expires_at,
        };
        match self.store.add_link(new).await? {
            Ok(()) => Ok(Link {
                url: format!("{front}{LINK_PATH}{}", token.as_str()),
                code: code.grouped(),
                expires_at,
            }),
            Err(Refused::OfAddress) => Err(Error::Exhausted {
                message: LINKS_OF_ADDRESS
                    .over(format_args!("one more link for {email}"))
                    .to_string(),
                hint: Some(format!(
                    "use one of them, wait {} minutes, or end them: cictl people sign-out {email}",
                    LINK_LIFE.as_mins()
                )),
            }),
            Err(_) => Err(Error::Exhausted {
                message: LINKS.over("one more link").to_string(),
                hint: Some("try again when some have expired".into()),
            }),
        }
    }

    /// Turns the token of a link into a session.
    ///
    /// # Errors
    /// It is not good, there were too many attempts, or the ledger fails.
    pub async fn redeem_token(&self, token: &str, client: &str) -> Result<(Token, Person), Error> {
        self.attempts.of_client(client)?;
        let Some(hash) = secret::hash_of_token(token) else {
            return Err(not_good());
        };
        // Guesses cost a read and no write.
        if !self.store.has_link(hash.clone()).await? {
            return Err(not_good());
        }
        self.redeem(Proof::Token(hash)).await
    }

    /// Turns the code of a link into a session.
    ///
    /// # Errors
    /// As [`Self::redeem_token`].
    pub async fn redeem_code(
        &self,
        email: &str,
        code: &str,
        client: &str,
    ) -> Result<(Token, Person), Error> {
        self.attempts.of_client(client)?;
        let (Ok(email), Some(hash)) = (Email::parse(email.trim()), secret::hash_of_code(code))
        else {
            return Err(not_good());
        };
        self.attempts.of_address(&email)?;
        self.redeem(Proof::Code(email, hash)).await
    }

    async fn redeem(&self, proof: Proof) -> Result<(Token, Person), Error> {
        let token = Secret::token()?;
        let made_at = Timestamp::now();
        let session = NewSession {
            token: token.hash(),
            made_at,
            expires_at: after(made_at, SESSION_LIFE),
        };
        match self.store.redeem(proof, Purpose::SignIn, session).await? {
            Ok(email) => match self.person(email) {
                Some(person) => Ok((Token(token.as_str().to_owned()), person)),
                None => Err(not_good()),
            },
            Err(Refused::InAll) => Err(Error::Exhausted {
                message: SESSIONS.over("one more").to_string(),
                hint: Some("an administrator can end some: cictl people sign-out ADDRESS".into()),
            }),
            Err(_) => Err(not_good()),
        }
    }

    /// Whose session this is; renews it.
    ///
    /// # Errors
    /// It has ended, its address may not sign in any more, or the ledger fails.
    pub async fn person_of(&self, session: &str) -> Result<Person, Error> {
        let hash = secret::hash_of_token(session).ok_or(Error::SignedOut)?;
        let now = Timestamp::now();
        let found = self.store.session(hash, now, after(now, SESSION_LIFE));
        let email = found.await?.ok_or(Error::SignedOut)?;
        self.person(email).ok_or(Error::SignedOut)
    }

    /// On whose behalf the front calls, by the session's token that came with the call.
    ///
    /// # Errors
    /// As [`Self::person_of`].
    pub async fn guest(&self, session: Option<&str>) -> Result<Guest, Error> {
        let person = match session {
            Some(session) => Some(self.person_of(session).await?),
            None => None,
        };
        Ok(Guest {
            is_open: self.mode() == Mode::Open,
            person,
        })
    }

    fn person(&self, email: Email) -> Option<Person> {
        let people = &self.settings.people;
        people.may_sign_in(&email).then(|| Person {
            is_administrator: people.is_administrator(&email),
            may_create_for_others: people.may_create_for_others(&email),
            email,
        })
    }

    /// Ends a session; with `everywhere` all of the same address, and its links.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn sign_out(&self, session: &str, everywhere: bool) -> Result<(), Error> {
        let Some(hash) = secret::hash_of_token(session) else {
            return Ok(());
        };
        if everywhere && let Ok(person) = self.person_of(session).await {
            self.store.end_sessions_of(person.email).await?;
        }
        Ok(self.store.end_session(hash).await?)
    }

    /// Everyone who is signed in.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn signed_in(&self) -> Result<Vec<Sessions>, Error> {
        Ok(self.store.signed_in(Timestamp::now()).await?)
    }

    /// Ends all sessions and links of an address. Returns how many sessions there were.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn end_sessions_of(&self, email: Email) -> Result<usize, Error> {
        Ok(self.store.end_sessions_of(email).await?)
    }
}

/// One answer for a wrong, a used and an expired proof, and for an address that may not or is unknown.
fn not_good() -> Error {
    Error::NotGood
}

fn after(time: Timestamp, life: SignedDuration) -> Timestamp {
    time.saturating_add(life).unwrap_or(time)
}

impl From<secret::NoRandom> for Error {
    fn from(_: secret::NoRandom) -> Self {
        Fault::new("cannot make a link: the machine gives no random numbers").into()
    }
}
