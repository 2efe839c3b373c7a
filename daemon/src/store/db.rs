//! Opening the ledger, and the one thread that talks to it.

use cid_kernel::{fs, room::Reserve};
use cid_protocol::{budget::Over, fault::Fault};
use rusqlite::{Connection, ErrorCode, TransactionBehavior};
use rusqlite_migration::{M, Migrations};
use std::{
    fs::{OpenOptions, Permissions},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};
use tokio::sync::{mpsc, oneshot};

/// Requests that may wait for the ledger's thread; further callers wait for room.
const QUEUE: usize = 256;
/// How long SQLite waits for another process's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Pages (4 KiB) that stay free in each of the ledger's own files: what is allocated to them, nothing else
/// that fills the disk can take. A transaction writes some ten.
const KEPT_PAGES: u32 = 512;
/// SQLite's log begins anew after so many pages, and so does not grow beyond those that are kept.
const LOG_PAGES: u32 = 200;

const MIGRATIONS: &[M<'_>] = &[M::up(include_str!("migrations/01-ledger.sql"))];

/// What can go wrong with the ledger.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process holds a lock on it.
    #[error("the ledger {0} is locked by another process")]
    Locked(PathBuf),
    /// No room to write.
    #[error("cannot write the ledger {0}: the disk is full")]
    Full(PathBuf),
    /// Something breaks a uniqueness rule; callers translate it.
    #[error("the ledger has such an entry already: {0}")]
    Duplicate(String),
    /// Anything else of SQLite.
    #[error("the ledger {0} failed: {1}")]
    Sqlite(PathBuf, rusqlite::Error),
    /// It cannot be opened at all.
    #[error("cannot open the ledger {0}: {1}")]
    Open(PathBuf, String),
    /// It was written by a newer cid.
    #[error("the ledger {0} was written by a newer version of cid")]
    Newer(PathBuf),
    /// It is damaged.
    #[error("the ledger {0} is damaged: {1}")]
    Damaged(PathBuf, String),
    /// A value in it cannot be read.
    #[error("the ledger holds a value that cannot be read: {0}")]
    Value(#[from] serde_json::Error),
    /// What is to be written is too large.
    #[error(transparent)]
    TooMuch(#[from] Over),
    /// The daemon is going down.
    #[error("the ledger is closed")]
    Closed,
}

impl StoreError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Locked(path) => format!(
                "find who holds it (fuser -v {}) and end it; cid goes on by itself",
                path.display()
            ),
            Self::Full(path) => format!("free some space on the file system of {}", path.display()),
            Self::Newer(_) => {
                "install that version again, or restore the ledger from a backup".into()
            }
            Self::Damaged(path, _) => format!("restore {} from a backup", path.display()),
            _ => return None,
        })
    }

    /// Whether trying again later can help.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Locked(_) | Self::Full(_))
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        let (fault, hint) = (Self::new(error.to_string()), error.hint());
        match hint {
            Some(hint) => fault.hint(hint),
            None => fault,
        }
    }
}

type Work = Box<dyn FnOnce(&mut Connection) + Send>;

/// The ledger. Cheap to clone; all clones share one connection on one thread.
#[derive(Clone)]
pub struct Store {
    path: PathBuf,
    queue: mpsc::Sender<Work>,
}

impl Store {
    /// Opens or makes the ledger, checks its integrity and brings its schema up to date.
    ///
    /// # Errors
    /// It is locked, damaged or from a newer version.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        make_private(path)?;
        let mut connection = open(path).map_err(|error| translate(path, error))?;
        check(path, &mut connection)?;
        reserve(path).renew();
        if let Err(error) = keep_room(path, &mut connection) {
            tracing::warn!("the ledger has no room of its own: {error}");
        }
        let (queue, mut work) = mpsc::channel::<Work>(QUEUE);
        thread::Builder::new()
            .name("ledger".into())
            .spawn(move || {
                while let Some(work) = work.blocking_recv() {
                    work(&mut connection);
                }
            })
            .map_err(|error| {
                StoreError::Damaged(path.to_owned(), format!("cannot start its thread: {error}"))
            })?;
        Ok(Self {
            path: path.to_owned(),
            queue,
        })
    }

    /// Runs a transaction that may write; all of it happens or nothing.
    ///
    /// # Errors
    /// SQLite's, translated, or the closure's own.
    pub async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&rusqlite::Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let path = self.path.clone();
        self.run(move |connection| {
            let fail = |error| translate(&path, error);
            let transaction = connection
                .transaction_with_behavior(TransactionBehavior::Immediate)
                .map_err(fail)?;
            let result = work(&transaction).map_err(|error| retranslate(&path, error))?;
            transaction.commit().map_err(fail)?;
            Ok(result)
        })
        .await
    }

    /// Runs a transaction that only reads.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let path = self.path.clone();
        self.run(move |connection| work(connection).map_err(|error| retranslate(&path, error)))
            .await
    }

    async fn run<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let work: Work = Box::new(move |connection| {
            // The caller may have gone; what it asked for has happened all the same.
            let _ = reply.send(work(connection));
        });
        self.queue
            .send(work)
            .await
            .map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Moves SQLite's write-ahead log into the ledger's own file, so that its space can be reused.
    ///
    /// # Errors
    /// SQLite's, translated.
    pub async fn checkpoint(&self) -> Result<(), StoreError> {
        self.read(|connection| {
            let sql = "PRAGMA wal_checkpoint(RESTART)";
            Ok(connection.query_row(sql, [], |_| Ok(()))?)
        })
        .await
    }

    /// Sees to it that the ledger's own files have room for when the disk is full.
    ///
    /// # Errors
    /// SQLite's, translated.
    pub async fn keep_room(&self) -> Result<(), StoreError> {
        let path = self.path.clone();
        self.run(move |connection| {
            keep_room(&path, connection).map_err(|error| translate(&path, error))
        })
        .await
    }

    /// Gives the reserve back to the file system, so that a full disk has room for undoing.
    pub fn release_reserve(&self) {
        reserve(&self.path).give_back();
    }

    /// Gives the reserve back if the disk is about to be full.
    pub fn ensure_room(&self) {
        reserve(&self.path).ensure_room();
    }

    /// Takes the reserve again if there is room. Returns whether it exists.
    pub fn renew_reserve(&self) -> bool {
        reserve(&self.path).renew()
    }
}

