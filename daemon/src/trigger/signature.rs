//! Who sent a webhook: the signatures of the forges, over the body as it came, without holding it.

use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use std::{fmt, time::Duration};
use subtle::ConstantTimeEq as _;

/// How far the time in a delivery may be from now.
const WINDOW: Duration = Duration::from_mins(5);
/// What a secret of Standard Webhooks begins with.
const PREFIX: &str = "whsec_";

/// The headers of a delivery that say who sent it.
#[derive(Clone, Debug, Default)]
pub struct Headers {
    /// `webhook-id`, of Standard Webhooks.
    pub webhook_id: String,
    /// `webhook-timestamp`, of Standard Webhooks.
    pub webhook_timestamp: String,
    /// `webhook-signature`, of Standard Webhooks.
    pub webhook_signature: String,
    /// `x-hub-signature-256`, of GitHub, Gitea and Forgejo.
    pub hub_256: String,
    /// `x-forgejo-signature` or `x-gitea-signature`.
    pub gitea: String,
    /// `x-hub-signature`, of Bitbucket; other forges send a SHA-1 in it.
    pub hub: String,
    /// `x-gitlab-token`.
    pub gitlab_token: String,
}

/// How a delivery is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Standard Webhooks; GitLab's signing token.
    Standard,
    /// GitHub's.
    GitHub,
    /// Gitea's and Forgejo's own header.
    Gitea,
    /// Bitbucket's.
    Bitbucket,
    /// GitLab's secret token, which signs nothing.
    GitLab,
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Standard => "standard",
            Self::GitHub => "github",
            Self::Gitea => "gitea",
            Self::Bitbucket => "bitbucket",
            Self::GitLab => "gitlab",
        })
    }
}

/// Why a delivery is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// It has no signature that cid knows.
    Unsigned,
    /// The signature is not this secret's, or not of this body.
    Forged,
    /// It is too old, or of the future.
    OutOfTime,
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unsigned => "it has no signature that cid knows",
            Self::Forged => "its signature is wrong: is the secret the same at both ends?",
            Self::OutOfTime => {
                "its time is more than 5 minutes from now: it is old, or a clock is wrong"
            }
        })
    }
}

/// Reads the body piece by piece.
pub struct Reader {
    scheme: Scheme,
    /// One for each secret that is good.
    macs: Vec<Hmac<Sha256>>,
    /// Each of them would do.
    given: Vec<Vec<u8>>,
    /// The scheme signs nothing, and the token is right.
    is_known: bool,
}

impl Reader {
    /// Chooses the scheme by the headers. `secrets` are those of the project, `now` is in seconds since 1970.
    ///
    /// # Errors
    /// There is no signature, it is malformed, or its time is past.
    pub fn new(headers: &Headers, secrets: &[String], now: i64) -> Result<Self, Doubt> {
        let (scheme, given) = signature(headers)?;
        let mut macs = Vec::new();
        let mut is_known = false;
        match scheme {
            Scheme::GitLab => {
                // All are compared, so that the time tells nothing.
                let token = headers.gitlab_token.as_bytes();
                let same = secrets.iter().map(|secret| secret.as_bytes().ct_eq(token));
                is_known = same
                    .fold(0.into(), |any: subtle::Choice, one| any | one)
                    .into();
            }
            _ => macs.extend(secrets.iter().filter_map(|secret| keyed(scheme, secret))),
        }
        if scheme == Scheme::Standard {
            let at: i64 = headers
                .webhook_timestamp
                .parse()
                .map_err(|_| Doubt::Forged)?;
            if now.abs_diff(at) > WINDOW.as_secs() {
                return Err(Doubt::OutOfTime);
            }
            let before = format!("{}.{}.", headers.webhook_id, headers.webhook_timestamp);
            for mac in &mut macs {
                mac.update(before.as_bytes());
            }
        }
        Ok(Self {
            scheme,
            macs,
            given,
            is_known,
        })
    }

    /// The next piece of the body.
    pub fn update(&mut self, piece: &[u8]) {
        for mac in &mut self.macs {
            mac.update(piece);
        }
    }

    /// After the last piece.
    ///
    /// # Errors
    /// The signature is wrong.
    pub fn finish(self) -> Result<Scheme, Doubt> {
        let tags = self.macs.into_iter().map(|mac| mac.finalize().into_bytes());
        let mut is_known = subtle::Choice::from(u8::from(self.is_known));
        for tag in tags {
            for given in &self.given {
                is_known |= tag.as_slice().ct_eq(given);
            }
        }
        match is_known.into() {
            true => Ok(self.scheme),
            false => Err(Doubt::Forged),
        }
    }
}

