use std::fmt::{self, Write as _};

/// What may be shown of a line of command output: without escape sequences, control characters
/// and marks that turn the direction of writing; cut when it is longer than anybody reads.
///
/// Escaping for HTML is the templates' business, not done here.
pub fn printable(line: &str) -> String {
    const LONGEST: usize = 2000;
    let mut shown = String::new();
    let mut chars = line.chars().peekable();
    let mut count = 0;
    while let Some(c) = chars.next() {
        if count == LONGEST {
            shown.push('…');
            break;
        }
        match c {
            '\u{1b}' => skip_escape(&mut chars),
            // The 8-bit form of ESC [.
            '\u{9b}' => skip_csi(&mut chars),
            '\t' => shown.push_str("    "),
            c if c.is_control() || is_invisible(c) => continue,
            c => shown.push(c),
        }
        count += 1;
    }
    shown
}

/// Text as HTML shows it.
#[derive(Debug)]
pub struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&#38;")?,
                '<' => f.write_str("&#60;")?,
                '>' => f.write_str("&#62;")?,
                '"' => f.write_str("&#34;")?,
                '\'' => f.write_str("&#39;")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

fn skip_escape(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match chars.next() {
        Some('[') => skip_csi(chars),
        // OSC, DCS, SOS, PM and APC run until BEL or ESC \.
        Some(']' | 'P' | 'X' | '^' | '_') => {
            while let Some(c) = chars.next() {
                if c == '\u{7}' || c == '\u{9c}' {
                    break;
                }
                if c == '\u{1b}' {
                    chars.next_if_eq(&'\\');
                    break;
                }
            }
        }
        // ESC, intermediate characters, one final character.
        Some(' '..='/') => {
            while chars.next_if(|c| (' '..='/').contains(c)).is_some() {}
            chars.next_if(|c| ('0'..='~').contains(c));
        }
        _ => {}
    }
}

fn skip_csi(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    while chars.next_if(|c| (' '..='?').contains(c)).is_some() {}
    chars.next_if(|c| ('@'..='~').contains(c));
}

fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn escapes_and_controls_vanish() {
        for (line, shown) in [
            ("plain, ünï", "plain, ünï"),
            ("\u{1b}[31mred\u{1b}[0m", "red"),
            ("\u{1b}]0;title\u{7}x", "x"),
            ("\u{1b}]8;;http://e/\u{1b}\\link\u{1b}]8;;\u{1b}\\", "link"),
            ("a\u{9b}2Jb", "ab"),
            ("a\r\n\0\u{8}b", "ab"),
            ("\u{1b}(Bx", "x"),
            ("\u{1b}cx", "x"),
            ("a\tb", "a    b"),
            ("evil\u{202e}txt", "eviltxt"),
            ("<b>", "<b>"),
            ("\u{1b}[", ""),
            ("\u{1b}", ""),
        ] {
            assert_eq!(printable(line), shown, "{line:?}");
        }
    }

    #[test]
    fn long_lines_are_cut() {
        assert_eq!(printable(&"x".repeat(100_000)).chars().count(), 2001);
    }
}