/// Journals hold paths, addresses and what commands printed. SQLite gives its other files the
/// ledger's own permissions.
fn make_private(path: &Path) -> Result<(), StoreError> {
    let made = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path);
    let private = made.and_then(|file| file.set_permissions(Permissions::from_mode(0o600)));
    private.map_err(|error| StoreError::Open(path.to_owned(), error.to_string()))
}

/// Reserved so that a full disk still has room to journal how a job is undone.
fn reserve(path: &Path) -> Reserve {
    Reserve::at(path.with_extension("reserve"))
}

/// Has SQLite write, and forget, more than a full disk will be asked for: the pages stay in the ledger's file,
/// and its log stays as long as it was. Where there is little room besides, nothing is done.
fn keep_room(path: &Path, connection: &mut Connection) -> rusqlite::Result<()> {
    let bytes = KEPT_PAGES * 4096;
    let free: u32 = connection.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let log = Path::new(&log).metadata();
    let has_log = log.is_ok_and(|log| log.len() >= u64::from(bytes));
    let parent = path.parent().unwrap_or(path);
    let has_room = fs::free_bytes(parent).is_ok_and(|free| free > 4 * u64::from(bytes));
    if (free >= KEPT_PAGES / 2 && has_log) || !has_room {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(&format!(
        "DROP TABLE IF EXISTS room; CREATE TABLE room (kept BLOB); INSERT INTO room VALUES (zeroblob({bytes}));"
    ))?;
    transaction.commit()?;
    connection.execute_batch("DROP TABLE room")?;
    connection.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(()))
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

fn check(path: &Path, connection: &mut Connection) -> Result<(), StoreError> {
    let verdict: String = connection
        .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
        .map_err(|error| translate(path, error))?;
    if verdict != "ok" {
        return Err(StoreError::Damaged(path.to_owned(), verdict));
    }
    Migrations::from_slice(MIGRATIONS)
        .to_latest(connection)
        .map_err(|error| match error {
            rusqlite_migration::Error::MigrationDefinition(
                rusqlite_migration::MigrationDefinitionError::DatabaseTooFarAhead,
            ) => StoreError::Newer(path.to_owned()),
            rusqlite_migration::Error::RusqliteError { err, .. } => translate(path, err),
            other => StoreError::Damaged(path.to_owned(), other.to_string()),
        })
}

fn translate(path: &Path, error: rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            StoreError::Locked(path.to_owned())
        }
        Some(ErrorCode::DiskFull) => StoreError::Full(path.to_owned()),
        Some(ErrorCode::ConstraintViolation) => StoreError::Duplicate(error.to_string()),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            StoreError::Damaged(path.to_owned(), error.to_string())
        }
        _ => StoreError::Sqlite(path.to_owned(), error),
    }
}

/// Closures turn SQLite's errors into [`StoreError::Sqlite`] without knowing the path.
fn retranslate(path: &Path, error: StoreError) -> StoreError {
    match error {
        StoreError::Sqlite(_, error) => translate(path, error),
        other => other,
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(PathBuf::new(), error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(dir: &Path) -> Vec<u64> {
        let names = ["cid.db", "cid.db-wal"].map(|name| dir.join(name));
        names.map(|path| path.metadata().unwrap().len()).to_vec()
    }

    /// What a full disk is asked for: neither file may need more of it.
    #[tokio::test]
    async fn what_is_written_finds_room_in_the_ledgers_own_files() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("cid.db")).unwrap();
        let before = sizes(dir.path());
        let fill = async |rows: usize| {
            for _ in 0..rows {
                let insert = store.write(|transaction| {
                    transaction.execute_batch(
                        "CREATE TABLE IF NOT EXISTS t (x BLOB); INSERT INTO t VALUES (randomblob(10000))",
                    )?;
                    Ok(())
                });
                insert.await.unwrap();
            }
        };
        fill(120).await;
        assert_eq!(sizes(dir.path()), before);
        // More than is kept: there is room, so as much is kept again.
        fill(200).await;
        assert!(sizes(dir.path())[0] > before[0]);
        store.keep_room().await.unwrap();
        let again = sizes(dir.path());
        fill(120).await;
        assert_eq!(sizes(dir.path()), again);
        // The same at the next start, when SQLite has removed its log.
        drop(store);
        let next = Store::open(&dir.path().join("cid.db")).unwrap();
        assert!(sizes(dir.path())[1] >= u64::from(KEPT_PAGES) * 4096);
        drop(next);
    }
}
