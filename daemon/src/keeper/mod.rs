//! What cid keeps up by itself: certificates and vhosts as the project files want them, and what ended jobs
//! still owe.

mod builds;
mod debts;
mod forget;
pub mod front;
mod packages;
mod prune;
mod sites;
mod templates;
mod vhosts;

pub(crate) use builds::{forgotten_builds, purge_build, tidy_builds};
pub use debts::{settle_debts, settle_forever};
pub use forget::{forget_forever, renew_room_for_units};
#[cfg(test)]
pub(crate) use packages::{days_ago, forget_packages};
pub use prune::Unused;
pub(crate) use prune::{prune_node, prune_project};
pub(crate) use sites::{has_site, is_wanted, remove_site};
pub use sites::{keep_sites, keep_sites_forever};
pub(crate) use templates::tidy_templates;
