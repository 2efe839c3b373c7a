//! What people see: progress, tables, errors. Everything that comes from
//! elsewhere goes through [`text::clean`] before it reaches a terminal.

pub(crate) mod error;
mod fit;
pub(crate) mod left;
pub(crate) mod progress;
pub(crate) mod table;
pub(crate) mod text;

#[cfg(test)]
pub(crate) mod sample;
