//! Names and values that are valid by construction; no I/O.

pub mod about;
pub mod account;
pub mod build;
pub mod certificate_name;
pub mod creator;
pub mod delivery;
pub mod deployment;
pub mod email;
pub mod event;
pub mod job_kind;
pub mod name;
pub mod notice;
pub mod opener;
pub mod owner;
pub mod rights;
pub mod workspace;

pub use about::About;
pub use account::{Account, AccountRange, TOOLS, builder, project_accounts, project_group, tester};
pub use build::{Build, BuildState, Packages, Source, Verdict};
pub use certificate_name::CertificateName;
pub use cid_protocol::process_type::ProcessType;
pub use creator::Creator;
pub use delivery::Delivery;
pub use deployment::Deployment;
pub use email::{Email, EmailError, MailDomain};
pub use job_kind::{Becomes, JobKind};
pub use name::{Name, ProjectName, UnitName};
pub use notice::{Channel, CommitStatus, Notice, StatusState};
pub use opener::Opener;
pub use owner::Owner;
pub use rights::{Rights, RightsByProject};
pub use workspace::{JobState, Workspace, WorkspaceState};

/// Whether a character has no special meaning to nginx and supervisord.
pub fn is_plain(character: char) -> bool {
    !character.is_whitespace() && !character.is_control() && !r#"{};"'\$#%`"#.contains(character)
}
