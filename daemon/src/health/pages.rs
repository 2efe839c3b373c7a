//! Workspaces' pages: asked for rarely, some at a time, and remembered.

use super::page::said;
use crate::{
    config::Health,
    domain::UnitName,
    system::{
        System,
        inside::AppSocket,
        listeners,
        probe::{App, Page, is_served},
        visit::{OwnSite, Visited},
    },
};
use cid_protocol::run_file::RunFile;
use jiff::Timestamp;
use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::{
    sync::{Notify, Semaphore},
    task::spawn_blocking,
    time::timeout,
};

/// A page is not asked for again within this time.
const FRESH: Duration = Duration::from_secs(30);
/// The same for a page behind which no app listens yet: nginx answers itself.
const SOON: Duration = Duration::from_secs(2);
/// What nobody has looked at for this long is forgotten.
const FORGOTTEN: Duration = Duration::from_hours(1);
/// Time limit of one request: the app's own, within these bounds.
const REQUEST: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(30));
/// Number of requests under way at once.
const AT_ONCE: usize = 16;

/// A page to ask for.
pub(super) struct Ask {
    pub(super) workspace: i64,
    pub(super) unit: UnitName,
    /// The process that will answer: a different process is a different app.
    pub(super) web: u32,
    pub(super) host: String,
    pub(super) certificate: Option<PathBuf>,
    pub(super) health: Health,
    /// nginx asks its visitors who they are, so the app itself is asked.
    pub(super) is_guarded: bool,
}

/// What a page answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Good,
    /// Not what it should; says how.
    Wrong(String),
    /// No answer, or nginx's own page for a missing app; says which.
    Silent(String),
}

/// What is known of a page.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) answer: Answer,
    /// Since when it answers so, as far as it was asked.
    pub(super) since: Timestamp,
}

/// Pages by workspace.
pub(super) struct Pages {
    sys: System,
    known: Mutex<HashMap<i64, Known>>,
    places: Semaphore,
    answered: Notify,
}

struct Known {
    asked: Instant,
    web: u32,
    /// An answer is on its way.
    is_asking: bool,
    told: Option<Told>,
}

impl Pages {
    pub(super) fn new(sys: System) -> Self {
        Self {
            sys,
            known: Mutex::default(),
            places: Semaphore::new(AT_ONCE),
            answered: Notify::new(),
        }
    }

    /// What is known of a workspace's page, asked of this process; `None`: nothing, or it takes its time to answer.
    pub(super) fn answer(&self, workspace: i64, web: Option<u32>) -> Option<Told> {
        let known = self.known();
        let known = known
            .get(&workspace)
            .filter(|known| Some(known.web) == web)?;
        known.told.clone().filter(|_| !known.is_asking)
    }

    /// Asks for pages that were not asked for lately, and waits for answers, but not longer than `limit`: those
    /// that take longer are noted when they come. `newly`: also those that were.
    pub(super) async fn ask(self: &Arc<Self>, asks: Vec<Ask>, limit: Duration, newly: bool) {
        let wanted: Vec<i64> = asks.iter().map(|ask| ask.workspace).collect();
        for ask in self.begin(asks, newly) {
            let pages = Arc::clone(self);
            tokio::spawn(async move {
                let Ok(_place) = pages.places.acquire().await else {
                    return;
                };
                let answer = pages.visit(&ask).await;
                pages.note(&ask, answer);
                pages.answered.notify_waiters();
            });
        }
        let all = async {
            loop {
                let answered = self.answered.notified();
                if !self.is_asking(&wanted) {
                    return;
                }
                answered.await;
            }
        };
        drop(timeout(limit, all).await);
    }

    fn is_asking(&self, wanted: &[i64]) -> bool {
        let known = self.known();
        let of = |workspace| known.get(workspace).is_some_and(|known| known.is_asking);
        wanted.iter().any(of)
    }

    /// Those that are not fresh any more, or all that are not being asked; notes that they are.
    fn begin(&self, asks: Vec<Ask>, newly: bool) -> Vec<Ask> {
        let mut known = self.known();
        known.retain(|_, known| known.asked.elapsed() < FORGOTTEN);
        let now = Instant::now();
        let is_due = |ask: &Ask| {
            known.get(&ask.workspace).is_none_or(|known| {
                let fresh = match &known.told {
                    Some(told) if matches!(told.answer, Answer::Silent(_)) => SOON,
                    _ => FRESH,
                };
                let is_old = known.asked.elapsed() >= fresh || newly && !known.is_asking;
                known.web != ask.web || is_old
            })
        };
        let due: Vec<Ask> = asks.into_iter().filter(is_due).collect();
        for ask in &due {
            let entry = known.entry(ask.workspace).or_insert(Known {
                asked: now,
                web: ask.web,
                is_asking: true,
                told: None,
            });
            (entry.asked, entry.is_asking) = (now, true);
            if entry.web != ask.web {
                (entry.web, entry.told) = (ask.web, None);
            }
        }
        due
    }

    async fn visit(&self, ask: &Ask) -> Answer {
        if let Some(answer) = self.missed(ask).await {
            return answer;
        }
        let site = OwnSite {
            host: &ask.host,
            certificate: ask.certificate.as_deref(),
            ports: &self.sys.site,
        };
        if ask.is_guarded {
            return self.visit_itself(ask).await;
        }
        let (probe, path) = (self.sys.probe.as_ref(), ask.health.path.as_str());
        let is_meant = |status| ask.health.accepts(status);
        match site.visit(probe, path, is_meant, limit(ask)).await {
            Ok(Visited::Page { status, .. }) if ask.health.accepts(status) => Answer::Good,
            // nginx's own words for an app that is not there.
            Ok(Visited::Page {
                status: status @ 502..=504,
                ..
            }) => Answer::Silent(format!("the app does not answer: nginx says {status}")),
            Ok(visited) => Answer::Wrong(said(&ask.health, &visited)),
            Err(fault) => Answer::Silent(fault.message),
        }
    }

