//! Converts proto to domain and back. This module decides only how requests are read and answers
//! written; [`enforce`] asks who may ask, [`operation`](crate::operation) decides what happens.

mod audit;
mod builds;
mod convert;
pub mod enforce;
mod hooks;
mod jobs;
mod people;
mod projects;
mod run;
mod server;
mod stages;
mod system;
#[cfg(test)]
mod tests;
mod workspaces;

pub use audit::Audit;
pub use server::{Doors, serve};

use crate::{
    authz::{Call, Claim, Viewer},
    domain::{Email, EmailError, Owner, ProjectName},
    error::Error,
    operation::Named,
};
use cid_proto::v1::WorkspaceRef;
use cid_protocol::budget::PAGE;
use std::{str::FromStr, sync::Arc};

/// The workspace that a request names, or the stage; the audit log has it, whatever comes of the request.
fn named<T>(request: &tonic::Request<T>, reference: Option<&WorkspaceRef>) -> Result<Named, Error> {
    let named = read_named(reference.cloned())?;
    if let Some(call) = request.extensions().get::<Arc<Call>>() {
        call.names(&named.owner, &named.project);
    }
    Ok(named)
}

fn read_named(reference: Option<WorkspaceRef>) -> Result<Named, Error> {
    let reference = reference.unwrap_or_default();
    Ok(Named {
        owner: of_field("workspace.email", Owner::parse(&reference.email))?,
        project: reference.project,
    })
}

/// Records for the audit log that a request only looks.
fn only_looks<T>(request: &tonic::Request<T>) {
    if let Some(call) = request.extensions().get::<Arc<Call>>() {
        call.only_looks();
    }
}

fn email(field: &'static str, text: &str) -> Result<Email, Error> {
    of_field(field, Email::parse(text))
}

fn of_field<T>(field: &'static str, parsed: Result<T, EmailError>) -> Result<T, Error> {
    parsed.map_err(|error| Error::invalid(field, error.to_string()))
}

/// The caller, as [`enforce`] stored it in a request whose row does not say that it is about a workspace.
///
/// # Errors
/// The request did not pass the enforcing layer.
fn viewer<T>(request: &tonic::Request<T>) -> Result<Viewer, Error> {
    let viewer = request.extensions().get::<Viewer>().cloned();
    viewer.ok_or_else(|| Error::Denied {
        message: "the call was not authorised".into(),
        hint: None,
    })
}

/// The claim that [`enforce`] left in a request about a workspace; it can be taken once.
///
/// # Errors
/// There is no claim: the request did not pass the enforcing layer, or its row of the table does not
/// say that it is about a workspace.
fn take_claim<T>(request: &tonic::Request<T>) -> Result<Claim, Error> {
    let slot = request.extensions().get::<enforce::ClaimSlot>();
    slot.and_then(enforce::ClaimSlot::take)
        .ok_or_else(|| Error::Denied {
            message: "the call was not authorised".into(),
            hint: None,
        })
}

/// Records for the audit log which project a request is about.
fn concerns<T>(request: &tonic::Request<T>, project: &ProjectName) {
    if let Some(call) = request.extensions().get::<Arc<Call>>() {
        call.concerns(project);
    }
}

/// Records for the audit log whose address a request is about.
fn concerns_address<T>(request: &tonic::Request<T>, email: &Email) {
    if let Some(call) = request.extensions().get::<Arc<Call>>() {
        call.concerns_address(email);
    }
}

/// Records for the audit log which build a request names; 0: none.
fn concerns_build<T>(request: &tonic::Request<T>, number: u32) {
    if let Some(call) = request.extensions().get::<Arc<Call>>()
        && number > 0
    {
        call.concerns_build(number);
    }
}

/// The requested page length: 0 means `default`, more than [`PAGE`] is refused.
fn page_size(asked: u32, default: usize) -> Result<usize, Error> {
    if asked == 0 {
        return Ok(default);
    }
    let taken = PAGE.check(asked as usize, format_args!("a page of {asked} entries"));
    taken.map_err(|over| Error::over("page_size", &over))?;
    Ok(asked as usize)
}

/// Where the requested page begins; `None`: at the beginning.
fn page_token<T: FromStr>(token: &str) -> Result<Option<T>, Error> {
    if token.is_empty() {
        return Ok(None);
    }
    let begin = token.parse();
    begin.map_or_else(
        |_| {
            let message = "this is no page token of cid's";
            Err(Error::invalid("page_token", message))
        },
        |begin| Ok(Some(begin)),
    )
}
