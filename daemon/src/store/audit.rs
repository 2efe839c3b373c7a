//! The audit log: who did what, one line per request, kept for a limited time.

use super::{
    Store, StoreError,
    rows::{parse, text, time},
};
use rusqlite::{Row, Transaction, params};
use serde::{Deserialize, Serialize};

/// Lines are kept this long...
const KEEP: jiff::SignedDuration = jiff::SignedDuration::from_hours(24 * 90);
/// ...and at most this many. Denied requests have a limit of their own, so nobody can push out the record
/// of what they did by making requests that are denied.
const KEEP_ALLOWED: u32 = 100_000;
const KEEP_OTHERS: u32 = 20_000;

/// What was decided about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It is allowed.
    Allowed,
    /// It is denied.
    Denied,
    /// The request was invalid, so the authority was not asked.
    NotAsked,
}

/// One request. Texts are empty where there is nothing to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditLine {
    /// Number in the ledger; meaningless for a line yet to be written.
    pub id: i64,
    /// When it came.
    pub at: jiff::Timestamp,
    /// The caller's user id.
    pub uid: u32,
    /// Its account.
    pub account: String,
    /// The caller's process; 0 where it is not known.
    pub pid: u32,
    /// By which socket.
    pub door: String,
    /// The request's path.
    pub rpc: String,
    /// What polkit calls the right it takes.
    pub action: String,
    /// Whose workspace it was about.
    pub email: String,
    /// The workspace's project.
    pub project: String,
    /// The workspace's name.
    pub workspace: String,
    /// The job it started or was about.
    pub job: String,
    /// What was decided.
    pub verdict: Verdict,
    /// Why it was denied.
    pub reason: String,
    /// How it was answered.
    pub outcome: String,
    /// The program that was to be run in the workspace, without its arguments: these may hold secrets.
    pub program: String,
    /// The number of the build it was about; 0: about none.
    pub build: u32,
}

const COLUMNS: &str = "id, at, uid, account, pid, door, rpc, action, email, project, workspace, \
     job, decision, reason, outcome, program, build";

fn line(row: &Row<'_>) -> Result<AuditLine, StoreError> {
    Ok(AuditLine {
        id: row.get(0)?,
        at: parse(row.get(1)?)?,
        uid: row.get(2)?,
        account: row.get(3)?,
        pid: row.get(4)?,
        door: row.get(5)?,
        rpc: row.get(6)?,
        action: row.get(7)?,
        email: row.get(8)?,
        project: row.get(9)?,
        workspace: row.get(10)?,
        job: row.get(11)?,
        verdict: parse(row.get(12)?)?,
        reason: row.get(13)?,
        outcome: row.get(14)?,
        program: row.get(15)?,
        build: row.get(16)?,
    })
}

fn insert(transaction: &Transaction<'_>, line: &AuditLine) -> Result<(), StoreError> {
    transaction
        .prepare_cached(&format!(
            "INSERT INTO audit ({COLUMNS}) \
             VALUES (NULL, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)"
        ))?
        .execute(params![
            time(line.at),
            line.uid,
            line.account,
            line.pid,
            line.door,
            line.rpc,
            line.action,
            line.email,
            line.project,
            line.workspace,
            line.job,
            text(&line.verdict)?,
            line.reason,
            line.outcome,
            line.program,
            line.build,
        ])?;
    Ok(())
}

