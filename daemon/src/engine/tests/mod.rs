//! Every plan, every step, every way to fail: afterwards the made-up machine is as it was, or the
//! job is done. The points come from the plans themselves, and a registered step that no plan
//! reaches fails a test.

/// Branches on the remote, and work in a workspace, that a job must not lose.
mod branches;
/// Builds: their verdict, and what their tests get to see.
mod builds;
/// A job that is cancelled, and a daemon that goes down.
mod cancels;
/// A daemon that dies at any point.
mod crashes;
/// Deployments: what changes, and what does not.
mod deployments;
/// Jobs that end with debts, get stuck, or never begin.
mod endings;
/// Environments that workspaces share, or have for themselves.
mod environments;
/// A step that fails in any way.
mod failures;
/// What looks on, and holds the engine where a test wants it.
mod hooks;
/// The kinds of jobs that every test tries.
mod kinds;
/// What people do in a workspace while it is made.
mod meanwhile;
/// What the engine promises of every job, by the calls that its steps had.
mod promises;
/// The made-up machine, and the jobs that run on it.
mod stage;
mod stages;
/// Templates: who begins with one, and who does not.
mod templates;
/// Steps whose calls are noted, and that misbehave if a test says so.
mod watched;

use hooks::{HoldAt, Trace};
use kinds::{Kind, kinds, try_each};
use stage::{Stage, assert_no_trace, kinds_of};
use watched::{WAYS, Way, misbehave};
