//! The kernel's table of TCP sockets that listen, and who made them.

use super::procs;
use cid_kernel::accounts;
use std::{
    collections::BTreeSet,
    fs::File,
    io::{BufRead, BufReader},
    net::{IpAddr, SocketAddr},
    path::Path,
};

/// Sockets that these processes or their descendants hold, by inode.
pub(super) fn sockets_of(pids: &[u32]) -> BTreeSet<u64> {
    procs::with_descendants(pids)
        .iter()
        .flat_map(|stat| procs::sockets(stat.id.pid))
        .collect()
}

/// Who listens on this port of the loopback or of all addresses, as far as this process may see.
pub(crate) fn holder_of(port: u16) -> Option<u32> {
    let inodes: BTreeSet<u64> = listening()
        .into_iter()
        .filter(|listener| listener.address.port() == port)
        .map(|listener| listener.inode)
        .collect();
    let holds = |pid: &u32| {
        procs::sockets(*pid)
            .iter()
            .any(|inode| inodes.contains(inode))
    };
    procs::all().into_iter().map(|stat| stat.id.pid).find(holds)
}

/// Who listens on this port, for people: `process 12 (python3)`, or whose process it is.
pub(crate) fn in_words(port: u16) -> String {
    if let Some(pid) = holder_of(port) {
        let command = procs::command_line(pid);
        let program = command.first().map(|path| Path::new(path).file_name());
        let program = program.flatten().map(|name| name.to_string_lossy());
        return format!("process {pid} ({})", program.unwrap_or_default());
    }
    let listener = listening()
        .into_iter()
        .find(|listener| listener.address.port() == port);
    let Some(listener) = listener else {
        return "another program".to_owned();
    };
    match accounts::user_name(listener.uid) {
        Ok(Some(name)) => format!("a process of {name}"),
        _ => format!("a process of the user {}", listener.uid),
    }
}

/// How many connections there are to this port of the loopback.
pub(super) fn connections(port: u16) -> usize {
    let lines = TABLES
        .into_iter()
        .filter_map(|path| File::open(path).ok())
        .flat_map(|file| BufReader::new(file).lines().skip(1).map_while(Result::ok));
    let end = format!(":{port:04X}");
    lines
        .filter(|line| {
            let mut fields = line.split_whitespace().skip(1);
            let (local, state) = (fields.next(), fields.nth(1));
            local.is_some_and(|local| local.ends_with(&end)) && state == Some(ESTABLISHED)
        })
        .count()
}

/// How many connections there are to the Unix socket that was bound by this path; those that nobody has taken yet
/// count too.
pub(super) fn socket_connections(path: &Path) -> usize {
    let Ok(table) = std::fs::read("/proc/net/unix") else {
        return 0;
    };
    let table = String::from_utf8_lossy(&table);
    let path = format!(" {}", path.display());
    let of_path = table.lines().filter(|line| {
        let state = line.split_whitespace().nth(5);
        line.ends_with(&path) && state.is_some_and(|state| UNIX_CONNECTED.contains(&state))
    });
    of_path.count()
}

/// A TCP socket that listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listener {
    pub(super) address: SocketAddr,
    /// Who made it.
    pub(super) uid: u32,
    pub(super) inode: u64,
}

/// The kernel's numbers of states: of TCP sockets, and of Unix sockets, before and after somebody takes them.
const ESTABLISHED: &str = "01";
const UNIX_CONNECTED: [&str; 2] = ["02", "03"];
const TABLES: [&str; 2] = ["/proc/net/tcp", "/proc/net/tcp6"];
/// A line of these tables. Reading no further keeps the kernel from looking further.
const LINE: usize = 150;

/// Whether there is such a TCP socket. Those that listen stand first; the rest is not looked at, as
/// the kernel takes 5 to 12 ms for it on a machine with much memory.
pub(super) fn any_listener(matches: impl Fn(&Listener) -> bool) -> bool {
    TABLES
        .into_iter()
        .filter_map(|path| File::open(path).ok())
        .any(|table| {
            BufReader::with_capacity(LINE, table)
                .lines()
                .skip(1)
                .map_while(|line| parse_listener(&line.ok()?))
                .any(|listener| matches(&listener))
        })
}

/// All TCP sockets that listen.
pub(super) fn listening() -> Vec<Listener> {
    TABLES
        .into_iter()
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .flat_map(|table| {
            table
                .lines()
                .skip(1)
                .filter_map(parse_listener)
                .collect::<Vec<_>>()
        })
        .collect()
}

/// `sl local_address rem_address st ... uid timeout inode`: address and port in hexadecimal, the
/// address as 32-bit words in the machine's byte order.
fn parse_listener(line: &str) -> Option<Listener> {
    const LISTEN: &str = "0A";
    let fields: Vec<_> = line.split_whitespace().collect();
    if *fields.get(3)? != LISTEN {
        return None;
    }
    let (address, port) = fields.get(1)?.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let mut octets = Vec::with_capacity(16);
    for start in (0..address.len()).step_by(8) {
        octets.extend(
            u32::from_str_radix(address.get(start..start + 8)?, 16)
                .ok()?
                .to_ne_bytes(),
        );
    }
    let ip = match octets.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(octets).ok()?),
        _ => IpAddr::from(<[u8; 16]>::try_from(octets).ok()?),
    };
    Some(Listener {
        address: SocketAddr::new(ip, port),
        uid: fields.get(7)?.parse().ok()?,
        inode: fields.get(9)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_families() {
        let line = "  0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0";
        assert_eq!(
            parse_listener(line),
            Some(Listener {
                address: "127.0.0.1:8080".parse().unwrap(),
                uid: 0,
                inode: 4711
            })
        );
        let line = "  0: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 12 1";
        assert_eq!(
            parse_listener(line),
            Some(Listener {
                address: "[::1]:80".parse().unwrap(),
                uid: 0,
                inode: 12
            })
        );
        assert_eq!(parse_listener(&line.replace(" 0A ", " 01 ")), None);
    }
}
