//! Colours of a terminal, as classes of the style sheet. Nothing else of an escape sequence is left.

use crate::text::printable;
use serde::Serialize;

/// More pieces of one line are shown without colours.
const PIECES: usize = 200;

/// Text of one colour.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Piece {
    /// The text, printable.
    pub text: String,
    /// Names of the style sheet's classes; may be empty.
    pub class: String,
}

#[derive(Clone, Copy, Default)]
struct Style {
    colour: Option<u8>,
    is_bold: bool,
    is_dim: bool,
    is_underlined: bool,
}

/// A line that a process wrote, in pieces of one colour each.
pub fn pieces(line: &str) -> Vec<Piece> {
    let (mut pieces, mut style, mut rest) = (Vec::new(), Style::default(), line);
    while let Some((before, codes, after)) = next_change(rest) {
        push(&mut pieces, before, style);
        style.change(codes);
        rest = after;
        if pieces.len() >= PIECES {
            break;
        }
    }
    push(&mut pieces, rest, style);
    pieces
}

/// The text up to the first change of style, its codes, and what follows.
fn next_change(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    loop {
        let begin = from + text.get(from..)?.find("\u{1b}[")?;
        let codes = &text[begin + 2..];
        let length = codes
            .find(|c: char| !c.is_ascii_digit() && c != ';')
            .unwrap_or(codes.len());
        if codes[length..].starts_with('m') {
            return Some((&text[..begin], &codes[..length], &codes[length + 1..]));
        }
        from = begin + 2;
    }
}

fn push(pieces: &mut Vec<Piece>, text: &str, style: Style) {
    let text = printable(text);
    if !text.is_empty() {
        let class = style.class();
        pieces.push(Piece { text, class });
    }
}

impl Style {
    fn change(&mut self, codes: &str) {
        let mut codes = codes.split(';').map(|code| code.parse().unwrap_or(0_u16));
        while let Some(code) = codes.next() {
            match code {
                0 => *self = Self::default(),
                1 => self.is_bold = true,
                2 => self.is_dim = true,
                4 => self.is_underlined = true,
                22 => (self.is_bold, self.is_dim) = (false, false),
                24 => self.is_underlined = false,
                30..=37 => self.colour = u8::try_from(code - 30).ok(),
                90..=97 => self.colour = u8::try_from(code - 90 + 8).ok(),
                39 => self.colour = None,
                // A colour of a larger table or by its parts: those of the sixteen are shown.
                38 | 48 => {
                    let number = match codes.next() {
                        Some(5) => codes.next(),
                        Some(2) => codes.nth(2).and(None),
                        _ => None,
                    };
                    if code == 38 {
                        let number = number.and_then(|number| u8::try_from(number).ok());
                        self.colour = number.filter(|number| *number < 16);
                    }
                }
                _ => {}
            }
        }
    }

    fn class(self) -> String {
        let mut classes = Vec::new();
        let colour = self.colour.map(|colour| format!("c{colour}"));
        classes.extend(colour.as_deref());
        classes.extend(self.is_bold.then_some("bold"));
        classes.extend(self.is_dim.then_some("dim"));
        classes.extend(self.is_underlined.then_some("underlined"));
        classes.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> String {
        let pieces = pieces(line);
        let shown = |piece: &Piece| format!("<{}>{}", piece.class, piece.text);
        pieces.iter().map(shown).collect()
    }

    #[test]
    fn colours_become_classes_and_all_else_vanishes() {
        for (line, expected) in [
            ("plain", "<>plain"),
            ("", ""),
            ("\u{1b}[31mred\u{1b}[0m not", "<c1>red<> not"),
            ("\u{1b}[1;92mOK\u{1b}[22m!", "<c10 bold>OK<c10>!"),
            ("\u{1b}[mx", "<>x"),
            ("\u{1b}[38;5;9mx\u{1b}[39my", "<c9>x<>y"),
            ("\u{1b}[38;5;200mx", "<>x"),
            ("\u{1b}[38;2;1;31;4mx", "<>x"),
            ("\u{1b}[48;5;1mx", "<>x"),
            ("\u{1b}[4;2mx", "<dim underlined>x"),
            ("a\u{1b}[2Jb\u{1b}[35mc", "<>ab<c5>c"),
            ("\u{1b}[99999999999mx", "<>x"),
            ("\u{1b}[31", ""),
            ("\u{1b}[", ""),
            ("\u{1b}]8;;javascript:x\u{7}k", "<>k"),
            ("<b>\u{1b}[31m<i>", "<><b><c1><i>"),
            ("\u{1b}[31\"onload=xm", "<>nload=xm"),
        ] {
            assert_eq!(shown(line), expected, "{line:?}");
        }
    }

    #[test]
    fn a_line_of_nothing_but_colours_ends() {
        let line = "\u{1b}[31mx\u{1b}[32my".repeat(10_000);
        let pieces = pieces(&line);
        assert!(pieces.len() <= PIECES + 1, "{}", pieces.len());
        assert!(pieces.iter().all(|piece| !piece.text.contains('\u{1b}')));
    }
}
