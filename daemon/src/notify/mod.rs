//! Tells others of builds and deployments: the forge by commit statuses, a webhook, people by mail. What happened is in
//! the ledger; here it becomes notices, which wait there until they have arrived. Nothing waits for them.

mod forge;
mod say;
mod send;
mod story;

use crate::{
    cid::Cid,
    config::Project,
    domain::{Channel, Notice, ProjectName},
    error::Error,
    store::{News, WaitingNotice},
};
use jiff::{SignedDuration, Timestamp};
use send::Sent;
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use story::{Story, Subject};
use tokio::{task::JoinSet, time::sleep};

/// The pause between two looks at the ledger.
const PAUSE: Duration = Duration::from_secs(1);
/// How many notices are on their way at once.
const AT_ONCE: usize = 4;
/// The pauses before further attempts, in seconds: a server may be away for most of a day.
const PAUSES: [i64; 9] = [5, 30, 120, 600, 1800, 3600, 7200, 14400, 28800];

/// Tells until the daemon stops.
pub async fn tell_forever(cid: Cid) {
    let mut sending: JoinSet<(ProjectName, Channel)> = JoinSet::new();
    let mut busy = BTreeSet::new();
    loop {
        if let Err(error) = gather(&cid).await {
            tracing::warn!("what happened is told later: {error}");
        }
        match cid.store.first_notices().await {
            Ok(first) => {
                let now = Timestamp::now();
                for notice in first.into_iter().filter(|notice| notice.due <= now) {
                    let place = (notice.project.clone(), notice.notice.channel());
                    if sending.len() < AT_ONCE && busy.insert(place.clone()) {
                        let cid = cid.clone();
                        sending.spawn(async move {
                            attempt(&cid, notice).await;
                            place
                        });
                    }
                }
            }
            Err(error) => tracing::warn!("notices wait: {error}"),
        }
        tokio::select! {
            Some(ended) = sending.join_next() => match ended {
                Ok(place) => { busy.remove(&place); }
                // Which one it was is not known: all places are tried again.
                Err(_) => busy.clear(),
            },
            () = sleep(PAUSE) => {}
            () = cid.stopping.cancelled() => return,
        }
    }
}

/// Makes notices of what has happened.
async fn gather(cid: &Cid) -> Result<(), Error> {
    for news in cid.store.news().await? {
        let notices = notices(cid, &news).await?;
        cid.store.tell_news(news, notices).await?;
    }
    Ok(())
}

async fn notices(cid: &Cid, news: &News) -> Result<Vec<Notice>, Error> {
    // A file that is bad by now says no less who is told.
    let Ok(project) = cid.projects.standing(news.project.as_str()) else {
        return Ok(Vec::new());
    };
    let tells_owners = cid.settings.mail.is_some() && project.git.deploy_workspaces;
    if project.notify.is_empty() && !tells_owners {
        return Ok(Vec::new());
    }
    let Some(story) = Story::of(cid, news).await? else {
        return Ok(Vec::new());
    };
    let mut notices = told(&project, &story, news.id);
    // Who deploys by hand sees what comes of it.
    let to_owner = say::letter_to_owner(&story).filter(|_| tells_owners && story.follows_push);
    notices.extend(to_owner.map(|(to, subject, text)| Notice::Mail {
        to: to.clone(),
        subject,
        text,
    }));
    Ok(notices)
}

/// A story as each place that the project file names gets it.
fn told(project: &Project, story: &Story, id: i64) -> Vec<Notice> {
    let mut notices = Vec::new();
    let is_workspace = matches!(story.subject, Subject::Workspace { .. });
    if project.notify.status.is_some() && (!is_workspace || project.git.deploy_workspaces) {
        notices.push(Notice::Status(say::status(story)));
    }
    if project.notify.webhook.is_some()
        && let Some(body) = say::document(story)
    {
        let id = format!("msg_{}_{id}", story.job.simple());
        notices.push(Notice::Webhook { id, body });
    }
    if let Some((subject, text)) = say::letter(story) {
        notices.extend(project.notify.mail.iter().map(|to| Notice::Mail {
            to: to.clone(),
            subject: subject.clone(),
            text: text.clone(),
        }));
    }
    notices
}

/// Tries to send one, and writes down what came of it.
async fn attempt(cid: &Cid, waiting: WaitingNotice) {
    let project: Option<Arc<Project>> = cid.projects.standing(waiting.project.as_str()).ok();
    let sent = match &project {
        Some(project) => send::send(cid, project, &waiting.notice).await,
        None => Sent::Unwanted,
    };
    if cid.stopping.is_cancelled() {
        // It was broken off.
        return;
    }
    let channel = waiting.notice.channel();
    let written = match sent {
        Sent::Arrived | Sent::Unwanted => cid.store.notice_arrived(&waiting).await,
        Sent::Refused(why) => {
            tracing::warn!(
                PROJECT = waiting.project.as_str(),
                "a notice is refused ({channel}): {why}"
            );
            cid.store.notice_failed(&waiting, why, None).await
        }
        Sent::Later(why) => {
            let again = again(waiting.tries);
            let then = match again {
                Some(at) => format!("it is tried again at {at:.0}"),
                None => "it is given up".to_owned(),
            };
            tracing::warn!(
                PROJECT = waiting.project.as_str(),
                "a notice did not arrive ({channel}): {why}; {then}"
            );
            cid.store.notice_failed(&waiting, why, again).await
        }
    };
    if let Err(error) = written {
        tracing::warn!("a notice may be sent twice: {error}");
    }
}

/// When a notice that was tried so often before is tried again; `None`: never.
fn again(tries: u32) -> Option<Timestamp> {
    let pause = PAUSES.get(usize::try_from(tries).ok()?)?;
    Some(Timestamp::now() + SignedDuration::from_secs(*pause))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_get_rarer_and_end() {
        let mut last = SignedDuration::ZERO;
        for tries in 0..9 {
            let pause = Timestamp::now().until(again(tries).unwrap()).unwrap();
            let pause = SignedDuration::try_from(pause).unwrap();
            assert!(pause > last, "{tries}: {pause:?}");
            last = pause;
        }
        assert_eq!(again(9), None);
        assert_eq!(again(u32::MAX), None);
    }
}
