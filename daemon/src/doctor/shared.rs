//! What a project's workspaces share besides the repository: media and the file of a SQLite database. Each
//! workspace is a separate user, so their group needs access, and nginx needs it to what it serves.

use crate::{
    cid::Cid,
    config::Project,
    domain::project_group,
    step::gid_of,
    system::{
        helpers::{Identity, ask_once},
        nginx::worker,
    },
};
use cid_kernel::accounts;
use cid_protocol::{
    fault::{Fault, FaultContext},
    request::{LookAtPaths, Obstacle, PathAsk},
};
use nix::unistd::getgrouplist;
use std::{
    ffi::CString,
    fmt::Display,
    path::{Path, PathBuf},
};

const READ: u16 = 5;
const WRITE: u16 = 7;
const WRITE_FILE: u16 = 6;

/// One shared thing: its key in the project file, and its state.
pub(crate) type Shared = (&'static str, Result<String, Fault>);

/// One of its intended users.
struct Who {
    /// In words, for people.
    name: String,
    uid: u32,
    gids: Vec<u32>,
    /// The user or group as setfacl writes it.
    entry: String,
}

/// A question, and the message for when the answer is no.
struct Question<'a> {
    key: &'static str,
    who: &'a Who,
    /// What is wanted, in words.
    verb: &'static str,
    path: PathBuf,
    rights: u16,
    /// The command that opens it.
    mend: String,
    /// The command that makes it.
    make: String,
}

/// Checks everything that a project shares. Only on a host: in a sandbox there is only one user.
pub(crate) async fn look(cid: &Cid, project: &Project) -> Vec<Shared> {
    let (media, file) = (project.media.as_ref(), project.database_file());
    let keys = media.map(|_| "media").into_iter();
    let keys: Vec<_> = keys.chain(file.as_ref().map(|_| "database")).collect();
    if keys.is_empty() {
        return Vec::new();
    }
    match answers(cid, project).await {
        Ok(answers) => answers,
        Err(fault) => keys
            .into_iter()
            .map(|key| (key, Err(fault.clone())))
            .collect(),
    }
}

async fn answers(cid: &Cid, project: &Project) -> Result<Vec<Shared>, Fault> {
    let group = project_group(&project.name);
    let workspaces = workspaces(cid, project, &group)?;
    // Without media nginx reads nothing; other checks report that nginx cannot be asked.
    let nginx = match &project.media {
        Some(_) => cid.sys.nginx.configuration().await.ok(),
        None => None,
    };
    let nginx = nginx.and_then(|text| nginx_workers(worker::account(&text)).ok());
    let mut questions = Vec::new();
    if let Some(media) = &project.media {
        questions.extend(of_media(&media.path, &group, &workspaces, nginx.as_ref()));
    }
    if let Some(file) = project.database_file() {
        questions.extend(of_database(&file, &group, &workspaces));
    }
    let asks = questions.iter().map(Question::ask).collect();
    let report = ask_once(
        cid.sys.helpers.as_ref(),
        Identity::Look,
        *cid.settings.limits.step,
        cid.stopping.clone(),
        LookAtPaths { asks },
    )
    .await?;
    Ok(told(&questions, &report.obstacles))
}

/// The first problem of each thing, or that it has none.
fn told(questions: &[Question<'_>], obstacles: &[Option<Obstacle>]) -> Vec<Shared> {
    let mut told: Vec<Shared> = Vec::new();
    for (question, obstacle) in questions.iter().zip(obstacles) {
        let is_new = told.last().is_none_or(|(key, _)| *key != question.key);
        if is_new {
            let message = format!("{} is open to who shares it", question.path.display());
            told.push((question.key, Ok(message)));
        }
        if let (Some(obstacle), Some((_, state))) = (obstacle, told.last_mut())
            && state.is_ok()
        {
            *state = Err(question.trouble(obstacle));
        }
    }
    told
}

fn of_media<'a>(
    path: &Path,
    group: &str,
    workspaces: &'a Who,
    nginx: Option<&'a Who>,
) -> Vec<Question<'a>> {
    let shown = path.display();
    let open = format!("chgrp {group} {shown} && chmod 2775 {shown}");
    let make = format!("mkdir -p {shown} && {open}");
    let question = |who, verb, rights, mend| Question {
        key: "media",
        who,
        verb,
        path: path.to_owned(),
        rights,
        mend,
        make: make.clone(),
    };
    let mut questions = vec![question(workspaces, "write", WRITE, open.clone())];
    questions.extend(nginx.map(|nginx| {
        let entry = &nginx.entry;
        let mend = format!("setfacl -m {entry}:rx,d:g:{group}:rwx,d:{entry}:rx {shown}");
        question(nginx, "read", READ, mend)
    }));
    questions
}

