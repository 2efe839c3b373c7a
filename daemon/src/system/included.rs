//! A folder of `UNIT.conf` files that an engine includes, and how files are added without breaking the engine
//! for other units.

use crate::domain::UnitName;
use async_trait::async_trait;
use cid_kernel::fs;
use cid_protocol::fault::Fault;
use std::path::{Path, PathBuf};

/// A folder of `UNIT.conf` files.
#[derive(Clone, Debug)]
pub struct Included {
    dir: PathBuf,
}

/// A file to be added.
#[derive(Clone, Debug)]
pub struct Put {
    /// The unit it belongs to.
    pub unit: UnitName,
    /// Its content.
    pub text: String,
}

/// The engine's complaint about its configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The engine's message.
    pub message: String,
    /// The file it names.
    pub file: Option<PathBuf>,
    /// The line it names.
    pub line: Option<u32>,
}

/// Why a test failed.
#[derive(Clone, Debug)]
pub enum Objection {
    /// The engine refuses the configuration.
    Refused(Refusal),
    /// The engine could not be asked.
    Failed(Fault),
}

/// Tests whether the engine would run with the current files.
#[async_trait]
pub trait Tester: Send + Sync {
    /// Runs the test.
    async fn test(&self) -> Result<(), Objection>;
    /// The fault for a file that is itself to blame.
    fn culprit(&self, unit: &UnitName, refusal: &Refusal) -> Fault;
    /// The fault for changes that wait until another file is repaired.
    fn foreign(&self, refusal: &Refusal) -> Fault;
    /// Sets files of the folder aside that became invalid after they were accepted; returns whether there
    /// were any.
    async fn set_aside(&self, _: &Refusal) -> Result<bool, Fault> {
        Ok(false)
    }
}

/// The result of [`Included::admit`].
pub struct Admission {
    /// For each file, in order: what it replaced, or why it was refused.
    pub verdicts: Vec<Result<Option<String>, Fault>>,
    /// Whether the engine would run with what is there now.
    pub standing: Result<(), Fault>,
}

impl Included {
    /// The folder at this path.
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Where a unit's file is.
    pub fn path(&self, unit: &UnitName) -> PathBuf {
        self.dir.join(format!("{unit}.conf"))
    }

    /// A unit's file.
    pub fn read(&self, unit: &UnitName) -> Result<Option<String>, Fault> {
        fs::read_optional(&self.path(unit))
    }

    /// All units that have a file, sorted. Files with other names are ignored.
    pub fn list(&self) -> Result<Vec<UnitName>, Fault> {
        let names = fs::names(&self.dir)?;
        let mut units: Vec<_> = names
            .iter()
            .filter_map(|name| UnitName::parse(name.strip_suffix(".conf")?))
            .collect();
        units.sort();
        Ok(units)
    }

    /// Removes a unit's file, including one that was set aside; `false` when there was none.
    pub async fn remove(&self, unit: &UnitName) -> Result<bool, Fault> {
        self.forget_aside(unit).await;
        let path = self.path(unit);
        blocking(move || fs::remove_file(&path)).await
    }

    /// Throws away what was set aside of a unit.
    pub async fn forget_aside(&self, unit: &UnitName) {
        let path = aside(&self.path(unit));
        if let Err(fault) = blocking(move || fs::remove_file(&path)).await {
            tracing::warn!(%unit, %fault, "what was set aside stays");
        }
    }

    /// Puts back what was there before.
    pub async fn restore(&self, unit: &UnitName, previous: Option<&str>) -> Result<(), Fault> {
        match previous {
            Some(text) => self.write(unit, text).await,
            None => self.remove(unit).await.map(drop),
        }
    }

    async fn write(&self, unit: &UnitName, text: &str) -> Result<(), Fault> {
        let (path, text) = (self.path(unit), text.to_owned());
        blocking(move || fs::write_atomic(&path, text.as_bytes(), 0o644)).await
    }

    /// Adds files so that the engine accepts them: all at once if possible, otherwise one by one, so that
    /// only faulty files are refused. If the engine refuses its configuration even without them, none is
    /// added and the fault names the foreign file.
    pub async fn admit(&self, puts: &[Put], tester: &dyn Tester) -> Admission {
        let mut verdicts = Vec::with_capacity(puts.len());
        for put in puts {
            verdicts.push(self.replace(put).await);
        }
        let first = match tester.test().await {
            Ok(()) => {
                return Admission {
                    verdicts,
                    standing: Ok(()),
                };
            }
            Err(objection) => objection,
        };
        self.take_back(puts, &verdicts).await;
        let refusal = match first {
            Objection::Failed(fault) => return none_in(verdicts, &fault),
            Objection::Refused(refusal) => refusal,
        };
        let tested = self
            .test_without(puts, &mut verdicts, &refusal, tester)
            .await;
        let is_mended = match tested {
            Ok(is_mended) => is_mended,
            Err(fault) => return none_in(verdicts, &fault),
        };
        // The first refusal may have been of what is mended now.
        let alone = puts.len() == 1 && !is_mended;
        for (put, verdict) in puts.iter().zip(&mut verdicts) {
            if let Ok(previous) = verdict {
                let previous = previous.clone();
                let known = alone.then_some(&refusal);
                *verdict = self.admit_one(put, known, tester).await.map(|()| previous);
            }
        }
        Admission {
            verdicts,
            standing: Ok(()),
        }
    }

