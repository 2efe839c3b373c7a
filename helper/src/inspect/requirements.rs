//! `requirements.txt` and what it includes.

use super::{
    declared::{Declared, package_name},
    snapshot::{Snapshot, beneath},
    text,
};
use cid_protocol::fault::Fault;
use encoding_rs::{Encoding, UTF_8};
use std::path::{Path, PathBuf};

/// The file looked for.
pub(crate) const FILE: &str = "requirements.txt";

/// Reads it, following `-r` and `-c`.
pub(super) fn read(snapshot: &Snapshot<'_>) -> Result<Option<Declared>, Fault> {
    read_from(snapshot, snapshot.app_dir.join(FILE)).map(Some)
}

/// The same of a file by another name, by path in the repository.
pub(super) fn read_from(snapshot: &Snapshot<'_>, file: PathBuf) -> Result<Declared, Fault> {
    let mut declared = Declared::default();
    let mut waiting = vec![file];
    while let Some(path) = waiting.pop() {
        if declared.files.contains_key(&path) {
            continue;
        }
        let Some(content) = snapshot.read_at(&path)? else {
            declared.open = true;
            declared.notes.push(missing(&path));
            continue;
        };
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        for line in logical_lines(&decode(&content, &path)?) {
            match Line::parse(&line) {
                Line::Package(name) => declared.packages.extend(name),
                Line::Include(file) => match local(&folder, &file) {
                    Some(file) => waiting.push(file),
                    None => declared.open = true,
                },
                Line::Local(Place::Inside(file)) => match find(snapshot, &folder, &file)? {
                    Some(path) => declared.add_local(snapshot, &path)?,
                    None => {
                        declared.open = true;
                        declared.notes.push(missing(&folder.join(file)));
                    }
                },
                Line::Folder(file) => match find(snapshot, &folder, &file)? {
                    Some(path) => declared.add_folder(snapshot, path)?,
                    None => {
                        declared.open = true;
                        declared.notes.push(missing(&folder.join(file)));
                    }
                },
                Line::Local(_) => declared.open = true,
                Line::Option => {}
            }
        }
        declared.files.insert(path, content);
    }
    super::pyproject::add_settings(snapshot, &mut declared)?;
    Ok(declared)
}

fn missing(path: &Path) -> String {
    format!(
        "the requirements name {}, which is not in the repository",
        path.display()
    )
}

/// What a path leads to, from the app's folder as with pip, or else from the file's own.
fn find(snapshot: &Snapshot<'_>, folder: &Path, file: &str) -> Result<Option<PathBuf>, Fault> {
    for from in [&snapshot.app_dir, folder] {
        if let Some(path) = beneath(from, Path::new(file))
            && snapshot.id_of(&path)?.is_some()
        {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// The text of a file of requirements: as its mark says, else as a line `# -*- coding: NAME -*-` among its
/// first two says, else in UTF-8.
///
/// # Errors
/// It is not in that encoding.
fn decode(content: &[u8], path: &Path) -> Result<String, Fault> {
    let declared = coding(content).map(|name| {
        let label = name.to_ascii_lowercase().replace('_', "-");
        let label = label.replace("latin-1", "latin1");
        Encoding::for_label(label.as_bytes()).ok_or_else(|| {
            Fault::new(format!(
                "cannot read {} of the repository: it says that it is in {name}, which cid does not know",
                path.display()
            ))
            .hint("save it as UTF-8")
        })
    });
    text::decode_as(content, path, declared.transpose()?.unwrap_or(UTF_8))
}

/// What a comment in the first two lines says of the encoding.
fn coding(content: &[u8]) -> Option<String> {
    let lines = content.split(|byte| *byte == b'\n').take(2);
    lines
        .filter(|line| line.starts_with(b"#"))
        .find_map(|line| {
            let line = String::from_utf8_lossy(line);
            let (_, rest) = line.split_once("coding")?;
            let rest = rest.strip_prefix([':', '='])?.trim_start();
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c)));
            let name = &rest[..end.unwrap_or(rest.len())];
            (!name.is_empty()).then(|| name.to_owned())
        })
}

