//! The built program: its socket, its signals, and that it serves from within its sandbox.

#[cfg(test)]
mod tests {
    use rustix::process::{Pid, Signal, kill_process};
    use std::{
        fs,
        io::{Read, Write},
        os::unix::{fs::PermissionsExt, net::UnixStream},
        path::Path,
        process::{Child, Command, ExitStatus, Stdio},
        thread::sleep,
        time::{Duration, Instant},
    };

    struct Front(Child);

    impl Front {
        fn start(dir: &Path) -> Self {
            let child = Command::new(env!("CARGO_BIN_EXE_cid-web"))
                .arg(format!("--listen=unix:{}", dir.join("http.sock").display()))
                .arg(format!("--socket={}", dir.join("web.sock").display()))
                .stderr(Stdio::null())
                .spawn();
            Self(child.unwrap())
        }

        fn signal(&self, signal: Signal) {
            kill_process(Pid::from_child(&self.0), signal).unwrap();
        }

        fn ended(&mut self) -> ExitStatus {
            within_seconds(|| self.0.try_wait().unwrap())
        }
    }

    impl Drop for Front {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    fn within_seconds<T>(mut look: impl FnMut() -> Option<T>) -> T {
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(20) {
            if let Some(seen) = look() {
                return seen;
            }
            sleep(Duration::from_millis(10));
        }
        panic!("waited in vain");
    }

    fn get(dir: &Path) -> String {
        let connect = || UnixStream::connect(dir.join("http.sock")).ok();
        let mut stream = within_seconds(connect);
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn it_serves_replaces_a_dead_socket_and_ends_when_told() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("http.sock");

        let mut first = Front::start(dir.path());
        assert!(get(dir.path()).starts_with("HTTP/1.1 503 "));
        let mode = fs::metadata(&socket).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o660);

        let mut second = Front::start(dir.path());
        assert_eq!(second.ended().code(), Some(1), "the socket is in use");

        first.signal(Signal::KILL);
        first.ended();
        assert!(socket.exists());
        let mut third = Front::start(dir.path());
        assert!(get(dir.path()).contains("cid does not answer"));
        third.signal(Signal::TERM);
        assert_eq!(third.ended().code(), Some(0));

        fs::remove_file(&socket).unwrap();
        fs::write(&socket, "no socket").unwrap();
        let mut fourth = Front::start(dir.path());
        assert_eq!(fourth.ended().code(), Some(1), "a file is in the way");
        assert_eq!(fs::read(&socket).unwrap(), b"no socket");
    }
}
