use axum::{
    http::header::{CACHE_CONTROL, CONTENT_TYPE},
    response::IntoResponse,
};

/// A file that is part of the program, so that the front needs none on disk.
#[derive(Debug)]
pub struct Asset {
    path: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
    version: u32,
}

/// How every page looks.
pub const CSS: Asset = Asset::new(
    "/static/cid.css",
    "text/css; charset=utf-8",
    include_bytes!("../static/cid.css"),
);
/// Keeps a job's page up to date.
pub const LIVE: Asset = Asset::new(
    "/static/live.js",
    "text/javascript; charset=utf-8",
    concat!(
        include_str!("../static/lines.js"),
        include_str!("../static/live.js")
    )
    .as_bytes(),
);
/// Follows logs, keeps a workspace's state up to date, copies.
pub const PAGE: Asset = Asset::new(
    "/static/page.js",
    "text/javascript; charset=utf-8",
    concat!(
        include_str!("../static/lines.js"),
        include_str!("../static/page.js")
    )
    .as_bytes(),
);
/// Says times in the reader's zone.
pub const TIMES: Asset = Asset::new(
    "/static/times.js",
    "text/javascript; charset=utf-8",
    include_bytes!("../static/times.js"),
);
/// The sign in the browser's tab and at the top of each page.
pub const ICON: Asset = Asset::new(
    "/static/cid.svg",
    "image/svg+xml",
    include_bytes!("../static/cid.svg"),
);

impl Asset {
    const fn new(path: &'static str, content_type: &'static str, bytes: &'static [u8]) -> Self {
        Self {
            path,
            content_type,
            bytes,
            version: fnv1a(bytes),
        }
    }

    /// Its path, for the router.
    pub fn path(&self) -> &'static str {
        self.path
    }

    /// Its path with a version in it: browsers may keep it for good, and a new one is another.
    pub fn url(&self) -> String {
        format!("{}?v={:08x}", self.path, self.version)
    }

    /// The answer that carries it.
    pub fn serve(&self) -> impl IntoResponse + use<> {
        (
            [
                (CONTENT_TYPE, self.content_type),
                (CACHE_CONTROL, "public, max-age=31536000, immutable"),
            ],
            self.bytes,
        )
    }
}

/// Tells versions apart; nothing relies on it being hard to forge.
const fn fnv1a(bytes: &[u8]) -> u32 {
    let mut hash: u32 = 0x811c_9dc5;
    let mut i = 0;
    while i < bytes.len() {
        hash = (hash ^ bytes[i] as u32).wrapping_mul(0x0100_0193);
        i += 1;
    }
    hash
}
