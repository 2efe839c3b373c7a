//! The Procfile: `TYPE: SHELL LINE` a line. No line is passed over in silence.

use cid_protocol::{
    budget::{COMMAND, PROCESS_TYPE_NAME, PROCESS_TYPES, cut},
    fault::Fault,
};
use cid_protocol::{process_type::ProcessType, run_file::WEB};
use std::{
    collections::{BTreeMap, btree_map::Entry},
    path::Path,
};

/// Runs before the processes.
const RELEASE: &str = "release";
/// Types by which platforms name what they start once, by hand or around a deployment. Such a command
/// ends, or waits for somebody to type.
const ONCE: &[&str] = &[
    "console",
    "migrate",
    "postdeploy",
    "predeploy",
    "rake",
    "shell",
    "test",
];
/// How much of a line an error shows.
const SHOWN: usize = 80;

/// What a Procfile says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Procfile {
    /// Process types in the file's order.
    pub(super) processes: Vec<(String, String)>,
    /// The `release` line.
    pub(super) release: Option<String>,
    /// What a person may not expect, e.g. types that are not started.
    pub(super) notes: Vec<String>,
}

/// Reads one; `path` is for messages.
///
/// # Errors
/// A line is no comment and not `TYPE: COMMAND`, or there are more process types, or longer ones or longer
/// commands, than there may be.
pub(super) fn parse(text: &str, path: &Path) -> Result<Procfile, Fault> {
    let mut read = Procfile::default();
    // Of each type the number of its line.
    let mut lines: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        let place = format!("line {number} of {}", path.display());
        let (name, command) = entry(line.trim_end(), &place)?;
        match lines.entry(name) {
            Entry::Occupied(mut earlier) => {
                let first = earlier.insert(number);
                read.notes.push(format!(
                    "{name} stands in {} twice: line {number} counts, line {first} does not",
                    path.display()
                ));
            }
            Entry::Vacant(place) => {
                place.insert(number);
            }
        }
        if name == RELEASE {
            read.release = Some(command.to_owned());
        } else if let Some((_, old)) = read.processes.iter_mut().find(|(old, _)| old == name) {
            command.clone_into(old);
        } else {
            read.processes.push((name.to_owned(), command.to_owned()));
            PROCESS_TYPES.check(read.processes.len(), path.display())?;
        }
    }
    skip_what_runs_once(&mut read, path);
    if let Some((name, _)) = read
        .processes
        .iter()
        .find(|(name, _)| name != WEB && name.eq_ignore_ascii_case(WEB))
        && !read.processes.iter().any(|(name, _)| name == WEB)
    {
        read.notes.push(format!(
            "{} has no web: {name} gets no site, for types are told apart by case",
            path.display()
        ));
    }
    Ok(read)
}

/// Type and command of a line.
fn entry<'a>(line: &'a str, place: &str) -> Result<(&'a str, &'a str), Fault> {
    let shown = || match cut(line, SHOWN) {
        all if all.len() == line.len() => format!("{all:?}"),
        begin => format!("{begin:?}..."),
    };
    let refuse = |why: &str| {
        Err(Fault::new(format!("cannot understand {place}: {why}: {}", shown())).hint(
            "write `TYPE: COMMAND`, the command in one line; a type is of letters, digits, _ and -, does not begin with -, and has at most 31",
        ))
    };
    // Procfiles have no continuation: the second line would be a process of its own.
    if line.ends_with('\\') {
        return refuse("it ends in a backslash, and a command is one line");
    }
    if line.starts_with(char::is_whitespace) {
        return refuse("it begins with white space");
    }
    let Some((name, command)) = line.split_once(':') else {
        return refuse("it is not `TYPE: COMMAND`");
    };
    let (name, command) = (name.trim_end(), command.trim());
    PROCESS_TYPE_NAME.check(name.len(), place)?;
    COMMAND.check(command.len(), place)?;
    if ProcessType::parse(name).is_none() {
        return refuse(&format!("{name:?} is no process type"));
    }
    if command.is_empty() {
        return refuse(&format!("{name} has no command"));
    }
    if command.contains(|c: char| c.is_control() && c != '\t') {
        return refuse("it holds a control character");
    }
    Ok((name, command))
}

