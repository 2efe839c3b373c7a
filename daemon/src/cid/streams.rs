//! How many calls and long answers each user id, each person at the front, and all together may have open.

use crate::{domain::Opener, error::Error};
use cid_protocol::budget::{
    Budget, CALLS, CALLS_OF_USER, LOGS, LOGS_OF_PERSON, LOGS_OF_USER, WATCHES, WATCHES_OF_PERSON,
    WATCHES_OF_USER,
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
    /// Of one such opener, and in all.
    fn budgets(self, opener: &Opener) -> [&'static Budget; 2] {
        match (self, opener.is_person()) {
            (Self::Calls, _) => [&CALLS_OF_USER, &CALLS],
            (Self::Logs, false) => [&LOGS_OF_USER, &LOGS],
            (Self::Logs, true) => [&LOGS_OF_PERSON, &LOGS],
            (Self::Watches, false) => [&WATCHES_OF_USER, &WATCHES],
            (Self::Watches, true) => [&WATCHES_OF_PERSON, &WATCHES],
        }
    }
}

/// What is open now. Cheap to clone.
#[derive(Clone, Default)]
pub struct Streams(Arc<Mutex<Open>>);

#[derive(Default)]
struct Open {
    all: HashMap<Kind, usize>,
    of_one: HashMap<(Kind, Opener), usize>,
}

impl Streams {
    /// Takes a place for one more of this opener's.
    ///
    /// # Errors
    /// There are as many as there may be.
    pub(crate) fn begin(&self, opener: Opener, kind: Kind) -> Result<Place, Error> {
        let [per_one, in_all] = kind.budgets(&opener);
        let mut open = self.lock();
        let Open { all, of_one } = &mut *open;
        let all = all.entry(kind).or_default();
        let of_one = of_one.entry((kind, opener.clone())).or_default();
        let counts = [(*of_one, per_one), (*all, in_all)];
        if let Some((_, budget)) = counts.iter().find(|(open, budget)| *open >= budget.most) {
            let over = budget.over("one more");
            open.forget(opener, kind);
            return Err(Error::Exhausted {
                message: over.to_string(),
                hint: Some("end some of them, or try again when some have ended".into()),
            });
        }
        *all += 1;
        *of_one += 1;
        drop(open);
        Ok(Place {
            streams: self.clone(),
            opener,
            kind,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// Those who have nothing open take no room.
    fn forget(&mut self, opener: Opener, kind: Kind) {
        let key = (kind, opener);
        if self.of_one.get(&key) == Some(&0) {
            self.of_one.remove(&key);
        }
    }
}

/// A place among those that may be open; given back when it is dropped.
#[must_use]
pub(crate) struct Place {
    streams: Streams,
    opener: Opener,
    kind: Kind,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.streams.lock();
        let Open { all, of_one } = &mut *open;
        let of_one = of_one.get_mut(&(self.kind, self.opener.clone()));
        for count in all.get_mut(&self.kind).into_iter().chain(of_one) {
            *count = count.saturating_sub(1);
        }
        open.forget(self.opener.clone(), self.kind);
    }
}

#[cfg(test)]
mod tests {
    use crate::{cid::streams::*, domain::Email};

    fn user(uid: usize) -> Opener {
        Opener::new(u32::try_from(uid).unwrap(), None)
    }

    #[test]
    fn each_bound_holds_and_places_come_back() {
        for kind in [Kind::Calls, Kind::Logs, Kind::Watches] {
            let [per_user, in_all] = kind.budgets(&user(1));
            let streams = Streams::default();
            let begin = |uid: usize| streams.begin(user(uid), kind);
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
            assert!(streams.begin(user(1), other).is_ok());
            drop((of_one, others));
            assert!(streams.lock().of_one.is_empty());
            assert!(begin(1).is_ok());
        }
    }

    #[test]
    fn one_person_at_the_front_leaves_the_others_theirs() {
        for kind in [Kind::Logs, Kind::Watches] {
            let streams = Streams::default();
            let begin = |email: &str| {
                let email = Email::parse(email).unwrap();
                streams.begin(Opener::new(7, Some(&email)), kind)
            };
            let mut held = Vec::new();
            let said = loop {
                match begin("anna@example.com") {
                    Ok(place) => held.push(place),
                    Err(error) => break error.to_string(),
                }
            };
            assert!(said.contains("one person at the front"), "{said}");
            assert!(begin("ben@example.com").is_ok());
            held.pop();
            assert!(begin("anna@example.com").is_ok());
        }
    }
}
