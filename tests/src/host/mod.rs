//! A throw-away Debian that is booted for one test: systemd as its first process, D-Bus, polkit,
//! nginx and supervisord, users and a network of its own.
//!
//! [`HostImage`] is built once by debootstrap and kept in `target/host` (or `CID_HOST_DIR`).
//! [`Host::boot`] lays a fresh writable layer over it and boots that with systemd-nspawn; dropping
//! the host takes everything away again. It needs root: ask [`available`] first.

mod available;
mod bootstrap;
mod cgroup;
mod container;
mod debian;
mod files;
mod image;
mod inside;
mod mounts;
mod scratch;
mod state;
mod store;
mod wheels;

pub use available::{Why, available};
pub use debian::{DEBIAN, Debian};
pub use image::HostImage;
pub use state::HostState;
pub use wheels::OFFLINE;

use anyhow::{Context, Result};
use container::Container;
use scratch::{Scratch, Storage};
use std::{
    env,
    path::{Path, PathBuf},
    time::Duration,
};

/// A running Debian. Dropping it stops all that runs in it and removes what was written.
#[derive(Debug)]
pub struct Host {
    /// Keeps the layers below from being removed.
    _image: HostImage,
    scratch: Scratch,
    has_controllers: bool,
    /// `None`: switched off.
    container: Option<Container>,
}

impl Host {
    /// Boots a fresh one and waits until systemd says that it runs.
    ///
    /// # Errors
    /// It does not boot; the message ends in what it wrote to its console.
    pub fn boot(image: &HostImage) -> Result<Self> {
        Self::boot_on(image, Storage::Memory, false)
    }

    /// Boots one whose systemd can limit the memory and the processes of a unit, with controllers of the
    /// first version of control groups; `None` where this machine has none to lend.
    ///
    /// # Errors
    /// As [`Host::boot`].
    pub fn boot_with_controllers(image: &HostImage) -> Result<Option<Self>> {
        let boot = || Self::boot_on(image, Storage::Memory, true);
        cgroup::can_lend().then(boot).transpose()
    }

    fn boot_on(image: &HostImage, storage: Storage, has_controllers: bool) -> Result<Self> {
        let mut host = Self {
            _image: image.clone(),
            scratch: Scratch::make(image.layers(), storage)?,
            has_controllers,
            container: None,
        };
        host.switch_on()?;
        Ok(host)
    }

    /// Boots it after [`Host::power_off`] or [`Host::power_cut`], with the files it had.
    ///
    /// # Errors
    /// It does not boot, or runs already.
    pub fn switch_on(&mut self) -> Result<()> {
        anyhow::ensure!(self.container.is_none(), "the host runs already");
        let container = Container::boot(&self.scratch, self.has_controllers)?;
        self.container = Some(container);
        Ok(())
    }

    /// Shuts it down in order: every unit is stopped.
    ///
    /// # Errors
    /// It does not shut down in time.
    pub fn power_off(&mut self) -> Result<()> {
        // systemctl itself may be ended before it can say that all is well.
        self.run(&["systemctl", "poweroff"])?;
        let container = self.container.take().context("the host is off")?;
        container.wait(Duration::from_secs(100))
    }

    /// Ends every process in it at once. What was written is there at the next boot, even if it
    /// was not synced: the kernel lives on.
    ///
    /// # Errors
    /// Something does not end.
    pub fn power_cut(&mut self) -> Result<()> {
        self.container.take().context("the host is off")?.kill()
    }

    /// Shuts it down in order and boots it with the files it has now.
    ///
    /// # Errors
    /// It does not shut down, or does not boot.
    pub fn reboot(&mut self) -> Result<()> {
        self.power_off()?;
        self.switch_on()
    }

    /// The process id, on this machine, of the host's first process.
    ///
    /// # Errors
    /// The host is off.
    pub fn leader(&self) -> Result<i32> {
        let container = self.container.as_ref().context("the host is off")?;
        Ok(container.leader())
    }

    /// What the host wrote to its console since it was made.
    #[must_use]
    pub fn console(&self) -> String {
        self.scratch.console()
    }

    /// A folder of the host's on this machine; it goes with the host.
    #[must_use]
    pub fn scratch_dir(&self) -> &Path {
        self.scratch.dir()
    }

    /// Switches it off and hands its writable layer to `take` before it is removed.
    pub(crate) fn finish(mut self, take: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        self.power_off()?;
        self.scratch.unmount()?;
        take(&self.scratch.upper())
    }

    /// Removes everything, as a drop does, but says what went wrong.
    ///
    /// # Errors
    /// Something does not end, or cannot be removed.
    pub fn remove(mut self) -> Result<()> {
        self.take_down()
    }

    fn take_down(&mut self) -> Result<()> {
        let killed = self.container.take().map_or(Ok(()), Container::kill);
        killed.and(self.scratch.remove())
    }

    fn tell_last_words(&self) {
        let said = self.run(&["journalctl", "--no-pager", "--boot", "--lines=80"]);
        let journal = said.map_or_else(|error| format!("{error:#}"), |output| output.text());
        eprintln!("--- end of the host's journal\n{journal}");
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if std::thread::panicking() && self.container.is_some() {
            self.tell_last_words();
        }
        if let Err(error) = self.take_down() {
            let dir = self.scratch.dir().display();
            eprintln!("the host in {dir} was not removed; the next one tries again: {error:#}");
        }
    }
}

/// Where images and hosts are kept.
fn dir() -> PathBuf {
    env::var_os("CID_HOST_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/host"),
        PathBuf::from,
    )
}
