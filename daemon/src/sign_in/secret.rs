//! Tokens and codes: random, told once, stored as hashes.

use crate::store::Hash;
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use sha2::{Digest as _, Sha256};

const TOKEN_BYTES: usize = 32;
/// Without 0, 1, I and O, which people mistake for each other: 32 letters, so that a byte's low bits
/// choose evenly.
const ALPHABET: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
const CODE_LEN: usize = 8;

/// The machine gives no random numbers.
#[derive(Debug)]
pub(super) struct NoRandom;

/// A token or a code.
pub(super) struct Secret(String);

impl Secret {
    /// 256 random bits, fit for an address.
    pub(super) fn token() -> Result<Self, NoRandom> {
        Ok(Self(BASE64URL_NOPAD.encode(&random::<TOKEN_BYTES>()?)))
    }

    /// 40 random bits, fit for typing.
    pub(super) fn code() -> Result<Self, NoRandom> {
        let letters = random::<CODE_LEN>()?.map(|byte| ALPHABET[usize::from(byte & 31)]);
        Ok(Self(letters.into_iter().map(char::from).collect()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// As people read it: `ABCD-EFGH`.
    pub(super) fn grouped(&self) -> String {
        let (first, second) = self.0.split_at(self.0.len() / 2);
        format!("{first}-{second}")
    }

    pub(super) fn hash(&self) -> Hash {
        hash(&self.0)
    }
}

/// The hash of what should be a token; `None` if it cannot be one.
pub(super) fn hash_of_token(text: &str) -> Option<Hash> {
    let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
    (bytes.len() == TOKEN_BYTES).then(|| hash(text))
}

/// The hash of a code as it was typed: in any case, with spaces or hyphens; `None` if it cannot be one.
pub(super) fn hash_of_code(text: &str) -> Option<Hash> {
    let letters = text.chars().filter(|c| !matches!(c, '-' | ' '));
    let code: String = letters
        .map(|c| c.to_ascii_uppercase())
        .take(CODE_LEN + 1)
        .collect();
    let is_code = code.len() == CODE_LEN && code.bytes().all(|b| ALPHABET.contains(&b));
    is_code.then(|| hash(&code))
}

fn hash(text: &str) -> Hash {
    Hash(HEXLOWER.encode(&Sha256::digest(text.as_bytes())))
}

fn random<const N: usize>() -> Result<[u8; N], NoRandom> {
    let mut bytes = [0; N];
    let source = rustls::crypto::ring::default_provider().secure_random;
    source.fill(&mut bytes).map_err(|_| NoRandom)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_differ_and_are_found_by_their_hash() {
        let (one, two) = (Secret::token().unwrap(), Secret::token().unwrap());
        assert_ne!(one.as_str(), two.as_str());
        assert_eq!(hash_of_token(one.as_str()), Some(one.hash()));
        assert_ne!(one.hash(), two.hash());
        assert!(!one.hash().0.contains(one.as_str()));
        let code = Secret::code().unwrap();
        for typed in [
            code.grouped(),
            code.grouped().to_lowercase(),
            format!(" {} ", code.as_str()),
        ] {
            assert_eq!(hash_of_code(&typed), Some(code.hash()), "{typed}");
        }
    }

    #[test]
    fn what_cannot_be_one_has_no_hash() {
        for text in [
            "",
            "abc",
            "..",
            &"A".repeat(42),
            &"A".repeat(44),
            "\u{212a}",
        ] {
            assert_eq!(hash_of_token(text), None, "{text}");
        }
        for text in [
            "",
            "ABCDEFG",
            "ABCDEFGHJ",
            "ABCDEFG0",
            "ABCDEFG\u{212a}",
            &"A".repeat(9999),
        ] {
            assert_eq!(hash_of_code(text), None, "{text}");
        }
    }
}
