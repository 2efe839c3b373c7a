//! `.env` in the forms that python-dotenv, django-environ, Node and `sh` read alike.

use std::fmt::Write as _;

/// Why no form of a value is read alike everywhere. Contains nothing of the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// A line end or another control character.
    #[error("it holds a line end or another control character")]
    Control,
    /// django-environ takes it for the name of another variable.
    #[error("it begins with $, which django-environ takes for the name of another variable")]
    Proxy,
    /// python-dotenv fills it in, in single quotes too.
    #[error("it holds ${{, which python-dotenv replaces by another variable's value")]
    Interpolated,
    /// No quotes are left that all readers end at the same place.
    #[error(
        "it holds quotes or backslashes together that python-dotenv, django-environ, Node and sh read differently"
    )]
    Quotes,
}

/// The line `NAME=VALUE`, without its end.
///
/// # Errors
/// No form of the value reads alike everywhere.
pub fn assignment(name: &str, value: &str) -> Result<String, Unreadable> {
    let mut line = format!("{name}=");
    let quote = quote_for(value)?;
    // Writing to a String cannot fail.
    let _ = match quote {
        Some(quote) => write!(line, "{quote}{value}{quote}"),
        None => write!(line, "{value}"),
    };
    Ok(line)
}

/// The quotes within which no reader decodes anything in this value.
fn quote_for(value: &str) -> Result<Option<char>, Unreadable> {
    // Python ends lines at the last two as well.
    let ends_line = |c: char| (c.is_control() && c != '\t') || matches!(c, '\u{2028}' | '\u{2029}');
    if value.chars().any(ends_line) {
        return Err(Unreadable::Control);
    }
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"/:._-+@,=%".contains(&b);
    if value.bytes().all(is_plain) {
        return Ok(None);
    }
    if value.starts_with('$') {
        return Err(Unreadable::Proxy);
    }
    if value.contains("${") {
        return Err(Unreadable::Interpolated);
    }
    // python-dotenv decodes \\ and \' there; django-environ takes a second pair of quotes off.
    let is_doubly_quoted = value.starts_with('"') && value.ends_with('"');
    let is_decoded =
        value.contains('\'') || value.contains(r"\\") || value.ends_with('\\') || is_doubly_quoted;
    if !is_decoded {
        return Ok(Some('\''));
    }
    match value.contains(['"', '\\', '$', '`']) {
        true => Err(Unreadable::Quotes),
        false => Ok(Some('"')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_gets_quotes_that_no_reader_decodes() {
        for (value, line) in [
            ("plain-1", "A=plain-1"),
            ("", "A="),
            ("two words", "A='two words'"),
            ("p$ss`w\"rd#1", "A='p$ss`w\"rd#1'"),
            (r"C:\new", r"A='C:\new'"),
            ("it's", "A=\"it's\""),
        ] {
            assert_eq!(assignment("A", value).as_deref(), Ok(line));
        }
    }

    #[test]
    fn what_readers_would_differ_on_is_refused() {
        for (value, why) in [
            ("a\nb", Unreadable::Control),
            ("a\r", Unreadable::Control),
            ("a\u{2028}b", Unreadable::Control),
            ("$HOME", Unreadable::Proxy),
            ("a${HOME}", Unreadable::Interpolated),
            ("it's \"it\"", Unreadable::Quotes),
            (r"a b\", Unreadable::Quotes),
            (r"a\\b", Unreadable::Quotes),
            ("it's $5", Unreadable::Quotes),
            ("\"quoted\"", Unreadable::Quotes),
        ] {
            assert_eq!(assignment("A", value), Err(why), "{value:?}");
        }
    }
}
