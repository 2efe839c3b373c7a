//! Turns: changes that arrive while one turn runs go into the next together, so that a hundred
//! callers cost an engine a few reloads, not a hundred.

use crate::domain::UnitName;
use async_trait::async_trait;
use cid_protocol::fault::Fault;
use std::collections::{BTreeSet, VecDeque};
use tokio::sync::{mpsc, oneshot};

/// Callers beyond this number wait at the door.
const QUEUE: usize = 256;

/// What is done in a turn.
#[async_trait]
pub trait Turn: Send + 'static {
    /// What callers ask for.
    type Change: Send + 'static;
    /// What they get.
    type Reply: Send + 'static;

    /// The unit that a change is about. A turn has at most one change for each.
    fn unit(change: &Self::Change) -> Option<&UnitName>;

    /// Makes the changes; gives a reply for each, in their order.
    async fn run(&mut self, changes: Vec<Self::Change>) -> Vec<Self::Reply>;
}

/// The door to a [`Turn`], for any number of callers.
pub struct Turns<T: Turn> {
    queue: mpsc::Sender<Ask<T>>,
}

struct Ask<T: Turn> {
    change: T::Change,
    reply: oneshot::Sender<T::Reply>,
}

impl<T: Turn> Turns<T> {
    /// Starts taking turns, until the last door is dropped.
    pub fn start(turn: T) -> Self {
        let (queue, asks) = mpsc::channel(QUEUE);
        tokio::spawn(serve(turn, asks));
        Self { queue }
    }

    /// Has a change made in one of the next turns. Once asked for it is made, also when the caller
    /// stops waiting.
    ///
    /// # Errors
    /// The turns have ended.
    pub async fn ask(&self, change: T::Change) -> Result<T::Reply, Fault> {
        let (reply, answer) = oneshot::channel();
        let ended = || Fault::new("cannot change the configuration: its coordinator has ended");
        self.queue
            .send(Ask { change, reply })
            .await
            .map_err(|_| ended())?;
        answer.await.map_err(|_| ended())
    }
}

async fn serve<T: Turn>(mut turn: T, mut asks: mpsc::Receiver<Ask<T>>) {
    let mut waiting = VecDeque::new();
    loop {
        if waiting.is_empty() {
            let Some(ask) = asks.recv().await else { return };
            waiting.push_back(ask);
        }
        while waiting.len() < QUEUE
            && let Ok(ask) = asks.try_recv()
        {
            waiting.push_back(ask);
        }
        let (now, later) = one_for_each_unit(waiting);
        waiting = later;
        let (changes, replies): (Vec<_>, Vec<_>) =
            now.into_iter().map(|ask| (ask.change, ask.reply)).unzip();
        for (reply, result) in replies.into_iter().zip(turn.run(changes).await) {
            // A caller that has stopped waiting needs no reply.
            drop(reply.send(result));
        }
    }
}

/// Splits off what has to wait because an earlier change is about the same unit.
fn one_for_each_unit<T: Turn>(waiting: VecDeque<Ask<T>>) -> (Vec<Ask<T>>, VecDeque<Ask<T>>) {
    let mut seen = BTreeSet::new();
    let (mut now, mut later) = (Vec::new(), VecDeque::new());
    for ask in waiting {
        if T::unit(&ask.change).is_none_or(|unit| seen.insert(unit.clone())) {
            now.push(ask);
        } else {
            later.push_back(ask);
        }
    }
    (now, later)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::Arc, time::Duration};

    /// Replies with the number of the turn.
    struct Slow(usize);

    #[async_trait]
    impl Turn for Slow {
        type Change = Option<UnitName>;
        type Reply = usize;
        fn unit(change: &Self::Change) -> Option<&UnitName> {
            change.as_ref()
        }
        async fn run(&mut self, changes: Vec<Self::Change>) -> Vec<usize> {
            self.0 += 1;
            tokio::time::sleep(Duration::from_millis(50)).await;
            vec![self.0; changes.len()]
        }
    }

    #[tokio::test]
    async fn what_arrives_meanwhile_goes_together() {
        let turns = Arc::new(Turns::start(Slow(0)));
        let asks = (0..20).map(|_| {
            tokio::spawn({
                let turns = Arc::clone(&turns);
                async move { turns.ask(None).await.unwrap() }
            })
        });
        let mut last = 0;
        for ask in asks.collect::<Vec<_>>() {
            last = last.max(ask.await.unwrap());
        }
        assert!(last <= 2, "{last} turns for 20 changes");
    }

    #[tokio::test]
    async fn changes_of_one_unit_keep_their_order() {
        let turns = Turns::start(Slow(0));
        let unit = UnitName::parse("shop.anna");
        let replies = tokio::join!(
            turns.ask(unit.clone()),
            turns.ask(unit.clone()),
            turns.ask(None),
            turns.ask(unit)
        );
        let numbers = [replies.0, replies.1, replies.2, replies.3].map(Result::unwrap);
        assert!(
            numbers[0] < numbers[1] && numbers[1] < numbers[3],
            "{numbers:?}"
        );
    }
}
