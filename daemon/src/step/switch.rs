//! Visitors get the next instance.

use super::{
    Inspect, Publish,
    inspect::is_unchanged,
    make_directory::{RUN, STATIC},
    publish::{self, restore},
};
use crate::{
    domain::UnitName,
    engine::{Cx, Step},
    store::Artifact,
    system::visit::{OwnSite, Visited},
};
use cid_protocol::{
    fault::{Fault, FaultContext},
    request::{AnswerBy, ShowStatic},
    run_file::RunFile,
};
use serde::{Deserialize, Serialize};
use std::{
    path::Path,
    time::{Duration, Instant},
};

const PAUSE: Duration = Duration::from_millis(20);
/// The instance has answered: through nginx it does within this time.
const LIMIT: Duration = Duration::from_secs(10);

/// Has nginx pass requests to the next instance, by its socket's name or by a vhost with its port, and asks for
/// the page once more, through nginx.
#[derive(Serialize, Deserialize)]
pub struct Switch {
    /// The vhost of the next instance.
    pub publish: Publish,
    /// The instance that serves.
    pub present: UnitName,
}

/// What was there.
#[derive(Serialize, Deserialize)]
pub struct Before {
    vhost: Option<String>,
    wanted: Option<String>,
    url: String,
}

impl Step for Switch {
    const KIND: &'static str = "switch.v1";
    type Before = Before;
    type Output = ();

    fn label(&self) -> String {
        "switch to the new processes".into()
    }

    async fn observe(&self, cx: &Cx) -> Result<Before, Fault> {
        let id = cx.workspace();
        let workspace = cx.store().workspace(id).await;
        let workspace = workspace.cannot("read the ledger")?;
        let wanted = cx.store().artifact(id, Artifact::Vhost).await;
        Ok(Before {
            vhost: cx.sys().nginx.read(cx.unit())?,
            wanted: wanted.cannot("read the ledger")?,
            url: workspace.map(|workspace| workspace.url).unwrap_or_default(),
        })
    }

    async fn apply(&self, before: &Before, cx: &Cx) -> Result<(), Fault> {
        if is_unchanged(cx) {
            return Ok(());
        }
        let recipe = cx.output::<Inspect>()?.recipe;
        match recipe.has_web() {
            true => self.show(before, recipe.web_on_socket, cx).await?,
            false => hide(before, cx).await?,
        }
        self.show_static(false, cx).await?;
        self.answers_by(&self.publish.instance, cx).await?;
        match recipe.has_web() {
            true => self.see_the_page(cx).await,
            false => Ok(()),
        }
    }

    async fn undo(&self, before: &Before, cx: &Cx) -> Result<(), Fault> {
        if is_unchanged(cx) {
            return Ok(());
        }
        self.show_static(true, cx).await?;
        if has_web_socket(&self.present, cx) && !self.name(&self.present, cx).await? {
            cx.note("the earlier web process has no socket: it did not run before either");
        }
        let wanted = cx.store().artifact(cx.workspace(), Artifact::Vhost).await;
        let wanted = wanted.cannot("read the ledger")?;
        if wanted != before.wanted || cx.sys().nginx.read(cx.unit())? != before.vhost {
            restore(&before.vhost, cx).await?;
        }
        // Last: an attempt that was interrupted is seen by it.
        cx.record(Artifact::Vhost, before.wanted.as_deref()).await?;
        let told = cx.store().set_url(cx.workspace(), before.url.clone()).await;
        told.cannot("write the ledger")?;
        self.answers_by(&self.present, cx).await
    }
}

impl Switch {
    async fn show(&self, before: &Before, on_socket: bool, cx: &Cx) -> Result<(), Fault> {
        let publish = &self.publish;
        if on_socket && !self.name(&publish.instance, cx).await? {
            return Err(Fault::new(
                "cannot switch: the web process has no socket any more",
            ));
        }
        let vhost = publish.vhost(cx).await?;
        // Without a reload of nginx no connection of anybody's ends.
        if vhost.is_none() || before.vhost != vhost {
            publish::show(&before.vhost, vhost.as_deref(), cx).await?;
        }
        let url = cx.sys().site.url(&publish.host, publish.tls);
        // A stage follows its project file; a workspace keeps the address that its person knows.
        if before.url.is_empty() || cx.is_of_stage() && before.url != url {
            let told = cx.store().set_url(cx.workspace(), url).await;
            told.cannot("write the ledger")?;
        }
        Ok(())
    }

    /// The collected files of the next instance, or of the present one again.
    async fn show_static(&self, back: bool, cx: &Cx) -> Result<(), Fault> {
        if cx.project_file()?.nginx.collected.is_none() {
            return Ok(());
        }
        let request = ShowStatic {
            place: self.publish.directory.join(STATIC),
            instance: self.publish.instance.number(),
            back,
        };
        cx.ask(cx.user(), request).await
    }

    /// Gives the socket of an instance the name by which nginx finds it; `false`: it has none.
    async fn name(&self, instance: &UnitName, cx: &Cx) -> Result<bool, Fault> {
        answer_by(&self.publish.directory, instance, cx).await
    }

    async fn answers_by(&self, instance: &UnitName, cx: &Cx) -> Result<(), Fault> {
        let number = instance.number();
        let told = cx.store().set_deployment(cx.workspace(), number).await;
        told.cannot("write the ledger")
    }

    async fn see_the_page(&self, cx: &Cx) -> Result<(), Fault> {
        let health = cx.project_file()?.app.health.clone();
        let copy = cx.certificate()?;
        let site = OwnSite {
            host: &self.publish.host,
            certificate: self.publish.tls.then_some(&copy),
            ports: &cx.sys().site,
        };
        let (probe, path) = (cx.sys().probe.as_ref(), health.path.as_str());
        let begin = Instant::now();
        loop {
            let asked = site
                .visit(probe, path, |status| health.accepts(status), LIMIT)
                .await;
            let wrong = match asked {
                Ok(Visited::Page { status, .. }) if health.accepts(status) => return Ok(()),
                Ok(visited) => crate::health::page::wrong(&health, &visited),
                Err(fault) => fault,
            };
            if begin.elapsed() > LIMIT {
                return Err(wrong);
            }
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = cx.cancel.cancelled() => return Err(Fault::cancelled()),
            }
        }
    }
}

/// Gives the socket of an instance the name by which nginx finds it; `false`: it has none. `directory`: the
/// workspace's.
pub(super) async fn answer_by(
    directory: &Path,
    instance: &UnitName,
    cx: &Cx,
) -> Result<bool, Fault> {
    let request = AnswerBy {
        folder: directory.join(RUN),
        instance: instance.number(),
    };
    cx.ask(cx.user(), request).await
}

/// Whether an instance is there whose web process listens on a socket.
pub(super) fn has_web_socket(instance: &UnitName, cx: &Cx) -> bool {
    let run_file = RunFile::read(&cx.sys().layout.run_file(instance));
    run_file.is_ok_and(|run_file| run_file.web_socket.is_some())
}

/// There is no web process any more.
async fn hide(before: &Before, cx: &Cx) -> Result<(), Fault> {
    cx.note("there is no web process, so nothing is published");
    publish::hide(&before.vhost, cx).await?;
    let told = cx.store().set_url(cx.workspace(), String::new()).await;
    told.cannot("write the ledger")
}
