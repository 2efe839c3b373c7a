//! System V shared memory, message queues and semaphores, and who owns them; see sysvipc(7).

use std::{fs, path::PathBuf};

/// What each kind is called: in `/proc/sysvipc`, by people, and as an option of ipcrm.
const KINDS: [(&str, &str, &str); 3] = [
    ("shm", "shared memory", "-m"),
    ("msg", "message queue", "-q"),
    ("sem", "semaphores", "-s"),
];

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// What people call its kind.
    pub kind: &'static str,
    /// The option of ipcrm before its number.
    pub option: &'static str,
    /// Its number among those of its kind.
    pub id: String,
    /// Who owns it.
    pub uid: u32,
    /// Who made it, who may remove it as well.
    pub creator: u32,
}

/// All of this process's name space; none where the kernel has none.
pub fn all() -> Vec<Object> {
    let of = |(file, kind, option)| {
        let path = PathBuf::from("/proc/sysvipc").join(file);
        read(&fs::read_to_string(path).unwrap_or_default(), kind, option)
    };
    KINDS.into_iter().flat_map(of).collect()
}

/// Reads a table of the kernel's, whose second column is the number.
fn read(table: &str, kind: &'static str, option: &'static str) -> Vec<Object> {
    let mut lines = table.lines().map(|line| line.split_ascii_whitespace());
    let head: Vec<&str> = lines.next().map(Iterator::collect).unwrap_or_default();
    let column = |name: &str| head.iter().position(|column| *column == name);
    let (Some(uid), Some(creator)) = (column("uid"), column("cuid")) else {
        return Vec::new();
    };
    let object = |line: Vec<&str>| {
        Some(Object {
            kind,
            option,
            id: (*line.get(1)?).to_owned(),
            uid: line.get(uid)?.parse().ok()?,
            creator: line.get(creator)?.parse().ok()?,
        })
    };
    lines.filter_map(|line| object(line.collect())).collect()
}

#[cfg(test)]
mod tests {
    use crate::sysvipc::*;

    #[test]
    fn reads_the_kernels_tables() {
        let table = "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid\n\
                     0          7   600           0          0     0     0  5001  5001  5002  5001\n\
                     0          8   600        5001       5001  5001  5001  5003  5001  5003  5001\n\
                     0          x\n";
        let found = read(table, "message queue", "-q");
        let found: Vec<_> = found.iter().map(|o| (&*o.id, o.uid, o.creator)).collect();
        assert_eq!(found, [("7", 5001, 5002), ("8", 5003, 5003)]);
        assert_eq!(read("", "", ""), []);
        // As far as this kernel has them, the columns are called so.
        for (file, kind, option) in KINDS {
            if let Ok(table) = fs::read_to_string(PathBuf::from("/proc/sysvipc").join(file)) {
                assert_eq!(read(&table, kind, option).len(), table.lines().count() - 1);
            }
        }
    }
}
