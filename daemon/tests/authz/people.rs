//! Everybody who may come by, and what the shipped rules say about them.

use async_trait::async_trait;
use cid_daemon::{
    authz::{Action, Authority, Call, Caller, Decision, Door, Process, Question, Subject},
    domain::{Email, Name, ProjectName},
};

/// One sort of caller.
#[derive(Debug)]
pub struct Person {
    /// As the matrix calls it.
    pub title: &'static str,
    pub account: &'static str,
    pub uid: u32,
    pub groups: &'static [&'static str],
}

/// Those who are denied by the list are in the groups of those who are not: it must not matter.
#[rustfmt::skip]
pub const PEOPLE: [Person; 8] = [
    Person { title: "root", account: "root", uid: 0, groups: &[] },
    Person { title: "admin", account: "boss", uid: 61_001, groups: &["sudo", "cid"] },
    Person { title: "owner", account: "anna", uid: 61_002, groups: &["cid"] },
    Person { title: "member", account: "bert", uid: 61_003, groups: &["cid"] },
    Person { title: "other", account: "carl", uid: 61_004, groups: &[] },
    Person { title: "deploy", account: "deploy", uid: 61_005, groups: &["cid", "sudo"] },
    Person { title: "workspace", account: "cidw-7", uid: 61_006, groups: &["cid", "sudo"] },
    Person { title: "cid-web", account: "cid-web", uid: 61_007, groups: &["cid"] },
];

pub fn person(title: &str) -> &'static Person {
    PEOPLE.iter().find(|person| person.title == title).unwrap()
}

impl Person {
    pub fn caller(&self, door: Door, process: Option<Process>) -> Caller {
        Caller {
            uid: self.uid,
            gid: self.uid,
            process,
            door,
        }
    }
}

/// The workspace that every call is about; `anna` is its owner.
pub fn subject() -> Subject {
    let email = Email::parse("anna@example.com").unwrap();
    let name = Name::candidates(&email).next();
    Subject {
        project: ProjectName::parse("shop").unwrap(),
        workspace: name,
        owner: Some(email.into()),
        account: Some("anna".into()),
        creator: None,
        deployers: None,
        job: None,
    }
}

/// What polkit answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Yes,
    No,
    /// With an administrator's password.
    Password,
}

/// What `50-cid.rules` and the defaults of `org.cid.policy` say.
pub fn shipped_rules(person: &Person, action: Action, is_own: bool) -> Answer {
    let is_in = |group| person.groups.contains(&group);
    if person.account.starts_with("cidw-") || person.account == "cid-web" {
        return Answer::No;
    }
    if person.uid == 0 || is_in("sudo") {
        return Answer::Yes;
    }
    if !is_in("cid") {
        return Answer::No;
    }
    match action {
        Action::SignIn => Answer::No,
        Action::List
        | Action::CreateOwn
        | Action::CreateForOthers
        | Action::DeleteOwn
        | Action::Build
        | Action::Fetch => Answer::Yes,
        Action::Restart
        | Action::ReadLogs
        | Action::Run
        | Action::Deploy
        | Action::ManageJobs
        | Action::Repair
            if is_own =>
        {
            Answer::Yes
        }
        _ => Answer::Password,
    }
}

/// polkit as the shipped rules make it. It must not be asked about those whom cid judges itself.
pub struct FakePolkit;

#[async_trait]
impl Authority for FakePolkit {
    async fn admit(&self, _: &Caller) -> Decision {
        Decision::Allowed
    }

    async fn decide(&self, question: Question<'_>) -> Decision {
        let uid = question.call.caller.uid;
        let person = PEOPLE.iter().find(|person| person.uid == uid).unwrap();
        assert!(
            ["admin", "owner", "member", "other"].contains(&person.title),
            "polkit is asked about {person:?}"
        );
        let is_own = question.subject.is_some_and(|(_, is_own)| is_own);
        match shipped_rules(person, question.action, is_own) {
            Answer::Yes => Decision::Allowed,
            Answer::No => Decision::denied("no"),
            Answer::Password => Decision::denied("password"),
        }
    }
}

pub fn call(caller: Caller) -> Call {
    Call::new(caller, "/cid.v1.Workspaces/Delete", false)
}
