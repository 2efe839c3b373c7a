//! Reserves a free port.

use super::inspect::is_unchanged;
use crate::{
    domain::UnitName,
    engine::{Cx, Step},
};
use cid_protocol::fault::Fault;
use serde::{Deserialize, Serialize};

/// Reserves a port of this range, both ends included.
#[derive(Clone, Serialize, Deserialize)]
pub struct ReservePort {
    /// Which instance it is for.
    pub instance: UnitName,
    /// The lowest one.
    pub from: u16,
    /// The highest one.
    pub to: u16,
}

/// The reserved port.
#[derive(Serialize, Deserialize)]
pub struct Reserved {
    /// Its number.
    pub port: u16,
}

impl Step for ReservePort {
    const KIND: &'static str = "reserve-port.v2";
    type Before = ();
    type Output = Reserved;

    fn label(&self) -> String {
        "reserve a port".into()
    }

    async fn observe(&self, _: &Cx) -> Result<(), Fault> {
        Ok(())
    }

    async fn apply(&self, (): &(), cx: &Cx) -> Result<Reserved, Fault> {
        if is_unchanged(cx) {
            return Ok(Reserved { port: 0 });
        }
        match reserved(&self.instance, cx).await? {
            Some(port) => Ok(Reserved { port }),
            None => self.reserve(cx).await,
        }
    }

    async fn undo(&self, (): &(), cx: &Cx) -> Result<(), Fault> {
        self.release(cx).await
    }
}

/// An instance's port. It may differ from the one reserved first.
pub(super) async fn port(instance: &UnitName, cx: &Cx) -> Result<u16, Fault> {
    let port = reserved(instance, cx).await?;
    port.ok_or_else(|| Fault::new("cannot go on: no port is reserved"))
}

async fn reserved(instance: &UnitName, cx: &Cx) -> Result<Option<u16>, Fault> {
    let number = instance.number();
    Ok(cx.store().port_of(cx.workspace(), number).await?)
}

impl ReservePort {
    /// Gives up a port that another program has taken, and takes the next free one.
    pub(super) async fn give_up(&self, cx: &Cx) -> Result<u16, Fault> {
        self.release(cx).await?;
        Ok(self.reserve(cx).await?.port)
    }

    async fn release(&self, cx: &Cx) -> Result<(), Fault> {
        let number = Some(self.instance.number());
        Ok(cx.store().release_port(cx.workspace(), number).await?)
    }

    async fn reserve(&self, cx: &Cx) -> Result<Reserved, Fault> {
        let taken = cx.store().ports().await?;
        for port in self.from..=self.to {
            let is_reserved = taken.binary_search_by_key(&port, |(port, _)| *port).is_ok();
            if is_reserved || !cx.sys().probe.port_is_free(port) {
                continue;
            }
            // Another job may have taken it since the list was read.
            if cx
                .store()
                .reserve_port(cx.workspace(), self.instance.clone(), port)
                .await?
            {
                return Ok(Reserved { port });
            }
        }
        Err(Fault::new(format!(
            "cannot reserve a port: all of {} to {} are taken",
            self.from, self.to
        ))
        .hint("give a wider range as `ports` in cid.toml, or delete workspaces that nobody needs"))
    }
}
