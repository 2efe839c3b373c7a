//! The e-mail address a workspace is asked for.

use std::fmt;

/// Longest address taken, in bytes.
pub const MAX_LEN: usize = 254;
/// Longest local part taken, in bytes.
pub const MAX_LOCAL_LEN: usize = 64;
const MAX_LABEL_LEN: usize = 63;

/// A lower-cased ASCII address of the strict form described in `docs/project-file.md`.
///
/// Only [`Email::parse`] makes one of a text, so an `Email` needs no further check.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize)]
#[serde(transparent)]
pub struct Email(String);

/// The part of an address after the `@`, in lower case, by the same rules.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct MailDomain(String);

impl MailDomain {
    /// Parses a domain.
    ///
    /// # Errors
    /// The first rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, EmailError> {
        if text.len() > MAX_LEN {
            return Err(EmailError::TooLong);
        }
        if !text.is_ascii() {
            return Err(EmailError::NotAscii);
        }
        let text = text.to_ascii_lowercase();
        check_domain(&text)?;
        Ok(Self(text))
    }

    /// Whether an address is of this domain itself.
    pub fn has(&self, email: &Email) -> bool {
        let domain = email.as_str().split_once('@').map(|(_, domain)| domain);
        domain == Some(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for MailDomain {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(|error| serde::de::Error::custom(format!("`{text}`: {error}")))
    }
}

/// Why cid rejects a text as an address; the message is a sentence for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EmailError {
    /// Nothing was given.
    #[error("the e-mail address is empty")]
    Empty,
    /// Longer than [`MAX_LEN`].
    #[error("the e-mail address is longer than 254 characters")]
    TooLong,
    /// A character outside ASCII, often one that looks like an ASCII letter.
    #[error("the e-mail address holds a character that is not plain ASCII")]
    NotAscii,
    /// No `@`, or more than one.
    #[error("an e-mail address has exactly one @, like anna@example.com")]
    At,
    /// The part before the `@` is empty or too long.
    #[error("the part before the @ must have 1 to 64 characters")]
    LocalLength,
    /// The part before the `@` has a character that is not allowed.
    #[error("the part before the @ may hold only letters, digits and . _ + -")]
    LocalCharacter,
    /// The part before the `@` begins or ends with a mark, or has two dots in a row.
    #[error(
        "the part before the @ must begin and end with a letter or digit and have no two dots in a row"
    )]
    LocalForm,
    /// The domain has fewer than two labels.
    #[error("the part after the @ must be a domain like example.com")]
    DomainLabels,
    /// A label of the domain is empty, too long, or begins or ends with `-`, or has other characters.
    #[error(
        "each label of the domain must have 1 to 63 letters, digits or - and must not begin or end with -"
    )]
    DomainLabel,
}

impl Email {
    /// Parses an address. Upper-case ASCII letters become lower case; nothing else is changed.
    ///
    /// # Errors
    /// The first rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, EmailError> {
        if text.is_empty() {
            return Err(EmailError::Empty);
        }
        if text.len() > MAX_LEN {
            return Err(EmailError::TooLong);
        }
        if !text.is_ascii() {
            return Err(EmailError::NotAscii);
        }
        let text = text.to_ascii_lowercase();
        let (local, domain) = text.split_once('@').ok_or(EmailError::At)?;
        if domain.contains('@') {
            return Err(EmailError::At);
        }
        check_local(local)?;
        check_domain(domain)?;
        Ok(Self(text))
    }

    /// The address as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn check_local(local: &str) -> Result<(), EmailError> {
    if local.is_empty() || local.len() > MAX_LOCAL_LEN {
        return Err(EmailError::LocalLength);
    }
    if !local
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"._+-".contains(&b))
    {
        return Err(EmailError::LocalCharacter);
    }
    let ends_well = |byte: Option<u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric());
    if !ends_well(local.bytes().next()) || !ends_well(local.bytes().last()) || local.contains("..")
    {
        return Err(EmailError::LocalForm);
    }
    Ok(())
}

fn check_domain(domain: &str) -> Result<(), EmailError> {
    if domain.split('.').count() < 2 {
        return Err(EmailError::DomainLabels);
    }
    for label in domain.split('.') {
        let good = !label.is_empty()
            && label.len() <= MAX_LABEL_LEN
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-');
        if !good {
            return Err(EmailError::DomainLabel);
        }
    }
    Ok(())
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for Email {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn takes_ordinary_addresses() {
        for text in ["anna@example.com", "A.b+c_d-e@x-y.example.co", "1@2.3"] {
            assert_eq!(
                Email::parse(text).unwrap().as_str(),
                text.to_ascii_lowercase()
            );
        }
    }

    #[test]
    fn says_what_is_wrong() {
        let long_local = format!("{}@example.com", "a".repeat(65));
        let long_label = format!("a@{}.com", "b".repeat(64));
        let long = format!("a@{}com", "bbbbbbb.".repeat(32));
        let table = [
            ("", EmailError::Empty),
            (long.as_str(), EmailError::TooLong),
            ("anna", EmailError::At),
            ("a@b@example.com", EmailError::At),
            ("@example.com", EmailError::LocalLength),
            (long_local.as_str(), EmailError::LocalLength),
            ("a b@example.com", EmailError::LocalCharacter),
            ("a/../b@example.com", EmailError::LocalCharacter),
            ("a\n@example.com", EmailError::LocalCharacter),
            ("a\0@example.com", EmailError::LocalCharacter),
            ("\"a\"@example.com", EmailError::LocalCharacter),
            (".a@example.com", EmailError::LocalForm),
            ("a.@example.com", EmailError::LocalForm),
            ("..@example.com", EmailError::LocalForm),
            ("a..b@example.com", EmailError::LocalForm),
            ("--x@example.com", EmailError::LocalForm),
            ("a@localhost", EmailError::DomainLabels),
            ("a@", EmailError::DomainLabels),
            ("a@.com", EmailError::DomainLabel),
            ("a@example.com.", EmailError::DomainLabel),
            ("a@-x.com", EmailError::DomainLabel),
            ("a@x;.com", EmailError::DomainLabel),
            (long_label.as_str(), EmailError::DomainLabel),
            ("m\u{131}ke@example.com", EmailError::NotAscii),
            ("\u{212a}ate@example.com", EmailError::NotAscii),
        ];
        for (text, error) in table {
            assert_eq!(Email::parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn takes_what_is_just_short_enough() {
        let labels = |last| format!("{0}.{0}.{1}", "b".repeat(63), "b".repeat(last));
        let longest = format!("{}@{}", "a".repeat(64), labels(61));
        assert_eq!(longest.len(), MAX_LEN);
        assert_eq!(Email::parse(&longest).unwrap().as_str(), longest);
        let longer = format!("{}@{}", "a".repeat(64), labels(62));
        assert_eq!(Email::parse(&longer), Err(EmailError::TooLong));
        // Long enough to be refused for its length alone.
        let longer = format!("{}@{}", "a".repeat(65), labels(61));
        assert_eq!(Email::parse(&longer), Err(EmailError::TooLong));
    }

    proptest! {
        #[test]
        fn parsing_is_idempotent_and_never_panics(text in "\\PC{0,80}") {
            if let Ok(email) = Email::parse(&text) {
                prop_assert_eq!(Email::parse(email.as_str()).unwrap(), email);
            }
        }
    }
}
