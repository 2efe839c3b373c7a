//! Manual pages of files, made from the documents that describe them: so much of Markdown as these
//! use, and a settings file with a comment above each key.

use std::fmt::Write as _;

/// What a page is called, and what stands before the document.
pub(super) struct Page {
    name: &'static str,
    section: u8,
    summary: &'static str,
    path: &'static str,
    see_also: &'static str,
}

/// The project file's.
pub(super) const PROJECT: Page = Page {
    name: "cid-project",
    section: 5,
    summary: "a project of cid: what to clone, install, run and show",
    path: "/etc/cid/projects.d/NAME.toml",
    see_also: "cictl(1), cid.toml(5), cid(8)",
};

const SETTINGS: Page = Page {
    name: "cid.toml",
    section: 5,
    summary: "settings of the daemon cid",
    path: "/etc/cid/cid.toml",
    see_also: "cid\\-project(5), cid(8)",
};

impl Page {
    fn begin(&self) -> String {
        let Self {
            name,
            section,
            summary,
            path,
            ..
        } = self;
        let title = name.to_uppercase();
        let name = name.replace('-', "\\-");
        format!(
            ".TH \"{title}\" {section} \"\" cid cid\n.SH NAME\n{name} \\- {summary}\n.SH SYNOPSIS\n.I \
             {path}\n.SH DESCRIPTION\n"
        )
    }

    fn end(&self, mut page: String) -> String {
        let _ = write!(page, ".SH \"SEE ALSO\"\n{}\n", self.see_also);
        page
    }
}

/// A document as a page. Its title and its table of contents are left out.
pub(super) fn document(about: &Page, markdown: &str) -> String {
    let mut page = about.begin();
    let lines: Vec<&str> = markdown.lines().collect();
    let mut rest = lines.as_slice();
    while let Some((&line, after)) = rest.split_first() {
        let taken = if line.is_empty() || line.starts_with("# ") {
            1
        } else if let Some(title) = line.strip_prefix("### ") {
            let _ = writeln!(page, ".SS \"{}\"", inline(title));
            1
        } else if let Some(title) = line.strip_prefix("## ") {
            let _ = writeln!(page, ".SH \"{}\"", inline(title).to_uppercase());
            1
        } else if line.starts_with("```") {
            let inside = after.iter().take_while(|line| !line.starts_with("```"));
            2 + verbatim(&mut page, inside.copied())
        } else if line.starts_with("    ") {
            let inside = rest.iter().take_while(|line| line.starts_with("    "));
            verbatim(&mut page, inside.map(|line| &line[4..]))
        } else if line.starts_with("| ") {
            table(&mut page, rest)
        } else {
            paragraph(&mut page, rest)
        };
        rest = &rest[taken.min(rest.len())..];
    }
    about.end(page)
}

/// The settings file as a page: each key with its default and the comment above it.
pub(super) fn settings(example: &str) -> String {
    let mut page = SETTINGS.begin();
    let mut comment = String::new();
    let mut is_first_key = true;
    for line in example.lines() {
        if let Some(text) = line.strip_prefix('#') {
            comment.push_str(text.trim());
            comment.push('\n');
        } else if let Some(table) = line.strip_prefix('[') {
            let _ = write!(page, ".SH \"[{}\"\n{}", table, escaped(&comment));
            comment.clear();
        } else if line.is_empty() {
            // The file's own introduction has no key below it.
            if !comment.is_empty() {
                let _ = write!(page, ".PP\n{}", escaped(&comment));
                comment.clear();
            }
        } else {
            if is_first_key {
                page.push_str(".SH SETTINGS\n");
                is_first_key = false;
            }
            let _ = write!(page, ".TP\n\\fB{}\\fR\n{}", code(line), escaped(&comment));
            comment.clear();
        }
    }
    SETTINGS.end(page)
}

fn verbatim<'a>(page: &mut String, lines: impl Iterator<Item = &'a str>) -> usize {
    let mut count = 0;
    page.push_str(".PP\n.RS 4\n.nf\n");
    for line in lines {
        let _ = writeln!(page, "{}", protected(&code(line)));
        count += 1;
    }
    page.push_str(".fi\n.RE\n");
    count
}

/// The first cell is the term; the others follow with their columns' names, but for the last.
fn table(page: &mut String, lines: &[&str]) -> usize {
    let cells = |line: &str| -> Vec<String> {
        let inside = line.trim_start_matches("| ").trim_end_matches('|');
        inside
            .split(" | ")
            .map(|cell| inline(cell.trim()))
            .collect()
    };
    let count = lines
        .iter()
        .take_while(|line| line.starts_with('|'))
        .count();
    let head = lines.first().map(|line| cells(line)).unwrap_or_default();
    for line in &lines[2.min(count)..count] {
        let cells = cells(line);
        let _ = writeln!(page, ".TP\n{}", protected(&cells[0]));
        let last = cells.len() - 1;
        for (i, cell) in cells.iter().enumerate().skip(1) {
            if i == last {
                let _ = writeln!(page, "{}", protected(cell));
            } else {
                let _ = writeln!(page, "{}: {cell}.", head.get(i).map_or("", |name| name));
            }
        }
    }
    count
}

