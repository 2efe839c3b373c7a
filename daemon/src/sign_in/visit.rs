//! Visitors of apps that are for people alone. A session at the front, which only the front's own site ever sees, vouches
//! for another token at each site; this one is good for that site alone, and ends with the session. Nothing of it is
//! stored: it is the session's number with a proof, keyed by the hash that the ledger has of the session's own token.

use super::{SignIn, secret};
use crate::{authz::Person, error::Error, store::Hash};
use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use sha2::Sha256;

/// For how many seconds a ticket is good.
const TICKET_LIFE: i64 = 60;

/// What a proof is for; one is never taken for the other.
enum Use<'a> {
    /// To be exchanged at once, by the browser that has this state.
    Ticket { state: &'a str, until: i64 },
    /// For as long as the session.
    Visit,
}

impl Use<'_> {
    /// What is proved; no part can be taken for two.
    fn proof(&self, key: &Hash, unit: &str) -> Option<Hmac<Sha256>> {
        let text = match self {
            Self::Ticket { state, until } => format!("ticket\n{unit}\n{until}\n{state}"),
            Self::Visit => format!("visit\n{unit}"),
        };
        let mut mac = Hmac::<Sha256>::new_from_slice(key.0.as_bytes()).ok()?;
        mac.update(text.as_bytes());
        Some(mac)
    }
}

impl SignIn {
    /// A ticket with which a browser that has this state becomes known at the site of `unit`, to the person whose
    /// session this is.
    ///
    /// # Errors
    /// The session has ended, or the ledger fails.
    pub async fn ticket(&self, session: &str, unit: &str, state: &str) -> Result<String, Error> {
        let hash = secret::hash_of_token(session).ok_or(Error::SignedOut)?;
        let number = self.store.session_number(hash.clone()).await?;
        let number = number.ok_or(Error::SignedOut)?;
        let until = Timestamp::now().as_second() + TICKET_LIFE;
        let proof = Use::Ticket { state, until }.proof(&hash, unit);
        let proof = proof.ok_or(Error::SignedOut)?.finalize().into_bytes();
        Ok(format!(
            "{number}.{until}.{}",
            BASE64URL_NOPAD.encode(&proof)
        ))
    }

    /// Turns a ticket into the token of a visitor.
    ///
    /// # Errors
    /// It is not good: for another site or browser, too old, or its session has ended.
    pub async fn enter(
        &self,
        ticket: &str,
        unit: &str,
        state: &str,
    ) -> Result<(String, Person), Error> {
        let parts: Vec<&str> = ticket.split('.').collect();
        let [number, until, proof] = parts[..] else {
            return Err(Error::SignedOut);
        };
        let until: i64 = until.parse().map_err(|_| Error::SignedOut)?;
        let left = until - Timestamp::now().as_second();
        if state.is_empty() || !(0..=TICKET_LIFE).contains(&left) {
            return Err(Error::SignedOut);
        }
        let (key, person) = self
            .vouched(number, proof, unit, &Use::Ticket { state, until })
            .await?;
        let proof = Use::Visit.proof(&key, unit);
        let proof = proof.ok_or(Error::SignedOut)?.finalize().into_bytes();
        Ok((
            format!("{number}.{}", BASE64URL_NOPAD.encode(&proof)),
            person,
        ))
    }

    /// The person whose token this is, at the site of `unit`.
    ///
    /// # Errors
    /// It is for another site, or its session has ended.
    pub async fn visitor(&self, token: &str, unit: &str) -> Result<Person, Error> {
        let (number, proof) = token.split_once('.').ok_or(Error::SignedOut)?;
        let (_, person) = self.vouched(number, proof, unit, &Use::Visit).await?;
        Ok(person)
    }

    async fn vouched(
        &self,
        number: &str,
        proof: &str,
        unit: &str,
        of: &Use<'_>,
    ) -> Result<(Hash, Person), Error> {
        let number: i64 = number.parse().map_err(|_| Error::SignedOut)?;
        let proof = BASE64URL_NOPAD
            .decode(proof.as_bytes())
            .map_err(|_| Error::SignedOut)?;
        let found = self
            .store
            .numbered_session(number, Timestamp::now())
            .await?;
        let (key, email) = found.ok_or(Error::SignedOut)?;
        let expected = of.proof(&key, unit).ok_or(Error::SignedOut)?;
        expected
            .verify_slice(&proof)
            .map_err(|_| Error::SignedOut)?;
        let person = self.person(email).ok_or(Error::SignedOut)?;
        Ok((key, person))
    }
}