    /// Puts a file in place, untested; gives what it replaced.
    ///
    /// # Errors
    /// It cannot be read or written.
    pub async fn replace(&self, put: &Put) -> Result<Option<String>, Fault> {
        let previous = self.read(&put.unit)?;
        self.write(&put.unit, &put.text).await?;
        Ok(previous)
    }

    async fn take_back(&self, puts: &[Put], verdicts: &[Result<Option<String>, Fault>]) {
        for (put, verdict) in puts.iter().zip(verdicts) {
            if let Ok(previous) = verdict {
                self.restore_or_log(&put.unit, previous.as_deref()).await;
            }
        }
    }

    async fn restore_or_log(&self, unit: &UnitName, previous: Option<&str>) {
        if let Err(fault) = self.restore(unit, previous).await {
            tracing::error!(%unit, %fault, "a file could not be put back");
        }
    }

    /// Tests without the new files. The broken file may be an old one of these units, left by a daemon that
    /// was killed before its test: it would be replaced anyway, so it is removed. A file of another unit is
    /// set aside. Returns whether there was one of either.
    async fn test_without(
        &self,
        puts: &[Put],
        verdicts: &mut [Result<Option<String>, Fault>],
        first: &Refusal,
        tester: &dyn Tester,
    ) -> Result<bool, Fault> {
        let mut known = puts.is_empty().then(|| first.clone());
        let mut is_mended = false;
        loop {
            let refusal = match known.take() {
                Some(refusal) => refusal,
                None => match tester.test().await {
                    Ok(()) => return Ok(is_mended),
                    Err(Objection::Failed(fault)) => return Err(fault),
                    Err(Objection::Refused(refusal)) => refusal,
                },
            };
            let ours = puts.iter().zip(verdicts.iter_mut()).find(|(put, verdict)| {
                matches!(verdict, Ok(Some(_)))
                    && refusal.file.as_deref() == Some(self.path(&put.unit).as_path())
            });
            match ours {
                Some((put, verdict)) => {
                    self.remove(&put.unit).await?;
                    *verdict = Ok(None);
                }
                None if tester.set_aside(&refusal).await? => {}
                None => return Err(tester.foreign(&refusal)),
            }
            is_mended = true;
        }
    }

    async fn admit_one(
        &self,
        put: &Put,
        known: Option<&Refusal>,
        tester: &dyn Tester,
    ) -> Result<(), Fault> {
        if let Some(refusal) = known {
            return Err(tester.culprit(&put.unit, refusal));
        }
        let previous = self.replace(put).await?;
        let Err(objection) = tester.test().await else {
            return Ok(());
        };
        self.restore_or_log(&put.unit, previous.as_deref()).await;
        Err(match objection {
            Objection::Refused(refusal) => tester.culprit(&put.unit, &refusal),
            Objection::Failed(fault) => fault,
        })
    }
}

/// Where a file is moved that keeps an engine from starting.
pub fn aside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".broken");
    name.into()
}

/// Moves a file aside that keeps an engine from starting; returns its new path.
///
/// # Errors
/// It cannot be moved.
#[expect(
    clippy::disallowed_methods,
    reason = "a file set aside is nobody's to lose: it is moved, not written"
)]
pub fn set_aside(file: &Path) -> Result<PathBuf, Fault> {
    let to = aside(file);
    std::fs::rename(file, &to).map_err(|error| Fault::io("move aside", file, error))?;
    Ok(to)
}

fn none_in(verdicts: Vec<Result<Option<String>, Fault>>, fault: &Fault) -> Admission {
    let verdicts = verdicts
        .into_iter()
        .map(|verdict| verdict.and_then(|_| Err(fault.clone())))
        .collect();
    Admission {
        verdicts,
        standing: Err(fault.clone()),
    }
}

impl Refusal {
    /// `FILE:LINE`, as far as known.
    pub fn place(&self) -> Option<String> {
        let file = self.file.as_deref().map(Path::display)?;
        Some(
            self.line
                .map_or_else(|| file.to_string(), |line| format!("{file}:{line}")),
        )
    }
}

/// fsync is slow: it must not run on the threads that answer callers.
async fn blocking<R: Send + 'static>(
    work: impl FnOnce() -> Result<R, Fault> + Send + 'static,
) -> Result<R, Fault> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(Fault::new(format!("cannot change a file: {error}"))))
}

#[cfg(test)]
#[path = "included_tests.rs"]
mod tests;
