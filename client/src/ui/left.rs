//! Text for people: what is deleted with a workspace and is not work.

use super::text::clean;
use cid_client::LeftFiles;

/// Headings, the biggest files and the newest commits; nothing where there are none.
pub(crate) fn lines(left: &LeftFiles) -> Vec<String> {
    [files(left), forgotten(left)].concat()
}

fn forgotten(left: &LeftFiles) -> Vec<String> {
    if left.forgotten.is_empty() {
        return Vec::new();
    }
    let heading = "on no branch any more, and gone with the workspace:";
    let mut lines = vec![heading.to_owned()];
    lines.extend(
        left.forgotten
            .iter()
            .map(|line| format!("  {}", clean(line))),
    );
    if left.more_forgotten > 0 {
        lines.push(format!("  and {} more", left.more_forgotten));
    }
    lines
}

fn files(left: &LeftFiles) -> Vec<String> {
    if left.files == 0 {
        return Vec::new();
    }
    let files = match left.files {
        1 => "1 file".to_owned(),
        n => format!("{n} files"),
    };
    let at_least = if left.is_partial { "at least " } else { "" };
    let mut lines = vec![format!(
        "not kept by git, and gone with the workspace: {at_least}{files}, {}",
        size(left.bytes)
    )];
    let file =
        |file: &cid_client::LeftFile| format!("  {}  {}", clean(&file.path), size(file.bytes));
    lines.extend(left.biggest.iter().map(file));
    if left.more > 0 {
        lines.push(format!("  and {} more", left.more));
    }
    lines
}

/// A size as people read it.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let (mut whole, mut rest, mut unit) = (bytes, 0, "B");
    for next in UNITS {
        if whole < 1024 {
            break;
        }
        (rest, whole, unit) = (whole % 1024, whole / 1024, next);
    }
    match whole {
        0..10 => format!("{whole}.{} {unit}", rest * 10 / 1024),
        _ => format!("{whole} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cid_client::LeftFile;

    #[test]
    fn files_are_told_with_their_size() {
        let left = LeftFiles {
            biggest: vec![
                LeftFile {
                    path: "src/media/".into(),
                    bytes: 34 * 1024 * 1024 + 5,
                },
                LeftFile {
                    path: "src/\x1b[31mdb.sqlite3".into(),
                    bytes: 1536,
                },
            ],
            more: 3,
            files: 17,
            bytes: 35 * 1024 * 1024,
            is_partial: false,
            forgotten: vec!["src: 1234567 Try it\x1b[31m otherwise".into()],
            more_forgotten: 2,
        };
        insta::assert_snapshot!(lines(&left).join("\n"), @r"
        not kept by git, and gone with the workspace: 17 files, 35 MiB
          src/media/  34 MiB
          src/db.sqlite3  1.5 KiB
          and 3 more
        on no branch any more, and gone with the workspace:
          src: 1234567 Try it otherwise
          and 2 more
        ");
        assert!(lines(&LeftFiles::default()).is_empty());
    }

    #[test]
    fn sizes_have_units() {
        let shown = [0, 1023, 1024, 1025 * 1024, 5 << 40].map(size);
        assert_eq!(shown, ["0 B", "1023 B", "1.0 KiB", "1.0 MiB", "5.0 TiB"]);
    }
}
