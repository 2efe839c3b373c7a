//! Work inside trees that others may change at any moment: always from an open folder downwards,
//! never through a link, never out of it.

pub(super) mod acl;
pub(super) mod beneath;
pub(super) mod collect;
pub(super) mod configure;
mod copy;
pub(super) mod exclude;
pub(super) mod keep;
pub(super) mod purge;
mod tracked;
