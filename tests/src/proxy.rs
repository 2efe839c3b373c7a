use anyhow::Result;
use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// What becomes of a connection through a [`Proxy`].
#[derive(Clone, Copy, Debug)]
pub enum Fate {
    /// It is closed at once.
    Dropped,
    /// It is closed when so many bytes have come back from the server.
    Cut(usize),
}

/// Stands before a server on 127.0.0.1 and counts who comes.
#[derive(Debug)]
pub struct Proxy {
    /// Where it listens on 127.0.0.1.
    pub port: u16,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    all: AtomicUsize,
    open: Mutex<(usize, usize)>,
}

impl Proxy {
    /// Starts it; it ends with this process. The first connections have these fates, further ones none.
    ///
    /// # Errors
    /// The port is taken.
    pub fn start(port: u16, server: u16, fates: Vec<Fate>) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port))?;
        let counts = Arc::<Counts>::default();
        let counting = Arc::clone(&counts);
        thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                let fate = fates
                    .get(counting.all.fetch_add(1, Ordering::SeqCst))
                    .copied();
                let counts = Arc::clone(&counting);
                thread::spawn(move || {
                    counts.opened();
                    // A connection that fails is one that has ended.
                    let _ = carry(&client, server, fate);
                    let _ = client.shutdown(Shutdown::Both);
                    counts.closed();
                });
            }
        });
        Ok(Self { port, counts })
    }

    /// How many connections there have been.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.counts.all.load(Ordering::SeqCst)
    }

    /// How many were open at the same time.
    #[must_use]
    pub fn most(&self) -> usize {
        self.counts.open().1
    }
}

impl Counts {
    fn open(&self) -> std::sync::MutexGuard<'_, (usize, usize)> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn opened(&self) {
        let mut open = self.open();
        open.0 += 1;
        open.1 = open.1.max(open.0);
    }

    fn closed(&self) {
        self.open().0 -= 1;
    }
}

fn carry(client: &TcpStream, server: u16, fate: Option<Fate>) -> Result<()> {
    let most = match fate {
        Some(Fate::Dropped) => return Ok(()),
        Some(Fate::Cut(bytes)) => bytes,
        None => usize::MAX,
    };
    let server = TcpStream::connect(("127.0.0.1", server))?;
    let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    let (mut from, mut to) = (server, client);
    let (mut bytes, mut buffer) = (0, [0; 4096]);
    loop {
        let got = from.read(&mut buffer)?;
        bytes += got;
        if got == 0 || bytes > most {
            let _ = from.shutdown(Shutdown::Both);
            return Ok(());
        }
        to.write_all(buffer.get(..got).unwrap_or_default())?;
    }
}