    async fn visit_itself(&self, ask: &Ask) -> Answer {
        let run_file = match RunFile::read(&self.sys.layout.run_file(&ask.unit)) {
            Ok(run_file) => run_file,
            Err(fault) => return Answer::Silent(fault.message),
        };
        let page = Page {
            host: &ask.host,
            path: ask.health.path.as_str(),
            certificate: ask.certificate.as_deref(),
        };
        let app = App::of(&run_file);
        let probe = &self.sys.probe;
        let asked = probe.get_past_nginx(&app, page, limit(ask)).await;
        match asked {
            Ok(status) if ask.health.accepts(status) || (300..400).contains(&status) => {
                Answer::Good
            }
            Ok(status) => {
                let path = ask.health.path.as_str().to_owned();
                Answer::Wrong(said(&ask.health, &Visited::Page { path, status }))
            }
            Err(fault) => Answer::Silent(fault.message),
        }
    }

    /// The answer where the app itself does not listen: anybody may bind the port of one that has crashed.
    async fn missed(&self, ask: &Ask) -> Option<Answer> {
        let run_file = RunFile::read(&self.sys.layout.run_file(&ask.unit)).ok()?;
        if let Some(socket) = AppSocket::of(&run_file) {
            let place = socket.display();
            return (!socket.is_there())
                .then(|| Answer::Silent(format!("its web process does not listen on {place}")));
        }
        let port: u16 = run_file.env.get("PORT")?.parse().ok()?;
        let (probe, web) = (Arc::clone(&self.sys.probe), ask.web);
        let served = spawn_blocking(move || is_served(probe.as_ref(), &run_file, &[web], port));
        if served.await.unwrap_or(true) {
            return None;
        }
        if !self.sys.probe.is_open(port).await {
            let message = format!("its web process does not listen on its port {port}");
            return Some(Answer::Silent(message));
        }
        let other = spawn_blocking(move || listeners::in_words(port)).await;
        let other = other.unwrap_or_default();
        Some(Answer::Wrong(format!(
            "{other} listens on its port {port}, and its visitors get there"
        )))
    }

    fn note(&self, ask: &Ask, answer: Answer) {
        let mut known = self.known();
        let Some(known) = known
            .get_mut(&ask.workspace)
            .filter(|known| known.web == ask.web)
        else {
            return;
        };
        let since = match &known.told {
            Some(told) if told.answer == answer => told.since,
            _ => Timestamp::now(),
        };
        known.is_asking = false;
        known.told = Some(Told { answer, since });
    }

    fn known(&self) -> MutexGuard<'_, HashMap<i64, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long a page may take.
fn limit(ask: &Ask) -> Duration {
    (*ask.health.timeout).clamp(REQUEST.0, REQUEST.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        layout::Layout,
        system::{fake::Fake, probe::PageAnswer},
    };
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn each_is_asked_once_and_remembered_until_its_app_is_another() {
        const LIMIT: Duration = Duration::from_secs(10);
        let dir = tempfile::tempdir().unwrap();
        let fake = Fake::new(Arc::new(Layout::sandbox(dir.path())));
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        fake.show(move |page, _| {
            count.fetch_add(1, Ordering::SeqCst);
            let status = match page.host {
                "w7.shop.localhost" => 500,
                "w8.shop.localhost" => 502,
                _ => 200,
            };
            Some(PageAnswer {
                status,
                ..PageAnswer::default()
            })
        });
        let pages = Arc::new(Pages::new(fake.system()));
        let asks = |web| {
            let ask = |workspace| Ask {
                workspace,
                unit: UnitName::parse(&format!("shop.w{workspace}")).unwrap(),
                web,
                host: format!("w{workspace}.shop.localhost"),
                certificate: None,
                health: Health::default(),
                is_guarded: false,
            };
            (0..100).map(ask).collect::<Vec<_>>()
        };
        let answer = |workspace, web| {
            let told = pages.answer(workspace, Some(web));
            told.map(|told| told.answer)
        };
        // Several who look at the same time get the same answer.
        tokio::join!(
            pages.ask(asks(1), LIMIT, false),
            pages.ask(asks(1), LIMIT, false)
        );
        pages.ask(asks(1), LIMIT, false).await;
        assert_eq!(asked.load(Ordering::SeqCst), 100);
        assert_eq!(answer(3, 1), Some(Answer::Good));
        let wrong = Answer::Wrong("/ answers with status 500".into());
        assert_eq!(answer(7, 1), Some(wrong));
        assert!(matches!(answer(8, 1), Some(Answer::Silent(_))));
        assert_eq!(answer(3, 2), None);
        pages.ask(asks(2), LIMIT, false).await;
        assert_eq!(asked.load(Ordering::SeqCst), 200);
        assert_eq!(answer(3, 2), Some(Answer::Good));
        // Who decides by the answer does not take one of before.
        pages.ask(asks(2), LIMIT, true).await;
        assert_eq!(asked.load(Ordering::SeqCst), 300);
    }
}
