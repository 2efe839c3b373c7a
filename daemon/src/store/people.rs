//! Links to sign in, and the sessions they become. Only hashes are stored.

use super::{Store, StoreError, rows::parse};
use crate::domain::Email;
use cid_protocol::budget::{LINKS, LINKS_OF_ADDRESS, SESSIONS, SESSIONS_OF_ADDRESS};
use jiff::{SignedDuration, Timestamp};
use rusqlite::{OptionalExtension as _, Transaction, params};

/// How far a clock may have gone back before what was made "later" is refused.
const CLOCK_SLACK: i64 = 300;
/// A session is renewed when it was used this long ago, so that not every request writes.
const RENEW_AFTER: SignedDuration = SignedDuration::from_mins(10);

/// The hash of a secret, as hex digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hash(pub String);

/// What a link is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Signing in.
    SignIn,
}

impl Purpose {
    fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "sign-in",
        }
    }
}

/// A link that has just been made.
#[derive(Clone, Debug)]
pub struct NewLink {
    /// Of the token in it.
    pub token: Hash,
    /// Of the code that goes with it.
    pub code: Hash,
    /// The only address it is good for.
    pub email: Email,
    /// The only thing it is good for.
    pub purpose: Purpose,
    /// When it was made.
    pub made_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// A session that a link is to become.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// Of its token.
    pub token: Hash,
    /// When it begins.
    pub made_at: Timestamp,
    /// When it ends if it is not used.
    pub expires_at: Timestamp,
}

/// What somebody shows to sign in.
#[derive(Clone, Debug)]
pub enum Proof {
    /// The token of a link.
    Token(Hash),
    /// The code of a link for this address.
    Code(Email, Hash),
}

/// Why there is no link or session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The proof is wrong, used or out of date.
    Wrong,
    /// The address has as many as it may.
    OfAddress,
    /// There are as many as there may be.
    InAll,
}

/// The sessions of one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sessions {
    /// Whose.
    pub email: Email,
    /// How many.
    pub count: usize,
    /// When the oldest began.
    pub since: Timestamp,
    /// When one was last used; to ten minutes.
    pub used_at: Timestamp,
}

