//! Which of the daemon's modules uses which: as `docs/architecture.md` says, and nowhere in a circle.

#![expect(clippy::unwrap_used, reason = "what fails here is a failed test")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

type Uses = BTreeMap<String, BTreeSet<String>>;

/// These build the house, and may use all of it.
const TOP: [&str; 4] = ["app", "cli", "lib", "main"];

#[test]
fn modules_use_each_other_as_the_document_says() {
    let document = include_str!("../../docs/architecture.md");
    let (_, rest) = document.split_once("<!-- imports -->\n").unwrap();
    let (table, _) = rest.split_once("<!-- end -->").unwrap();
    let row = |line: &str| {
        let (module, used) = line.split_once("->")?;
        let names = used.split(',').map(|name| name.trim().to_owned());
        Some((module.trim().to_owned(), names.collect()))
    };
    let written: Uses = table.lines().filter_map(row).collect();
    assert_eq!(uses(), written);
}

#[test]
fn there_is_no_circle() {
    let mut left = uses();
    // What uses nothing that is left is in none.
    loop {
        let names: BTreeSet<_> = left.keys().cloned().collect();
        let before = left.len();
        left.retain(|_, used| !used.is_disjoint(&names));
        if left.len() == before {
            break;
        }
    }
    assert!(left.is_empty(), "among these: {left:#?}");
}

/// What each top module uses of the others, tests left out.
fn uses() -> Uses {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    list(&src, &mut files);
    let module_of = |file: &Path| {
        let first = file
            .strip_prefix(&src)
            .unwrap()
            .components()
            .next()
            .unwrap();
        let name = first.as_os_str().to_str().unwrap();
        name.trim_end_matches(".rs").to_owned()
    };
    let modules: BTreeSet<String> = files.iter().map(|file| module_of(file)).collect();
    let mut uses = Uses::new();
    for file in &files {
        let module = module_of(file);
        if TOP.contains(&module.as_str()) {
            continue;
        }
        let used = named(&fs::read_to_string(file).unwrap());
        let others = used.into_iter().filter(|name| *name != module);
        let known = others.filter(|name| modules.contains(name));
        let known: Vec<String> = known.collect();
        uses.entry(module).or_default().extend(known);
    }
    uses.retain(|_, used| !used.is_empty());
    uses
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            if name != "tests" {
                list(&path, files);
            }
        } else if name.ends_with(".rs") && !name.ends_with("tests.rs") {
            files.push(path);
        }
    }
}

/// The first names after `crate::`, outside of comments and of the tests at a file's end.
fn named(text: &str) -> BTreeSet<String> {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let lines = code.lines().map(|line| line.split("//").next().unwrap());
    let code = lines.collect::<Vec<_>>().join("\n");
    let mut names = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            None => names.insert(word(rest)),
            Some(group) => {
                names.extend(first_words(group));
                false
            }
        };
    }
    names
}

/// The first word of each part of a group, up to its closing brace.
fn first_words(group: &str) -> Vec<String> {
    let (mut depth, mut begins, mut words) = (0, true, Vec::new());
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => begins = true,
            other if begins && !other.is_whitespace() => {
                words.push(word(&group[at..]));
                begins = false;
            }
            _ => {}
        }
    }
    words
}

fn word(text: &str) -> String {
    let is_part = |character: &char| character.is_alphanumeric() || *character == '_';
    text.chars().take_while(is_part).collect()
}
