//! Builds: a commit's files in a folder of their own, sealed and copied for their tests; and what is kept of templates.

mod commit;
mod reports;
mod seal;
mod take_over;
mod template;

pub(super) use commit::{compare, export, find, is_ancestor};
pub(super) use reports::read as read_reports;
pub(super) use seal::{copy, seal};
pub(super) use take_over::take_over;
pub(super) use template::{place, take};
