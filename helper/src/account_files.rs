//! What tools that change accounts leave beside the tables when they are killed: locks, which keep all tools from
//! working once their number is another process's, and halves of files.

use cid_protocol::{
    fault::{Fault, FaultContext},
    request::{AccountFiles, FindAccountFiles},
};
use rustix::fs::{FlockOperation, fcntl_lock};
use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant},
};

const FOLDER: &str = "/etc";
/// Each tool holds a lock on this file for as long as it is at work, see lckpwdf(3). The kernel ends it with the tool.
const LOCK: &str = ".pwd.lock";
const TABLES: [&str; 6] = ["passwd", "shadow", "group", "gshadow", "subuid", "subgid"];
/// A tool is at work for some 10 ms.
const LIMIT: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(20);

/// Finds them, and removes them if asked to. Finds none while a tool is at work: they may be its own.
///
/// # Errors
/// The folder cannot be read, or one cannot be removed.
pub(super) fn find(ask: &FindAccountFiles) -> Result<AccountFiles, Fault> {
    find_in(Path::new(FOLDER), ask.remove, LIMIT)
}

fn find_in(folder: &Path, remove: bool, limit: Duration) -> Result<AccountFiles, Fault> {
    let Some(_lock) = lock(&folder.join(LOCK), limit)? else {
        return Ok(AccountFiles::default());
    };
    let entries = fs::read_dir(folder).map_err(|error| Fault::io("read", folder, error))?;
    let names = entries.flatten().map(|entry| entry.file_name());
    let mut left: Vec<PathBuf> = names
        .filter(|name| name.to_str().is_some_and(is_left))
        .map(|name| folder.join(name))
        .collect();
    left.sort();
    if remove {
        for path in &left {
            fs::remove_file(path).map_err(|error| Fault::io("remove", path, error))?;
        }
    }
    Ok(AccountFiles { left })
}

/// `passwd.lock`, `passwd.1234`, from which that is linked, and `passwd+`, which becomes `passwd`. `passwd-` is what
/// was there before the last change, and stays.
fn is_left(name: &str) -> bool {
    TABLES.iter().any(|table| {
        let rest = name.strip_prefix(table).unwrap_or_default();
        let number = rest.strip_prefix('.').unwrap_or_default();
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        rest == "+" || rest == ".lock" || is_number
    })
}

/// `None`: somebody has it.
fn lock(path: &Path, limit: Duration) -> Result<Option<File>, Fault> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(nix::libc::O_NOFOLLOW)
        .open(path)
        .map_err(|error| Fault::io("open", path, error))?;
    let begin = Instant::now();
    loop {
        match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(Some(file)),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::ACCESS) => {}
            Err(error) => return Err(error).cannot(format!("lock {}", path.display())),
        }
        if begin.elapsed() > limit {
            return Ok(None);
        }
        sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use crate::account_files::*;
    use std::process::{Command, Stdio};

    fn fill(folder: &Path) {
        for name in [
            "passwd",
            "passwd-",
            "passwd.d",
            "shadow.bak",
            "hosts.lock",
            "group.1a",
        ] {
            fs::write(folder.join(name), "").unwrap();
        }
        for name in ["passwd.lock", "shadow+", "gshadow.4711", "subuid.lock"] {
            fs::write(folder.join(name), "1").unwrap();
        }
    }

    #[test]
    fn what_killed_tools_left_goes_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        fill(dir.path());
        let found = |remove| {
            let left = find_in(dir.path(), remove, LIMIT).unwrap().left;
            let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
            left.iter().map(name).collect::<Vec<_>>()
        };
        let left = ["gshadow.4711", "passwd.lock", "shadow+", "subuid.lock"];
        assert_eq!(found(false), left);
        assert_eq!(found(true), left);
        assert_eq!(found(true), [""; 0]);
        let there = fs::read_dir(dir.path()).unwrap().count();
        assert_eq!(there, 7, "the tables, the others' files, and the lock");
    }

    #[test]
    fn a_tool_at_work_keeps_its_files() {
        let dir = tempfile::tempdir().unwrap();
        fill(dir.path());
        // As lckpwdf(3) does it.
        let program = "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.lockf(f, fcntl.LOCK_EX); \
                       print('locked', flush=True); sys.stdin.read()";
        let mut other = Command::new("python3")
            .args(["-c", program])
            .arg(dir.path().join(LOCK))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = [0; 7];
        std::io::Read::read_exact(other.stdout.as_mut().unwrap(), &mut line).unwrap();
        let none = find_in(dir.path(), true, Duration::from_millis(50)).unwrap();
        assert_eq!(none.left, Vec::<PathBuf>::new());
        drop(other.stdin.take());
        other.wait().unwrap();
        assert_eq!(find_in(dir.path(), true, LIMIT).unwrap().left.len(), 4);
    }
}