impl Store {
    /// Stores a link, unless there are too many.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn add_link(&self, link: NewLink) -> Result<Result<(), Refused>, StoreError> {
        self.write(move |t| {
            forget(t, link.made_at)?;
            let of_address = count(t, "SELECT count(*) FROM sign_in_links WHERE email = ?1", &link)?;
            if of_address >= LINKS_OF_ADDRESS.most {
                return Ok(Err(Refused::OfAddress));
            }
            if count_all(t, "SELECT count(*) FROM sign_in_links")? >= LINKS.most {
                return Ok(Err(Refused::InAll));
            }
            t.execute(
                "INSERT INTO sign_in_links (token_hash, code_hash, email, purpose, made_at, expires_at) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![
                    link.token.0,
                    link.code.0,
                    link.email.as_str(),
                    link.purpose.as_str(),
                    link.made_at.as_second(),
                    link.expires_at.as_second(),
                ],
            )?;
            Ok(Ok(()))
        })
        .await
    }

    /// Turns a link into a session. All other links of the address end with it.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn redeem(
        &self,
        proof: Proof,
        purpose: Purpose,
        session: NewSession,
    ) -> Result<Result<Email, Refused>, StoreError> {
        self.write(move |t| {
            let now = session.made_at;
            forget(t, now)?;
            // Nothing is written for a wrong one: how long that takes would tell which address has a link.
            let Some(email) = email_of(t, &proof, purpose, now)? else {
                return Ok(Err(Refused::Wrong));
            };
            if count_all(t, "SELECT count(*) FROM web_sessions")? >= SESSIONS.most {
                return Ok(Err(Refused::InAll));
            }
            t.execute("DELETE FROM sign_in_links WHERE email = ?1", [&email])?;
            // The oldest session makes way for one too many.
            t.execute(
                "DELETE FROM web_sessions WHERE email = ?1 AND id NOT IN \
                 (SELECT id FROM web_sessions WHERE email = ?1 ORDER BY id DESC LIMIT ?2)",
                params![email, SESSIONS_OF_ADDRESS.most - 1],
            )?;
            t.execute(
                "INSERT INTO web_sessions (token_hash, email, made_at, used_at, expires_at) \
                 VALUES (?1, ?2, ?3, ?3, ?4)",
                params![
                    session.token.0,
                    email,
                    now.as_second(),
                    session.expires_at.as_second()
                ],
            )?;
            Ok(Ok(parse(email)?))
        })
        .await
    }

    /// Whether a link with this token is stored. Reads only, so that guesses cost no write.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn has_link(&self, token: Hash) -> Result<bool, StoreError> {
        self.read(move |c| {
            let mut statement =
                c.prepare_cached("SELECT 1 FROM sign_in_links WHERE token_hash = ?1")?;
            Ok(statement.exists([token.0])?)
        })
        .await
    }

    /// Whose session this is; `None` if there is no such session. Renews it until `expires_at`.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn session(
        &self,
        token: Hash,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<Option<Email>, StoreError> {
        let hash = token.0.clone();
        let found = self
            .read(move |c| {
                let mut statement = c.prepare_cached(
                    "SELECT email, used_at FROM web_sessions \
                     WHERE token_hash = ?1 AND expires_at > ?2 AND used_at <= ?2 + ?3",
                )?;
                let row = statement.query_row(params![hash, now.as_second(), CLOCK_SLACK], |row| {
                    Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))
                });
                Ok(row.optional()?)
            })
            .await?;
        let Some((email, used_at)) = found else {
            return Ok(None);
        };
        if now.as_second() - used_at >= RENEW_AFTER.as_secs() {
            self.write(move |t| {
                let sql =
                    "UPDATE web_sessions SET used_at = ?2, expires_at = ?3 WHERE token_hash = ?1";
                t.execute(
                    sql,
                    params![token.0, now.as_second(), expires_at.as_second()],
                )?;
                Ok(())
            })
            .await?;
        }
        Ok(Some(parse(email)?))
    }

    /// The number of a session; `None` if there is none.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn session_number(&self, token: Hash) -> Result<Option<i64>, StoreError> {
        self.read(move |c| {
            let mut statement =
                c.prepare_cached("SELECT id FROM web_sessions WHERE token_hash = ?1")?;
            Ok(statement
                .query_row([token.0], |row| row.get(0))
                .optional()?)
        })
        .await
    }

    /// The session with this number, which is never given again: the hash of its token, and whose it is.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn numbered_session(
        &self,
        number: i64,
        now: Timestamp,
    ) -> Result<Option<(Hash, Email)>, StoreError> {
        let found = self.read(move |c| {
            let mut statement = c.prepare_cached(
                "SELECT token_hash, email FROM web_sessions \
                 WHERE id = ?1 AND expires_at > ?2 AND used_at <= ?2 + ?3",
            )?;
            let row = statement.query_row(params![number, now.as_second(), CLOCK_SLACK], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
            });
            Ok(row.optional()?)
        });
        match found.await? {
            Some((hash, email)) => Ok(Some((Hash(hash), parse(email)?))),
            None => Ok(None),
        }
    }

    /// Ends one session. It may have ended already.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn end_session(&self, token: Hash) -> Result<(), StoreError> {
        self.write(move |t| {
            t.execute("DELETE FROM web_sessions WHERE token_hash = ?1", [token.0])?;
            Ok(())
        })
        .await
    }

    /// Ends all sessions and links of an address. Returns how many sessions there were.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn end_sessions_of(&self, email: Email) -> Result<usize, StoreError> {
        self.write(move |t| {
            t.execute(
                "DELETE FROM sign_in_links WHERE email = ?1",
                [email.as_str()],
            )?;
            Ok(t.execute(
                "DELETE FROM web_sessions WHERE email = ?1",
                [email.as_str()],
            )?)
        })
        .await
    }

    /// Everyone who is signed in, by address.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn signed_in(&self, now: Timestamp) -> Result<Vec<Sessions>, StoreError> {
        self.read(move |c| {
            let mut statement = c.prepare_cached(
                "SELECT email, count(*), min(made_at), max(used_at) FROM web_sessions \
                 WHERE expires_at > ?1 GROUP BY email ORDER BY email",
            )?;
            let mut rows = statement.query([now.as_second()])?;
            let mut all = Vec::new();
            while let Some(row) = rows.next()? {
                all.push(Sessions {
                    email: parse(row.get(0)?)?,
                    count: row.get(1)?,
                    since: time(row.get(2)?),
                    used_at: time(row.get(3)?),
                });
            }
            Ok(all)
        })
        .await
    }
}

/// The address that a proof is good for, now.
fn email_of(
    t: &Transaction<'_>,
    proof: &Proof,
    purpose: Purpose,
    now: Timestamp,
) -> Result<Option<String>, StoreError> {
    let (token, code, email) = match proof {
        Proof::Token(token) => (Some(&token.0), None, None),
        Proof::Code(email, code) => (None, Some(&code.0), Some(email.as_str())),
    };
    let mut statement = t.prepare_cached(
        "SELECT email FROM sign_in_links WHERE purpose = ?1 AND expires_at > ?2 AND made_at <= ?2 + ?3 \
         AND (token_hash = ?4 OR (email = ?5 AND code_hash = ?6))",
    )?;
    let row = statement.query_row(
        params![
            purpose.as_str(),
            now.as_second(),
            CLOCK_SLACK,
            token,
            email,
            code,
        ],
        |row| row.get(0),
    );
    Ok(row.optional()?)
}

/// Deletes what has expired.
fn forget(t: &Transaction<'_>, now: Timestamp) -> Result<(), StoreError> {
    for table in ["sign_in_links", "web_sessions"] {
        let sql = format!("DELETE FROM {table} WHERE expires_at <= ?1");
        t.execute(&sql, [now.as_second()])?;
    }
    Ok(())
}

fn count(t: &Transaction<'_>, sql: &str, link: &NewLink) -> Result<usize, StoreError> {
    Ok(t.query_row(sql, [link.email.as_str()], |row| row.get(0))?)
}

fn count_all(t: &Transaction<'_>, sql: &str) -> Result<usize, StoreError> {
    Ok(t.query_row(sql, [], |row| row.get(0))?)
}

fn time(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap_or_default()
}

#[cfg(test)]
#[path = "people_tests.rs"]
mod tests;
