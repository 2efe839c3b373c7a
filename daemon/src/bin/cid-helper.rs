//! Does cid's work under another identity; see [`cid_daemon::helper`].

fn main() -> std::process::ExitCode {
    cid_daemon::helper::main()
}
