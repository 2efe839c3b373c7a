use crate::app::App;
use cid_client::Visited;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::{Semaphore, SemaphorePermit, watch};

/// How many workspaces the daemon is asked about at once.
const AT_ONCE: usize = 64;
/// How many visitors may wait at once; others are told to come again.
const WAITING: usize = 1024;
/// How long an answer counts for those who come after it: what does not answer is asked for often.
const FRESH: Duration = Duration::from_secs(1);

/// Visitors of workspaces that do not answer. All who come to one workspace ask the daemon once.
#[derive(Debug)]
pub struct Wakes {
    asked: Mutex<Asked>,
    waiting: Semaphore,
}

/// What the daemon is asked now and said a moment ago, by the unit and by whether nginx had asked its app.
type Asked = HashMap<(String, bool), watch::Receiver<Option<Visited>>>;

impl Default for Wakes {
    fn default() -> Self {
        Self {
            asked: Mutex::default(),
            waiting: Semaphore::new(WAITING),
        }
    }
}

impl Wakes {
    /// What the daemon says about `PROJECT.NAME`, once it says it. `has_tried`: it was asked, and did not answer;
    /// otherwise nginx has seen that it is stopped.
    pub async fn visit(self: &Arc<Self>, app: &App, unit: &str, has_tried: bool) -> Visited {
        let Some((_place, mut answer)) = self.place(app, unit, has_tried) else {
            return Visited::Silent;
        };
        let answer = answer.wait_for(Option::is_some).await;
        match answer.ok().and_then(|answer| *answer) {
            // Since nginx looked.
            Some(Visited::Runs) if !has_tried => Visited::Woken,
            Some(visited) => visited,
            None => Visited::Silent,
        }
    }

    fn place(
        self: &Arc<Self>,
        app: &App,
        unit: &str,
        has_tried: bool,
    ) -> Option<(SemaphorePermit<'_>, watch::Receiver<Option<Visited>>)> {
        let place = self.waiting.try_acquire().ok()?;
        let key = (unit.to_owned(), has_tried);
        let mut asked = self.asked();
        if let Some(answer) = asked.get(&key) {
            return Some((place, answer.clone()));
        }
        if asked.len() >= AT_ONCE {
            return None;
        }
        let (told, answer) = watch::channel(None);
        asked.insert(key.clone(), answer.clone());
        drop(asked);
        let (wakes, app) = (Arc::clone(self), app.clone());
        tokio::spawn(async move {
            let visited = app.daemon.visit(&key.0).await;
            let visited = visited.unwrap_or(Visited::Silent);
            told.send_replace(Some(visited));
            // Of what runs only that counts which does not answer: it may fall asleep again at once.
            if visited != Visited::Woken && (visited != Visited::Runs || has_tried) {
                tokio::time::sleep(FRESH).await;
            }
            wakes.asked().remove(&key);
        });
        Some((place, answer))
    }

    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
