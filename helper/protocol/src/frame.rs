//! What the daemon writes on the input of `cid-helper run`. First comes what to run, so that it is in no
//! command line but its own. What follows is the command's own input; where it has a terminal, in frames
//! as well, among them how large the terminal is.
//!
//! A frame is its kind in one byte, the length of the rest in four, most significant first, and the rest.

use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    io::{self, ErrorKind, Read},
};

/// A longer frame is not read. A request of the daemon's own clients is at most a quarter of this.
const MAX_LENGTH: u32 = 1024 * 1024;

const START: u8 = 0;
const INPUT: u8 = 1;
const SIZE: u8 = 2;

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// What to run; the first frame, and no other.
    Start(Start),
    /// What is typed.
    Input(Vec<u8>),
    /// The terminal's size has changed.
    Size(Size),
}

/// What to run, and on what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// Program and arguments; `None`: a shell for a person.
    pub command: Option<Vec<String>>,
    /// `None`: the helper's own streams are the command's.
    pub terminal: Option<Terminal>,
    /// Over the workspace's own variables.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
}

/// A person's terminal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terminal {
    /// Its kind: TERM.
    pub name: String,
    /// Its size at the beginning.
    pub size: Size,
}

/// Lines and characters in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Lines.
    pub rows: u16,
    /// Characters in a line.
    pub columns: u16,
}

impl Frame {
    /// As it is written.
    ///
    /// # Errors
    /// It is too long.
    pub fn encode(&self) -> io::Result<Vec<u8>> {
        let (kind, rest) = match self {
            Self::Start(start) => (START, serde_json::to_vec(start)?),
            Self::Input(bytes) => (INPUT, bytes.clone()),
            Self::Size(size) => {
                let [rows, columns] = [size.rows, size.columns].map(u16::to_be_bytes);
                (SIZE, [rows, columns].concat())
            }
        };
        let length = u32::try_from(rest.len()).ok();
        let length = length
            .filter(|length| *length <= MAX_LENGTH)
            .ok_or_else(too_long)?;
        Ok([&[kind][..], &length.to_be_bytes(), &rest].concat())
    }

    /// Reads one and nothing of what follows it; `None`: the input has ended.
    ///
    /// # Errors
    /// The input ends in a frame, or holds something else.
    pub fn read(from: &mut impl Read) -> io::Result<Option<Self>> {
        let mut head = [0; 5];
        match from.read_exact(&mut head[..1]) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
            read => read?,
        }
        from.read_exact(&mut head[1..])?;
        let [kind, length @ ..] = head;
        let length = u32::from_be_bytes(length);
        if length > MAX_LENGTH {
            return Err(too_long());
        }
        let mut rest = vec![0; length as usize];
        from.read_exact(&mut rest)?;
        let frame = match (kind, &rest[..]) {
            (START, _) => Self::Start(serde_json::from_slice(&rest)?),
            (INPUT, _) => Self::Input(rest),
            (SIZE, &[a, b, c, d]) => Self::Size(Size {
                rows: u16::from_be_bytes([a, b]),
                columns: u16::from_be_bytes([c, d]),
            }),
            _ => return Err(io::Error::new(ErrorKind::InvalidData, "no such frame")),
        };
        Ok(Some(frame))
    }
}

fn too_long() -> io::Error {
    io::Error::new(ErrorKind::InvalidData, "a frame is too long")
}

#[cfg(test)]
mod tests {
    use crate::frame::*;

    #[test]
    fn what_is_written_is_read_and_nothing_after_it() {
        let size = Size {
            rows: 24,
            columns: 300,
        };
        let start = Start {
            env: BTreeMap::new(),
            command: Some(vec!["a b".into(), String::new(), "ä\n".into()]),
            terminal: Some(Terminal {
                name: "xterm".into(),
                size,
            }),
        };
        let frames = [
            Frame::Start(start),
            Frame::Input(vec![0, 255, 3]),
            Frame::Input(Vec::new()),
            Frame::Size(size),
        ];
        let written: Vec<_> = frames
            .iter()
            .flat_map(|frame| frame.encode().unwrap())
            .collect();
        let mut rest = &[&written[..], b"own input"].concat()[..];
        for frame in frames {
            assert_eq!(Frame::read(&mut rest).unwrap(), Some(frame));
        }
        assert_eq!(rest, b"own input");
        assert_eq!(Frame::read(&mut &[][..]).unwrap(), None);
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        for bad in [
            &[INPUT, 0, 0][..],
            &[INPUT, 0, 0, 0, 2, 1],
            &[INPUT, 255, 255, 255, 255],
            &[9, 0, 0, 0, 0],
            &[SIZE, 0, 0, 0, 1, 1],
            &[START, 0, 0, 0, 1, b'x'],
        ] {
            assert!(Frame::read(&mut &bad[..]).is_err(), "{bad:?}");
        }
        assert!(
            Frame::Input(vec![0; MAX_LENGTH as usize + 1])
                .encode()
                .is_err()
        );
    }
}
