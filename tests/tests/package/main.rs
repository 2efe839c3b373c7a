//! What the package ships and no compiler sees: units, polkit's files, scripts, documents.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says what is wrong by failing where it is"
)]

mod documents;
mod exposure;
mod helpers;
mod polkit;
mod units;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// A path in the checkout.
fn checkout(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn read(path: &str) -> String {
    fs::read_to_string(checkout(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Names of the files in a folder of the checkout, sorted.
fn names(folder: &str) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(checkout(folder))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn run(command: &mut Command) -> Output {
    command
        .output()
        .unwrap_or_else(|error| panic!("cannot start {:?}: {error}", command.get_program()))
}

/// Section, key, value.
type Directive = (String, String, String);

/// What a unit says.
fn directives(text: &str) -> Vec<Directive> {
    let mut section = String::new();
    let mut found = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[') {
            name.trim_end_matches(']').clone_into(&mut section);
        } else if !line.is_empty() && !line.starts_with('#') {
            let (key, value) = line.split_once('=').unwrap_or((line, ""));
            found.push((section.clone(), key.to_owned(), value.to_owned()));
        }
    }
    found
}
