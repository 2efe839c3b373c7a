//! What others are to be told, until they are. What happened is written down in the transaction that changes a job, so
//! that no end of a daemon loses it.

use super::{
    Store, StoreError,
    rows::{parse, text, time},
};
use crate::domain::{Channel, JobState, Notice, ProjectName};
use cid_protocol::budget::NOTICES;
use jiff::Timestamp;
use rusqlite::{Transaction, params};
use uuid::Uuid;

/// A job of a build or a deployment came to a state that others may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// Number in the ledger.
    pub id: i64,
    /// Its project.
    pub project: ProjectName,
    /// The job.
    pub job: Uuid,
    /// Its state then.
    pub state: JobState,
    /// When.
    pub at: Timestamp,
    /// Of a deployment that ended well: why it does not run well any more.
    pub fell: Option<String>,
}

/// A notice that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingNotice {
    /// Number in the ledger.
    pub id: i64,
    /// Its project.
    pub project: ProjectName,
    /// What it says.
    pub notice: Notice,
    /// How often it was tried.
    pub tries: u32,
    /// When it is tried next.
    pub due: Timestamp,
}

/// Why the last notice of a project to one place did not arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoticeTrouble {
    /// The project.
    pub project: ProjectName,
    /// Where it was to go.
    pub channel: Channel,
    /// Since when none arrives.
    pub since: Timestamp,
    /// What was said last.
    pub reason: String,
    /// How many were given up.
    pub lost: u32,
}

/// Writes down what happened to a job of a build or a deployment.
pub(super) fn happened(
    t: &Transaction<'_>,
    job: &str,
    state: JobState,
    at: &str,
) -> Result<(), StoreError> {
    if !matches!(state, JobState::Running | JobState::Stuck) && !state.is_ended() {
        return Ok(());
    }
    t.execute(
        "INSERT INTO news (project, job, state, at) SELECT project, id, ?2, ?3 FROM jobs \
         WHERE id = ?1 AND kind IN ('build', 'deploy')",
        params![job, text(&state)?, at],
    )?;
    Ok(())
}

fn add(t: &Transaction<'_>, project: &ProjectName, notice: &Notice) -> Result<(), StoreError> {
    let (channel, about) = (text(&notice.channel())?, notice.about());
    let project = project.as_str();
    // One that has not gone yet tells nothing any more.
    let sql = "DELETE FROM notices WHERE project = ?1 AND channel = ?2 AND about = ?3";
    t.execute(sql, params![project, channel, about])?;
    t.execute(
        "INSERT INTO notices (project, channel, about, notice, due) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![
            project,
            channel,
            about,
            serde_json::to_string(notice)?,
            time(Timestamp::now())
        ],
    )?;
    let lost = t.execute(
        "DELETE FROM notices WHERE project = ?1 AND channel = ?2 AND id <= (SELECT id FROM notices \
         WHERE project = ?1 AND channel = ?2 ORDER BY id DESC LIMIT 1 OFFSET ?3)",
        params![project, channel, NOTICES.most],
    )?;
    if lost > 0 {
        let why = format!("more than {} waited", NOTICES.most);
        trouble(
            t,
            project,
            &channel,
            &why,
            u32::try_from(lost).unwrap_or(u32::MAX),
        )?;
    }
    Ok(())
}

fn trouble(
    t: &Transaction<'_>,
    project: &str,
    channel: &str,
    why: &str,
    lost: u32,
) -> Result<(), StoreError> {
    t.execute(
        "INSERT INTO notice_troubles (project, channel, since, reason, lost) VALUES (?1, ?2, ?3, ?4, ?5) \
         ON CONFLICT (project, channel) DO UPDATE SET reason = excluded.reason, lost = lost + excluded.lost",
        params![project, channel, time(Timestamp::now()), why, lost],
    )?;
    Ok(())
}

