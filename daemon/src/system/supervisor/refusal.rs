//! Extracts from supervisord's messages what it has against a program file.

use crate::system::included::Refusal;
use std::path::PathBuf;

/// Takes the file out of `CANT_REREAD: ... (file: 'FILE')`, `Source contains parsing errors:
/// 'FILE'` or `file: 'FILE', line: 3`.
pub(crate) fn parse(text: &str) -> Refusal {
    let message = text
        .strip_prefix("CANT_REREAD: ")
        .unwrap_or(text)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    let place = ["file: '/", "errors: '/"].into_iter().find_map(|mark| {
        let (_, rest) = message.split_once(mark)?;
        let (file, rest) = rest.split_once('\'')?;
        let digits = rest.split_once("line")?.1.trim_start_matches([':', ' ']);
        let end = digits
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(digits.len());
        Some((
            PathBuf::from(format!("/{file}")),
            digits[..end].parse().ok(),
        ))
    });
    let without_line = || {
        let (_, rest) = message
            .split_once("file: '/")
            .or_else(|| message.split_once("errors: '/"))?;
        Some(PathBuf::from(format!("/{}", rest.split_once('\'')?.0)))
    };
    let (file, line) =
        place.map_or_else(|| (without_line(), None), |(file, line)| (Some(file), line));
    Refusal {
        message,
        file,
        line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_file() {
        for (text, place) in [
            (
                "CANT_REREAD: The directory named as part of the path /x/web.log does not exist in section 'program:a.b.web' (file: '/p/a.b.conf')",
                "/p/a.b.conf",
            ),
            (
                "CANT_REREAD: File contains no section headers.\nfile: '/p/x.conf', line: 3\n'foo\\n'",
                "/p/x.conf:3",
            ),
            (
                "CANT_REREAD: Source contains parsing errors: '/p/y.conf'\n\t[line  2]: 'nonsense\\n'",
                "/p/y.conf:2",
            ),
        ] {
            assert_eq!(parse(text).place().as_deref(), Some(place), "{text}");
        }
        assert_eq!(parse("CANT_REREAD: something else").place(), None);
    }
}