/// The file as every installer reads it: as it is, unless pip alone would find out how it is encoded.
pub(crate) fn for_installers(content: &[u8], path: &Path) -> Result<Vec<u8>, Fault> {
    let text = decode(content, path)?;
    if str::from_utf8(content).is_ok() || coding(content).is_none() {
        return Ok(content.to_owned());
    }
    // pip believes the mark more than what the file says of itself.
    Ok(format!("\u{feff}{text}").into_bytes())
}

#[derive(Debug, PartialEq, Eq)]
enum Line {
    /// From an index, a URL or a version control system; the name, where it can be read.
    Package(Option<String>),
    /// Another file of requirements or constraints.
    Include(String),
    /// A package in a folder, or an archive.
    Local(Place),
    /// A folder of archives.
    Folder(String),
    /// Where and how to install.
    Option,
}

impl Line {
    fn parse(line: &str) -> Self {
        if let Some(file) =
            option(line, "-r", "--requirement").or_else(|| option(line, "-c", "--constraint"))
        {
            return Self::Include(file.trim_matches(['"', '\'']).to_owned());
        }
        if let Some(what) = option(line, "-e", "--editable") {
            return if what.contains("+") && what.contains("://") && !what.contains("+file:") {
                Self::Package(
                    what.split_once("#egg=")
                        .and_then(|(_, name)| package_name(name)),
                )
            } else {
                // A plain name is a folder here.
                Self::Local(match place(what) {
                    Place::Elsewhere => Place::Inside(what.to_owned()),
                    place => place,
                })
            };
        }
        if let Some(place) = option(line, "-f", "--find-links") {
            return if place.starts_with("http") {
                Self::Option
            } else {
                Self::Folder(place.trim_start_matches("file:").to_owned())
            };
        }
        if line.starts_with('-') {
            return Self::Option;
        }
        match place(line) {
            Place::Elsewhere => {
                Self::Package(package_name(line).filter(|_| !line.starts_with("http")))
            }
            place => Self::Local(place),
        }
    }
}

/// Where a requirement says that its package is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// On an index, at a URL, in a version control system.
    Elsewhere,
    /// In the repository, at this path.
    Inside(String),
    /// On this machine, but not in the repository.
    Outside,
}

/// Reads it from a requirement: `./x`, `x.whl`, `name @ file:x`. What begins with `${PROJECT_ROOT}` is as
/// uv and PDM write paths.
pub(super) fn place(requirement: &str) -> Place {
    let text = match requirement.split_once('@') {
        Some((name, rest)) if !name.contains(['/', ':']) => rest.trim(),
        _ => requirement.trim(),
    };
    let (text, is_url) = match text.strip_prefix("file:") {
        Some(path) => (path.strip_prefix("//").unwrap_or(path), true),
        None => (text, false),
    };
    if text.contains("://") {
        return Place::Elsewhere;
    }
    const ROOT: &str = "${PROJECT_ROOT}/";
    let rooted = text.trim_start_matches('/').strip_prefix(ROOT);
    let path = rooted.unwrap_or(text);
    let path = path
        .split(['[', ';', '#'])
        .next()
        .unwrap_or_default()
        .trim();
    let is_path = is_url
        || rooted.is_some()
        || path.starts_with('.')
        || path.contains('/')
        || [".whl", ".zip", ".tar.gz", ".tar.bz2"]
            .iter()
            .any(|end| path.ends_with(end));
    match is_path {
        false => Place::Elsewhere,
        true if path.starts_with('/') => Place::Outside,
        true => Place::Inside(path.to_owned()),
    }
}

/// The value of an option in its forms `-rX`, `-r X`, `--long X`, `--long=X`.
fn option<'a>(line: &'a str, short: &str, long: &str) -> Option<&'a str> {
    let value = match line.strip_prefix(long) {
        Some(rest) => rest
            .strip_prefix('=')
            .or_else(|| rest.strip_prefix(char::is_whitespace))?,
        None => line
            .strip_prefix(short)
            .filter(|_| !line.starts_with("--"))?,
    };
    Some(value.trim())
}

/// A path in the repository; `None` for a URL or a path that leads out.
fn local(folder: &Path, file: &str) -> Option<PathBuf> {
    if file.contains("://") {
        None
    } else {
        beneath(folder, Path::new(file))
    }
}

