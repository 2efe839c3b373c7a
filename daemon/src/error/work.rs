//! Work that a delete would lose, in words and as details of an error.

use cid_proto::v1;
use cid_protocol::{
    budget::ERROR_LIST,
    request::{LeftFiles, RepositoryWork, WorkReport},
};
use prost::Message as _;

/// How many repositories a sentence names.
const NAMED: usize = 3;

/// What a repository that cannot be read has in its remarks.
const UNTOLD: &str = " cannot be told: ";

/// What would be lost, in one sentence.
pub(crate) fn summary(report: &WorkReport) -> String {
    let mut parts: Vec<String> = report
        .repositories
        .iter()
        .take(NAMED)
        .map(|work| format!("{} in {}", of_repository(work), work.path))
        .collect();
    let more = report.repositories.len().saturating_sub(NAMED);
    if more > 0 {
        parts.push(count(more as u64, "more repository", "more repositories"));
    }
    let unseen = report.unseen.len();
    if unseen > 0 {
        let (one, many) = ("place", "places");
        parts.push(format!(
            "{} that cannot be looked at",
            count(unseen, one, many)
        ));
    }
    parts.join("; ")
}

fn of_repository(work: &RepositoryWork) -> String {
    let commits = work.unpushed.len() - work.stashes.min(work.unpushed.len());
    let parts: Vec<String> = [
        (
            work.uncommitted.len(),
            "uncommitted file",
            "uncommitted files",
        ),
        (commits, "unpushed commit", "unpushed commits"),
        (work.stashes, "stash", "stashes"),
    ]
    .into_iter()
    .filter(|(n, ..)| *n > 0)
    .map(|(n, one, many)| count(n, one, many))
    .collect();
    let is_untold = work.remarks.iter().any(|remark| remark.contains(UNTOLD));
    match parts.is_empty() {
        true if is_untold => "what cannot be told".into(),
        true => "commits that no remote holds now".into(),
        false => parts.join(", "),
    }
}

fn count(n: u64, one: &str, many: &str) -> String {
    match n {
        1 => format!("1 {one}"),
        n => format!("{n} {many}"),
    }
}

/// What to do about it.
pub(super) fn hint(report: &WorkReport) -> String {
    let remarks = report.repositories.iter().flat_map(|work| &work.remarks);
    let (untold, silent): (Vec<&String>, Vec<&String>) = remarks
        .filter(|remark| remark.contains("cannot"))
        .partition(|remark| remark.contains(UNTOLD));
    let is_stash = |work: &RepositoryWork| {
        work.uncommitted.is_empty() && work.stashes > 0 && work.unpushed.len() == work.stashes
    };
    match () {
        () if !silent.is_empty() => {
            "commit and push it, try again when the remote answers, or lose it with --discard"
        }
        () if !untold.is_empty() => {
            "look yourself, save what is needed, then lose it with --discard"
        }
        () if !report.repositories.is_empty() && report.repositories.iter().all(is_stash) => {
            "apply the stash, commit and push it, or lose it with --discard"
        }
        () => "commit and push it, or lose it with --discard",
    }
    .into()
}

/// As much of it as fits into an error; the rest is counted.
pub(super) fn detail(report: &WorkReport) -> v1::ConflictDetail {
    let mut detail = v1::ConflictDetail {
        work: report.repositories.iter().map(lost).collect(),
        unseen: report.unseen.items.clone(),
        more_unseen: report.unseen.more,
        files: Some(files(&report.files)),
        ..v1::ConflictDetail::default()
    };
    while detail.encoded_len() > ERROR_LIST.most && shorten(&mut detail) {}
    detail
}

/// Leaves out a quarter of the list that takes most; `false`: there is nothing to leave out.
fn shorten(detail: &mut v1::ConflictDetail) -> bool {
    let bytes = |items: &[String]| items.iter().map(String::len).sum::<usize>();
    let mut lists: Vec<(&mut Vec<String>, Option<&mut u64>)> = Vec::new();
    lists.push((&mut detail.unseen, Some(&mut detail.more_unseen)));
    for work in &mut detail.work {
        lists.push((&mut work.uncommitted, Some(&mut work.more_uncommitted)));
        lists.push((&mut work.unpushed, Some(&mut work.more_unpushed)));
        lists.push((&mut work.remarks, None));
    }
    let longest = lists.into_iter().max_by_key(|(items, _)| bytes(items));
    if let Some((items, more)) = longest.filter(|(items, _)| !items.is_empty()) {
        let out = items.len().div_ceil(4);
        items.truncate(items.len() - out);
        if let Some(more) = more {
            *more += out as u64;
        }
        return true;
    }
    let files = detail.files.as_mut().and_then(|files| {
        if files.forgotten.pop().is_some() {
            files.more_forgotten += 1;
            return Some(());
        }
        files.biggest.pop()?;
        files.more += 1;
        Some(())
    });
    files.or_else(|| detail.work.pop().map(drop)).is_some()
}

