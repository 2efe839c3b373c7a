//! What has to be right before engines are started.

use crate::{
    layout::Layout,
    system::{exec, included, listeners},
};
use cid_kernel::fs;
use cid_protocol::fault::Fault;
use std::{
    io::ErrorKind,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
};

/// `sun_path` is 108 bytes, the last one zero.
const SOCKET_PATH_LIMIT: usize = 107;
/// supervisord binds `SOCKET.PID` first and renames it.
const PID_SUFFIX: usize = ".4194304".len();

/// The addresses of the loopback: browsers take either for names below `localhost`.
pub fn listen_addresses(port: u16) -> Vec<SocketAddr> {
    let mut addresses = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port))];
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() {
        addresses.push(SocketAddr::from((Ipv6Addr::LOCALHOST, port)));
    }
    addresses
}

/// The paths go into files that cannot quote, and some into sockets.
///
/// # Errors
/// One has other characters, or is too long.
pub fn check_paths(layout: &Layout, bin_dir: &Path) -> Result<(), Fault> {
    for path in [
        &layout.config_dir,
        &layout.run_dir,
        &layout.state_dir,
        &layout.log_dir,
        bin_dir,
    ] {
        let plain =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'_' | b'-');
        if !path.is_absolute()
            || !path
                .as_os_str()
                .as_encoded_bytes()
                .iter()
                .copied()
                .all(plain)
        {
            return Err(Fault::new(format!(
                "cannot use {} for a sandbox: nginx and supervisord take absolute paths of letters, digits and ./_- only",
                path.display()
            ))
            .hint("choose a folder with a plainer path"));
        }
    }
    let supervisor = layout.supervisor_socket();
    let longest = [
        (layout.socket(), 0),
        (layout.web_socket(), 0),
        (super::front::socket(layout), 0),
        (supervisor, PID_SUFFIX),
    ];
    for (socket, suffix) in longest {
        if socket.as_os_str().len() + suffix > SOCKET_PATH_LIMIT {
            return Err(Fault::new(format!(
                "cannot use {} for a sandbox: the socket's path would be longer than {} bytes",
                socket.display(),
                SOCKET_PATH_LIMIT - suffix
            ))
            .hint("choose a folder with a shorter path"));
        }
    }
    Ok(())
}

/// Folders that must be there before an engine reads its configuration.
pub(super) fn make_dirs(layout: &Layout) -> Result<(), Fault> {
    for (dir, mode) in [
        (layout.run_dir.clone(), 0o755),
        (layout.supervisor_dir(), 0o700),
        (layout.app_pid_dir(), 0o755),
        (layout.vhost_dir(), 0o755),
        (layout.state_dir.join("nginx/temp"), 0o700),
        (layout.program_dir(), 0o755),
        (layout.app_logs_dir(), 0o755),
        (layout.config_dir.join("nginx.d"), 0o755),
    ] {
        fs::make_dir(&dir, mode)?;
    }
    Ok(())
}

/// Finds an engine's program.
pub(super) fn installed(program: &str) -> Result<PathBuf, Fault> {
    exec::find(program).ok_or_else(|| {
        Fault::new(format!("cannot find {program}: it is not installed"))
            .hint("apt-get install nginx-light supervisor")
    })
}

/// Nobody else may listen where nginx will.
pub(super) fn port_is_ours(port: u16) -> Result<(), Fault> {
    for address in listen_addresses(port) {
        match TcpListener::bind(address) {
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                let holder = listeners::in_words(port);
                return Err(Fault::new(format!(
                    "cannot listen on {address}: {holder} listens there"
                ))
                .hint("stop it, or choose another HTTP port"));
            }
            Err(error) => return Err(Fault::new(format!("cannot listen on {address}: {error}"))),
            Ok(_) => {}
        }
    }
    Ok(())
}

/// Takes a generated file out of the way that keeps an engine from starting for everybody. Its
/// workspace is then missing from the engine, which `list` tells.
pub(super) fn quarantine(file: &Path, why: &str) -> Result<(), Fault> {
    let broken = included::set_aside(file)?;
    tracing::error!(file = %file.display(), moved_to = %broken.display(), why, "a file that kept an engine from starting was moved aside");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_must_be_plain_and_short() {
        let bin = Path::new("/usr/bin");
        assert!(check_paths(&Layout::sandbox(Path::new("/srv/cid-1/a_b.c")), bin).is_ok());
        for bad in ["/srv/a b", "/srv/ä", "/srv/a;b", "/srv/%a", "srv/a"] {
            assert!(
                check_paths(&Layout::sandbox(Path::new(bad)), bin).is_err(),
                "{bad}"
            );
        }
        let fault = check_paths(
            &Layout::sandbox(Path::new(&format!("/{}", "a".repeat(80)))),
            bin,
        )
        .unwrap_err();
        assert!(fault.message.contains("longer than 99 bytes"), "{fault}");
    }

    #[test]
    fn a_taken_port_is_told_with_its_holder() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let fault = port_is_ours(listener.local_addr().unwrap().port()).unwrap_err();
        assert!(
            fault
                .message
                .contains(&format!(": process {} (", std::process::id())),
            "{fault}"
        );
    }
}
