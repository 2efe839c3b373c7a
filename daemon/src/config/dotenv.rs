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
    /// Single quotes would end at the `'`, and in double quotes `sh` and others read this character.
    #[error("it holds ' together with {0}, and no quotes are read alike around both")]
    Quotes(char),
    /// python-dotenv makes one backslash of two, and takes one at the end for an escaped quote.
    #[error(
        "it holds two backslashes in a row or ends with one, which python-dotenv reads differently"
    )]
    Backslash,
    /// django-environ takes a second pair of quotes off.
    #[error("it begins and ends with \", which django-environ takes off")]
    DoublyQuoted,
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
    if value.contains(r"\\") || value.ends_with('\\') {
        return Err(Unreadable::Backslash);
    }
    if value.starts_with('"') && value.ends_with('"') {
        return Err(Unreadable::DoublyQuoted);
    }
    if !value.contains('\'') {
        return Ok(Some('\''));
    }
    match value.chars().find(|c| "\"\\$`".contains(*c)) {
        Some(other) => Err(Unreadable::Quotes(other)),
        None => Ok(Some('"')),
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
            ("it's \"it\"", Unreadable::Quotes('"')),
            (r"a b\", Unreadable::Backslash),
            (r"a\\b", Unreadable::Backslash),
            ("it's $5", Unreadable::Quotes('$')),
            ("\"quoted\"", Unreadable::DoublyQuoted),
        ] {
            assert_eq!(assignment("A", value), Err(why), "{value:?}");
        }
    }
}
