//! What untrusted code tries, as a program of its own.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Puts the program into a folder in which it will work.
pub fn calls(dir: &Path) -> PathBuf {
    let path = dir.join("calls.py");
    fs::write(&path, include_str!("calls.py")).unwrap();
    path
}

/// Panics unless every call was refused as it should be, and all that programs usually do went on.
pub fn assert_refused(said: &str) {
    let mut seen = 0;
    for line in said.lines() {
        assert!(!line.starts_with("LEFT"), "{line}\n{said}");
        let Some((name, outcome)) = line.split_once(' ').filter(|(name, _)| *name != "the") else {
            continue;
        };
        let expected = match name.split('-').next().unwrap() {
            "openat2" | "io_uring" | "x32" => "ENOSYS",
            "tool" | "copy" => "failed",
            "i386" => "signal-31",
            "mptcp" => "EPROTONOSUPPORT",
            "usual" => "ok",
            // Root itself may give a file capabilities.
            "file" if nix::unistd::geteuid().is_root() => continue,
            _ if name == "socket-bind" => "ok",
            _ => "EPERM",
        };
        assert_eq!(outcome, expected, "{name}\n{said}");
        seen += 1;
    }
    assert!(seen > 40 && said.ends_with("the end\n"), "{said}");
}
