//! Watches how large a folder gets while something writes into it.

use cid_kernel::reaper;
use std::{
    fs,
    path::Path,
    process,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

/// How often it is looked at: often enough that not much is written in between...
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// ...and so that looking takes at most this part of the time.
const PART: u32 = 10;
const KILL_LIMIT: Duration = Duration::from_secs(5);

/// Does something while a repository is not larger than `most` bytes; past that all that this process has
/// started is killed. Tells whether it came to that.
pub(super) fn watched<T>(folder: &Path, most: u64, work: impl FnOnce() -> T) -> (T, bool) {
    let (over, ended) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let watching = scope.spawn(move || watch(folder, most, &ended));
        let done = work();
        drop(over);
        (done, watching.join().unwrap_or(false))
    })
}

fn watch(folder: &Path, most: u64, ended: &mpsc::Receiver<()>) -> bool {
    loop {
        let begin = Instant::now();
        if size(folder) > most {
            reaper::kill_descendants(process::id().cast_signed(), KILL_LIMIT);
            return true;
        }
        let pause = LOOK_EVERY.max(begin.elapsed() * PART);
        if ended.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
            // It may have been quicker than this.
            return size(folder) > most;
        }
    }
}

/// The bytes of all files in a folder and its folders. What cannot be seen does not count.
fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => size(&entry.path()),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    });
    sizes.sum()
}

#[cfg(test)]
mod tests {
    use crate::git::growth::*;

    #[test]
    fn a_folder_that_has_got_large_in_between_is_too_large() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a");
        let ((), is_too_large) = watched(dir.path(), 10, || fs::write(&file, [0; 11]).unwrap());
        assert!(is_too_large);
    }

    #[test]
    fn a_folder_that_stays_small_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a/b");
        let (size, is_too_large) = watched(dir.path(), 100, || {
            fs::create_dir(dir.path().join("a")).unwrap();
            fs::write(&file, [0; 60]).unwrap();
            fs::write(dir.path().join("c"), [0; 40]).unwrap();
            size(dir.path())
        });
        assert_eq!((size, is_too_large), (100, false));
    }
}
