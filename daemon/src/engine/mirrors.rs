//! One fetch at a time for each project's mirror, shared by the jobs that wait for it.

use crate::{
    domain::ProjectName,
    system::queue::{Queues, Resource, Who},
};
use cid_protocol::{
    fault::Fault,
    request::{Fetch, Fetched},
};
use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The mirrors' turns, and when each was last brought up to date.
pub(crate) struct Mirrors {
    queues: Arc<Queues>,
    /// By project, and whether tags were brought too.
    begun: Mutex<HashMap<(ProjectName, bool), Instant>>,
    /// The last fetch that found no server, however often it tried: when it began, and what it says.
    lost: Mutex<HashMap<ProjectName, (Instant, Fault)>>,
}

impl Mirrors {
    pub(crate) fn new(queues: Arc<Queues>) -> Self {
        Self {
            queues,
            begun: Mutex::default(),
            lost: Mutex::default(),
        }
    }

    /// Waits for the mirror's turn and runs the request. If another fetch began after this call, it has
    /// seen everything that this one would: the mirror is then only read. If that one did not reach the server, this
    /// one does not try as long once more.
    ///
    /// Turns also keep one fetch from deleting another's lock files as those of a dead one.
    pub(crate) async fn fetch<F>(
        &self,
        project: &ProjectName,
        mut request: Fetch,
        who: &Arc<Who>,
        cancel: &CancellationToken,
        ask: impl FnOnce(Fetch) -> F,
    ) -> Result<Fetched, Fault>
    where
        F: Future<Output = Result<Fetched, Fault>>,
    {
        let asked = Instant::now();
        let mirror = Resource::Mirror(project.clone());
        let _turn = self.queues.take(mirror, who, cancel).await?;
        let begin = Instant::now();
        let lost = self.lost().get(project).cloned();
        if let Some((_, fault)) = lost.filter(|(began, _)| *began > asked) {
            return Err(fault);
        }
        let key = |tags| (project.clone(), tags);
        let last = self.begun().get(&key(request.tags)).copied();
        request.is_fresh = last.is_some_and(|last| last > asked);
        let (was_fresh, tags) = (request.is_fresh, request.tags);
        let result = ask(request).await;
        match &result {
            Err(fault) if fault.lost.is_some() => {
                self.lost().insert(project.clone(), (begin, fault.clone()));
            }
            _ => drop(self.lost().remove(project)),
        }
        let fetched = result?;
        if !was_fresh {
            // It also serves requests that need no tags.
            let served = [false, true].into_iter().filter(|&one| tags || !one);
            self.begun().extend(served.map(|one| (key(one), begin)));
        }
        Ok(fetched)
    }

    fn lost(&self) -> std::sync::MutexGuard<'_, HashMap<ProjectName, (Instant, Fault)>> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begun(&self) -> std::sync::MutexGuard<'_, HashMap<(ProjectName, bool), Instant>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cid_protocol::{fault::Lost, request::Remote};
    use std::{
        sync::atomic::{AtomicU32, Ordering},
        time::Duration,
    };

    /// Twenty jobs at once, and how many of them asked the server, and how many only the mirror.
    async fn twenty(answer: fn() -> Result<Fetched, Fault>) -> (u32, u32, usize) {
        let mirrors = Arc::new(Mirrors::new(Arc::new(Queues::new(1, 1))));
        let (fetches, reads) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let project = ProjectName::parse("demo").unwrap();
        let jobs = (0..20).map(|number| {
            let (mirrors, project) = (Arc::clone(&mirrors), project.clone());
            let (fetches, reads) = (Arc::clone(&fetches), Arc::clone(&reads));
            tokio::spawn(async move {
                let remote = Remote {
                    url: "/x".into(),
                    identity_file: None,
                    known_hosts: None,
                    credential_file: None,
                };
                let request = Fetch {
                    mirror: "/m".into(),
                    remote,
                    base: "main".into(),
                    branch: "b".into(),
                    // The second one fetches for all others.
                    tags: number == 1,
                    is_fresh: false,
                    max_bytes: 1 << 30,
                };
                let ask = |request: Fetch| async move {
                    let counter = if request.is_fresh { reads } else { fetches };
                    counter.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    answer()
                };
                let who = Arc::new(Who::cid(Some(project.clone()), "fetch"));
                let cancel = CancellationToken::new();
                mirrors.fetch(&project, request, &who, &cancel, ask).await
            })
        });
        let mut failed = 0;
        for job in jobs.collect::<Vec<_>>() {
            failed += usize::from(job.await.unwrap().is_err());
        }
        let counted = |counter: &AtomicU32| counter.load(Ordering::Relaxed);
        (counted(&fetches), counted(&reads), failed)
    }

    /// The first one, and one that all others, who came while it ran, share.
    #[tokio::test]
    async fn those_who_wait_share_the_next_fetch() {
        let there = || {
            Ok(Fetched {
                base: "c".into(),
                branch: None,
                ahead: 0,
            })
        };
        assert_eq!(twenty(there).await, (2, 18, 0));
    }

    #[tokio::test]
    async fn those_who_wait_for_a_server_that_is_gone_do_not_all_try_as_long() {
        let gone = || {
            let mut fault = Fault::new("cannot fetch");
            fault.lost = Some(Lost::Connection);
            Err(fault)
        };
        assert_eq!(twenty(gone).await, (2, 0, 20));
        // What the server itself says no to may be otherwise for another branch.
        let refused = || Err(Fault::new("cannot make the branch"));
        assert_eq!(twenty(refused).await, (20, 0, 20));
    }
}
