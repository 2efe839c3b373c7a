//! What is kept on the server and nobody uses.

use super::table;
use crate::ui::{left::size, text::clean};
use cid_client::Unused;

/// What nobody uses, one entry a line; empty if everything is used.
pub(crate) fn unused(unused: &[Unused]) -> String {
    let rows = unused.iter().map(|one| {
        [
            one.sort.clone(),
            one.project.clone().unwrap_or_default(),
            size(one.bytes),
            clean(&one.path),
            clean(one.kept.as_deref().unwrap_or_default()),
        ]
    });
    match unused.is_empty() {
        true => String::new(),
        false => table(["WHAT", "PROJECT", "SIZE", "WHERE", "STAYS"], rows),
    }
}
