//! A shared database that nobody fills.

use super::Project;
use cid_protocol::fault::Fault;
use rustix::fs::{FileType, lstat};

impl Project {
    /// Why a workspace will find no tables: with a shared database nothing is migrated unasked.
    pub fn empty_database(&self) -> Option<Fault> {
        let file = self.database_file()?;
        let release = &self.app.release;
        let is_filled = release
            .as_ref()
            .is_some_and(|commands| !commands.is_empty());
        // Workspaces may write its folder, so a link there may lead anywhere.
        let is_empty = lstat(&file).is_ok_and(|stat| {
            FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && stat.st_size == 0
        });
        (is_empty && !is_filled).then(|| {
            let shown = file.display();
            Fault::new(format!(
                "the shared database {shown} is empty, and without app.release nothing makes its tables"
            ))
            .hint("set it in the project file, e.g. release = [[\"python\", \"manage.py\", \"migrate\", \"--noinput\"]] under [app]")
        })
    }
}
