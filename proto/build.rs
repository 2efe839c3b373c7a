//! Generates the Rust types of `cid.v1` with protox, so that no installed protoc is needed.

use prost::Message;
use std::{env, error::Error, fs, path::PathBuf};

const FILES: [&str; 9] = [
    "cid/v1/builds.proto",
    "cid/v1/common.proto",
    "cid/v1/hooks.proto",
    "cid/v1/workspaces.proto",
    "cid/v1/jobs.proto",
    "cid/v1/people.proto",
    "cid/v1/projects.proto",
    "cid/v1/stages.proto",
    "cid/v1/system.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=cid");
    let descriptors = protox::compile(FILES, ["."])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("cid.v1.bin"), descriptors.encode_to_vec())?;
    // One message of many: nothing is won by a box.
    let large = "#[expect(clippy::large_enum_variant, reason = \"the first message of many\")]";
    tonic_prost_build::configure()
        // Made-up daemons of tests leave out what they do not need; a test of the daemon calls every RPC.
        .generate_default_stubs(true)
        .type_attribute(".cid.v1.DeliverRequest.message", large)
        .compile_fds(descriptors)?;
    Ok(())
}