impl Store {
    /// Writes lines, all or none.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn write_audit(&self, lines: Vec<AuditLine>) -> Result<(), StoreError> {
        self.write(move |t| lines.iter().try_for_each(|line| insert(t, line)))
            .await
    }

    /// A page of lines, newest first: not older than `since`, written before the line `before`.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn audit(
        &self,
        since: Option<jiff::Timestamp>,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<AuditLine>, StoreError> {
        let since = since.map(time).unwrap_or_default();
        self.read(move |c| {
            let mut statement = c.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM audit WHERE at >= ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3"
            ))?;
            let mut rows = statement.query(params![since, before.unwrap_or(i64::MAX), limit])?;
            let mut lines = Vec::new();
            while let Some(row) = rows.next()? {
                lines.push(line(row)?);
            }
            Ok(lines)
        })
        .await
    }

    /// Deletes lines that are too old or too many; returns how many.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn forget_audit(&self, now: jiff::Timestamp) -> Result<usize, StoreError> {
        self.forget_audit_beyond(now - KEEP, KEEP_ALLOWED, KEEP_OTHERS)
            .await
    }

    async fn forget_audit_beyond(
        &self,
        before: jiff::Timestamp,
        allowed: u32,
        others: u32,
    ) -> Result<usize, StoreError> {
        self.write(move |t| {
            let mut gone = t.execute("DELETE FROM audit WHERE at < ?1", [time(before)])?;
            for (which, keep) in [("=", allowed), ("<>", others)] {
                gone += t.execute(
                    &format!(
                        "DELETE FROM audit WHERE decision {which} 'allowed' AND id <= \
                         (SELECT id FROM audit WHERE decision {which} 'allowed' \
                          ORDER BY id DESC LIMIT 1 OFFSET ?1)"
                    ),
                    [keep],
                )?;
            }
            Ok(gone)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(rpc: &str, verdict: Verdict, at: i64) -> AuditLine {
        AuditLine {
            id: 0,
            at: jiff::Timestamp::from_second(at).unwrap(),
            uid: u32::MAX,
            account: "anna".into(),
            pid: 7,
            door: "people".into(),
            rpc: rpc.into(),
            action: "org.cid.delete-any".into(),
            email: "bert@example.com".into(),
            project: "shop".into(),
            workspace: "bert".into(),
            job: String::new(),
            verdict,
            reason: "no".into(),
            outcome: "PERMISSION_DENIED".into(),
            program: "make".into(),
            build: 12,
        }
    }

    fn names(lines: &[AuditLine]) -> Vec<&str> {
        lines.iter().map(|line| line.rpc.as_str()).collect()
    }

    #[tokio::test]
    async fn lines_come_back_as_written_newest_first_in_pages() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("cid.db")).unwrap();
        let lines: Vec<AuditLine> = ["a", "b", "c"]
            .iter()
            .zip(10..)
            .map(|(rpc, at)| line(rpc, Verdict::Denied, at))
            .collect();
        store.write_audit(lines.clone()).await.unwrap();
        let page = store.audit(None, None, 2).await.unwrap();
        assert_eq!(names(&page), ["c", "b"]);
        assert_eq!(
            AuditLine {
                id: 0,
                ..page[0].clone()
            },
            lines[2]
        );
        let rest = store.audit(None, Some(page[1].id), 2).await.unwrap();
        assert_eq!(names(&rest), ["a"]);
        let since = Some(jiff::Timestamp::from_second(11).unwrap());
        assert_eq!(
            names(&store.audit(since, None, 9).await.unwrap()),
            ["c", "b"]
        );
    }

    #[tokio::test]
    async fn what_was_denied_does_not_drive_out_what_was_done() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("cid.db")).unwrap();
        let mut lines = vec![
            line("old", Verdict::Allowed, 1),
            line("done", Verdict::Allowed, 10),
        ];
        lines.extend((0..50).map(|_| line("denied", Verdict::Denied, 11)));
        lines.push(line("wrong", Verdict::NotAsked, 12));
        store.write_audit(lines).await.unwrap();
        let before = jiff::Timestamp::from_second(5).unwrap();
        let gone = store.forget_audit_beyond(before, 2, 3).await.unwrap();
        assert_eq!(gone, 1 + 48);
        let left = store.audit(None, None, 9).await.unwrap();
        assert_eq!(names(&left), ["wrong", "denied", "denied", "done"]);
        assert_eq!(store.forget_audit_beyond(before, 2, 3).await.unwrap(), 0);
    }
}
