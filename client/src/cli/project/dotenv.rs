//! Reading a `.env`: `KEY=VALUE` a line, `export` before it, quotes and comments. Nothing is run or
//! filled in.

use std::collections::BTreeMap;

/// Key -> value; the last one of a key counts.
///
/// # Errors
/// A line is not understood. The error gives its number and not its text, which may be a secret.
pub(super) fn parse(text: &str) -> Result<BTreeMap<String, String>, String> {
    let mut values = BTreeMap::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, value) = entry(line).ok_or_else(|| {
            format!(
                "line {} is not KEY=VALUE, with quotes closed on the same line",
                index + 1
            )
        })?;
        values.insert(key.to_owned(), value);
    }
    Ok(values)
}

fn entry(line: &str) -> Option<(&str, String)> {
    let line = match line.strip_prefix("export") {
        Some(rest) if rest.starts_with([' ', '\t']) => rest.trim_start(),
        _ => line,
    };
    let (key, value) = line.split_once('=')?;
    let key = key.trim_end();
    let is_key = key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    is_key.then_some(())?;
    let value = value.trim_start();
    let value = match value.chars().next() {
        Some('\'') => {
            let (value, rest) = value[1..].split_once('\'')?;
            is_over(rest).then(|| value.to_owned())?
        }
        Some('"') => double_quoted(&value[1..])?,
        _ => plain(value).to_owned(),
    };
    Some((key, value))
}

/// After a closing quote: nothing, or a comment.
fn is_over(rest: &str) -> bool {
    let rest = rest.trim_start();
    rest.is_empty() || rest.starts_with('#')
}

fn double_quoted(text: &str) -> Option<String> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return is_over(&text[at + 1..]).then_some(value),
            '\\' => match characters.next()?.1 {
                'n' => value.push('\n'),
                't' => value.push('\t'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

/// Up to a `#` after white space.
fn plain(text: &str) -> &str {
    let bytes = text.as_bytes();
    let comment = (0..bytes.len())
        .find(|&at| bytes[at] == b'#' && (at == 0 || bytes[at - 1].is_ascii_whitespace()));
    text[..comment.unwrap_or(text.len())].trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(line: &str) -> Option<String> {
        parse(line).ok()?.remove("A")
    }

    #[test]
    fn quotes_comments_and_export() {
        for (line, wanted) in [
            ("A=b", "b"),
            ("  export\tA = b c  # comment", "b c"),
            ("A=b#c", "b#c"),
            ("A=# nothing", ""),
            ("A=", ""),
            ("A='b # \\n' # c", "b # \\n"),
            ("A=\"b \\\" # c\\n\"", "b \" # c\n"),
            ("A=1\nA=2", "2"),
            ("\u{feff}# x\r\n\r\nA=b\r\n", "b"),
            ("A=b=c", "b=c"),
        ] {
            assert_eq!(value(line).as_deref(), Some(wanted), "{line:?}");
        }
    }

    #[test]
    fn a_line_that_is_none_is_told_without_its_text() {
        for line in [
            "secret",
            "A='secret",
            "A=\"secret",
            "A='a'secret",
            "1A=secret",
            "A B=secret",
        ] {
            let said = parse(&format!("X=1\n{line}")).unwrap_err();
            assert!(
                said.contains("line 2") && !said.contains("secret"),
                "{said}"
            );
        }
    }
}
