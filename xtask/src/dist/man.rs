//! Manual pages of files, made from the documents that describe them: Markdown, and a settings file with a comment above
//! each key.

use super::roff::{self, code, escaped};
use pulldown_cmark::{Options, Parser};
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
    let mut writer = roff::Writer::new(about.begin());
    for event in Parser::new_ext(markdown, Options::ENABLE_TABLES) {
        writer.take(event);
    }
    about.end(writer.page())
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
    fn what_a_hand_would_get_wrong_is_read_as_markdown() {
        let text = "## A `b-c`\n\n1. one\n   - inner **bold `x-y` end**\n2. two <NAME>\n\n\
                    | a | b |\n|---|---|\n| `x` | `y \\| z` |\n";
        let page = document(&PROJECT, text);
        let (_, body) = page.split_once(".SH DESCRIPTION\n").unwrap();
        let (body, _) = body.split_once(".SH \"SEE ALSO\"").unwrap();
        assert_eq!(
            body,
            ".SH \"A B\\-C\"\n.IP 1. 4\none\n.RS 4\n.IP \\(bu 4\ninner \\fBbold \\fBx\\-y\\fB end\\fR\n.RE\n\
             .IP 2. 4\ntwo <NAME>\n.TP\n\\fBx\\fR\n\\fBy | z\\fR\n"
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