fn skip_what_runs_once(read: &mut Procfile, path: &Path) {
    let (once, processes) = std::mem::take(&mut read.processes)
        .into_iter()
        .partition(|(name, _)| ONCE.contains(&name.as_str()));
    read.processes = processes;
    read.notes.extend(once.iter().map(|(name, _): &(String, String)| {
        format!(
            "{name} in {} is not started: a type of this name is for a command that ends; run.{name} in the project file starts it all the same",
            path.display()
        )
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Procfile, Fault> {
        parse(text, Path::new("Procfile"))
    }

    #[test]
    fn keeps_order_and_shell_text() {
        let text = "# a comment: x\nweb: gunicorn -b 127.0.0.1:$PORT a.wsgi\r\nrelease: ./go && x\n\n\
                    worker:celery -A a worker\nBeat_2-x : celery beat\n";
        let read = read(text).unwrap();
        let processes = [
            ("web", "gunicorn -b 127.0.0.1:$PORT a.wsgi"),
            ("worker", "celery -A a worker"),
            ("Beat_2-x", "celery beat"),
        ];
        let processes = processes.map(|(name, line)| (name.to_owned(), line.to_owned()));
        assert_eq!(read.processes, processes);
        assert_eq!(read.release.as_deref(), Some("./go && x"));
        assert_eq!(read.notes, [""; 0]);
    }

    #[test]
    fn a_line_that_is_none_is_named() {
        for bad in [
            "celery.worker: celery",
            "not a line",
            "../x: y",
            "empty:",
            ": x",
            "-x: y",
            "web x: y",
            "wörker: y",
            "--bind 127.0.0.1:8000",
            "web: a\rworker: b",
            "web: gunicorn \\",
            "  app: app",
            "\tapp: app",
        ] {
            let fault = read(&format!("web: x\n# c\n{bad}\n")).unwrap_err();
            let place = "line 3 of Procfile";
            assert!(
                fault.message.contains(place) && fault.hint.is_some(),
                "{bad}: {fault}"
            );
        }
    }

    #[test]
    fn what_runs_once_and_what_stands_twice_is_noted() {
        let read =
            read("web: a\nconsole: b\nweb: c\npostdeploy: d\nrelease: e\nrelease: f\n").unwrap();
        assert_eq!(read.processes, [("web".to_owned(), "c".to_owned())]);
        assert_eq!(read.release.as_deref(), Some("f"));
        let notes = read.notes.join("\n");
        for part in [
            "web stands",
            "line 3 counts, line 1",
            "release stands",
            "console in",
            "postdeploy in",
        ] {
            assert!(notes.contains(part), "{part}: {notes}");
        }
        assert_eq!(read.notes.len(), 4);
    }

    #[test]
    fn web_in_other_letters_is_noted() {
        assert!(read("Web: a\n").unwrap().notes[0].contains("has no web"));
        assert!(read("Web: a\nweb: b\n").unwrap().notes.is_empty());
    }

    #[test]
    fn each_number_is_taken_at_its_bound_and_not_above() {
        let types = |count: usize| -> String { (0..count).map(|n| format!("p{n}: x\n")).collect() };
        let named = |length| format!("{}: x\n", "p".repeat(length));
        let running = |name: &str, length| format!("{name}: {}\n", "x".repeat(length));
        for (good, bad) in [
            (types(PROCESS_TYPES.most), types(PROCESS_TYPES.most + 1)),
            (
                named(PROCESS_TYPE_NAME.most),
                named(PROCESS_TYPE_NAME.most + 1),
            ),
            (
                running("web", COMMAND.most),
                running("web", COMMAND.most + 1),
            ),
            (
                running("release", COMMAND.most),
                running("release", COMMAND.most + 1),
            ),
        ] {
            assert!(read(&good).is_ok());
            let said = read(&bad).unwrap_err().message;
            assert!(said.contains("Procfile"), "{said}");
        }
        // The same type once more is no further one.
        assert!(read(&types(PROCESS_TYPES.most).repeat(2)).is_ok());
    }
}
