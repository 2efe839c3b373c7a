//! Texts for a terminal: harmless, coloured where that is wanted, on standard error.

use anstyle::Style;
use cid_client::Job;
use jiff::{Timestamp, tz::TimeZone};
use std::{
    io::{self, Write as _},
    time::Duration,
};

/// One line without anything that a terminal would act upon: escape sequences,
/// control characters, reversed writing. Of a line that was written over, as
/// progress bars are, the last version is kept.
pub(crate) fn clean(text: &str) -> String {
    let stripped: String = anstream::adapter::strip_str(text).to_string();
    let line = stripped
        .trim_end_matches(['\r', '\n'])
        .rsplit('\r')
        .next()
        .unwrap_or_default();
    line.chars()
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .filter(|c| !c.is_control() && !is_direction(*c))
        .collect()
}

/// As [`clean`], for a text of several lines.
pub(crate) fn clean_lines(text: &str) -> String {
    let lines: Vec<String> = text.trim_end().split('\n').map(clean).collect();
    lines.join("\n")
}

fn is_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A text with a style; the stream it is written to drops the style where there
/// is no terminal or `NO_COLOR` is set.
pub(crate) fn styled(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// How long something took: `0.12s`, `1m02s`.
pub(crate) fn took(took: Duration) -> String {
    if took < Duration::from_secs(60) {
        format!("{:.2}s", took.as_secs_f64())
    } else {
        format!("{}m{:02}s", took.as_secs() / 60, took.as_secs() % 60)
    }
}

/// How long a job took, `-` when it has not ended.
pub(crate) fn took_by(job: &Job) -> String {
    job.ended_at
        .and_then(|ended| Duration::try_from(ended.duration_since(job.created_at)).ok())
        .map_or_else(|| "-".to_owned(), took)
}

/// A time in the reader's own time zone, to the second.
pub(crate) fn time(time: Timestamp) -> String {
    time.to_zoned(TimeZone::system())
        .strftime("%Y-%m-%d %H:%M:%S")
        .to_string()
}

/// Writes a line to standard error. A failure is ignored: there is nowhere else to report it.
pub(crate) fn say(line: &str) {
    let _ = writeln!(anstream::stderr(), "{line}");
}

/// Writes a question to standard error, the cursor staying behind it.
pub(crate) fn ask(question: &str) {
    let mut stderr = io::stderr();
    let _ = stderr.write_all(question.as_bytes());
    let _ = stderr.flush();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_acts_upon_is_left() {
        assert_eq!(clean("\x1b[1;31mred\x1b[0m text"), "red text");
        assert_eq!(clean("\x1b]0;title\x07after"), "after");
        assert_eq!(clean("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\"), "link");
        assert_eq!(
            clean("bell\x07 back\x08 nul\0 c1\u{9b}"),
            "bell back nul c1"
        );
        assert_eq!(clean("a\tb\u{202e}c"), "a bc");
        assert_eq!(clean("größe ✓"), "größe ✓");
    }

    #[test]
    fn a_line_that_was_written_over_shows_its_last_version() {
        assert_eq!(clean("10%\r50%\r100%\r"), "100%");
        assert_eq!(clean("windows\r\n"), "windows");
        assert_eq!(clean_lines("one\r\ntwo\n"), "one\ntwo");
    }

    #[test]
    fn durations_are_short() {
        assert_eq!(took(Duration::from_millis(123)), "0.12s");
        assert_eq!(took(Duration::from_secs(62)), "1m02s");
    }
}
