//! Asks polkit over the system bus. polkit learns only what the kernel said about the peer. No answer is
//! cached, and every failure means a denial.

mod bounds;

use super::{Authority, Decision, Door, Process, Question};
use async_trait::async_trait;
use bounds::Bounds;
use std::{collections::HashMap, time::Duration};
use tokio::{sync::Mutex, time::timeout};
use zbus::{Connection, connection::Builder, proxy::CacheProperties};
use zbus_polkit::policykit1::{
    AuthorityProxy, AuthorizationResult, CheckAuthorizationFlags, Subject as Peer,
};

/// Time-out for a check that prompts nobody.
const QUIET: Duration = Duration::from_secs(5);
/// Time-out for a check that prompts a person.
const INTERACTIVE: Duration = Duration::from_secs(120);
/// Time-out for cancelling an abandoned check.
const CANCEL: Duration = Duration::from_secs(1);
/// Since this version polkit accepts a descriptor for the process.
const PIDFD_SINCE: u32 = 124;

/// polkit as the authority.
pub struct Polkit {
    /// `None`: the system bus.
    address: Option<String>,
    connection: Mutex<Option<Connection>>,
    bounds: Bounds,
}

impl Polkit {
    /// polkit on the system bus; it need not be running yet.
    pub fn of_this_machine() -> Self {
        Self {
            address: None,
            connection: Mutex::default(),
            bounds: Bounds::new(),
        }
    }

    /// polkit on another bus.
    pub fn on_bus(address: impl Into<String>) -> Self {
        Self {
            address: Some(address.into()),
            ..Self::of_this_machine()
        }
    }

    /// The connection to the bus. It is kept, and opened again when the bus has closed it.
    async fn connection(&self) -> zbus::Result<Connection> {
        let mut kept = self.connection.lock().await;
        if let Some(connection) = kept.as_ref().filter(|connection| !connection.is_closed()) {
            return Ok(connection.clone());
        }
        let builder = match &self.address {
            Some(address) => Builder::address(address.as_str()),
            None => Builder::system(),
        };
        let connection = builder.build().await?;
        *kept = Some(connection.clone());
        Ok(connection)
    }

    async fn ask(
        &self,
        question: &Question<'_>,
        process: &Process,
        asks_people: bool,
    ) -> Result<Answer, Trouble> {
        let uid = question.call.caller.uid;
        let place = match asks_people {
            true => self.bounds.prompt(uid),
            false => self.bounds.check(uid).await,
        };
        let _place = place.ok_or(Trouble::TooMany)?;
        let connection = self.connection().await?;
        let proxy = AuthorityProxy::builder(&connection)
            .cache_properties(CacheProperties::No)
            .build()
            .await?;
        let peer = peer(&proxy, process, uid).await?;
        let flags = match asks_people {
            true => CheckAuthorizationFlags::ALLOW_USER_INTERACTION,
            false => CheckAuthorizationFlags::empty(),
        };
        let mut details = HashMap::new();
        if let Some((subject, is_own)) = question.subject {
            details.insert("own", if is_own { "yes" } else { "no" });
            details.insert("project", subject.project.as_str());
            if let Some(group) = &subject.deployers {
                details.insert("deployers", group.as_str());
            }
            if let Some(workspace) = &subject.workspace {
                details.insert("workspace", workspace.as_str());
            }
        }
        let mut check = Check::new(connection.clone());
        let answer = proxy
            .check_authorization(&peer, question.action.id(), &details, flags, &check.id)
            .await;
        check.is_over = true;
        Ok(answer?)
    }
}

type Answer = AuthorizationResult;

