//! Webhooks that came, and what came of them: the newest of each project, until the daemon stops.

use super::looks::lock;
use crate::domain::ProjectName;
use jiff::Timestamp;
use std::{
    collections::{HashMap, VecDeque},
    sync::Mutex,
};

/// So many of a project's deliveries are kept that were believed.
const KEPT: usize = 50;
/// And so many that were not: nobody pushes the others out by forging.
const KEPT_REFUSED: usize = 20;

/// One delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// When it came.
    pub at: Timestamp,
    /// How it is signed; empty where it is not.
    pub scheme: String,
    /// What the sender calls its kind, e.g. `push`.
    pub event: String,
    /// What the sender calls it.
    pub id: String,
    /// Whether it was believed.
    pub accepted: bool,
    /// What came of it; empty: that is not known yet.
    pub outcome: String,
}

/// Those of all projects.
#[derive(Debug, Default)]
pub struct Deliveries(Mutex<HashMap<ProjectName, Kept>>);

#[derive(Debug, Default)]
struct Kept {
    accepted: VecDeque<Delivery>,
    refused: VecDeque<Delivery>,
}

impl Deliveries {
    /// Keeps one of a project that takes webhooks.
    pub(crate) fn keep(&self, project: &ProjectName, delivery: Delivery) {
        let mut all = lock(&self.0);
        let kept = all.entry(project.clone()).or_default();
        let (list, most) = match delivery.accepted {
            true => (&mut kept.accepted, KEPT),
            false => (&mut kept.refused, KEPT_REFUSED),
        };
        list.push_front(delivery);
        list.truncate(most);
    }

    /// Says what came of those that were believed before this time.
    pub(crate) fn came(&self, project: &ProjectName, before: Timestamp, outcome: &str) {
        let mut all = lock(&self.0);
        let waiting = all.get_mut(project).into_iter();
        let waiting = waiting.flat_map(|kept| &mut kept.accepted);
        for delivery in waiting.filter(|one| one.outcome.is_empty() && one.at <= before) {
            outcome.clone_into(&mut delivery.outcome);
        }
    }

    /// A project's, newest first.
    pub fn of(&self, project: &ProjectName) -> Vec<Delivery> {
        let all = lock(&self.0);
        let kept = all.get(project).into_iter();
        let mut found: Vec<Delivery> = kept
            .flat_map(|kept| kept.accepted.iter().chain(&kept.refused))
            .cloned()
            .collect();
        found.sort_by_key(|delivery| std::cmp::Reverse(delivery.at));
        found
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
    }
}
