//! Files of the repository as text. What is no text is refused by name: half a file, or one with replaced
//! characters, would pass for another.

use cid_protocol::fault::Fault;
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};
use std::path::Path;

/// Marks at a file's begin that tell how it is encoded; a longer one before one that it begins with.
const MARKS: &[(&[u8], Option<&Encoding>)] = &[
    (b"\xef\xbb\xbf", Some(UTF_8)),
    (b"\xff\xfe\0\0", None),
    (b"\0\0\xfe\xff", None),
    (b"\xff\xfe", Some(UTF_16LE)),
    (b"\xfe\xff", Some(UTF_16BE)),
];

/// The text of a file in UTF-8, or in UTF-16 that says so by its mark; without that mark.
///
/// # Errors
/// It is neither.
pub(crate) fn decode(content: &[u8], path: &Path) -> Result<String, Fault> {
    decode_as(content, path, UTF_8)
}

/// The same of a file that without a mark is in this encoding.
///
/// # Errors
/// It is not.
pub(super) fn decode_as(
    content: &[u8],
    path: &Path,
    without_mark: &'static Encoding,
) -> Result<String, Fault> {
    let mark = MARKS.iter().find(|(mark, _)| content.starts_with(mark));
    let (encoding, content) = match mark {
        Some((mark, encoding)) => (*encoding, &content[mark.len()..]),
        None => (Some(without_mark), content),
    };
    let text = encoding
        .and_then(|encoding| encoding.decode_without_bom_handling_and_without_replacement(content))
        // UTF-16 without its mark is mostly valid UTF-8.
        .filter(|text| !text.contains('\0'));
    text.map(std::borrow::Cow::into_owned).ok_or_else(|| {
        let why = match content.iter().position(|byte| *byte == 0) {
            // Wide encodings are full of zero bytes.
            Some(at) if encoding == Some(UTF_8) => {
                format!("it has a zero byte, in line {}", line_of(content, at))
            }
            _ => format!("it is not text in {}", encoding.unwrap_or(UTF_8).name()),
        };
        Fault::new(format!(
            "cannot read {} of the repository: {why}",
            path.display()
        ))
        .hint("save it as UTF-8")
    })
}

/// The text of a file whose own tool reads nothing but UTF-8.
///
/// # Errors
/// It is something else.
pub(super) fn utf8(content: &[u8], path: &Path, tool: &str) -> Result<String, Fault> {
    let mark = MARKS.iter().find(|(mark, _)| content.starts_with(mark));
    if mark.is_some_and(|(_, encoding)| *encoding != Some(UTF_8)) {
        let path = path.display();
        return Err(Fault::new(format!(
            "cannot read {path} of the repository: it is not in UTF-8, and {tool} reads nothing else"
        ))
        .hint("save it as UTF-8"));
    }
    decode(content, path)
}

/// The number of the line that this byte is in.
fn line_of(text: &[u8], at: usize) -> usize {
    1 + text[..at].iter().filter(|byte| **byte == b'\n').count()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// UTF-16 with its mark, or without.
    pub(in crate::inspect) fn utf16(text: &str, little: bool, mark: bool) -> Vec<u8> {
        let units = mark
            .then_some(0xfeff)
            .into_iter()
            .chain(text.encode_utf16());
        let bytes = |unit: u16| {
            if little {
                unit.to_le_bytes()
            } else {
                unit.to_be_bytes()
            }
        };
        units.flat_map(bytes).collect()
    }

    #[test]
    fn reads_what_says_how_it_is_encoded() {
        let text = "web: grüß\r\n";
        let marked = format!("\u{feff}{text}").into_bytes();
        for content in [
            text.as_bytes().to_vec(),
            marked,
            utf16(text, true, true),
            utf16(text, false, true),
        ] {
            assert_eq!(decode(&content, Path::new("x")).unwrap(), text);
        }
    }

    #[test]
    fn refuses_the_rest_by_name() {
        let utf32: Vec<u8> = "\u{feff}web: x"
            .chars()
            .flat_map(|c| u32::from(c).to_le_bytes())
            .collect();
        for content in [
            utf16("web: x", true, false),
            utf16("web: x", false, false),
            utf32,
            b"web: gr\xfc\xdf".to_vec(),
            b"\xff\xfea".to_vec(),
        ] {
            let fault = decode(&content, Path::new("app/Procfile")).unwrap_err();
            assert!(fault.message.contains("app/Procfile"), "{fault}");
            assert!(fault.hint.is_some());
        }
    }

    #[test]
    fn says_where_a_zero_byte_is() {
        let fault = decode(b"a\nweb: x\0y\n", Path::new("Procfile")).unwrap_err();
        assert!(
            fault.message.ends_with("it has a zero byte, in line 2"),
            "{fault}"
        );
    }
}
