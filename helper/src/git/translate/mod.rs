//! Turns what git and ssh print into a cause and what to do about it.

mod keys;
mod known;
mod repository;

use crate::git::{
    program::{Git, Output},
    ssh,
};
use cid_protocol::fault::Fault;
use known::{BROKEN_OFF, GAVE_UP, KNOWN, Known, MOVED, REJECTED, REJECTED_MARK};
use repository::{CORRUPTION, DAMAGED_HERE, DAMAGED_THERE};

pub(super) use repository::may_write;

/// A failed call as a fault: `cannot VERB URL: cause`.
pub(super) fn fault(verb: &str, git: &Git<'_>, output: &Output) -> Fault {
    let url = git.url.shown();
    let known = cause(output);
    let (cause, hint) = match known {
        Some(known) => {
            let (cause, hint) = (known.means)(git);
            (cause, Some(hint))
        }
        None => (last_words(output), None),
    };
    let mut fault = Fault::new(format!(
        "cannot {verb} {url}: {cause}{}",
        server_words(output)
    ));
    fault.hint = hint;
    fault.lost = known.and_then(|known| known.lost);
    fault
}

/// The known cause that its words give away.
fn cause(output: &Output) -> Option<&'static Known> {
    let text = own_words(output).collect::<Vec<_>>().join("\n");
    let is_told = |known: &Known| known.marks.iter().any(|mark| text.contains(mark));
    if is_told(&DAMAGED_THERE) || has_found_corruption(output) {
        return Some(&DAMAGED_THERE);
    }
    // What comes of it looks like the other side's fault.
    if is_told(&DAMAGED_HERE) {
        return Some(&DAMAGED_HERE);
    }
    let table = match text.contains(REJECTED_MARK) {
        true => REJECTED,
        false => KNOWN,
    };
    let known = table
        .iter()
        .find(|known| is_told(known))
        .or_else(|| is_silent(output).then_some(&BROKEN_OFF));
    match known {
        Some(known) if known.lost.is_some() && has_refused(output) => Some(&GAVE_UP),
        known => known,
    }
}

/// Whether git on the other side says this of its repository. Hooks are run for pushes only, and never as
/// the last word of a fetch.
fn has_found_corruption(output: &Output) -> bool {
    let words = output.lines.iter();
    let words = words.filter_map(|line| line.strip_prefix(SERVER));
    words
        .map(str::trim)
        .any(|words| words.starts_with(CORRUPTION))
}

/// Whether the branch is not where the push expected it.
pub(super) fn is_elsewhere(output: &Output) -> bool {
    own_words(output).any(|line| MOVED.iter().any(|mark| line.contains(mark)))
}

/// What git and ssh say themselves. The server's words are shown, and never searched for a cause: a
/// hook may say anything.
fn own_words(output: &Output) -> impl Iterator<Item = &str> {
    let lines = output.lines.iter().map(String::as_str);
    lines.filter(|line| !line.starts_with(SERVER))
}

/// Whether ssh has lost the connection and nobody has said a word about it.
fn is_silent(output: &Output) -> bool {
    let mut words = output.lines.iter().map(|line| line.trim());
    let is_lost = output.lines.iter().any(|line| line == ssh::LOST);
    is_lost
        && words.all(|line| line.is_empty() || NOISE.iter().any(|noise| line.starts_with(noise)))
}

/// Whether the server itself gives a reason, whatever became of the connection then.
fn has_refused(output: &Output) -> bool {
    let words = output
        .lines
        .iter()
        .filter_map(|line| line.strip_prefix(SERVER));
    words
        .map(|words| words.trim().to_ascii_lowercase())
        .any(|words| {
            ["fatal:", "error:"]
                .iter()
                .any(|mark| words.starts_with(mark))
        })
}

/// How git marks a line that the server wrote.
const SERVER: &str = "remote:";

/// What git says of every failure.
const NOISE: &[&str] = &[
    "fatal: Could not read from remote repository",
    "Please make sure you have",
    "and the repository exists.",
    "Done",
    "To ",
    ssh::LOST,
];

/// The last line that means something to people.
fn last_words(output: &Output) -> String {
    let is_noise = |line: &str| NOISE.iter().any(|noise| line.starts_with(noise));
    let mut lines = output.lines.iter().rev().map(|line| line.trim());
    lines
        .find(|line| !line.is_empty() && !is_noise(line))
        .map_or_else(
            || "git failed without a word".into(),
            |line| {
                line.trim_start_matches("fatal: ")
                    .trim_start_matches("error: ")
                    .to_owned()
            },
        )
}

/// What the server itself had to say; the reason behind its refusal, where that is all.
fn server_words(output: &Output) -> String {
    let words: Vec<_> = output
        .lines
        .iter()
        .filter_map(|line| line.strip_prefix(SERVER))
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .take(10)
        .collect();
    let refusal = || {
        Some(
            own_words(output)
                .find_map(|line| line.split_once(REJECTED_MARK))?
                .1
                .trim(),
        )
    };
    match (words.is_empty(), refusal()) {
        (false, _) => format!(" (the server says: {})", words.join(" ")),
        (true, Some(reason)) => format!(" {reason}"),
        (true, None) => String::new(),
    }
}

#[cfg(test)]
mod tests;
