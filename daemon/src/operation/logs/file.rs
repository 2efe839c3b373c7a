//! One log, read in pieces: its last lines, then what is appended, across a rotation.

use super::LogPlace;
use cid_protocol::budget::{LINE, LOG_TAIL};
use std::{
    fs::{File, Metadata},
    io,
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
};

/// How much is read at once; a whole line with its end fits in.
pub(super) const PIECE: usize = 2 * LINE.most;

/// A log, and how far it has been read.
pub(super) struct Log {
    pub(super) process: String,
    path: PathBuf,
    inode: u64,
    /// The beginning of the next line.
    offset: u64,
    /// Its length when reading its last lines began; `None` before that.
    end: Option<u64>,
    /// The current line is too long: its rest is left out.
    skips: bool,
}

/// What was read of a log and not returned yet.
#[derive(Default)]
pub(super) struct Piece {
    bytes: Vec<u8>,
    given: usize,
    /// The log continues after it.
    has_more: bool,
}

impl Log {
    pub(super) fn new(process: &str, dir: &Path) -> Self {
        Self {
            process: process.to_owned(),
            path: dir.join(format!("{process}.log")),
            inode: 0,
            offset: 0,
            end: None,
            skips: false,
        }
    }

    /// Where the line that it gave last ends.
    pub(super) fn place(&self) -> LogPlace {
        (self.inode, self.offset)
    }

    /// Goes on at this place, if the file is still the same one.
    pub(super) fn go_on_after(&mut self, (inode, offset): LogPlace) {
        let meta = std::fs::metadata(&self.path);
        if let Ok(meta) = meta
            && meta.ino() == inode
            && meta.len() >= offset
        {
            (self.inode, self.offset, self.end) = (inode, offset, Some(meta.len()));
        }
    }

    /// The next whole line, or the beginning of one that is too long; `None` if no line is ready. A log
    /// that cannot be read has no lines.
    pub(super) fn next(&mut self, piece: &mut Piece, tail: Option<usize>) -> Option<Vec<u8>> {
        loop {
            let rest = &piece.bytes[piece.given..];
            match rest.iter().position(|byte| *byte == b'\n') {
                Some(length) => {
                    let line = rest[..length.min(LINE.most)].to_vec();
                    piece.given += length + 1;
                    self.offset += length as u64 + 1;
                    if !std::mem::take(&mut self.skips) {
                        return Some(line);
                    }
                }
                None if self.skips || rest.len() > LINE.most => {
                    let line = rest[..rest.len().min(LINE.most)].to_vec();
                    self.offset += rest.len() as u64;
                    piece.given = piece.bytes.len();
                    if !std::mem::replace(&mut self.skips, true) {
                        return Some(line);
                    }
                    if !self.read(piece, tail).ok()? {
                        return None;
                    }
                }
                // Nothing, or an incomplete line, which is read again later.
                None if !self.read(piece, tail).ok()? => return None,
                None => {}
            }
        }
    }

    /// Reads the next piece; `false` if there is nothing new.
    fn read(&mut self, piece: &mut Piece, tail: Option<usize>) -> io::Result<bool> {
        let known = piece.bytes.len() - piece.given;
        if !piece.bytes.is_empty() && !piece.has_more {
            return Ok(false);
        }
        let file = File::open(&self.path)?;
        let meta = file.metadata()?;
        let limit = match (tail, self.end) {
            (Some(lines), None) => self.seek(&file, &meta, lines)?,
            (Some(_), Some(end)) if meta.ino() == self.inode => end,
            // It was rotated while its last lines were read.
            (Some(_), Some(_)) => return Ok(false),
            (None, _) => {
                if meta.ino() != self.inode || meta.len() < self.offset {
                    (self.inode, self.offset, self.skips) = (meta.ino(), 0, false);
                }
                meta.len()
            }
        };
        let left = limit.saturating_sub(self.offset);
        let length = left.min(PIECE as u64) as usize;
        let mut bytes = vec![0; length];
        let read = file.read_at(&mut bytes, self.offset)?;
        bytes.truncate(read);
        *piece = Piece {
            has_more: left > read as u64 && read > 0,
            given: 0,
            bytes,
        };
        Ok(read > known)
    }

    /// Moves to the start of the last lines, searching backwards from the end. Returns the end.
    fn seek(&mut self, file: &File, meta: &Metadata, lines: usize) -> io::Result<u64> {
        let end = meta.len();
        let first = end.saturating_sub(LOG_TAIL.most as u64);
        let (mut at, mut left) = (end, lines + 1);
        let mut bytes = vec![0; PIECE];
        self.offset = first;
        'pieces: while at > first {
            let begin = at.saturating_sub(PIECE as u64).max(first);
            let part = &mut bytes[..(at - begin) as usize];
            file.read_exact_at(part, begin)?;
            for (index, _) in part.iter().enumerate().rev().filter(|(_, b)| **b == b'\n') {
                left -= 1;
                if left == 0 {
                    self.offset = begin + index as u64 + 1;
                    break 'pieces;
                }
            }
            at = begin;
        }
        (self.inode, self.end) = (meta.ino(), Some(end));
        Ok(end)
    }
}
