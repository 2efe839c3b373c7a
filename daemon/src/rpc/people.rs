//! Service `People`.

use super::{concerns_address, convert::timestamp, email};
use crate::{authz::Person, cid::Cid, config, domain::UnitName, error::Error, sign_in::Language};
use cid_proto::v1::{self, people_server::People};
use tonic::{Request, Response, Status};

use super::enforce::SESSION;

#[tonic::async_trait]
impl People for Cid {
    async fn link(
        &self,
        request: Request<v1::LinkRequest>,
    ) -> Result<Response<v1::LinkResponse>, Status> {
        let email = email("email", &request.get_ref().email)?;
        concerns_address(&request, &email);
        let front = self.sign_in.front_url();
        let front = front.as_ref().unwrap_or(&self.front_url);
        let link = self.sign_in.link(email, front).await?;
        Ok(Response::new(v1::LinkResponse {
            url: link.url,
            code: link.code,
            expires_at: Some(timestamp(link.expires_at)),
        }))
    }

    async fn ask_for_link(
        &self,
        request: Request<v1::AskForLinkRequest>,
    ) -> Result<Response<v1::AskForLinkResponse>, Status> {
        let asked = request.into_inner();
        let language = match asked.language.as_str() {
            "ru" => Language::Russian,
            _ => Language::English,
        };
        self.sign_in
            .ask_for_link(&asked.email, &asked.client, language)?;
        Ok(Response::new(v1::AskForLinkResponse {}))
    }

    async fn redeem(
        &self,
        request: Request<v1::RedeemRequest>,
    ) -> Result<Response<v1::RedeemResponse>, Status> {
        let asked = request.get_ref();
        let (token, person) = match asked.token.as_str() {
            "" => {
                let sign_in = &self.sign_in;
                sign_in
                    .redeem_code(&asked.email, &asked.code, &asked.client)
                    .await
            }
            token => self.sign_in.redeem_token(token, &asked.client).await,
        }?;
        concerns_address(&request, &person.email);
        Ok(Response::new(v1::RedeemResponse {
            session: token.as_str().to_owned(),
            person: Some(person.into()),
        }))
    }

    async fn who_am_i(
        &self,
        request: Request<v1::WhoAmIRequest>,
    ) -> Result<Response<v1::WhoAmIResponse>, Status> {
        let person = match session(&request) {
            Some(session) => Some(self.sign_in.person_of(session).await?),
            None => None,
        };
        let sign_in = match self.sign_in.mode() {
            config::SignIn::Open => v1::SignIn::Open,
            config::SignIn::Verified => v1::SignIn::Verified,
        };
        Ok(Response::new(v1::WhoAmIResponse {
            person: person.map(Into::into),
            sign_in: sign_in.into(),
            can_mail: self.sign_in.can_mail(),
            front_url: self
                .sign_in
                .front_url()
                .unwrap_or_else(|| self.front_url.clone()),
        }))
    }

    async fn ticket(
        &self,
        request: Request<v1::TicketRequest>,
    ) -> Result<Response<v1::TicketResponse>, Status> {
        let session = session(&request).ok_or(Error::SignedOut)?.to_owned();
        let asked = request.into_inner();
        let unit = unit(&asked.unit)?;
        let ticket = self
            .sign_in
            .ticket(&session, unit.as_str(), &asked.state)
            .await?;
        let workspace = self.store.workspace_of(unit).await.map_err(Error::from)?;
        let url = workspace.map(|workspace| workspace.url);
        let url = url.filter(|url| !url.is_empty());
        let url = url.ok_or_else(|| Error::not_found("there is no such workspace"))?;
        Ok(Response::new(v1::TicketResponse { ticket, url }))
    }

    async fn admit(
        &self,
        request: Request<v1::AdmitRequest>,
    ) -> Result<Response<v1::AdmitResponse>, Status> {
        let asked = request.into_inner();
        let unit = unit(&asked.unit)?;
        let sign_in = &self.sign_in;
        let (token, person) = match asked.ticket.as_str() {
            "" => {
                let person = sign_in.visitor(&asked.token, unit.as_str()).await?;
                (asked.token, person)
            }
            ticket => sign_in.enter(ticket, unit.as_str(), &asked.state).await?,
        };
        Ok(Response::new(v1::AdmitResponse {
            token,
            email: person.email.to_string(),
        }))
    }

    async fn sign_out(
        &self,
        request: Request<v1::SignOutRequest>,
    ) -> Result<Response<v1::SignOutResponse>, Status> {
        if let Some(session) = session(&request) {
            let everywhere = request.get_ref().everywhere;
            self.sign_in.sign_out(session, everywhere).await?;
        }
        Ok(Response::new(v1::SignOutResponse {}))
    }

    async fn list(
        &self,
        _: Request<v1::ListPeopleRequest>,
    ) -> Result<Response<v1::ListPeopleResponse>, Status> {
        let people = self.sign_in.signed_in().await?;
        let people = people.into_iter().map(|one| v1::SignedIn {
            email: one.email.to_string(),
            sessions: u32::try_from(one.count).unwrap_or(u32::MAX),
            since: Some(timestamp(one.since)),
            used_at: Some(timestamp(one.used_at)),
        });
        Ok(Response::new(v1::ListPeopleResponse {
            people: people.collect(),
        }))
    }

    async fn end_sessions(
        &self,
        request: Request<v1::EndSessionsRequest>,
    ) -> Result<Response<v1::EndSessionsResponse>, Status> {
        let email = email("email", &request.get_ref().email)?;
        concerns_address(&request, &email);
        let ended = self.sign_in.end_sessions_of(email).await?;
        Ok(Response::new(v1::EndSessionsResponse {
            ended: u32::try_from(ended).unwrap_or(u32::MAX),
        }))
    }
}

impl From<Person> for v1::Person {
    fn from(person: Person) -> Self {
        Self {
            email: person.email.to_string(),
            is_administrator: person.is_administrator,
            may_create_for_others: person.may_create_for_others,
        }
    }
}

fn unit(text: &str) -> Result<UnitName, Error> {
    UnitName::parse(text).ok_or_else(|| Error::invalid("unit", "it is no workspace's"))
}

/// The session's token that came with a request, whatever it is worth.
fn session<T>(request: &Request<T>) -> Option<&str> {
    request.metadata().get(SESSION)?.to_str().ok()
}
