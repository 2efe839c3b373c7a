//! What administrators see and do: all workspaces, jobs, people, the audit log and the machine's health.

pub mod audit;
pub mod health;
pub mod jobs;
pub mod people;
pub mod remove;
pub mod workspaces;

use crate::{
    error::{Problem, Refusal},
    i18n::Lang,
    page::Frame,
    visitor::Visitor,
};

/// Where administration begins.
pub const PATH: &str = "/admin";

/// The pages, with what each is called.
fn tabs(t: &Lang) -> [(&'static str, &'static str); 5] {
    [
        (PATH, t.workspaces()),
        ("/admin/jobs", t.jobs()),
        ("/admin/people", t.people()),
        ("/admin/audit", t.audit()),
        ("/admin/health", t.machine()),
    ]
}

/// The frame of a page for administrators.
///
/// # Errors
/// Somebody else asks, or the daemon cannot be asked. The daemon decides again with each call.
async fn frame(visitor: &Visitor, lang: Lang) -> Result<Frame, Refusal> {
    let frame = Frame::of(visitor, lang).await?;
    match (frame.is_administrator(), frame.person.is_some()) {
        (true, _) => Ok(frame),
        (false, true) => Err(Refusal(lang, Problem::NotAdministrator)),
        (false, false) => Err(Refusal(lang, Problem::SignedOut)),
    }
}

/// For templates, which hold texts as references of several sorts.
fn same(a: &str, b: &str) -> bool {
    a == b
}

/// The part of a long list that a page shows, counted from 1, and how many pages there are.
fn part<T>(all: Vec<T>, page: usize, size: usize) -> (Vec<T>, usize, usize) {
    let pages = all.len().div_ceil(size).max(1);
    let page = page.clamp(1, pages);
    let part = all.into_iter().skip((page - 1) * size).take(size);
    (part.collect(), page, pages)
}

#[cfg(test)]
mod tests {
    use super::part;

    #[test]
    fn a_page_beyond_the_end_is_the_last_one() {
        let all = || (1..=120).collect::<Vec<_>>();
        assert_eq!(part(all(), 3, 50), ((101..=120).collect(), 3, 3));
        assert_eq!(part(all(), 99, 50).1, 3);
        assert_eq!(part(all(), 0, 50).0[0], 1);
        assert_eq!(part(Vec::<u8>::new(), 1, 50), (Vec::new(), 1, 1));
    }
}
