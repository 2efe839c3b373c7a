//! Work that a delete would lose, in words and as details of an error.

use crate::helper::request::{LeftFiles, RepositoryWork, WorkReport};
use cid_proto::v1;

/// How many repositories a sentence names.
const NAMED: usize = 3;

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
    let (files, commits) = (work.uncommitted.len(), work.unpushed.len());
    let files = (files > 0).then(|| count(files, "uncommitted file", "uncommitted files"));
    let commits = (commits > 0).then(|| count(commits, "unpushed commit", "unpushed commits"));
    let parts: Vec<String> = files.into_iter().chain(commits).collect();
    match parts.is_empty() {
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
    let silent = remarks.into_iter().any(|remark| remark.contains("cannot"));
    match silent {
        true => "commit and push it, try again when the remote answers, or lose it with --discard",
        false => "commit and push it, or lose it with --discard",
    }
    .into()
}

/// All of it.
pub(super) fn detail(report: &WorkReport) -> v1::ConflictDetail {
    v1::ConflictDetail {
        work: report.repositories.iter().map(lost).collect(),
        unseen: report.unseen.items.clone(),
        more_unseen: report.unseen.more,
        files: Some(files(&report.files)),
        ..v1::ConflictDetail::default()
    }
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

/// Files that go with a workspace.
pub(crate) fn files(left: &LeftFiles) -> v1::LeftFiles {
    let file = |file: &crate::helper::request::LeftFile| v1::LeftFile {
        path: file.path.clone(),
        bytes: file.bytes,
    };
    v1::LeftFiles {
        biggest: left.biggest.iter().map(file).collect(),
        more: left.more,
        files: left.files,
        bytes: left.bytes,
        is_partial: left.is_partial,
    }
}