impl Store {
    /// What happened and nobody has been told of, the oldest first.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn news(&self) -> Result<Vec<News>, StoreError> {
        self.read(|c| {
            let sql = "SELECT id, project, job, state, at, fell FROM news ORDER BY id LIMIT 100";
            let mut statement = c.prepare_cached(sql)?;
            let mut rows = statement.query([])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.push(News {
                    id: row.get(0)?,
                    project: parse(row.get(1)?)?,
                    job: parse(row.get(2)?)?,
                    state: parse(row.get(3)?)?,
                    at: parse(row.get(4)?)?,
                    fell: row.get(5)?,
                });
            }
            Ok(found)
        })
        .await
    }

    /// Writes down that what this job deployed does not run well any more, and why; once for each job.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn set_fell(&self, job: Uuid, why: String) -> Result<bool, StoreError> {
        self.write(move |t| {
            let job = job.to_string();
            let sql = "UPDATE deployments SET fell = 1 WHERE job = ?1 AND fell = 0";
            if t.execute(sql, [&job])? == 0 {
                return Ok(false);
            }
            t.execute(
                "INSERT INTO news (project, job, state, at, fell) SELECT project, id, state, ?2, ?3 \
                 FROM jobs WHERE id = ?1",
                params![job, time(Timestamp::now()), why],
            )?;
            Ok(true)
        })
        .await
    }

    /// Has these notices sent in place of what happened.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn tell_news(&self, news: News, notices: Vec<Notice>) -> Result<(), StoreError> {
        self.write(move |t| {
            t.execute("DELETE FROM news WHERE id = ?1", [news.id])?;
            notices
                .iter()
                .try_for_each(|notice| add(t, &news.project, notice))
        })
        .await
    }

    /// Has a notice sent.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn add_notice(&self, project: ProjectName, notice: Notice) -> Result<(), StoreError> {
        self.write(move |t| add(t, &project, &notice)).await
    }

    /// The first notice that waits for each project and place.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn first_notices(&self) -> Result<Vec<WaitingNotice>, StoreError> {
        self.read(|c| {
            let sql = "SELECT id, project, notice, tries, due FROM notices WHERE id IN \
                (SELECT min(id) FROM notices GROUP BY project, channel) ORDER BY due";
            let mut statement = c.prepare_cached(sql)?;
            let mut rows = statement.query([])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.push(WaitingNotice {
                    id: row.get(0)?,
                    project: parse(row.get(1)?)?,
                    notice: serde_json::from_str(&row.get::<_, String>(2)?)?,
                    tries: row.get(3)?,
                    due: parse(row.get(4)?)?,
                });
            }
            Ok(found)
        })
        .await
    }

    /// A notice arrived, or nobody wants it any more.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn notice_arrived(&self, sent: &WaitingNotice) -> Result<(), StoreError> {
        let (id, project, channel) = (sent.id, sent.project.clone(), sent.notice.channel());
        self.write(move |t| {
            t.execute("DELETE FROM notices WHERE id = ?1", [id])?;
            let sql = "DELETE FROM notice_troubles WHERE project = ?1 AND channel = ?2";
            t.execute(sql, params![project.as_str(), text(&channel)?])?;
            Ok(())
        })
        .await
    }

    /// A notice did not arrive: it is tried again then or, with `None`, never.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn notice_failed(
        &self,
        sent: &WaitingNotice,
        why: String,
        again: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let (id, project, channel) = (sent.id, sent.project.clone(), sent.notice.channel());
        self.write(move |t| {
            match again {
                Some(due) => {
                    let sql = "UPDATE notices SET tries = tries + 1, due = ?2 WHERE id = ?1";
                    t.execute(sql, params![id, time(due)])?
                }
                None => t.execute("DELETE FROM notices WHERE id = ?1", [id])?,
            };
            let lost = u32::from(again.is_none());
            trouble(t, project.as_str(), &text(&channel)?, &why, lost)
        })
        .await
    }

    /// Where notices do not arrive, by project.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn notice_troubles(&self) -> Result<Vec<NoticeTrouble>, StoreError> {
        self.read(|c| {
            let sql = "SELECT project, channel, since, reason, lost FROM notice_troubles ORDER BY project, channel";
            let mut statement = c.prepare_cached(sql)?;
            let mut rows = statement.query([])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.push(NoticeTrouble {
                    project: parse(row.get(0)?)?,
                    channel: parse(row.get(1)?)?,
                    since: parse(row.get(2)?)?,
                    reason: row.get(3)?,
                    lost: row.get(4)?,
                });
            }
            Ok(found)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{CommitStatus, StatusState};

    fn project() -> ProjectName {
        ProjectName::parse("shop").unwrap()
    }

    fn status(context: &str, state: StatusState) -> Notice {
        Notice::Status(CommitStatus {
            commit: "c".repeat(40),
            reference: "main".into(),
            context: context.into(),
            state,
            description: String::new(),
            link: String::new(),
        })
    }

    fn hook(id: usize) -> Notice {
        Notice::Webhook {
            id: id.to_string(),
            body: "{}".into(),
        }
    }

    #[tokio::test]
    async fn each_place_has_its_order_and_a_newer_status_takes_the_place_of_an_older_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cid.db");
        let store = Store::open(&path).unwrap();
        let add = async |notice| store.add_notice(project(), notice).await.unwrap();
        add(status("cid/build", StatusState::Pending)).await;
        add(hook(1)).await;
        add(hook(2)).await;
        add(status("cid/test", StatusState::Pending)).await;
        add(status("cid/build", StatusState::Success)).await;
        let first = store.first_notices().await.unwrap();
        let said: Vec<_> = first.iter().map(|one| one.notice.clone()).collect();
        assert_eq!(said, [hook(1), status("cid/test", StatusState::Pending)]);
        store.notice_arrived(&first[0]).await.unwrap();
        let again = Timestamp::now() + jiff::SignedDuration::from_hours(1);
        let why = || "503".to_owned();
        store
            .notice_failed(&first[1], why(), Some(again))
            .await
            .unwrap();
        drop(store);
        // Another daemon goes on.
        let store = Store::open(&path).unwrap();
        let first = store.first_notices().await.unwrap();
        assert_eq!(first[0].notice, hook(2));
        assert_eq!((first[1].tries, first[1].due > Timestamp::now()), (1, true));
        store.notice_failed(&first[1], why(), None).await.unwrap();
        let troubles = store.notice_troubles().await.unwrap();
        assert_eq!((troubles.len(), troubles[0].lost), (1, 1));
        let first = store.first_notices().await.unwrap();
        assert_eq!(first[1].notice, status("cid/build", StatusState::Success));
        store.notice_arrived(&first[1]).await.unwrap();
        assert!(store.notice_troubles().await.unwrap().is_empty());
        store.forget_project(project()).await.unwrap();
        assert!(store.first_notices().await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_place_that_takes_nothing_has_so_many_waiting_at_most() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("cid.db")).unwrap();
        for id in 0..NOTICES.most + 3 {
            store.add_notice(project(), hook(id)).await.unwrap();
        }
        assert_eq!(store.first_notices().await.unwrap()[0].notice, hook(3));
        assert_eq!(store.notice_troubles().await.unwrap()[0].lost, 3);
    }
}
