//! Webhooks that came, and what came of them: the newest of each project. The ledger has them a moment later, so that a
//! flood of them costs one writing a second.

use super::{Cid, looks::lock};
use crate::{
    domain::{Delivery, ProjectName},
    store::StoreError,
};
use jiff::Timestamp;
use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    mem,
    sync::Mutex,
    time::Duration,
};

/// The pause between two writings.
const PAUSE: Duration = Duration::from_secs(1);
/// So many of a project's deliveries are kept that were believed.
const KEPT: usize = 50;
/// And so many that were not: nobody pushes the others out by forging.
const KEPT_REFUSED: usize = 20;

/// Those of all projects.
#[derive(Debug, Default)]
pub struct Deliveries {
    all: Mutex<HashMap<ProjectName, Kept>>,
    /// Projects of which the ledger has something else.
    unwritten: Mutex<BTreeSet<ProjectName>>,
}

#[derive(Debug, Default)]
struct Kept {
    accepted: VecDeque<Delivery>,
    refused: VecDeque<Delivery>,
}

impl Deliveries {
    /// Keeps one of a project that takes webhooks.
    pub(crate) fn keep(&self, project: &ProjectName, delivery: Delivery) {
        let mut all = lock(&self.all);
        let kept = all.entry(project.clone()).or_default();
        let (list, most) = match delivery.accepted {
            true => (&mut kept.accepted, KEPT),
            false => (&mut kept.refused, KEPT_REFUSED),
        };
        list.push_front(delivery);
        list.truncate(most);
        lock(&self.unwritten).insert(project.clone());
    }

    /// Says what came of those that were believed before this time.
    pub(crate) fn came(&self, project: &ProjectName, before: Timestamp, outcome: &str) {
        let mut all = lock(&self.all);
        let waiting = all.get_mut(project).into_iter();
        let waiting = waiting.flat_map(|kept| &mut kept.accepted);
        for delivery in waiting.filter(|one| one.outcome.is_empty() && one.at <= before) {
            outcome.clone_into(&mut delivery.outcome);
            lock(&self.unwritten).insert(project.clone());
        }
    }

    /// Takes up what an earlier daemon wrote down of a project.
    fn recall(&self, project: ProjectName, newest_first: Vec<Delivery>) {
        let (accepted, refused) = newest_first.into_iter().partition(|one| one.accepted);
        lock(&self.all).insert(project, Kept { accepted, refused });
    }

    /// Forgets a project's.
    pub(crate) fn forget(&self, project: &ProjectName) {
        lock(&self.all).remove(project);
        lock(&self.unwritten).remove(project);
    }

    fn take_unwritten(&self) -> BTreeSet<ProjectName> {
        mem::take(&mut lock(&self.unwritten))
    }

    /// A project's, newest first.
    pub fn of(&self, project: &ProjectName) -> Vec<Delivery> {
        let all = lock(&self.all);
        let kept = all.get(project).into_iter();
        let mut found: Vec<Delivery> = kept
            .flat_map(|kept| kept.accepted.iter().chain(&kept.refused))
            .cloned()
            .collect();
        found.sort_by_key(|delivery| std::cmp::Reverse(delivery.at));
        found
    }
}

impl Cid {
    /// Reads the deliveries that an earlier daemon wrote down.
    ///
    /// # Errors
    /// The ledger's.
    pub(crate) async fn recall_deliveries(&self) -> Result<(), StoreError> {
        for (project, deliveries) in self.store.deliveries().await? {
            self.deliveries.recall(project, deliveries);
        }
        Ok(())
    }

    /// Writes deliveries down until the daemon stops, and then the last ones.
    pub(crate) async fn keep_deliveries(self) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = self.stopping.cancelled() => return self.write_deliveries().await,
            }
            self.write_deliveries().await;
        }
    }

    async fn write_deliveries(&self) {
        for project in self.deliveries.take_unwritten() {
            let newest_first = self.deliveries.of(&project);
            let written = self
                .store
                .set_deliveries(project.clone(), newest_first)
                .await;
            if let Err(error) = written {
                tracing::warn!(
                    PROJECT = project.as_str(),
                    "its webhooks are not in the ledger: {error}"
                );
                lock(&self.deliveries.unwritten).insert(project);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_are_forged_push_no_others_out() {
        let deliveries = Deliveries::default();
        let shop = ProjectName::parse("shop").unwrap();
        let delivery = |accepted, id: usize| Delivery {
            at: Timestamp::from_second(i64::try_from(id).unwrap()).unwrap(),
            scheme: "github".into(),
            event: "push".into(),
            id: id.to_string(),
            accepted,
            outcome: String::new(),
        };
        deliveries.keep(&shop, delivery(true, 0));
        for id in 1..1000 {
            deliveries.keep(&shop, delivery(false, id));
        }
        let kept = deliveries.of(&shop);
        assert_eq!(kept.len(), 1 + KEPT_REFUSED);
        assert_eq!((&*kept[0].id, &*kept[KEPT_REFUSED].id), ("999", "0"));
        for id in 1000..2000 {
            deliveries.keep(&shop, delivery(true, id));
        }
        assert_eq!(deliveries.of(&shop).len(), KEPT + KEPT_REFUSED);
        deliveries.came(&shop, Timestamp::from_second(1998).unwrap(), "done");
        let told: Vec<_> = deliveries
            .of(&shop)
            .iter()
            .take(2)
            .map(|one| one.outcome.clone())
            .collect();
        assert_eq!(told, ["", "done"]);
        assert_eq!(deliveries.take_unwritten(), [shop.clone()].into());
        assert!(deliveries.take_unwritten().is_empty());
        // Another daemon goes on with the same.
        let next = Deliveries::default();
        next.recall(shop.clone(), deliveries.of(&shop));
        assert_eq!(next.of(&shop), deliveries.of(&shop));
        next.keep(&shop, delivery(true, 2001));
        assert_eq!(next.of(&shop).len(), KEPT + KEPT_REFUSED);
    }
}