/// Lines without comments, continued ones joined.
fn logical_lines(text: &str) -> Vec<String> {
    let joined = text.replace("\\\r\n", " ").replace("\\\n", " ");
    joined
        .lines()
        .map(|line| {
            let line = line.trim();
            let line = if line.starts_with('#') {
                ""
            } else {
                line.split(" #").next().unwrap_or_default()
            };
            line.trim().to_owned()
        })
        .filter(|line| !line.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_lines_apart() {
        let package = |name: &str| Line::Package(Some(name.to_owned()));
        let inside = |path: &str| Line::Local(Place::Inside(path.to_owned()));
        let table = [
            ("Django==4.2", package("django")),
            (
                "gunicorn[gevent] >= 20 ; python_version > '3'",
                package("gunicorn"),
            ),
            ("a @ https://x.org/a.whl", package("a")),
            ("git+https://x.org/a.git@v1#egg=a", package("git")),
            ("https://x.org/a.whl", Line::Package(None)),
            ("-e git+https://x.org/a.git#egg=My_App", package("my-app")),
            ("-r base.txt", Line::Include("base.txt".into())),
            ("-rbase.txt", Line::Include("base.txt".into())),
            ("--requirement=base.txt", Line::Include("base.txt".into())),
            ("-c ../c.txt", Line::Include("../c.txt".into())),
            ("--index-url https://x.org", Line::Option),
            ("--hash=sha256:00", Line::Option),
            ("--find-links https://x.org", Line::Option),
            ("--find-links ./wheels", Line::Folder("./wheels".into())),
            ("-e .", inside(".")),
            ("-e .[dev,test]", inside(".")),
            ("-e lib", inside("lib")),
            ("--editable ./lib ; python_version > '3'", inside("./lib")),
            ("-e file:///${PROJECT_ROOT}/libs/a#egg=a", inside("libs/a")),
            ("./lib", inside("./lib")),
            (".", inside(".")),
            ("vendor/x-1.0.whl", inside("vendor/x-1.0.whl")),
            ("x-1.0.tar.gz", inside("x-1.0.tar.gz")),
            ("a @ ./libs/a", inside("./libs/a")),
            ("a[x] @ file:libs/a", inside("libs/a")),
            ("a @ file:///x", Line::Local(Place::Outside)),
            ("/srv/x", Line::Local(Place::Outside)),
        ];
        for (text, expected) in table {
            assert_eq!(Line::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn joins_lines_and_drops_comments() {
        assert_eq!(
            logical_lines("a==1 \\\n  --hash=x # why\n# b\n\nc#d"),
            ["a==1    --hash=x", "c#d"]
        );
    }

    #[test]
    fn reads_each_encoding_that_pip_reads() {
        let path = Path::new("requirements.txt");
        let latin = b"# -*- coding: latin-1 -*-\nsix # gr\xfc\xdf\n";
        let cyrillic = b"#\n# vim: set fileencoding=cp1251 :\nsix # \xe4\xe0\n";
        let utf16 = text::tests::utf16("six # grüß\n", true, true);
        assert!(decode(latin, path).unwrap().ends_with("grüß\n"));
        assert!(decode(cyrillic, path).unwrap().ends_with("да\n"));
        assert_eq!(decode(&utf16, path).unwrap(), "six # grüß\n");
        // uv reads every encoding but a declared one. A file that both uv and pip can read is not changed.
        let changed = for_installers(latin, path).unwrap();
        assert!(
            changed.starts_with(b"\xef\xbb\xbf# -*-")
                && decode(&changed, path).unwrap().contains("grüß")
        );
        for same in [
            &utf16[..],
            b"\xef\xbb\xbfsix\r\n",
            b"# coding: latin-1\nsix",
        ] {
            assert_eq!(for_installers(same, path).unwrap(), same);
        }
        for bad in [&b"six # gr\xfc"[..], b"# coding: klingon\nsix"] {
            let fault = decode(bad, path).unwrap_err();
            assert!(fault.message.contains("requirements.txt"), "{fault}");
        }
    }
}
