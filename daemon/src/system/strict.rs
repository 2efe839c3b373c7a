//! Values in nginx's and supervisord's files. Neither format can quote everything, so nothing is
//! quoted: a value with a character that either of them gives a meaning is refused.

use crate::domain::is_plain;
use askama::{Template, filters::Escaper};
use cid_protocol::fault::Fault;
use std::fmt;

/// Lets plain values through and fails on all others.
#[derive(Clone, Copy, Debug)]
pub struct Strict;

impl Escaper for Strict {
    fn write_escaped_str<W: fmt::Write>(&self, mut dest: W, text: &str) -> fmt::Result {
        if !text.chars().all(is_plain) {
            return Err(fmt::Error);
        }
        dest.write_str(text)
    }
}

/// Renders a template whose values [`Strict`] looks at; `what` says what it is in the fault.
///
/// # Errors
/// A value holds a character that is not plain.
pub fn render(template: &impl Template, what: fmt::Arguments<'_>) -> Result<String, Fault> {
    template.render().map_err(|_| refused(what))
}

/// Looks at a value that is written beside something with a meaning.
///
/// # Errors
/// As [`render`].
pub fn check(text: &str, what: fmt::Arguments<'_>) -> Result<(), Fault> {
    match text.chars().all(is_plain) {
        true => Ok(()),
        false => Err(refused(what)),
    }
}

fn refused(what: fmt::Arguments<'_>) -> Fault {
    Fault::new(format!(
        "cannot write {what}: a value holds a character with a meaning there"
    ))
    .hint("use paths and names without white space and without any of {};\"'\\$#%`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn escape(text: &str) -> Result<String, fmt::Error> {
        let mut out = String::new();
        Strict.write_escaped_str(&mut out, text).map(|()| out)
    }

    #[test]
    fn refuses_each_character_with_a_meaning() {
        for character in "{};\"'\\$#%` \t\n\r\0\u{7f}\u{85}\u{a0}\u{2028}".chars() {
            assert!(
                escape(&format!("/srv/a{character}b")).is_err(),
                "{character:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn what_passes_is_unchanged(text in "\\PC{0,40}") {
            if let Ok(out) = escape(&text) {
                prop_assert_eq!(out, text);
            }
        }
    }
}