fn lost(work: &RepositoryWork) -> v1::LostWork {
    v1::LostWork {
        repository: work.path.clone(),
        uncommitted: work.uncommitted.items.clone(),
        more_uncommitted: work.uncommitted.more,
        unpushed: work.unpushed.items.clone(),
        more_unpushed: work.unpushed.more,
        remarks: work.remarks.clone(),
    }
}

/// What goes with a workspace and is no work.
pub(crate) fn files(left: &LeftFiles) -> v1::LeftFiles {
    let file = |file: &cid_protocol::request::LeftFile| v1::LeftFile {
        path: file.path.clone(),
        bytes: file.bytes,
    };
    v1::LeftFiles {
        biggest: left.biggest.iter().map(file).collect(),
        more: left.more,
        files: left.files,
        bytes: left.bytes,
        is_partial: left.is_partial,
        forgotten: left.forgotten.clone(),
        more_forgotten: left.more_forgotten,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use cid_protocol::request::Listing;

    /// More work than fits into an error.
    pub(in super::super) fn much() -> WorkReport {
        let listing = |length: usize| (0..500).map(|_| "n".repeat(length)).collect::<Listing>();
        let work = |n: usize| RepositoryWork {
            path: format!("src/{n}"),
            uncommitted: listing(300),
            unpushed: listing(100),
            stashes: 0,
            remarks: vec!["r".repeat(1000); 3],
        };
        WorkReport {
            repositories: (0..50).map(work).collect(),
            unseen: listing(300),
            ..WorkReport::default()
        }
    }

    #[test]
    fn what_fits_is_listed_and_the_rest_is_counted() {
        let listed = detail(&much());
        assert!(listed.encoded_len() <= ERROR_LIST.most);
        assert!(listed.work.iter().any(|work| !work.unpushed.is_empty()));
        for work in &listed.work {
            assert_eq!(work.more_uncommitted + work.uncommitted.len() as u64, 500);
            assert_eq!(work.more_unpushed + work.unpushed.len() as u64, 500);
        }
        let mut little = much();
        little.repositories.truncate(1);
        little.repositories[0].uncommitted = ["a", "b"].into_iter().collect();
        little.repositories[0].unpushed = Listing::default();
        little.repositories[0].remarks.clear();
        little.unseen = Listing::default();
        let listed = detail(&little);
        assert_eq!(listed.work[0].uncommitted, ["a", "b"]);
        assert_eq!(listed.work[0].more_uncommitted, 0);
    }

    #[test]
    fn stashes_and_what_cannot_be_told_are_called_so() {
        let told = |work: RepositoryWork| {
            let work = RepositoryWork {
                path: "src".into(),
                ..work
            };
            let report = WorkReport {
                repositories: vec![work],
                ..WorkReport::default()
            };
            (summary(&report), hint(&report))
        };
        let (what, do_this) = told(RepositoryWork {
            unpushed: ["a", "b"].into_iter().collect(),
            stashes: 1,
            ..RepositoryWork::default()
        });
        assert_eq!(what, "1 unpushed commit, 1 stash in src");
        assert!(do_this.starts_with("commit and push it"), "{do_this}");
        let (what, do_this) = told(RepositoryWork {
            unpushed: ["a"].into_iter().collect(),
            stashes: 1,
            ..RepositoryWork::default()
        });
        assert_eq!(what, "1 stash in src");
        assert!(do_this.starts_with("apply the stash"), "{do_this}");
        let (what, do_this) = told(RepositoryWork {
            remarks: vec!["commits cannot be told: it is damaged".into()],
            ..RepositoryWork::default()
        });
        assert_eq!(what, "what cannot be told in src");
        assert!(do_this.starts_with("look yourself"), "{do_this}");
    }
}
