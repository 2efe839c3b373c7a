use anyhow::{Context, Result, bail};
use nix::unistd::Uid;
use std::{
    env,
    fs::{self, File, OpenOptions, TryLockError},
    net::{Ipv4Addr, TcpListener},
    ops::RangeInclusive,
    process,
};

/// Below this the kernel gives out no ports of its own accord.
const EPHEMERAL: u16 = 32768;
const FIRST: u16 = 12000;
const SIZE: u16 = 80;
const BLOCKS: u16 = (EPHEMERAL - FIRST) / SIZE;

/// Ports of this machine that no other sandbox uses while this value lives.
#[derive(Debug)]
pub struct Block {
    start: u16,
    _lock: File,
}

impl Block {
    /// Takes a free block of ports in which nothing listens.
    ///
    /// # Errors
    /// There is none left.
    pub fn take() -> Result<Self> {
        let dir = env::temp_dir().join(format!("cid-testkit-ports-{}", Uid::current()));
        fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        // Where to begin differs by process, so that tests running side by side seldom meet.
        let first = process::id().wrapping_mul(7);
        for i in 0..BLOCKS {
            let block = u16::try_from(first.wrapping_add(i.into()) % u32::from(BLOCKS))?;
            let path = dir.join(block.to_string());
            let lock = OpenOptions::new().create(true).append(true).open(&path)?;
            match lock.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => continue,
                Err(TryLockError::Error(error)) => return Err(error.into()),
            }
            let start = FIRST + block * SIZE;
            if (start..start + SIZE).all(is_free) {
                return Ok(Self { start, _lock: lock });
            }
        }
        bail!("no free ports between {FIRST} and {EPHEMERAL}");
    }

    /// The sandbox's own port.
    #[must_use]
    pub fn http(&self) -> u16 {
        self.start
    }

    /// The sandbox's own port for HTTPS.
    #[must_use]
    pub fn https(&self) -> u16 {
        self.start + 2
    }

    /// A port for whatever a test needs, e.g. a git server.
    #[must_use]
    pub fn other(&self) -> u16 {
        self.start + 1
    }

    /// Ports for the workspaces.
    #[must_use]
    pub fn apps(&self) -> RangeInclusive<u16> {
        self.start + 3..=self.start + SIZE - 1
    }
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_do_not_overlap() {
        let blocks = [Block::take().unwrap(), Block::take().unwrap()];
        assert_ne!(blocks[0].http(), blocks[1].http());
        assert!(blocks.iter().all(|block| *block.apps().end() < EPHEMERAL));
    }
}
