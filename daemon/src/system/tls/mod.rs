//! Projects' certificates: what the operator gives is read and checked here, and nginx gets a copy of
//! cid's own. So a file that goes bad under its name, or away, is one project's trouble and never
//! breaks nginx's configuration for the others.

mod copies;
mod pair;
mod pinned;

pub use copies::Certificates;
pub use pair::Pair;
pub(crate) use pinned::connect;
