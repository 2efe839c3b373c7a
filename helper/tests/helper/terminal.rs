//! A person's command on a terminal.

use crate::{
    app::run_file,
    rig::{binary, eventually, is_alive, pid_in},
};
use cid_protocol::frame::{Frame, Size, Start, Terminal};
use std::{
    io::{Read, Write},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

/// Says when it is at work: what the shell shows of it looks otherwise.
const AT_WORK: &str = "sh -c 'trap \"exit 5\" INT; echo rea\"\"dy; while :; do sleep 0.1; done'\n";
/// The same to be stopped. It starts nothing: what is stopped between vfork and exec keeps its parent going.
const TO_STOP: &str = "sh -c 'echo rea\"\"dy; exec sleep 600'\n";
const LIMIT: Duration = Duration::from_secs(10);

/// A command at work, and what it has written so far.
struct AtWork {
    child: Child,
    input: Option<ChildStdin>,
    written: Arc<Mutex<String>>,
}

impl AtWork {
    /// `None`: a shell.
    fn begin(dir: &Path, command: Option<&[&str]>) -> Self {
        let mut helper = Command::new(binary());
        helper.arg("run").arg(run_file(dir, &[]));
        let streams = helper.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = streams.spawn().unwrap();
        let mut output = child.stdout.take().unwrap();
        let written = Arc::<Mutex<String>>::default();
        let to = Arc::clone(&written);
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..count]);
                to.lock().unwrap().push_str(&text);
            }
        });
        let mut at_work = Self {
            input: child.stdin.take(),
            child,
            written,
        };
        at_work.tell(&Frame::Start(Start {
            env: Default::default(),
            command: command.map(|words| words.iter().map(|&word| word.into()).collect()),
            terminal: Some(Terminal {
                name: "xterm-256color".into(),
                size: Size {
                    rows: 30,
                    columns: 101,
                },
            }),
        }));
        at_work
    }

    fn tell(&mut self, frame: &Frame) {
        let frame = frame.encode().unwrap();
        self.input.as_mut().unwrap().write_all(&frame).unwrap();
    }

    fn type_in(&mut self, keys: &str) {
        self.tell(&Frame::Input(keys.into()));
    }

    fn until(&self, text: &str) {
        let holds = || self.written.lock().unwrap().contains(text);
        let deadline = std::time::Instant::now() + LIMIT;
        while !holds() {
            let written = self.written.lock().unwrap().clone();
            assert!(
                std::time::Instant::now() < deadline,
                "no {text:?} in {written:?}"
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn status(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

#[test]
fn it_is_as_large_as_the_persons_and_of_its_kind() {
    let dir = tempfile::tempdir().unwrap();
    let line = "trap 'stty size; echo told' WINCH; tty; stty size; echo $TERM; echo begun
while :; do read line && echo \"read <$line>\" && exit 5; done";
    let mut at_work = AtWork::begin(dir.path(), Some(&["sh", "-c", line]));
    at_work.until("/dev/pts/");
    at_work.until("30 101\r\nxterm-256color\r\nbegun");
    at_work.tell(&Frame::Size(Size {
        rows: 5,
        columns: 300,
    }));
    at_work.type_in("");
    at_work.until("5 300\r\ntold");
    at_work.type_in("ä\u{7f}b\n");
    at_work.until("read <b>\r\n");
    assert_eq!(at_work.status(), Some(5));
}

#[test]
fn a_shell_has_jobs_that_control_c_and_control_z_reach() {
    let dir = tempfile::tempdir().unwrap();
    let mut shell = AtWork::begin(dir.path(), None);
    shell.type_in(TO_STOP);
    shell.until("ready\r\n");
    shell.type_in("\u{1a}");
    shell.until("Stopped");
    shell.type_in("bg; jobs -r | wc -l\n");
    shell.until("\r\n1\r\n");
    shell.type_in("kill %1; echo $TERM\n");
    shell.until("xterm-256color\r\n");
    shell.type_in(&AT_WORK.replace("rea", "again rea"));
    shell.until("again ready\r\n");
    shell.type_in("\u{3}");
    shell.type_in("echo status $?\n");
    shell.until("status 5\r\n");
    shell.type_in("exit 9\n");
    assert_eq!(shell.status(), Some(9));
}

#[test]
fn all_of_it_ends_when_the_person_goes() {
    let dir = tempfile::tempdir().unwrap();
    let [first, second] = ["a", "b"].map(|name| dir.path().join(name));
    let mut shell = AtWork::begin(dir.path(), None);
    let runs = |path: &Path| format!("sh -c 'echo $$ > {}; exec sleep 300'", path.display());
    let line = format!(
        "(trap '' HUP; setsid {} &) ; {}\n",
        runs(&first),
        runs(&second)
    );
    shell.type_in(&line);
    let pids = [pid_in(&first), pid_in(&second)];
    shell.input = None;
    assert_eq!(shell.status(), Some(129));
    eventually("all is dead", LIMIT, || !pids.into_iter().any(is_alive));
}

#[test]
fn all_that_is_written_arrives_before_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let line = "seq 1 100000; sleep 300 & exit 3";
    let mut at_work = AtWork::begin(dir.path(), Some(&["sh", "-c", line]));
    assert_eq!(at_work.status(), Some(3));
    at_work.until("\r\n99999\r\n100000\r\n");
}
