//! Requests about who is signed in at the front.

use super::Client;
use crate::{Link, Person, Result, SignedIn, Visit, convert::required};
use cid_proto::v1 as pb;

impl Client {
    /// Makes a link with which its bearer signs in as `email`.
    ///
    /// # Errors
    ///
    /// [`Kind::Refused`](crate::Kind::Refused) when the address may not sign in.
    pub async fn link(&self, email: &str) -> Result<Link> {
        let email = email.to_owned();
        let mut service = self.people_service();
        let answer = self.answer(service.link(pb::LinkRequest { email })).await?;
        answer.try_into()
    }

    /// Everyone who is signed in.
    ///
    /// # Errors
    ///
    /// As every call.
    pub async fn signed_in(&self) -> Result<Vec<SignedIn>> {
        let mut service = self.people_service();
        let answer = self.answer(service.list(pb::ListPeopleRequest {})).await?;
        answer.people.into_iter().map(SignedIn::try_from).collect()
    }

    /// Ends all sessions of an address, and its links. Answers how many sessions there were.
    ///
    /// # Errors
    ///
    /// As every call.
    pub async fn end_sessions(&self, email: &str) -> Result<u32> {
        let email = email.to_owned();
        let mut service = self.people_service();
        let call = service.end_sessions(pb::EndSessionsRequest { email });
        Ok(self.answer(call).await?.ended)
    }

    /// Has a link sent by mail, if the address may sign in: the answer does not tell. `language` is `en` or `ru`.
    ///
    /// # Errors
    ///
    /// [`Kind::Refused`](crate::Kind::Refused) where the daemon sends no mail, [`Kind::Busy`](crate::Kind::Busy)
    /// when too much was asked for.
    pub async fn ask_for_link(&self, email: &str, client: &str, language: &str) -> Result<()> {
        let mut service = self.people_service();
        let call = service.ask_for_link(pb::AskForLinkRequest {
            email: email.to_owned(),
            client: client.to_owned(),
            language: language.to_owned(),
        });
        self.answer(call).await.map(drop)
    }

    /// Turns the token of a link into a session, and answers that session's token. `client` is the
    /// visitor's address in the network.
    ///
    /// # Errors
    ///
    /// [`Kind::SignedOut`](crate::Kind::SignedOut) when it is not good.
    pub async fn redeem_token(&self, token: &str, client: &str) -> Result<(String, Person)> {
        self.redeem(pb::RedeemRequest {
            token: token.to_owned(),
            client: client.to_owned(),
            ..pb::RedeemRequest::default()
        })
        .await
    }

    /// Turns an address and the code for it into a session, likewise.
    ///
    /// # Errors
    ///
    /// As [`Self::redeem_token`].
    pub async fn redeem_code(
        &self,
        email: &str,
        code: &str,
        client: &str,
    ) -> Result<(String, Person)> {
        self.redeem(pb::RedeemRequest {
            token: String::new(),
            email: email.to_owned(),
            code: code.to_owned(),
            client: client.to_owned(),
        })
        .await
    }

    async fn redeem(&self, request: pb::RedeemRequest) -> Result<(String, Person)> {
        let mut service = self.people_service();
        let answer = self.answer(service.redeem(request)).await?;
        let person = required(answer.person, "a session of nobody")?;
        Ok((answer.session, person.into()))
    }

    /// Who visits the front, and what it asks of visitors.
    ///
    /// # Errors
    ///
    /// [`Kind::SignedOut`](crate::Kind::SignedOut) when the client is [for a session](Self::for_session)
    /// that has ended.
    pub async fn who_am_i(&self) -> Result<Visit> {
        let mut service = self.people_service();
        let answer = self.answer(service.who_am_i(pb::WhoAmIRequest {})).await?;
        Ok(answer.into())
    }

    /// A ticket for the site of `unit`, for the browser that keeps `state` there, and where that site answers.
    ///
    /// # Errors
    ///
    /// [`Kind::NotFound`](crate::Kind::NotFound) when there is no such site.
    pub async fn ticket(&self, unit: &str, state: &str) -> Result<(String, String)> {
        let mut service = self.people_service();
        let call = service.ticket(pb::TicketRequest {
            unit: unit.to_owned(),
            state: state.to_owned(),
        });
        let answer = self.answer(call).await?;
        Ok((answer.ticket, answer.url))
    }

    /// Turns a ticket into the token of a visitor of `unit`.
    ///
    /// # Errors
    ///
    /// [`Kind::SignedOut`](crate::Kind::SignedOut) when it is not good.
    pub async fn enter(&self, unit: &str, ticket: &str, state: &str) -> Result<String> {
        let mut service = self.people_service();
        let call = service.admit(pb::AdmitRequest {
            unit: unit.to_owned(),
            ticket: ticket.to_owned(),
            state: state.to_owned(),
            token: String::new(),
        });
        Ok(self.answer(call).await?.token)
    }

    /// The person whose token this is, at the site of `unit`.
    ///
    /// # Errors
    ///
    /// [`Kind::SignedOut`](crate::Kind::SignedOut) when it is not good there.
    pub async fn visitor(&self, unit: &str, token: &str) -> Result<String> {
        let mut service = self.people_service();
        let call = service.admit(pb::AdmitRequest {
            unit: unit.to_owned(),
            token: token.to_owned(),
            ..pb::AdmitRequest::default()
        });
        Ok(self.answer(call).await?.email)
    }

    /// Ends the session that the client is [for](Self::for_session); with `everywhere` all of the same
    /// address.
    ///
    /// # Errors
    ///
    /// As every call.
    pub async fn sign_out(&self, everywhere: bool) -> Result<()> {
        let mut service = self.people_service();
        let call = service.sign_out(pb::SignOutRequest { everywhere });
        self.answer(call).await.map(drop)
    }
}
