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
}

impl Mirrors {
    pub(crate) fn new(queues: Arc<Queues>) -> Self {
        Self {
            queues,
            begun: Mutex::default(),
        }
    }

    /// Waits for the mirror's turn and runs the request. If another fetch began after this call, it has
    /// seen everything that this one would: the mirror is then only read.
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
        let key = |tags| (project.clone(), tags);
        let last = self.begun().get(&key(request.tags)).copied();
        request.is_fresh = last.is_some_and(|last| last > asked);
        let (was_fresh, tags) = (request.is_fresh, request.tags);
        let fetched = ask(request).await?;
        if !was_fresh {
            // It also serves requests that need no tags.
            let served = [false, true].into_iter().filter(|&one| tags || !one);
            self.begun().extend(served.map(|one| (key(one), begin)));
        }
        Ok(fetched)
    }

    fn begun(&self) -> std::sync::MutexGuard<'_, HashMap<(ProjectName, bool), Instant>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cid_protocol::request::Remote;
    use std::{
        sync::atomic::{AtomicU32, Ordering},
        time::Duration,
    };

    #[tokio::test]
    async fn those_who_wait_share_the_next_fetch() {
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
                    Ok(Fetched {
                        base: "c".into(),
                        branch: None,
                        ahead: 0,
                    })
                };
                let who = Arc::new(Who::nobody(Some(project.clone()), "fetch"));
                let cancel = CancellationToken::new();
                let fetched = mirrors.fetch(&project, request, &who, &cancel, ask).await;
                fetched.unwrap();
            })
        });
        for job in jobs.collect::<Vec<_>>() {
            job.await.unwrap();
        }
        // The first one, and one that all others, who came while it ran, share.
        assert_eq!(fetches.load(Ordering::Relaxed), 2);
        assert_eq!(reads.load(Ordering::Relaxed), 18);
    }
}