fn of_database<'a>(file: &Path, group: &str, workspaces: &'a Who) -> Vec<Question<'a>> {
    let folder = file.parent().unwrap_or(Path::new("/"));
    let (shown, within) = (file.display(), folder.display());
    let open =
        format!("chgrp {group} {within} {shown} && chmod 2770 {within} && chmod 660 {shown}");
    let make = format!("mkdir -p {within} && touch {shown} && {open}");
    let question = |path: &Path, rights| Question {
        key: "database",
        who: workspaces,
        verb: "write",
        path: path.to_owned(),
        rights,
        mend: open.clone(),
        make: make.clone(),
    };
    // SQLite makes its journal next to the file.
    vec![question(file, WRITE_FILE), question(folder, WRITE)]
}

impl Question<'_> {
    fn ask(&self) -> PathAsk {
        PathAsk {
            path: self.path.clone(),
            uid: self.who.uid,
            gids: self.who.gids.clone(),
            rights: self.rights,
        }
    }

    fn trouble(&self, obstacle: &Obstacle) -> Fault {
        let (who, verb, shown) = (&self.who.name, self.verb, self.path.display());
        let no = |why: &dyn Display| Fault::new(format!("{who} cannot {verb} {shown}{why}"));
        match obstacle {
            Obstacle::Missing if hidden(&self.path) => {
                no(&": it is where cid's units see nothing").hint("choose a place elsewhere")
            }
            Obstacle::Missing => Fault::new(format!("cannot find {shown}")).hint(format!(
                "make it, so that each workspace can use it: {}",
                self.make
            )),
            Obstacle::Way(folder) => {
                let folder = folder.display();
                no(&format!(": they may not enter {folder}"))
                    .hint(format!("setfacl -m {}:x {folder}", self.who.entry))
            }
            Obstacle::Itself => no(&"").hint(self.mend.clone()),
        }
    }
}

/// Helpers and apps cannot see home directories.
fn hidden(path: &Path) -> bool {
    let homes = ["/home", "/root", "/run/user"];
    homes.iter().any(|home| path.starts_with(home))
}

/// Any of the project's workspaces, represented by one that owns nothing.
fn workspaces(cid: &Cid, project: &Project, group: &str) -> Result<Who, Fault> {
    let gid = gid_of(group).map_err(|fault| fault.hint("systemctl reload cid makes it"))?;
    Ok(Who {
        name: format!("workspaces of {} (group {group})", project.name),
        uid: *cid.settings.workspace_uids.0.end(),
        gids: vec![gid],
        entry: format!("g:{group}"),
    })
}

fn nginx_workers(account: &str) -> Result<Who, Fault> {
    let missing = || Fault::new(format!("cannot find the account {account}"));
    let user = accounts::user(account)?.ok_or_else(missing)?;
    let name = CString::new(account).cannot("look up nginx's account")?;
    let groups = getgrouplist(&name, user.gid).cannot("look up nginx's groups")?;
    Ok(Who {
        name: format!("nginx ({account})"),
        uid: user.uid.as_raw(),
        gids: groups.iter().map(|gid| gid.as_raw()).collect(),
        entry: format!("u:{account}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(name: &str, entry: &str) -> Who {
        Who {
            name: name.into(),
            uid: 1,
            gids: Vec::new(),
            entry: entry.into(),
        }
    }

    #[test]
    fn each_thing_tells_its_first_trouble_and_the_command_that_mends_it() {
        let (all, nginx) = (who("workspaces", "g:cid-p"), who("nginx", "u:www-data"));
        let mut questions = of_media(Path::new("/srv/m"), "cid-p", &all, Some(&nginx));
        questions.extend(of_database(Path::new("/srv/d/db"), "cid-p", &all));
        let fault = |told: &[Shared], at: usize| {
            let fault = told[at].1.clone().unwrap_err();
            (fault.message, fault.hint.unwrap())
        };
        let well = told(&questions, &[None, None, None, None]);
        assert!(well.iter().all(|(_, state)| state.is_ok()) && well.len() == 2);
        let (itself, way) = (Some(Obstacle::Itself), Some(Obstacle::Way("/srv".into())));
        let bad = told(&questions, &[itself.clone(), way.clone(), None, itself]);
        let (message, mend) = fault(&bad, 0);
        assert_eq!(message, "workspaces cannot write /srv/m");
        assert_eq!(mend, "chgrp cid-p /srv/m && chmod 2775 /srv/m");
        let (message, mend) = fault(&bad, 1);
        assert_eq!(message, "workspaces cannot write /srv/d");
        assert!(mend.ends_with("chmod 2770 /srv/d && chmod 660 /srv/d/db"));
        let bad = told(&questions, &[None, way, Some(Obstacle::Missing), None]);
        let (message, mend) = fault(&bad, 0);
        assert_eq!(message, "nginx cannot read /srv/m: they may not enter /srv");
        assert_eq!(mend, "setfacl -m u:www-data:x /srv");
        let (message, mend) = fault(&bad, 1);
        assert_eq!(message, "cannot find /srv/d/db");
        assert!(mend.contains("touch /srv/d/db && chgrp"), "{mend}");
    }
}
