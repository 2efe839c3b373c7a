//! POSIX access lists: who but owner and group may use a file or folder.

mod folder;
mod list;

pub use folder::admit;
pub use list::{ACCESS, ALL, DEFAULT, EXECUTE, List, READ, WRITE, bits};
