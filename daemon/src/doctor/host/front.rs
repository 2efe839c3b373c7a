//! Whether people reach the front that was switched on.

use super::{Trouble, Troubles};
use crate::{cid::Cid, keeper::front};

/// What keeps people from it.
pub(super) async fn troubles(cid: Cid) -> Troubles {
    let found = front::front_troubles(&cid).await?.unwrap_or_default();
    Ok(found
        .into_iter()
        .map(|message| Trouble::new("", message))
        .collect())
}
