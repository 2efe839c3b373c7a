//! Signing in: a link's token and its code are `good` for everyone.

use super::{Answer, Fake};
use cid_proto::v1::{self as pb, people_server};
use tonic::{Request, Response, Status};

impl Fake {
    /// Who calls. Refuses where the daemon would.
    pub(super) fn person<T>(&self, request: &Request<T>) -> Result<Option<pb::Person>, Status> {
        let world = self.world();
        let refused = || Status::unauthenticated("you are not signed in");
        let Some(token) = request.metadata().get("cid-session") else {
            return match world.asks_to_sign_in {
                true => Err(refused()),
                false => Ok(None),
            };
        };
        let mut people = world.people.iter();
        let found = people.find(|(known, _)| token == known.as_str());
        found
            .map(|(_, person)| Some(person.clone()))
            .ok_or_else(refused)
    }
}

impl Fake {
    /// What is for those who are signed in, whatever the front asks of visitors.
    pub(super) fn signed_in<T>(&self, request: &Request<T>) -> Result<pb::Person, Status> {
        self.person(request)?
            .ok_or_else(|| Status::unauthenticated("you are not signed in"))
    }
}

#[tonic::async_trait]
impl people_server::People for Fake {
    async fn link(&self, _: Request<pb::LinkRequest>) -> Answer<pb::LinkResponse> {
        Err(Status::permission_denied("not here"))
    }

    async fn ask_for_link(
        &self,
        request: Request<pb::AskForLinkRequest>,
    ) -> Answer<pb::AskForLinkResponse> {
        let asked = request.into_inner();
        if !asked.email.contains('@') {
            return Err(Status::invalid_argument("it has no @"));
        }
        let what = format!("mail {} {} {}", asked.email, asked.client, asked.language);
        let mut world = self.world();
        if world.acts.len() >= 3 {
            return Err(Status::resource_exhausted("there were too many"));
        }
        world.acts.push(what);
        Ok(Response::new(pb::AskForLinkResponse {}))
    }

    async fn redeem(&self, request: Request<pb::RedeemRequest>) -> Answer<pb::RedeemResponse> {
        // As the daemon: whatever is asked on behalf of a session that has ended is refused.
        if request.metadata().contains_key("cid-session") {
            self.person(&request)?;
        }
        let asked = request.into_inner();
        if asked.token != "good" && asked.code != "good" {
            let words = "this link or code is not good: it may have been used, or be too old";
            return Err(Status::unauthenticated(words));
        }
        let email = match asked.email.as_str() {
            "" => "anna@example.com",
            email => email,
        };
        let person = pb::Person {
            email: email.to_owned(),
            ..Default::default()
        };
        let mut world = self.world();
        let session = format!("session-{}-{}", world.people.len(), asked.client);
        world.people.push((session.clone(), person.clone()));
        Ok(Response::new(pb::RedeemResponse {
            session,
            person: Some(person),
        }))
    }

    async fn who_am_i(&self, request: Request<pb::WhoAmIRequest>) -> Answer<pb::WhoAmIResponse> {
        let person = match request.metadata().contains_key("cid-session") {
            true => self.person(&request)?,
            false => None,
        };
        let sign_in = match self.world().asks_to_sign_in {
            true => pb::SignIn::Verified,
            false => pb::SignIn::Open,
        };
        Ok(Response::new(pb::WhoAmIResponse {
            person,
            sign_in: sign_in.into(),
            front_url: "https://ci.example.org/".into(),
            can_mail: self.world().can_mail,
        }))
    }

    async fn ticket(&self, request: Request<pb::TicketRequest>) -> Answer<pb::TicketResponse> {
        let person = self.signed_in(&request)?;
        let asked = request.into_inner();
        let name = asked.unit.rsplit('.').next().unwrap_or_default().to_owned();
        Ok(Response::new(pb::TicketResponse {
            ticket: format!("{} {} {}", person.email, asked.unit, asked.state),
            url: format!("http://{name}.pressa.example.org/"),
        }))
    }

    async fn admit(&self, request: Request<pb::AdmitRequest>) -> Answer<pb::AdmitResponse> {
        let asked = request.into_inner();
        self.world().acts.push("admit".into());
        let refused = || Status::unauthenticated("you are not signed in");
        let (email, end) = match asked.ticket.as_str() {
            "" => asked.token.split_once('~').ok_or_else(refused)?,
            ticket => ticket.split_once(' ').ok_or_else(refused)?,
        };
        let expected = match asked.ticket.as_str() {
            "" => asked.unit.clone(),
            _ => format!("{} {}", asked.unit, asked.state),
        };
        if end != expected {
            return Err(refused());
        }
        Ok(Response::new(pb::AdmitResponse {
            token: format!("{email}~{}", asked.unit),
            email: email.to_owned(),
        }))
    }

    async fn sign_out(&self, request: Request<pb::SignOutRequest>) -> Answer<pb::SignOutResponse> {
        if let Some(token) = request.metadata().get("cid-session") {
            self.world()
                .people
                .retain(|(known, _)| token != known.as_str());
        }
        Ok(Response::new(pb::SignOutResponse {}))
    }

    async fn list(
        &self,
        request: Request<pb::ListPeopleRequest>,
    ) -> Answer<pb::ListPeopleResponse> {
        self.act(&request, "", "people".into())?;
        let people = self.world().signed_in.clone();
        Ok(Response::new(pb::ListPeopleResponse { people }))
    }

    async fn end_sessions(
        &self,
        request: Request<pb::EndSessionsRequest>,
    ) -> Answer<pb::EndSessionsResponse> {
        let email = request.get_ref().email.clone();
        self.act(&request, "", format!("sign out {email}"))?;
        Ok(Response::new(pb::EndSessionsResponse { ended: 1 }))
    }
}
