//! What a parser finds in a Markdown document, in the words of roff's `man` macros.

use pulldown_cmark::{Event, HeadingLevel, Tag, TagEnd};
use std::{fmt::Write as _, mem};

/// Writes a page.
#[derive(Default)]
pub(super) struct Writer {
    page: String,
    /// Of the block that is open.
    text: String,
    /// Of the text that is open, the innermost last.
    fonts: Vec<char>,
    /// Of each list that is open: the number of its next item.
    lists: Vec<Option<u64>>,
    in_heading: bool,
    in_code: bool,
    /// What the columns of the table are called.
    columns: Vec<String>,
    cells: Vec<String>,
}

impl Writer {
    /// Goes on with a page that has begun.
    pub(super) fn new(page: String) -> Self {
        Self {
            page,
            ..Self::default()
        }
    }

    /// All that was written.
    pub(super) fn page(self) -> String {
        self.page
    }

    /// Takes what comes next in the document.
    pub(super) fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.begin(&tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) if self.in_code => self.text.push_str(&code(&text)),
            Event::Code(text) if self.in_heading => self.text.push_str(&code(&text)),
            Event::Code(text) => {
                self.font('B');
                self.text.push_str(&code(&text));
                self.font_ends();
            }
            // A word in angle brackets is a placeholder.
            Event::Text(text) | Event::InlineHtml(text) | Event::Html(text) => {
                self.text.push_str(&escaped(&text));
            }
            Event::SoftBreak | Event::HardBreak => self.text.push('\n'),
            _ => {}
        }
    }

    fn begin(&mut self, tag: &Tag<'_>) {
        match tag {
            Tag::Heading { .. } => self.in_heading = true,
            Tag::Strong => self.font('B'),
            Tag::Emphasis => self.font('I'),
            Tag::List(first) => {
                self.lines();
                if !self.lists.is_empty() {
                    self.page.push_str(".RS 4\n");
                }
                self.lists.push(*first);
            }
            Tag::Item => {
                let number = self.lists.last_mut().and_then(Option::as_mut);
                let mark = number.map(|number| {
                    *number += 1;
                    format!("{}.", *number - 1)
                });
                let mark = mark.unwrap_or_else(|| "\\(bu".to_owned());
                let _ = writeln!(self.page, ".IP {mark} 4");
            }
            Tag::CodeBlock(_) => {
                self.lines();
                self.in_code = true;
                self.page.push_str(".PP\n.RS 4\n.nf\n");
            }
            Tag::TableHead | Tag::TableRow => self.cells.clear(),
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(level) => {
                self.in_heading = false;
                let title = mem::take(&mut self.text);
                let _ = match level {
                    HeadingLevel::H1 => Ok(()),
                    HeadingLevel::H2 => writeln!(self.page, ".SH \"{}\"", title.to_uppercase()),
                    _ => writeln!(self.page, ".SS \"{title}\""),
                };
            }
            TagEnd::Strong | TagEnd::Emphasis => self.font_ends(),
            TagEnd::Paragraph if self.text.starts_with("Contents:") => self.text.clear(),
            TagEnd::Paragraph => {
                if self.lists.is_empty() {
                    self.page.push_str(".PP\n");
                }
                self.lines();
            }
            TagEnd::Item => self.lines(),
            TagEnd::List(_) => {
                self.lists.pop();
                if !self.lists.is_empty() {
                    self.page.push_str(".RE\n");
                }
            }
            TagEnd::CodeBlock => {
                self.in_code = false;
                let text = mem::take(&mut self.text);
                for line in text.lines() {
                    let _ = writeln!(self.page, "{}", protected(line));
                }
                self.page.push_str(".fi\n.RE\n");
            }
            TagEnd::TableCell => self.cells.push(mem::take(&mut self.text)),
            TagEnd::TableHead => self.columns = mem::take(&mut self.cells),
            TagEnd::TableRow => self.row(),
            _ => {}
        }
    }

    /// The first cell is the term; the others follow with their columns' names, but for the last.
    fn row(&mut self) {
        let cells = mem::take(&mut self.cells);
        let last = cells.len().saturating_sub(1);
        for (at, cell) in cells.iter().enumerate() {
            let _ = match (at, self.columns.get(at)) {
                (0, _) => writeln!(self.page, ".TP\n{}", protected(cell)),
                (at, Some(name)) if at < last => writeln!(self.page, "{name}: {cell}."),
                _ => writeln!(self.page, "{}", protected(cell)),
            };
        }
    }

    fn font(&mut self, font: char) {
        self.fonts.push(font);
        let _ = write!(self.text, "\\f{font}");
    }

    fn font_ends(&mut self) {
        self.fonts.pop();
        let outer = self.fonts.last().unwrap_or(&'R');
        let _ = write!(self.text, "\\f{outer}");
    }

    /// Writes the text of the block that is open, if there is any.
    fn lines(&mut self) {
        for line in mem::take(&mut self.text).lines() {
            let _ = writeln!(self.page, "{}", protected(line));
        }
    }
}

/// Plain text.
pub(super) fn escaped(text: &str) -> String {
    text.replace('\\', "\\e")
}

/// Text whose hyphens stay what they are, so that it can be copied.
pub(super) fn code(text: &str) -> String {
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
