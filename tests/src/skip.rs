//! A test that cannot run here says so where it is counted.

use std::{env, fs::OpenOptions, io::Write, thread};

/// Names the file that `cargo xtask test` reads afterwards: a line `TEST: WHY` for each test that did
/// not run.
pub const SKIPPED: &str = "CID_SKIPPED";

/// Says that this test does not run here, and why: `this needs ...`. To be followed by a return.
///
/// # Panics
/// The file cannot be written.
pub fn skip(why: &str) {
    // nextest runs each test on the main thread of a process of its own.
    let test = env::var("NEXTEST_TEST_NAME").ok();
    let thread = thread::current().name().unwrap_or("a test").to_owned();
    let line = format!("{}: {why}\n", test.unwrap_or(thread));
    eprint!("skipped: {line}");
    if let Some(file) = env::var_os(SKIPPED) {
        let mut options = OpenOptions::new();
        let file = options.append(true).create(true).open(file);
        let written = file.and_then(|mut file| file.write_all(line.as_bytes()));
        assert!(
            written.is_ok(),
            "cannot say that a test is skipped: {written:?}"
        );
    }
}
