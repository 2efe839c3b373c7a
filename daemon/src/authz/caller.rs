//! Who is at the other end of a connection, by the kernel's word.

/// The socket somebody came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// `cid.sock`, for people.
    People,
    /// `web.sock`, for the front alone.
    Front,
}

/// The peer of a connection: SO_PEERCRED at accept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Process id; `None` where the kernel does not tell.
    pub pid: Option<i32>,
    /// By which socket.
    pub door: Door,
}
