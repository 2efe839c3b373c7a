//! Reads JUnit XML that tests left. Tests wrote it, so it is bounded and no entity in it is looked up.

use cid_protocol::{
    budget::{ERROR_TEXT, FAILED_TESTS, NOTES, REPORT_BYTES, REPORT_FILES, cut},
    fault::Fault,
    request::{ReadReports, Reports},
};
use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};
use std::{
    fs::{self, File, OpenOptions},
    io::{BufReader, Read},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// Reads the `.xml` files of a folder.
///
/// # Errors
/// The folder is there and cannot be listed.
pub(crate) fn read(ask: &ReadReports) -> Result<Reports, Fault> {
    let mut reports = Reports::default();
    let failed = |error| Fault::io("list", &ask.folder, error);
    let listing = match fs::read_dir(&ask.folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(reports),
        listing => listing.map_err(failed)?,
    };
    let mut paths = Vec::new();
    for entry in listing {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|ext| ext == "xml") {
            if paths.len() == REPORT_FILES.most {
                note(&mut reports, "there are more reports than are read");
                break;
            }
            paths.push(path);
        }
    }
    paths.sort();
    let mut left = REPORT_BYTES.most as u64;
    for path in paths {
        if let Err(why) = one(&path, &mut left, &mut reports) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            note(
                &mut reports,
                &format!("cannot read the report {name}: {why}"),
            );
        }
    }
    Ok(reports)
}

fn one(path: &Path, left: &mut u64, reports: &mut Reports) -> Result<(), String> {
    let text = |error: std::io::Error| error.to_string();
    let flags = nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)
        .map_err(text)?;
    let meta = file.metadata().map_err(text)?;
    if !meta.is_file() {
        return Err("it is no regular file".into());
    }
    *left = left
        .checked_sub(meta.len())
        .ok_or("the reports are too large together")?;
    cases(file, meta.len(), reports)
}

/// Counts `testcase` elements; one has failed that holds `failure` or `error`.
fn cases(file: File, length: u64, reports: &mut Reports) -> Result<(), String> {
    let mut reader = Reader::from_reader(BufReader::new(file.take(length)));
    let (mut buffer, mut case) = (Vec::new(), None);
    loop {
        let event = reader
            .read_event_into(&mut buffer)
            .map_err(|error| error.to_string())?;
        match event {
            Event::Eof => return Ok(()),
            Event::Start(element) if element.name().as_ref() == "testcase" => {
                case = Some(begin(&element, reports));
            }
            Event::Empty(element) if element.name().as_ref() == "testcase" => {
                begin(&element, reports);
            }
            Event::End(element) if element.name().as_ref() == "testcase" => case = None,
            Event::Start(element) | Event::Empty(element) => match element.name().as_ref() {
                "failure" | "error" => {
                    // A second one in the same case is the same test.
                    if let Some(name) = case.take() {
                        reports.failed += 1;
                        if reports.names.len() < FAILED_TESTS.most {
                            reports.names.push(name);
                        }
                    }
                }
                "skipped" => reports.skipped += u64::from(case.take().is_some()),
                _ => {}
            },
            _ => {}
        }
        buffer.clear();
    }
}

fn begin(element: &BytesStart<'_>, reports: &mut Reports) -> String {
    reports.tests += 1;
    let attribute = |wanted: &str| {
        let found = element.try_get_attribute(wanted).ok().flatten()?;
        let raw = found.value.into_owned();
        // The five entities of XML itself; others stay as they are written.
        Some(
            quick_xml::escape::unescape(&raw)
                .map_or_else(|_| raw.clone(), std::borrow::Cow::into_owned),
        )
    };
    let name = attribute("name").unwrap_or_default();
    let name = match attribute("classname") {
        Some(class) if !class.is_empty() => format!("{class}.{name}"),
        _ => name,
    };
    let plain: String = name.chars().filter(|c| !c.is_control()).collect();
    cut(&plain, ERROR_TEXT.most).to_owned()
}

fn note(reports: &mut Reports, text: &str) {
    if reports.notes.len() < NOTES.most {
        reports.notes.push(cut(text, ERROR_TEXT.most).to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reports(files: &[(&str, &str)]) -> Reports {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(dir.path().join(name), text).unwrap();
        }
        read(&ReadReports {
            folder: dir.path().to_owned(),
        })
        .unwrap()
    }

    #[test]
    fn counts_tests_and_names_those_that_failed() {
        let one = r#"<?xml version="1.0"?><testsuites><testsuite>
            <testcase classname="shop.Cart" name="adds"/>
            <testcase classname="shop.Cart" name="a &lt; b"><failure message="no">x</failure><error/></testcase>
            <testcase name="later"><skipped/></testcase>
            <testcase name="broken"><error>boom</error></testcase>
            </testsuite></testsuites>"#;
        let found = reports(&[("one.xml", one), ("not.txt", "x")]);
        assert_eq!((found.tests, found.failed, found.skipped), (4, 2, 1));
        assert_eq!(found.names, ["shop.Cart.a < b", "broken"]);
        assert!(found.notes.is_empty());
    }

    #[test]
    fn hostile_reports_cost_a_note_and_no_more() {
        let bomb = r#"<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">
            <!ENTITY e SYSTEM "file:///etc/passwd">]><testcase name="&b;&e;"><failure/></testcase>"#;
        let found = reports(&[("bomb.xml", bomb)]);
        assert_eq!(found.names, ["&b;&e;"]);
        let deep = format!("{}<testcase/>", "<a>".repeat(100_000));
        let found = reports(&[("broken.xml", "<testcase"), ("deep.xml", &deep)]);
        assert_eq!(found.tests, 1);
        assert!(found.notes[0].contains("broken.xml"), "{:?}", found.notes);
        let many = "<testcase><failure/></testcase>".repeat(FAILED_TESTS.most + 5);
        let found = reports(&[("many.xml", &many)]);
        assert_eq!(found.names.len(), FAILED_TESTS.most);
        assert_eq!(found.failed as usize, FAILED_TESTS.most + 5);
    }

    #[test]
    fn no_report_is_no_fault_and_no_link_is_followed() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("none");
        assert_eq!(read(&ReadReports { folder }).unwrap(), Reports::default());
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("a.xml")).unwrap();
        let folder = dir.path().to_owned();
        assert_eq!(read(&ReadReports { folder }).unwrap().notes.len(), 1);
    }
}
