//! Says what people made in a workspace whose creation is taken back. No remote is asked: it must be quick, and
//! work without a network. What install and release commands, cid, and the app made does not count as work:
//!
//! - commits and stashes count, unless the mirror has them or they were fetched;
//! - changed committed files count, unless commands had changed them by their end;
//! - new files count where they can be told from those of commands and processes: by their owner on a host, in
//!   a sandbox if the commands had ended and had not made them. Ignored files never count.

use crate::git::{
    clone,
    work::{Judged, LOOKING, Look, commits, find, heads, made::Made},
};
use cid_protocol::{
    fault::Fault,
    request::{Listing, TREE, UnfinishedWork, WorkReport, WorkStatus},
};
use git2::{Oid, Repository};
use nix::unistd;
use std::{
    collections::{BTreeMap, HashSet},
    time::Instant,
};

/// Looks at all repositories of a workspace; half a clone holds nothing.
///
/// # Errors
/// None so far; what cannot be told is in the report.
#[expect(clippy::unnecessary_wraps, reason = "all requests are served alike")]
pub(crate) fn unfinished(ask: &UnfinishedWork) -> Result<WorkReport, Fault> {
    if !clone::is_complete(&ask.directory.join(TREE)) {
        return Ok(WorkReport::default());
    }
    let found = find::find(&ask.directory, Instant::now() + LOOKING);
    let status = WorkStatus {
        directory: ask.directory.clone(),
        mirror: ask.mirror.clone(),
        url: None,
        unasked: None,
        judged: None,
    };
    let mut look = Look {
        ask: &status,
        work: BTreeMap::new(),
        left: Vec::new(),
        forgotten: Listing::default(),
        unseen: found.unseen,
    };
    let account = ask.own_account.then(|| unistd::getuid().as_raw());
    let made = Made::of_creation(&ask.directory, account);
    look.files(&found.checkouts, &made);
    let all = look.open_all(&found.checkouts);
    look.stashes(&all);
    let held: HashSet<Oid> = heads(&ask.mirror).into_iter().collect();
    for judged in &all {
        look.new_commits(judged, &held);
    }
    Ok(look.report())
}

impl Look<'_> {
    fn new_commits(&mut self, judged: &Judged, held: &HashSet<Oid>) {
        let Judged {
            shown,
            repository,
            tips,
            ..
        } = judged;
        let mut held = held.clone();
        if shown != TREE {
            held.extend(tags(repository));
        }
        match commits::unheld(repository, &tips.commits, &held, Listing::LIMIT) {
            Ok(found) => {
                for id in &found.named {
                    let item = commits::describe(repository, *id);
                    self.of(shown).unpushed.push(&item);
                }
                let more = found.new - found.named.len();
                if more > 0 {
                    self.of(shown).unpushed.more += more as u64;
                }
            }
            Err(error) => {
                let item = format!("(commits cannot be told: {})", error.message());
                self.of(shown).unpushed.push(&item);
            }
        }
    }
}

/// An installer checks a dependency out at a tag, and need not fetch the branch that holds it.
fn tags(repository: &Repository) -> Vec<Oid> {
    let found = repository.references_glob("refs/tags/*");
    let found = found.into_iter().flatten().flatten();
    found
        .filter_map(|tag| tag.peel_to_commit().ok())
        .map(|commit| commit.id())
        .collect()
}
