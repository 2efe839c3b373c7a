//! Proof that an actor may do something, and the claim that precedes it.

use super::{Action, Actor, Call, Decision, Denial, Gate, Subject, refused};
use crate::{
    domain::{Creator, Email, Owner, ProjectName},
    error::Error,
};
use std::{fmt, sync::Arc};

/// What has been admitted but not decided, because what it is about is not known yet. It can only be
/// [bound](Claim::bind).
#[must_use]
#[derive(Clone)]
pub struct Claim(By);

#[derive(Clone)]
enum By {
    /// A call that the gate admitted.
    Call {
        gate: Gate,
        call: Arc<Call>,
        own: Action,
        other: Action,
    },
    /// A trigger of this project.
    Trigger(ProjectName, Action),
}

impl Claim {
    pub(super) fn of_call(gate: Gate, call: Arc<Call>, own: Action, other: Action) -> Self {
        Self(By::Call {
            gate,
            call,
            own,
            other,
        })
    }

    /// The claim of a trigger: cid acts because the remote of `project` has something new. It is good for
    /// this project alone.
    pub fn of_trigger(project: ProjectName, action: Action) -> Self {
        Self(By::Trigger(project, action))
    }

    /// Records which workspace the call names, for the audit log.
    pub fn names(&self, owner: &Owner, project: &str) {
        if let By::Call { call, .. } = &self.0 {
            call.names(owner, project);
        }
    }

    /// Records the program that is to be run, for the audit log.
    pub fn runs(&self, program: &str) {
        if let By::Call { call, .. } = &self.0 {
            call.lock().program = Some(program.to_owned());
        }
    }

    /// Asks whether the actor may do it to this workspace.
    ///
    /// # Errors
    /// The actor may not, or the authority cannot decide.
    pub async fn bind(self, subject: Subject) -> Result<Permit, Error> {
        let (gate, call, own, other) = match self.0 {
            By::Call {
                gate,
                call,
                own,
                other,
            } => (gate, call, own, other),
            By::Trigger(project, action) => return of_trigger(project, action, &subject),
        };
        let is_own = gate.is_own(&call, &subject).await;
        let action = if is_own { own } else { other };
        {
            let mut known = call.lock();
            known.job = subject.job;
            known.subject = Some(subject.clone());
            // Everybody's page shows their own.
            known.only_looks |= is_own && action == Action::ReadLogs;
        }
        match gate.decide(&call, action, Some((&subject, is_own))).await {
            Decision::Allowed => Ok(Permit {
                actor: Actor::of(&call),
                action,
                call: Some(call),
            }),
            Decision::Denied(denial) => Err(refused(&denial)),
        }
    }
}

fn of_trigger(project: ProjectName, action: Action, subject: &Subject) -> Result<Permit, Error> {
    if subject.project != project {
        return Err(refused(&Denial {
            reason: format!("a trigger of {project} is not for {}", subject.project),
            hint: None,
        }));
    }
    Ok(Permit {
        actor: Actor::Trigger(nix::unistd::geteuid().as_raw(), project),
        action,
        call: None,
    })
}

/// Proof that an actor may do something to a workspace. Only [`Claim::bind`] makes one, and the action
/// consumes it.
#[must_use]
#[derive(Debug)]
pub struct Permit {
    actor: Actor,
    action: Action,
    call: Option<Arc<Call>>,
}

impl Permit {
    /// On whose behalf.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// The actor's user id.
    pub fn uid(&self) -> u32 {
        self.actor.uid()
    }

    /// The creator of a workspace for this address.
    pub fn creator(&self, email: &Email) -> Creator {
        self.actor.creator(email)
    }

    /// A permit for the engine's own tests only.
    #[cfg(test)]
    pub(crate) fn for_tests() -> Self {
        Self {
            actor: Actor::User(0),
            action: Action::CreateForOthers,
            call: None,
        }
    }

    /// The call it was issued for; `None` if it was none.
    pub fn call(&self) -> Option<Arc<Call>> {
        self.call.clone()
    }
}

impl fmt::Display for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} for {}", self.actor, self.action.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(project: &str) -> Subject {
        Subject {
            project: ProjectName::parse(project).unwrap(),
            owner: Some(Email::parse("anna@example.com").unwrap().into()),
            workspace: None,
            account: None,
            creator: None,
            deployers: None,
            job: None,
        }
    }

    #[tokio::test]
    async fn a_trigger_acts_for_its_own_project_alone() {
        let shop = ProjectName::parse("shop").unwrap();
        let claim = Claim::of_trigger(shop.clone(), Action::CreateForOthers);
        let permit = claim.clone().bind(subject("shop")).await.unwrap();
        assert!(matches!(permit.actor(), Actor::Trigger(_, project) if *project == shop));
        assert!(permit.to_string().starts_with("the trigger of shop for "));
        let denied = claim.bind(subject("shop2")).await.unwrap_err();
        assert!(matches!(denied, Error::Denied { .. }), "{denied}");
    }
}
