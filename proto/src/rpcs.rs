//! The RPCs of `cid.v1`, read from the descriptors, for tables and tests that must know all of them.

use crate::{DESCRIPTOR_SET, v1};
use prost::Message;
use prost_types::{DescriptorProto, FileDescriptorSet};

/// One RPC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rpc {
    /// The request's path, e.g. `/cid.v1.Workspaces/Create`.
    pub path: String,
    /// The first field of its request is the workspace that it is about.
    pub takes_workspace: bool,
    /// It begins a job: its answer has the job's id.
    pub begins_job: bool,
}

impl Rpc {
    /// A request that names this workspace and sets nothing else; an empty one if the RPC takes no
    /// workspace.
    pub fn about(&self, workspace: &v1::WorkspaceRef) -> Vec<u8> {
        // On the wire, messages with the same fields are the same.
        let workspace = self.takes_workspace.then(|| workspace.clone());
        v1::RestartRequest { workspace }.encode_to_vec()
    }
}

/// All of them, in the order of their files.
///
/// # Panics
/// Never: the descriptors are part of the program, and a test reads them.
#[expect(
    clippy::expect_used,
    reason = "the descriptors are part of the program"
)]
pub fn rpcs() -> Vec<Rpc> {
    let set = FileDescriptorSet::decode(DESCRIPTOR_SET).expect("descriptors of cid.v1");
    let ours = || set.file.iter().filter(|file| file.package() == "cid.v1");
    let message = |name: &str| -> Option<&DescriptorProto> {
        let name = name.strip_prefix(".cid.v1.")?;
        let mut all = ours().flat_map(|file| &file.message_type);
        all.find(|message| message.name() == name)
    };
    let services = ours().flat_map(|file| &file.service);
    let of_service = |service: &prost_types::ServiceDescriptorProto| {
        let methods = service.method.iter().map(|method| {
            let fields = |name: &str| message(name).map_or(&[][..], |message| &message.field);
            Rpc {
                path: format!("/cid.v1.{}/{}", service.name(), method.name()),
                takes_workspace: fields(method.input_type()).iter().any(|field| {
                    field.number() == 1 && field.type_name() == ".cid.v1.WorkspaceRef"
                }),
                begins_job: fields(method.output_type()).iter().any(|field| {
                    field.name() == "job"
                        && field.r#type() == prost_types::field_descriptor_proto::Type::String
                }),
            }
        });
        methods.collect::<Vec<_>>()
    };
    services.flat_map(of_service).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_rpc_is_told_by_what_it_takes_and_gives() {
        let all = rpcs();
        let of = |path: &str| {
            let found = all.iter().find(|rpc| rpc.path == path);
            let rpc = found.unwrap_or_else(|| panic!("no {path}"));
            (rpc.takes_workspace, rpc.begins_job)
        };
        assert_eq!(of("/cid.v1.Workspaces/Restart"), (true, true));
        assert_eq!(of("/cid.v1.Workspaces/Logs"), (true, false));
        assert_eq!(of("/cid.v1.Stages/Promote"), (false, true));
        // The job here is a message, which was there before.
        assert_eq!(of("/cid.v1.Jobs/Cancel"), (false, false));
        assert_eq!(of("/cid.v1.System/Version"), (false, false));
    }

    #[test]
    fn a_request_is_about_the_workspace_it_is_to_name() {
        let anna = v1::WorkspaceRef {
            email: "anna@example.com".into(),
            project: "shop".into(),
        };
        let all = rpcs();
        let rpc = |path: &str| all.iter().find(|rpc| rpc.path == path);
        let logs = rpc("/cid.v1.Workspaces/Logs").map(|rpc| rpc.about(&anna));
        let read = logs.and_then(|logs| v1::LogsRequest::decode(&logs[..]).ok());
        assert_eq!(read.and_then(|read| read.workspace), Some(anna.clone()));
        let version = rpc("/cid.v1.System/Version").map(|rpc| rpc.about(&anna));
        assert_eq!(version, Some(Vec::new()));
    }
}
