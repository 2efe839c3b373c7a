//! The authorisation table: every RPC has a row, or nobody may call it.

use super::Door;

/// A kind of right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// See workspaces, jobs and projects.
    View,
    /// Make workspaces.
    Create,
    /// Remove them.
    Delete,
    /// Restart their processes.
    Restart,
    /// Read their logs.
    ReadLogs,
    /// Run commands in them.
    Run,
    /// Cancel jobs and retry stuck ones.
    ManageJobs,
    /// Check project files.
    CheckProjects,
    /// Compare the ledger with the machine, and repair.
    Repair,
    /// Ask for health, version and the interface's description.
    Describe,
}

/// One RPC.
pub struct Row {
    /// The request's path.
    pub rpc: &'static str,
    /// What it takes.
    pub action: Action,
    /// By which sockets.
    pub doors: &'static [Door],
}

const PEOPLE: &[Door] = &[Door::People];
const BOTH: &[Door] = &[Door::People, Door::Front];

const fn row(rpc: &'static str, action: Action, doors: &'static [Door]) -> Row {
    Row { rpc, action, doors }
}

/// Every RPC there is.
pub const TABLE: &[Row] = &[
    row("/cid.v1.Workspaces/Create", Action::Create, BOTH),
    row("/cid.v1.Workspaces/Get", Action::View, BOTH),
    row("/cid.v1.Workspaces/List", Action::View, BOTH),
    row("/cid.v1.Workspaces/Delete", Action::Delete, PEOPLE),
    row("/cid.v1.Workspaces/Restart", Action::Restart, PEOPLE),
    row("/cid.v1.Workspaces/Logs", Action::ReadLogs, PEOPLE),
    row("/cid.v1.Workspaces/Run", Action::Run, PEOPLE),
    row("/cid.v1.Jobs/Get", Action::View, BOTH),
    row("/cid.v1.Jobs/List", Action::View, PEOPLE),
    row("/cid.v1.Jobs/Watch", Action::View, BOTH),
    row("/cid.v1.Jobs/Cancel", Action::ManageJobs, PEOPLE),
    row("/cid.v1.Jobs/Retry", Action::ManageJobs, PEOPLE),
    row("/cid.v1.Projects/List", Action::View, BOTH),
    row("/cid.v1.Projects/Get", Action::View, BOTH),
    row("/cid.v1.Projects/Check", Action::CheckProjects, PEOPLE),
    row("/cid.v1.System/Version", Action::Describe, BOTH),
    row("/cid.v1.System/Doctor", Action::Repair, PEOPLE),
    row("/grpc.health.v1.Health/Check", Action::Describe, BOTH),
    row("/grpc.health.v1.Health/List", Action::Describe, BOTH),
    row("/grpc.health.v1.Health/Watch", Action::Describe, PEOPLE),
    row(
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        Action::Describe,
        PEOPLE,
    ),
];

/// The row of an RPC.
pub fn find(rpc: &str) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.rpc == rpc)
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message;
    use std::collections::HashSet;

    #[test]
    fn every_rpc_has_one_row_and_every_row_of_ours_an_rpc() {
        let set = prost_types::FileDescriptorSet::decode(cid_proto::DESCRIPTOR_SET).unwrap();
        let rpcs: HashSet<String> = set
            .file
            .iter()
            .filter(|file| file.package() == "cid.v1")
            .flat_map(|file| &file.service)
            .flat_map(|service| {
                service
                    .method
                    .iter()
                    .map(|method| format!("/cid.v1.{}/{}", service.name(), method.name()))
            })
            .collect();
        assert!(rpcs.len() > 10);
        let rows: Vec<&str> = TABLE
            .iter()
            .map(|row| row.rpc)
            .filter(|rpc| rpc.starts_with("/cid.v1."))
            .collect();
        assert_eq!(
            rows.len(),
            rows.iter().collect::<HashSet<_>>().len(),
            "two rows for one RPC"
        );
        let rows: HashSet<String> = rows.into_iter().map(str::to_owned).collect();
        assert_eq!(rows, rpcs);
    }

    #[test]
    fn the_front_may_do_what_the_form_needs_and_no_more() {
        let front: Vec<&str> = TABLE
            .iter()
            .filter(|row| row.doors.contains(&Door::Front))
            .map(|row| row.rpc)
            .collect();
        assert_eq!(
            front,
            [
                "/cid.v1.Workspaces/Create",
                "/cid.v1.Workspaces/Get",
                "/cid.v1.Workspaces/List",
                "/cid.v1.Jobs/Get",
                "/cid.v1.Jobs/Watch",
                "/cid.v1.Projects/List",
                "/cid.v1.Projects/Get",
                "/cid.v1.System/Version",
                "/grpc.health.v1.Health/Check",
                "/grpc.health.v1.Health/List",
            ]
        );
    }
}
