//! The gRPC interface of cid: generated types, clients and servers of package `cid.v1`.

/// Package `cid.v1`; see the files below `proto/cid/v1` for what each message means.
pub mod v1 {
    tonic::include_proto!("cid.v1");
}

/// The encoded `FileDescriptorSet` of [`v1`], for reflection and for tests that enumerate RPCs.
pub const DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/cid.v1.bin"));

mod names;
mod rpcs;

pub use rpcs::{Rpc, rpcs};