/// The first that is there counts, and no other: what is stronger comes first.
fn signature(headers: &Headers) -> Result<(Scheme, Vec<Vec<u8>>), Doubt> {
    let hex = |text: &str| HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok();
    let one = |scheme, signature: Option<Vec<u8>>| match signature {
        Some(signature) => Ok((scheme, vec![signature])),
        None => Err(Doubt::Forged),
    };
    let prefixed = |text: &str| text.strip_prefix("sha256=").and_then(hex);
    if !headers.webhook_signature.is_empty() {
        let words = headers.webhook_signature.split_ascii_whitespace();
        let first = words.filter_map(|word| word.strip_prefix("v1,"));
        let given = first.filter_map(|text| BASE64.decode(text.as_bytes()).ok());
        // A delivery has one for each of its receiver's keys.
        return Ok((Scheme::Standard, given.take(8).collect()));
    }
    if !headers.hub_256.is_empty() {
        return one(Scheme::GitHub, prefixed(&headers.hub_256));
    }
    if !headers.gitea.is_empty() {
        return one(Scheme::Gitea, hex(&headers.gitea));
    }
    if headers.hub.starts_with("sha256=") {
        return one(Scheme::Bitbucket, prefixed(&headers.hub));
    }
    match headers.gitlab_token.is_empty() {
        true => Err(Doubt::Unsigned),
        false => Ok((Scheme::GitLab, Vec::new())),
    }
}