fn paragraph(page: &mut String, lines: &[&str]) -> usize {
    let is_item = |line: &str| {
        line.starts_with("- ")
            || line
                .split_once(". ")
                .is_some_and(|(n, _)| n.parse::<u8>().is_ok())
    };
    let count = 1 + lines[1..]
        .iter()
        .take_while(|line| !line.is_empty() && !is_item(line) && !line.starts_with("```"))
        .count();
    let text = lines[..count].join("\n");
    if text.starts_with("Contents:") {
        return count;
    }
    let (mark, text) = match text.strip_prefix("- ") {
        Some(text) => (Some("\\(bu".to_owned()), text),
        None if is_item(&text) => {
            let (number, text) = text.split_once(". ").unwrap_or(("", &text));
            (Some(format!("{number}.")), text)
        }
        None => (None, text.as_str()),
    };
    match mark {
        Some(mark) => {
            let _ = writeln!(page, ".IP {mark} 4");
        }
        None => page.push_str(".PP\n"),
    }
    for line in inline(text).lines() {
        let _ = writeln!(page, "{}", protected(line.trim_start()));
    }
    count
}

/// Code and bold become bold, links their text.
fn inline(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let taken = span(rest, "``", "``")
            .or_else(|| span(rest, "`", "`"))
            .map(|(inner, len)| (format!("\\fB{}\\fR", code(inner.trim())), len))
            .or_else(|| {
                let (inner, len) = span(rest, "**", "**")?;
                Some((format!("\\fB{}\\fR", inline(inner)), len))
            })
            .or_else(|| {
                let (inner, len) = span(rest, "*", "*")?;
                Some((format!("\\fI{}\\fR", inline(inner)), len))
            })
            .or_else(|| {
                let (inner, len) = span(rest, "[", ")")?;
                Some((inline(inner.split_once("](")?.0), len))
            });
        let (piece, len) =
            taken.unwrap_or_else(|| (escaped(c.encode_utf8(&mut [0; 4])), c.len_utf8()));
        out.push_str(&piece);
        rest = &rest[len..];
    }
    out
}

/// What stands between two marks at the beginning, and how long all of it is.
fn span<'a>(text: &'a str, open: &str, close: &str) -> Option<(&'a str, usize)> {
    let inside = text.strip_prefix(open)?;
    let end = inside.find(close).filter(|end| *end > 0)?;
    Some((&inside[..end], open.len() + end + close.len()))
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\e")
}

/// Hyphens stay what they are, so that the text can be copied.
fn code(text: &str) -> String {
    escaped(text).replace('-', "\\-")
}

/// A line that begins with a dot or an apostrophe would be an order to roff.
fn protected(line: &str) -> String {
    if line.starts_with(['.', '\'']) {
        format!("\\&{line}")
    } else {
        line.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_becomes_a_page() {
        let text = "# The file\n\nContents: [a](#a)\n\nOne `a-b`, **two**\n.three [four](#x).\n\n## Keys\n\n\
                    | key | type | meaning |\n|---|---|---|\n| `k` | text | A \\ key. |\n\n- item\n  more\n\n\
                    ```toml\nx = 1\n.y\n```\n\n    cmd -v\n";
        let page = document(&PROJECT, text);
        let (_, body) = page.split_once(".SH DESCRIPTION\n").unwrap();
        let (body, _) = body.split_once(".SH \"SEE ALSO\"").unwrap();
        assert_eq!(
            body,
            ".PP\nOne \\fBa\\-b\\fR, \\fBtwo\\fR\n\\&.three four.\n.SH \"KEYS\"\n.TP\n\\fBk\\fR\ntype: text.\nA \
             \\e key.\n.IP \\(bu 4\nitem\nmore\n.PP\n.RS 4\n.nf\nx = 1\n\\&.y\n.fi\n.RE\n.PP\n.RS 4\n.nf\ncmd \
             \\-v\n.fi\n.RE\n"
        );
    }

    #[test]
    fn settings_become_a_list() {
        let page = settings(
            "# All.\n\n# Ports.\n# Two ends.\nports = \"1-2\"\n\n# Times.\n[limits]\n\n# Git.\ngit = 1\n",
        );
        let (_, body) = page.split_once(".SH DESCRIPTION\n").unwrap();
        assert!(
            body.starts_with(
                ".PP\nAll.\n.SH SETTINGS\n.TP\n\\fBports = \"1\\-2\"\\fR\nPorts.\nTwo ends.\n"
            ),
            "{body}"
        );
        assert!(body.contains(".SH \"[limits]\"\nTimes.\n"));
    }
}
