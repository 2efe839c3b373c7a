//! The made-up pages and listeners.

use super::Fake;
use crate::{
    domain::UnitName,
    layout::Layout,
    system::probe::{App, Page, PageAnswer, Probe},
};
use async_trait::async_trait;
use cid_kernel::fs;
use cid_protocol::{fault::Fault, run_file::RunFile};
use std::{net::SocketAddr, time::Duration};

#[async_trait]
impl Probe for Fake {
    fn port_is_free(&self, _: u16) -> bool {
        true
    }

    async fn is_open(&self, _: u16) -> bool {
        true
    }

    async fn ask(&self, page: Page<'_>, cookies: &str, _: Duration) -> Result<PageAnswer, Fault> {
        self.answers("nginx")?;
        let host = page.host;
        if let Some(answer) = self.told.page(page, cookies) {
            return Ok(answer);
        }
        let name = host.split('.').next().unwrap_or_default();
        let state = self.state();
        let ends = |unit: &UnitName| unit.name() == name;
        // An app on a socket is reached by its project's site.
        let is_on_socket = |unit: &UnitName| {
            let run_file = RunFile::read(&self.layout.run_file(unit));
            run_file.is_ok_and(|run_file| run_file.web_socket.is_some())
        };
        let has_site = state.vhosts.keys().any(UnitName::is_catch_all);
        let mut groups = state.groups.keys().filter(|unit| ends(unit));
        let is_shown = state.vhosts.keys().any(ends) || has_site && groups.any(is_on_socket);
        let mut away = fs::names(&self.layout.away_dir())?.into_iter();
        let is_away = away.any(|unit| UnitName::parse(&unit).is_some_and(|unit| ends(&unit)));
        let status = match (is_shown, state.groups.keys().any(ends)) {
            (true, _) if is_away => 503,
            (true, true) => 200,
            (true, false) => 502,
            (false, _) => 404,
        };
        Ok(PageAnswer {
            status,
            ..PageAnswer::default()
        })
    }

    async fn get_past_nginx(&self, _: &App, page: Page<'_>, limit: Duration) -> Result<u16, Fault> {
        let (status, _) = self.get(page, limit).await?;
        let name = page.host.split('.').next().unwrap_or_default();
        // Nginx may not know of it yet, or may not lead there.
        let runs = self.state().groups.keys().any(|unit| unit.name() == name);
        Ok(if [404, 503].contains(&status) && runs {
            200
        } else {
            status
        })
    }

    async fn takes(&self, _: &App) -> bool {
        true
    }

    async fn is_named(&self, _: &App) -> bool {
        true
    }

    fn connections(&self, _: &App) -> usize {
        0
    }

    fn workspace_processes(&self, _: &Layout) -> Vec<(u32, UnitName)> {
        self.state()
            .groups
            .keys()
            .map(|unit| (1, unit.clone()))
            .collect()
    }

    fn listeners_of(&self, _: u32) -> Vec<SocketAddr> {
        self.listeners(&[])
    }

    fn listeners(&self, _: &[u32]) -> Vec<SocketAddr> {
        // Every made-up process listens on the first two ports of the range.
        [20000, 20001]
            .map(|port| SocketAddr::from(([127, 0, 0, 1], port)))
            .into()
    }
}