fn keyed(scheme: Scheme, secret: &str) -> Option<Hmac<Sha256>> {
    let key = match (scheme, secret.strip_prefix(PREFIX)) {
        // That of Standard Webhooks is written in base64.
        (Scheme::Standard, Some(text)) => BASE64.decode(text.as_bytes()).ok()?,
        _ => secret.as_bytes().to_vec(),
    };
    Hmac::new_from_slice(&key).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "It's a Secret to Everybody";
    const BODY: &[u8] = b"Hello, World!";
    const NOW: i64 = 1_614_265_330;
    /// The example of GitHub's documentation.
    const GITHUB: &str = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    /// The example of the Standard Webhooks specification's libraries.
    const STANDARD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn read(headers: &Headers, secrets: &[&str], body: &[u8]) -> Result<Scheme, Doubt> {
        let secrets: Vec<String> = secrets.iter().map(ToString::to_string).collect();
        let mut reader = Reader::new(headers, &secrets, NOW)?;
        for piece in body.chunks(5) {
            reader.update(piece);
        }
        reader.finish()
    }

    fn standard() -> (Headers, &'static [u8]) {
        let headers = Headers {
            webhook_id: "msg_p5jXN8AQM9LWM0D4loKWxJek".into(),
            webhook_timestamp: "1614265330".into(),
            webhook_signature: "v1,bm9ldHUjKzFob2VudXRob2VodWUzMjRvdWVvdW9ldQo= \
                v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
                .into(),
            ..Headers::default()
        };
        (headers, br#"{"test": 2432232314}"#)
    }

    /// Each forge's, as it documents them.
    fn all() -> Vec<(Scheme, Headers, &'static str, &'static [u8])> {
        let hub_256 = format!("sha256={GITHUB}");
        let (of_standard, body) = standard();
        vec![
            (
                Scheme::GitHub,
                Headers {
                    hub_256: hub_256.clone(),
                    hub: "sha1=0000".into(),
                    ..Headers::default()
                },
                SECRET,
                BODY,
            ),
            (
                Scheme::Gitea,
                Headers {
                    gitea: GITHUB.into(),
                    hub: "sha1=0000".into(),
                    ..Headers::default()
                },
                SECRET,
                BODY,
            ),
            (
                Scheme::Bitbucket,
                Headers {
                    hub: hub_256,
                    ..Headers::default()
                },
                SECRET,
                BODY,
            ),
            (
                Scheme::GitLab,
                Headers {
                    gitlab_token: SECRET.into(),
                    webhook_id: "always there".into(),
                    ..Headers::default()
                },
                SECRET,
                BODY,
            ),
            (Scheme::Standard, of_standard, STANDARD, body),
        ]
    }

    #[test]
    fn each_forges_signature_is_known_by_one_of_the_secrets() {
        for (scheme, headers, secret, body) in all() {
            assert_eq!(read(&headers, &[secret], body), Ok(scheme));
            assert_eq!(read(&headers, &["another one", secret], body), Ok(scheme));
        }
    }

    #[test]
    fn what_is_changed_or_of_another_secret_is_forged() {
        for (scheme, headers, secret, body) in all() {
            for other in [&[][..], &["another secret"], &[""], &[&secret[1..]]] {
                assert_eq!(read(&headers, other, body), Err(Doubt::Forged), "{scheme}");
            }
            if scheme == Scheme::GitLab {
                continue;
            }
            // Every bit of the body, a longer and a shorter one.
            for bit in 0..body.len() * 8 {
                let mut flipped = body.to_vec();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(read(&headers, &[secret], &flipped), Err(Doubt::Forged));
            }
            let longer = [body, b"\n"].concat();
            for body in [&longer, &body[1..], b""] {
                assert_eq!(read(&headers, &[secret], body), Err(Doubt::Forged));
            }
        }
    }

    #[test]
    fn every_letter_of_a_signature_counts() {
        for (scheme, headers, secret, body) in all() {
            let text = |headers: &Headers| {
                let Headers {
                    webhook_signature,
                    hub_256,
                    gitea,
                    hub,
                    gitlab_token,
                    ..
                } = headers;
                match scheme {
                    Scheme::Standard => webhook_signature.clone(),
                    Scheme::GitHub => hub_256.clone(),
                    Scheme::Gitea => gitea.clone(),
                    Scheme::Bitbucket => hub.clone(),
                    Scheme::GitLab => gitlab_token.clone(),
                }
            };
            let with = |text: String| {
                let mut headers = headers.clone();
                let Headers {
                    webhook_signature,
                    hub_256,
                    gitea,
                    hub,
                    gitlab_token,
                    ..
                } = &mut headers;
                *match scheme {
                    Scheme::Standard => webhook_signature,
                    Scheme::GitHub => hub_256,
                    Scheme::Gitea => gitea,
                    Scheme::Bitbucket => hub,
                    Scheme::GitLab => gitlab_token,
                } = text;
                headers
            };
            let good = text(&headers);
            // Of the first of two signatures nothing counts.
            let begin = if scheme == Scheme::Standard {
                good.find(' ').unwrap()
            } else {
                0
            };
            for at in begin..good.len() {
                let mut bytes = good.clone().into_bytes();
                bytes[at] = if bytes[at] == b'x' { b'y' } else { b'x' };
                let Ok(bad) = String::from_utf8(bytes) else {
                    continue;
                };
                assert!(read(&with(bad.clone()), &[secret], body).is_err(), "{bad}");
            }
            for bad in [
                &good[..good.len() - 1],
                &format!("{good}0"),
                "sha256=",
                "v1,",
                "sha1=00",
            ] {
                assert!(
                    read(&with(bad.to_owned()), &[secret], body).is_err(),
                    "{scheme} {bad}"
                );
            }
        }
    }

    #[test]
    fn the_time_and_the_id_of_a_delivery_count() {
        let (headers, body) = standard();
        for (time, doubt) in [
            ("1614265331", Doubt::Forged),
            ("1614265029", Doubt::OutOfTime),
            ("1614265631", Doubt::OutOfTime),
            ("", Doubt::Forged),
            ("-9223372036854775808", Doubt::OutOfTime),
        ] {
            let other = Headers {
                webhook_timestamp: time.into(),
                ..headers.clone()
            };
            assert_eq!(read(&other, &[STANDARD], body), Err(doubt), "{time}");
        }
        let other = Headers {
            webhook_id: "msg_another".into(),
            ..headers
        };
        assert_eq!(read(&other, &[STANDARD], body), Err(Doubt::Forged));
    }

    #[test]
    fn one_without_a_signature_is_not_read() {
        for headers in [
            Headers::default(),
            Headers {
                hub: "sha1=757107ea0eb2509fc211221cce984b8a37570b6d".into(),
                ..Headers::default()
            },
            Headers {
                webhook_id: "x".into(),
                webhook_timestamp: NOW.to_string(),
                ..Headers::default()
            },
        ] {
            assert_eq!(read(&headers, &[SECRET], BODY), Err(Doubt::Unsigned));
        }
        // A weaker one does not help where the stronger one is wrong.
        let mixed = Headers {
            hub_256: "sha256=00".into(),
            gitlab_token: SECRET.into(),
            ..Headers::default()
        };
        assert_eq!(read(&mixed, &[SECRET], BODY), Err(Doubt::Forged));
    }
}
