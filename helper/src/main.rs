//! Does cid's work under another identity; see [`cid_helper`].

fn main() -> std::process::ExitCode {
    cid_helper::main()
}
