//! How many calls and long answers each user id, and all together, may have open.

use crate::error::Error;
use cid_protocol::budget::{
    Budget, CALLS, CALLS_OF_USER, LOGS, LOGS_OF_USER, WATCHES, WATCHES_OF_USER,
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What is counted on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// Any call, until its answer is read or given up.
    Calls,
    /// Logs that are read.
    Logs,
    /// Jobs that are watched.
    Watches,
}

impl Kind {
    /// Of one user id, and in all.
    fn budgets(self) -> [&'static Budget; 2] {
        match self {
            Self::Calls => [&CALLS_OF_USER, &CALLS],
            Self::Logs => [&LOGS_OF_USER, &LOGS],
            Self::Watches => [&WATCHES_OF_USER, &WATCHES],
        }
    }
}

/// What is open now. Cheap to clone.
#[derive(Clone, Default)]
pub struct Streams(Arc<Mutex<Open>>);

#[derive(Default)]
struct Open {
    all: HashMap<Kind, usize>,
    of_user: HashMap<(Kind, u32), usize>,
}

impl Streams {
    /// Takes a place for one more of this user's.
    ///
    /// # Errors
    /// There are as many as there may be.
    pub(crate) fn begin(&self, uid: u32, kind: Kind) -> Result<Place, Error> {
        let [per_user, in_all] = kind.budgets();
        let mut open = self.lock();
        let Open { all, of_user } = &mut *open;
        let all = all.entry(kind).or_default();
        let of_user = of_user.entry((kind, uid)).or_default();
        let counts = [(*of_user, per_user), (*all, in_all)];
        if let Some((_, budget)) = counts.iter().find(|(open, budget)| *open >= budget.most) {
            let over = budget.over("one more");
            open.forget(uid, kind);
            return Err(Error::Exhausted {
                message: over.to_string(),
                hint: Some("end some of them, or try again when some have ended".into()),
            });
        }
        *all += 1;
        *of_user += 1;
        drop(open);
        Ok(Place {
            streams: self.clone(),
            uid,
            kind,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// Users who have nothing open take no room.
    fn forget(&mut self, uid: u32, kind: Kind) {
        if self.of_user.get(&(kind, uid)) == Some(&0) {
            self.of_user.remove(&(kind, uid));
        }
    }
}

/// A place among those that may be open; given back when it is dropped.
#[must_use]
pub(crate) struct Place {
    streams: Streams,
    uid: u32,
    kind: Kind,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.streams.lock();
        let Open { all, of_user } = &mut *open;
        let of_user = of_user.get_mut(&(self.kind, self.uid));
        for count in all.get_mut(&self.kind).into_iter().chain(of_user) {
            *count = count.saturating_sub(1);
        }
        open.forget(self.uid, self.kind);
    }
}

#[cfg(test)]
mod tests {
    use crate::cid::streams::*;

    #[test]
    fn each_bound_holds_and_places_come_back() {
        for kind in [Kind::Calls, Kind::Logs, Kind::Watches] {
            let [per_user, in_all] = kind.budgets();
            let streams = Streams::default();
            let begin = |uid: usize| streams.begin(u32::try_from(uid).unwrap(), kind);
            let of_one: Vec<_> = (0..per_user.most).map(|_| begin(1).unwrap()).collect();
            let said = begin(1).err().unwrap().to_string();
            assert!(said.contains(per_user.what), "{said}");
            let others: Vec<_> = (per_user.most..in_all.most)
                .map(|n| begin(2 + n).unwrap())
                .collect();
            let said = begin(2).err().unwrap().to_string();
            assert!(said.contains(in_all.what), "{said}");
            // The kinds do not count for each other.
            let other = if kind == Kind::Logs {
                Kind::Watches
            } else {
                Kind::Logs
            };
            assert!(streams.begin(1, other).is_ok());
            drop((of_one, others));
            assert!(streams.lock().of_user.is_empty());
            assert!(begin(1).is_ok());
        }
    }
}
