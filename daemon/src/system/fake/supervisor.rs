//! A made-up supervisord.

use super::{Fake, State, list, read, write};
use crate::{
    domain::{ProcessType, UnitName},
    system::{
        Effect,
        supervisor::{Process, ProcessState, Supervisor},
    },
};
use async_trait::async_trait;
use cid_kernel::fs;
use cid_protocol::{fault::Fault, run_file::RunFile};
use std::{
    collections::BTreeMap,
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
};

pub(super) struct FakeSupervisor(pub(super) Fake);

/// A process that has done nothing but run.
pub fn running(name: &str, pid: u32) -> Process {
    Process {
        name: name.into(),
        state: ProcessState::Running,
        pid: Some(pid),
        since: None,
        restarts: 0,
        ends: 0,
        ended: None,
    }
}

fn processes(state: &State, unit: &UnitName) -> Vec<Process> {
    let told = state.processes.get(unit).cloned();
    told.unwrap_or_else(|| {
        vec![running(
            "web",
            u32::try_from(unit.as_str().len()).unwrap_or(1),
        )]
    })
}

/// Where the web process of a run file listens, if on a socket.
fn socket_of(run_file: &Path) -> Option<PathBuf> {
    RunFile::read(run_file).ok()?.web_socket
}

/// Makes that socket, as the process does; nobody listens on it.
fn bind(run_file: &Path) {
    if let Some(socket) = socket_of(run_file) {
        drop(UnixListener::bind(socket));
    }
}

#[async_trait]
impl Supervisor for FakeSupervisor {
    async fn put(&self, unit: &UnitName, program: &str) -> Result<(), Fault> {
        self.0.answers("supervisor")?;
        write(&self.0.layout.program_dir(), unit, program)?;
        self.0
            .state()
            .groups
            .insert(unit.clone(), program.to_owned());
        bind(&self.0.layout.run_file(unit));
        Ok(())
    }

    async fn remove(&self, unit: &UnitName) -> Result<Effect, Fault> {
        fs::remove_file(&self.0.layout.program_dir().join(format!("{unit}.conf")))?;
        if let Err(fault) = self.0.answers("supervisor") {
            return Ok(Effect::Owed(fault.message));
        }
        self.0.state().groups.remove(unit);
        if let Some(socket) = socket_of(&self.0.layout.run_file(unit)) {
            fs::remove_file(&socket)?;
        }
        Ok(Effect::Done)
    }

    async fn restart(&self, unit: &UnitName) -> Result<(), Fault> {
        self.0.answers("supervisor")?;
        match self.0.state().groups.contains_key(unit) {
            true => Ok(()),
            false => Err(Fault::new(format!(
                "cannot restart {unit}: there is no such group"
            ))),
        }
    }

    async fn hold(&self, unit: &UnitName, program: &str, _: &[ProcessType]) -> Result<(), Fault> {
        self.0.answers("supervisor")?;
        write(&self.0.layout.program_dir(), unit, program)?;
        let mut state = self.0.state();
        if let Some(text) = state.groups.get_mut(unit) {
            program.clone_into(text);
        }
        Ok(())
    }

    async fn release(
        &self,
        unit: &UnitName,
        program: &str,
        _: &[ProcessType],
    ) -> Result<(), Fault> {
        self.0.answers("supervisor")?;
        write(&self.0.layout.program_dir(), unit, program)?;
        match self.0.state().groups.get_mut(unit) {
            Some(text) => program.clone_into(text),
            None => {
                return Err(Fault::new(format!(
                    "cannot start {unit}: there is no such group"
                )));
            }
        }
        Ok(())
    }

    fn read(&self, unit: &UnitName) -> Result<Option<String>, Fault> {
        read(&self.0.layout.program_dir(), unit)
    }

    fn list(&self) -> Result<Vec<UnitName>, Fault> {
        list(&self.0.layout.program_dir())
    }

    async fn processes(&self, unit: &UnitName) -> Result<Vec<Process>, Fault> {
        self.0.answers("supervisor")?;
        let state = self.0.state();
        Ok(match state.groups.contains_key(unit) {
            true => processes(&state, unit),
            false => Vec::new(),
        })
    }

    async fn groups(&self) -> Result<Vec<(String, Vec<Process>)>, Fault> {
        self.0.answers("supervisor")?;
        let state = self.0.state();
        let of = |unit: &UnitName| (unit.to_string(), processes(&state, unit));
        Ok(state.groups.keys().map(of).collect())
    }

    async fn tells(&self) -> Result<bool, Fault> {
        self.0.answers("supervisor").map(|()| true)
    }

    async fn settle(&self) -> Result<(), Fault> {
        self.0.answers("supervisor")?;
        let mut groups = BTreeMap::new();
        for unit in self.list()? {
            if let Some(text) = Supervisor::read(self, &unit)? {
                groups.insert(unit, text);
            }
        }
        self.0.state().groups = groups;
        Ok(())
    }
}
