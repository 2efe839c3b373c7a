//! One queue. Turns rotate between projects, and within a project between people, so that one person's many
//! jobs do not delay another's.

use super::{Ahead, Resource, Waiting, Who};
use crate::domain::{Owner, ProjectName};
use std::{collections::HashMap, sync::Arc};
use tokio::{sync::oneshot, time::Instant};
use uuid::Uuid;

/// Who is at work and who waits.
pub(super) struct Line {
    places: usize,
    /// Extra places, for projects with none at work.
    extra: usize,
    at_work: Vec<Place>,
    waiting: Vec<(Place, oneshot::Sender<()>)>,
    shares: Shares,
    projects: HashMap<Option<ProjectName>, usize>,
    people: HashMap<(usize, Option<Owner>), usize>,
    /// For each waiting number, how many come before it; `None`: to be computed.
    order: Option<HashMap<u64, usize>>,
}

struct Place {
    number: u64,
    project: usize,
    person: usize,
    who: Arc<Who>,
    /// Since when at work.
    since: Instant,
}

/// What each project and each of its people has.
#[derive(Clone, Default)]
struct Shares {
    projects: Vec<Share>,
    people: Vec<Share>,
    turns: u64,
}

#[derive(Clone, Copy, Default)]
struct Share {
    at_work: usize,
    /// Which turn was its last.
    last: u64,
}

impl Line {
    pub(super) fn new(places: usize, extra: usize) -> Self {
        Self {
            places,
            extra,
            at_work: Vec::new(),
            waiting: Vec::new(),
            shares: Shares::default(),
            projects: HashMap::new(),
            people: HashMap::new(),
            order: None,
        }
    }

    /// Sends a word when the turn has come.
    pub(super) fn enter(&mut self, number: u64, who: Arc<Who>, go: oneshot::Sender<()>) {
        let next = self.projects.len();
        let project = *self.projects.entry(who.project.clone()).or_insert(next);
        let next = self.people.len();
        let person = (project, who.owner.clone());
        let person = *self.people.entry(person).or_insert(next);
        self.shares
            .projects
            .resize(self.projects.len(), Share::default());
        self.shares
            .people
            .resize(self.people.len(), Share::default());
        let place = Place {
            number,
            project,
            person,
            who,
            since: Instant::now(),
        };
        self.waiting.push((place, go));
        self.admit();
    }

    /// Removes an entry, whether at work or waiting.
    pub(super) fn leave(&mut self, number: u64) {
        let is = |place: &Place| place.number == number;
        if let Some(index) = self.at_work.iter().position(is) {
            let place = self.at_work.swap_remove(index);
            self.shares.end(&place);
        } else if let Some(index) = self.waiting.iter().position(|(place, _)| is(place)) {
            self.waiting.remove(index);
        }
        self.admit();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.at_work.is_empty() && self.waiting.is_empty()
    }

    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// What those jobs are told that wait here, or one of them.
    pub(super) fn waiting(
        &mut self,
        resource: &Resource,
        only: Option<Uuid>,
    ) -> Vec<(Uuid, Waiting)> {
        let waits = |place: &Place| {
            let job = place.who.job?;
            only.is_none_or(|only| only == job)
                .then_some((job, place.number))
        };
        let places = self.waiting.iter().map(|(place, _)| place);
        let told: Vec<(Uuid, u64)> = places.filter_map(waits).collect();
        if told.is_empty() {
            return Vec::new();
        }
        let longest = self.at_work.iter().min_by_key(|place| place.since);
        let first = longest.map(|place| Ahead {
            work: place.who.work.clone(),
            owner: place.who.owner.clone(),
            project: place.who.project.clone(),
            minutes: place.since.elapsed().as_secs() / 60,
        });
        let at_work = self.at_work.len();
        if self.order.is_none() {
            self.order = Some(self.in_order());
        }
        let before = |number| self.order.as_ref()?.get(&number).copied();
        let told = told.into_iter().map(|(job, number)| {
            let waiting = Waiting {
                resource: resource.clone(),
                ahead: at_work + before(number).unwrap_or_default(),
                first: first.clone(),
            };
            (job, waiting)
        });
        told.collect()
    }

    /// Admits as many as there is room for.
    fn admit(&mut self) {
        self.order = None;
        while let Some(index) = self
            .shares
            .next(self.waiting.iter().map(|(place, _)| place))
        {
            // The next one's project has the fewest at work: if there is no room for it, there is none for
            // any other.
            let is_first = self.shares.projects[self.waiting[index].0.project].at_work == 0;
            let places = self.places + if is_first { self.extra } else { 0 };
            if self.at_work.len() >= places {
                return;
            }
            let (mut place, go) = self.waiting.remove(index);
            self.shares.begin(&place);
            place.since = Instant::now();
            self.at_work.push(place);
            // A receiver that no longer listens is about to leave.
            let _ = go.send(());
        }
    }

    /// Simulates places becoming free one after the other.
    fn in_order(&self) -> HashMap<u64, usize> {
        let mut shares = self.shares.clone();
        let mut left: Vec<&Place> = self.waiting.iter().map(|(place, _)| place).collect();
        let mut order = HashMap::with_capacity(left.len());
        while let Some(index) = shares.next(left.iter().copied()) {
            let place = left.swap_remove(index);
            shares.begin(place);
            order.insert(place.number, order.len());
        }
        order
    }
}

impl Shares {
    /// Picks the project with the fewest at work, and among those the one whose last turn is longest ago;
    /// then its people by the same rule; then the first to arrive.
    fn next<'a>(&self, waiting: impl Iterator<Item = &'a Place>) -> Option<usize> {
        let rank = |place: &Place| {
            let (project, person) = (self.projects[place.project], self.people[place.person]);
            (
                project.at_work,
                project.last,
                person.at_work,
                person.last,
                place.number,
            )
        };
        let first = waiting.enumerate().min_by_key(|(_, place)| rank(place));
        first.map(|(index, _)| index)
    }

    fn begin(&mut self, place: &Place) {
        self.turns += 1;
        let shares = [
            &mut self.projects[place.project],
            &mut self.people[place.person],
        ];
        for share in shares {
            share.at_work += 1;
            share.last = self.turns;
        }
    }

    fn end(&mut self, place: &Place) {
        self.projects[place.project].at_work -= 1;
        self.people[place.person].at_work -= 1;
    }
}
