//! The steps, one file each, all of the same form: parameters, `Step`, tests.

mod back_up;
mod check_branch;
mod check_build;
mod check_health;
mod check_instance;
mod check_work;
mod clone;
mod collect_static;
mod configure;
mod delete_branch;
mod drain;
mod end_processes;
mod ended;
mod export_commit;
mod fetch;
mod grant_access;
mod in_effect;
mod inspect;
mod install;
mod installed;
mod kept_output;
mod last_lines;
mod let_in;
mod make_account;
mod make_build_folder;
mod make_directory;
mod make_stage_folder;
mod make_template;
mod network;
mod node;
mod open_socket;
mod own_packages;
mod publish;
mod push_branch;
mod python;
mod record_build;
mod record_deployment;
mod record_made;
mod release;
mod release_port;
mod remove_account;
mod remove_directory;
mod remove_files;
mod repair_access;
mod reserve_port;
mod restart_processes;
mod retire_instance;
mod run_build;
mod run_processes;
mod seal_files;
mod shared;
mod start_processes;
mod stay_up;
mod stop_processes;
mod swap_workers;
mod switch;
mod take_template;
mod test_build;
mod turn_away;
mod unpublish;
mod update_tree;
mod variables;

pub use back_up::{BackUp, backup_file};
pub use check_branch::CheckBranch;
pub use check_build::CheckBuild;
pub use check_health::CheckHealth;
pub use check_instance::CheckInstance;
pub use check_work::{CheckWork, Origin};
pub use clone::Clone;
pub use collect_static::CollectStatic;
pub(crate) use configure::APP_LOG_DIR_MODE;
pub use configure::{Configure, FromBuild};
pub use delete_branch::DeleteBranch;
pub use drain::Drain;
pub use end_processes::EndProcesses;
pub use export_commit::ExportCommit;
pub use fetch::Fetch;
pub use grant_access::GrantAccess;
pub(crate) use grant_access::{gid_of, uid_of};
pub(crate) use in_effect::{is_cids_own, look_at, not_in_effect};
pub use inspect::{Deployed, Inspect};
pub use install::InstallDependencies;
pub use let_in::LetIn;
pub use make_account::MakeAccount;
pub use make_build_folder::MakeBuildFolder;
pub use make_directory::{MakeDirectory, TREE};
pub use make_stage_folder::MakeStageFolder;
pub use make_template::{MADE, MakeTemplate};
pub use open_socket::OpenSocket;
pub use publish::Publish;
pub(crate) use publish::{LONGER_NAMES, Published};
pub use push_branch::PushBranch;
pub use record_build::RecordBuild;
pub use record_deployment::RecordDeployment;
pub use record_made::RecordMade;
pub use release::Release;
pub use release_port::ReleasePort;
pub use remove_account::RemoveAccount;
pub use remove_directory::RemoveDirectory;
pub use remove_files::{Doomed, RemoveFiles};
pub use repair_access::RepairAccess;
pub use reserve_port::ReservePort;
pub use restart_processes::RestartProcesses;
pub use retire_instance::RetireInstance;
pub use run_build::{BUILD_LOG, RunBuild};
pub use run_processes::RunProcesses;
pub use seal_files::SealFiles;
pub(crate) use seal_files::look_at_build;
pub(crate) use shared::ALONE;
pub use start_processes::StartProcesses;
pub use stop_processes::StopProcesses;
pub use swap_workers::SwapWorkers;
pub use switch::Switch;
pub use take_template::TakeTemplate;
pub use test_build::{OUTPUT, TestBuild};
pub use turn_away::TurnAway;
pub(crate) use turn_away::{is_away, let_in, turn_away};
pub use unpublish::Unpublish;
pub use update_tree::UpdateTree;

use crate::engine::{AnyStep, Planned, StepEntry, UnknownStep};

/// Every step that this version knows.
pub const REGISTRY: &[StepEntry] = &[
    StepEntry::of::<BackUp>(),
    StepEntry::of::<CheckBranch>(),
    StepEntry::of::<CheckBuild>(),
    StepEntry::of::<CheckHealth>(),
    StepEntry::of::<CheckInstance>(),
    StepEntry::of::<CheckWork>(),
    StepEntry::of::<Clone>(),
    StepEntry::of::<CollectStatic>(),
    StepEntry::of::<Configure>(),
    StepEntry::of::<DeleteBranch>(),
    StepEntry::of::<Drain>(),
    StepEntry::of::<EndProcesses>(),
    StepEntry::of::<ExportCommit>(),
    StepEntry::of::<Fetch>(),
    StepEntry::of::<GrantAccess>(),
    StepEntry::of::<Inspect>(),
    StepEntry::of::<InstallDependencies>(),
    StepEntry::of::<LetIn>(),
    StepEntry::of::<MakeAccount>(),
    StepEntry::of::<MakeBuildFolder>(),
    StepEntry::of::<MakeDirectory>(),
    StepEntry::of::<MakeStageFolder>(),
    StepEntry::of::<MakeTemplate>(),
    StepEntry::of::<OpenSocket>(),
    StepEntry::of::<Publish>(),
    StepEntry::of::<PushBranch>(),
    StepEntry::of::<RecordBuild>(),
    StepEntry::of::<RecordDeployment>(),
    StepEntry::of::<RecordMade>(),
    StepEntry::of::<Release>(),
    StepEntry::of::<ReleasePort>(),
    StepEntry::of::<RemoveAccount>(),
    StepEntry::of::<RemoveDirectory>(),
    StepEntry::of::<RemoveFiles>(),
    StepEntry::of::<RepairAccess>(),
    StepEntry::of::<ReservePort>(),
    StepEntry::of::<RestartProcesses>(),
    StepEntry::of::<RetireInstance>(),
    StepEntry::of::<RunBuild>(),
    StepEntry::of::<RunProcesses>(),
    StepEntry::of::<SealFiles>(),
    StepEntry::of::<StartProcesses>(),
    StepEntry::of::<StopProcesses>(),
    StepEntry::of::<SwapWorkers>(),
    StepEntry::of::<Switch>(),
    StepEntry::of::<TakeTemplate>(),
    StepEntry::of::<TestBuild>(),
    StepEntry::of::<TurnAway>(),
    StepEntry::of::<Unpublish>(),
    StepEntry::of::<UpdateTree>(),
];

/// KIND of the one step of a create that only the remote can undo; tests stop there.
#[cfg(test)]
pub(crate) const PUSH_BRANCH: &str = <PushBranch as crate::engine::Step>::KIND;

/// A planned step, ready to run.
///
/// # Errors
/// See [`UnknownStep`].
pub fn decode(planned: &Planned) -> Result<Box<dyn AnyStep>, UnknownStep> {
    let entry = REGISTRY.iter().find(|entry| entry.kind == planned.kind);
    let entry = entry.ok_or_else(|| UnknownStep::Kind(planned.kind.clone()))?;
    (entry.decode)(planned.parameters.clone())
        .map_err(|error| UnknownStep::Parameters(planned.kind.clone(), error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn kinds_are_unique_and_carry_a_version() {
        let kinds: HashSet<_> = REGISTRY.iter().map(|entry| entry.kind).collect();
        assert_eq!(kinds.len(), REGISTRY.len());
        assert!(kinds.iter().all(|kind| {
            kind.rsplit_once(".v")
                .is_some_and(|(_, v)| v.parse::<u32>().is_ok())
        }));
    }
}
