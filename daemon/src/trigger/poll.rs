//! Looks at remotes by itself: at those that are polled, and after hints.

use super::{
    look,
    timetable::{End, Timetable},
    usable,
};
use crate::{
    cid::{Cid, FollowUp, Looked},
    domain::ProjectName,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

/// After so long the project files may say something else.
const READ_AGAIN: Duration = Duration::from_secs(5);

/// Looks until the daemon stops.
pub async fn watch_forever(cid: Cid) {
    let mut timetable = Timetable::default();
    let mut to_build_again = BTreeSet::new();
    let mut looks: JoinSet<(ProjectName, End)> = JoinSet::new();
    loop {
        let now = Instant::now();
        timetable.keep(&pauses(&cid), now);
        // Once each: what fails then is tried less and less, as all looks are.
        let waiting = cid.store.projects_to_build_again().await;
        let waiting = waiting.unwrap_or_default();
        for project in waiting.difference(&to_build_again) {
            timetable.hint(project, now);
        }
        to_build_again = waiting;
        for project in cid.projects.take_mended() {
            timetable.hint(&project, now);
        }
        for project in cid.looks.take_hints() {
            timetable.hint(&project, now);
        }
        // One task a project; how many ask at once is for `ask` to say.
        for name in timetable.due(now) {
            timetable.begin(&name, now);
            looks.spawn(look_once(cid.clone(), name));
        }
        let wake = match timetable.next() {
            Some(next) => next.min(now + READ_AGAIN),
            None => now + READ_AGAIN,
        };
        tokio::select! {
            Some(ended) = looks.join_next() => if let Ok((name, end)) = ended {
                timetable.end(&name, end, Instant::now());
            },
            () = cid.looks.hinted() => {}
            () = sleep_until(wake) => {}
            () = cid.stopping.cancelled() => return,
        }
    }
}

fn pauses(cid: &Cid) -> BTreeMap<ProjectName, Option<Duration>> {
    let shelf = cid.projects.all();
    let usable = shelf.values().flatten();
    usable
        .map(|project| (project.name.clone(), project.poll_every()))
        .collect()
}

async fn look_once(cid: Cid, name: ProjectName) -> (ProjectName, End) {
    let Some(project) = usable(&cid, &name) else {
        return (name, End::Done);
    };
    let begun = jiff::Timestamp::now();
    // In a task of its own: one that panics is a failure like others.
    let looking = {
        let cid = cid.clone();
        tokio::spawn(async move { look(&cid, &project).await })
    };
    let looked = looking.await;
    if let Ok(looked) = &looked {
        cid.deliveries.came(&name, begun, &told(looked));
    }
    let end = match looked {
        Ok(Ok(followed)) if followed.iter().any(|one| one.later) => End::Later,
        Ok(Ok(_)) => End::Done,
        Ok(Err(_)) | Err(_) => End::Failed,
    };
    (name, end)
}

/// In a sentence, for those who sent the hints.
fn told(looked: &Looked) -> String {
    let followed = match looked {
        Err(fault) => return fault.message.clone(),
        Ok(followed) => followed,
    };
    let one = |one: &FollowUp| format!("{}: {}", one.branch, one.message);
    match &followed[..] {
        [] => "nothing was new".into(),
        some => some.iter().map(one).collect::<Vec<_>>().join("; "),
    }
}
