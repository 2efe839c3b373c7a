//! What looks on, and holds the engine where a test wants it.

use super::super::{Hooks, Phase, Point};
use async_trait::async_trait;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::Notify;

/// Holds the engine at one point until it may go on. One that never may is as good as killed.
pub(super) struct HoldAt {
    point: Point,
    reached: Notify,
    go_on: Notify,
}

impl HoldAt {
    pub(super) fn new(step: &str, phase: Phase) -> Arc<Self> {
        let step = step.to_owned();
        Self::at_point(Point { step, phase })
    }

    pub(super) fn at_point(point: Point) -> Arc<Self> {
        Arc::new(Self {
            point,
            reached: Notify::new(),
            go_on: Notify::new(),
        })
    }

    /// Waits until the engine is there.
    pub(super) async fn reached(&self) {
        let wait = tokio::time::timeout(Duration::from_secs(60), self.reached.notified());
        let wait = wait.await;
        wait.unwrap_or_else(|_| panic!("the engine never came to {:?}", self.point));
    }

    /// Lets it go on.
    pub(super) fn go_on(&self) {
        self.go_on.notify_one();
    }
}

#[async_trait]
impl Hooks for HoldAt {
    async fn at(&self, point: Point) {
        if point == self.point {
            self.reached.notify_one();
            self.go_on.notified().await;
        }
    }
}

/// Notes every point that is passed.
#[derive(Default)]
pub(super) struct Trace(Mutex<Vec<Point>>);

impl Trace {
    pub(super) fn points(&self) -> Vec<Point> {
        self.0.lock().unwrap().clone()
    }
}

#[async_trait]
impl Hooks for Trace {
    async fn at(&self, point: Point) {
        self.0.lock().unwrap().push(point);
    }
}
