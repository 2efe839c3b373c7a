//! What is done to a workspace, as far as a page asks for it.

use super::{Answer, Answers, Fake, job};
use cid_proto::v1 as pb;
use futures::{StreamExt, stream};
use prost::Message;
use tonic::{Code, Request, Response, Status};

/// The file that the fake's logs are in.
pub const FILE: u64 = 7;

impl Fake {
    /// A call that changes something: only for who is signed in, about their own workspace. It is written down.
    pub(super) fn act<T>(
        &self,
        request: &Request<T>,
        email: &str,
        what: String,
    ) -> Result<(), Status> {
        let person = self.person(request)?;
        let may = person.is_some_and(|person| person.is_administrator || person.email == email);
        if !may {
            return Err(Status::permission_denied(
                "you may not do this: this is not yours",
            ));
        }
        self.world().acts.push(what);
        Ok(())
    }

    pub(super) fn begin(&self, email: &str, project: &str) -> String {
        let mut world = self.world();
        let id = format!("job-{}", world.jobs.len() + 1);
        world
            .jobs
            .push(job(&id, email, project, pb::JobState::Running));
        id
    }

    pub(super) fn remove(
        &self,
        request: &Request<pb::DeleteRequest>,
    ) -> Answer<pb::DeleteResponse> {
        let asked = request.get_ref();
        let at = asked.workspace.clone().unwrap_or_default();
        let what = match asked.look {
            true => "look".to_owned(),
            false => format!(
                "delete discard={} with_branch={} looked={}",
                asked.discard, asked.with_branch, asked.looked
            ),
        };
        self.act(request, &at.email, what)?;
        let work = self.world().work.clone();
        if !work.is_empty() && !asked.discard {
            let detail = pb::ConflictDetail {
                work,
                ..Default::default()
            };
            return Err(conflict("cannot delete: work would be lost", &detail));
        }
        let job = match asked.look {
            true => String::new(),
            false => self.begin(&at.email, &at.project),
        };
        Ok(Response::new(pb::DeleteResponse {
            job,
            files: Some(pb::LeftFiles {
                files: 1,
                bytes: 2048,
                biggest: vec![pb::LeftFile {
                    path: "src/db.sqlite3".into(),
                    bytes: 2048,
                }],
                ..Default::default()
            }),
            looked: "seen".into(),
        }))
    }

    /// The first test passes, the second fails.
    pub(super) fn try_out(
        &self,
        request: &Request<pb::TestRequest>,
    ) -> Answer<Answers<pb::RunResponse>> {
        use pb::run_response::Message;
        let asked = request.get_ref();
        let at = asked.workspace.clone().unwrap_or_default();
        self.act(request, &at.email, format!("test {}", asked.number))?;
        let answers = [
            Message::Stdout(b"\x1b[32mtest_<b>one</b>\x1b[0m pas".to_vec()),
            Message::Stdout(b"sed\nlast line".to_vec()),
            Message::ExitStatus(i32::from(asked.number > 1)),
        ];
        let answers = answers.map(|message| {
            Ok(pb::RunResponse {
                message: Some(message),
            })
        });
        Ok(Response::new(stream::iter(answers).boxed()))
    }

    /// Each line of the world's log is ten bytes long, whatever it holds.
    pub(super) fn read(
        &self,
        request: &Request<pb::LogsRequest>,
    ) -> Answer<Answers<pb::LogsResponse>> {
        let asked = request.get_ref();
        let at = asked.workspace.clone().unwrap_or_default();
        self.act(request, &at.email, format!("logs {}", asked.process))?;
        if asked.process != "web" {
            return Err(Status::not_found("there is no log of that process"));
        }
        let from = asked.after.filter(|after| after.file == FILE);
        let from = from.map_or(0, |after| after.offset / 10);
        let lines: Vec<_> = self.world().log.iter().cloned().enumerate().collect();
        let lines = lines.into_iter().skip(from as usize).map(|(index, line)| {
            Ok(pb::LogsResponse {
                process: "web".into(),
                line: line.into_bytes(),
                end: Some(pb::LogPlace {
                    file: FILE,
                    offset: (index as u64 + 1) * 10,
                }),
            })
        });
        Ok(Response::new(stream::iter(lines).boxed()))
    }
}

fn conflict(message: &str, detail: &pb::ConflictDetail) -> Status {
    let status = tonic_types::Status {
        code: Code::FailedPrecondition.into(),
        message: message.to_owned(),
        details: vec![prost_types::Any {
            type_url: "type.googleapis.com/cid.v1.ConflictDetail".to_owned(),
            value: detail.encode_to_vec(),
        }],
    };
    let details = status.encode_to_vec().into();
    Status::with_details(Code::FailedPrecondition, message, details)
}
