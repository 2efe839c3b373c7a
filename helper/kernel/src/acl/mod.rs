//! POSIX access lists: who may use a file or folder besides its owner and group.

mod folder;
mod list;

pub use folder::admit;
pub use list::{ACCESS, ALL, DEFAULT, EXECUTE, List, READ, WRITE, bits};