/// Why polkit could not be asked.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("too many people are being asked for a password")]
    TooMany,
    #[error(transparent)]
    Bus(#[from] zbus::Error),
    #[error("cannot name the peer: {0}")]
    Peer(#[from] zbus_polkit::Error),
}

#[async_trait]
impl Authority for Polkit {
    async fn admit(&self, _: &super::Caller) -> Decision {
        Decision::Allowed
    }

    async fn decide(&self, question: Question<'_>) -> Decision {
        let Some(process) = &question.call.caller.process else {
            return Decision::denied("cannot tell which process asks");
        };
        // Rules first, without a prompt: after a prompt, polkit does not tell whether its rules or the
        // person denied.
        let rules = match self.answer(&question, process, false).await {
            Ok(answer) => answer,
            Err(decision) => return decision,
        };
        if rules.is_authorized || !rules.is_challenge || !is_interactive(&question) {
            return read(&rules, &question);
        }
        match self.answer(&question, process, true).await {
            Ok(answer) => read_reply(&answer, &question),
            Err(decision) => decision,
        }
    }
}

impl Polkit {
    /// polkit's answer if it comes in time; otherwise the denial that this means.
    async fn answer(
        &self,
        question: &Question<'_>,
        process: &Process,
        asks_people: bool,
    ) -> Result<Answer, Decision> {
        let limit = if asks_people { INTERACTIVE } else { QUIET };
        let answer = match timeout(limit, self.ask(question, process, asks_people)).await {
            Ok(Ok(answer)) => answer,
            // When the process is gone, some versions of polkit answer and others fail, in different words.
            Ok(Err(_)) if !process.is_alive() => return Err(gone()),
            Ok(Err(trouble)) => return Err(unavailable(&format!("cannot ask polkit: {trouble}"))),
            Err(_) => {
                let seconds = limit.as_secs();
                return Err(unavailable(&format!(
                    "polkit gave no answer within {seconds} s"
                )));
            }
        };
        // polkit must have judged the process that asked: its id may belong to another process by now.
        match process.is_alive() {
            true => Ok(answer),
            false => Err(gone()),
        }
    }
}

/// The front acts for people who are not at a terminal: it never prompts.
fn is_interactive(question: &Question<'_>) -> bool {
    question.call.is_interactive && question.call.caller.door == Door::People
}

/// The decision in polkit's answer to a check that may prompt.
fn read_reply(answer: &Answer, question: &Question<'_>) -> Decision {
    let action = question.action.id();
    if answer.is_authorized {
        return Decision::Allowed;
    }
    if answer.details.contains_key("polkit.dismissed") {
        return Decision::denied("the question for a password was dismissed");
    }
    let needs = format!("{action} needs an administrator's password");
    match answer.is_challenge {
        true => Decision::denied(needs).hint("nobody could be asked for it: run pkttyagent in another terminal, or ask an administrator to do it"),
        false => Decision::denied(format!("{needs}, and the one given was not right"))
            .hint("try again with the password of the administrator whom the question names"),
    }
}

/// The decision in polkit's answer to a check that prompts nobody.
fn read(answer: &Answer, question: &Question<'_>) -> Decision {
    let action = question.action.id();
    if answer.is_authorized {
        return Decision::Allowed;
    }
    if answer.is_challenge {
        let hint = match question.subject {
            Some((_, false)) => {
                "with --interactive cictl asks for it; otherwise ask an administrator: [access.people] in the project file makes a workspace yours, and [access] deployers lets you change stages"
            }
            _ => "with --interactive cictl asks for it; otherwise ask an administrator to do it",
        };
        return Decision::denied(format!("{action} needs an administrator's password")).hint(hint);
    }
    Decision::denied(format!("polkit does not allow {action}"))
        .hint("members of the group cid may use cid; an administrator can change polkit's rules")
}

fn gone() -> Decision {
    Decision::denied("the process that asked is gone")
}

fn unavailable(reason: &str) -> Decision {
    tracing::error!("{reason}");
    Decision::denied(reason).hint("an administrator can look at it: systemctl status polkit")
}

/// The peer in polkit's form: the descriptor if both kernel and polkit support it, else process id and
/// start time. The user id always comes from the kernel.
async fn peer(proxy: &AuthorityProxy<'_>, process: &Process, uid: u32) -> Result<Peer, Trouble> {
    if let Some(pidfd) = process.pidfd() {
        let version = proxy.backend_version().await.unwrap_or_default();
        if knows_pidfds(&version) {
            return Ok(Peer::new_for_owner(pidfd, uid)?);
        }
    }
    Ok(Peer::new_for_pid(
        process.pid(),
        Some(process.started()),
        Some(uid),
    )?)
}

/// `124`, or `0.105` in the numbering before 121.
fn knows_pidfds(version: &str) -> bool {
    let first = version.split('.').next().and_then(|n| n.parse().ok());
    first.is_some_and(|major: u32| major >= PIDFD_SINCE)
}

/// A running check. It is cancelled when nobody waits for it any more, which closes its prompt.
struct Check {
    connection: Connection,
    id: String,
    is_over: bool,
}

impl Check {
    fn new(connection: Connection) -> Self {
        Self {
            connection,
            id: uuid::Uuid::now_v7().to_string(),
            is_over: false,
        }
    }
}

impl Drop for Check {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let (connection, id) = (self.connection.clone(), std::mem::take(&mut self.id));
        tokio::spawn(timeout(CANCEL, async move {
            let proxy = AuthorityProxy::new(&connection).await?;
            proxy.cancel_check_authorization(&id).await
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_for_those_who_know_them() {
        for (version, knows) in [
            ("0.105", false),
            ("122", false),
            ("124", true),
            ("126.1", true),
            ("", false),
            ("new", false),
        ] {
            assert_eq!(knows_pidfds(version), knows, "{version:?}");
        }
    }
}
