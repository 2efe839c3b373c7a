//! Callers of the daemon's socket who do not keep to HTTP/2, or keep to it for the worse.

use crate::stage::{ANNA, Stage};
use cid_testkit::{Tree, wait_until};
use std::{
    fs,
    io::{Read, Write},
    os::unix::net::UnixStream,
    thread,
    time::Duration,
};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const LIMIT: Duration = Duration::from_secs(3);
const AT_ONCE: usize = 4;
/// What is held for all of them together stays below.
const MAX_GROWTH_KIB: u64 = 96 * 1024;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;
const WINDOW_UPDATE: u8 = 8;
const END_HEADERS: u8 = 4;
const END_STREAM: u8 = 1;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A request's header, nothing of it compressed.
fn header(path: &str) -> Vec<u8> {
    let fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "cid"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0x10);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).unwrap());
            block.extend(text.bytes());
        }
    }
    block
}

/// A call with this request.
fn call(stream: u32, path: &str, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let data = [&[0][..], &length, message].concat();
    let head = frame(HEADERS, END_HEADERS, stream, &header(path));
    [head, frame(DATA, END_STREAM, stream, &data)].concat()
}

fn open(stream: u32) -> Vec<u8> {
    frame(
        HEADERS,
        END_HEADERS,
        stream,
        &header("/cid.v1.Workspaces/Run"),
    )
}

fn begun() -> Vec<u8> {
    [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()
}

/// The numbers of a client's streams.
fn streams() -> impl Iterator<Item = u32> {
    (1..).step_by(2)
}

/// What is written, piece by piece, until the daemon takes no more of it.
type Pieces = Box<dyn Iterator<Item = Vec<u8>> + Send>;

/// What it is, whether the daemon must end the connection, and what is written.
fn floods() -> Vec<(&'static str, bool, Pieces)> {
    let always = |frame: Vec<u8>, times| std::iter::repeat_n(frame, times);
    let half = frame(HEADERS, 0, 1, &header("/cid.v1.System/Version"));
    let more = frame(CONTINUATION, 0, 1, &[0x10; 16 * 1024]);
    let huge = [&[0][..], &u32::MAX.to_be_bytes(), &[0; 1000]].concat();
    vec![
        ("nothing", false, Box::new(std::iter::empty())),
        (
            "half a greeting",
            false,
            Box::new(always(PREFACE[..9].to_vec(), 1)),
        ),
        (
            "another protocol",
            true,
            Box::new(always(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), 1)),
        ),
        (
            "noise",
            true,
            Box::new(always([begun(), vec![0xff; 100_000]].concat(), 1)),
        ),
        (
            "streams that stay open",
            false,
            Box::new(streams().take(20_000).map(open)),
        ),
        (
            "streams that are taken back at once",
            true,
            Box::new(streams().take(20_000).map(|stream| {
                [
                    open(stream),
                    frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()),
                ]
                .concat()
            })),
        ),
        (
            "a header without an end",
            true,
            Box::new(std::iter::once(half).chain(always(more, 4000))),
        ),
        (
            "a message of 4 GiB",
            false,
            Box::new([open(1), frame(DATA, 0, 1, &huge)].into_iter()),
        ),
        (
            "questions whose answers are not read",
            false,
            Box::new(always(frame(PING, 0, 0, &[7; 8]), 500_000)),
        ),
        (
            "settings whose answers are not read",
            false,
            Box::new(always(frame(SETTINGS, 0, 0, &[]), 500_000)),
        ),
    ]
}

/// Writes it all, or as much as is taken.
fn flood(stage: &Stage, pieces: Pieces, greets: bool) -> UnixStream {
    let mut stream = UnixStream::connect(stage.sandbox.socket()).unwrap();
    stream.set_write_timeout(Some(LIMIT)).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let greeting = if greets { begun() } else { Vec::new() };
    for piece in std::iter::once(greeting).chain(pieces) {
        if stream.write_all(&piece).is_err() {
            break;
        }
    }
    stream
}

fn is_ended(mut stream: UnixStream) -> bool {
    let mut buffer = [0; 64 * 1024];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}

/// What the daemon holds in memory, in KiB.
fn held(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.unwrap()
        .split_whitespace()
        .next()
        .unwrap()
        .parse()
        .unwrap()
}

#[test]
fn floods_of_all_kinds_cost_little_and_keep_nobody_out() {
    let stage = Stage::hello();
    stage.cictl_ends(0, &["list"]);
    let pid = stage.sandbox.pid().unwrap();
    let before = held(pid);
    for index in 0..floods().len() {
        let (what, must_end, _) = floods().swap_remove(index);
        let greets = !["nothing", "half a greeting", "another protocol", "noise"].contains(&what);
        let open: Vec<UnixStream> = thread::scope(|scope| {
            let one = || flood(&stage, floods().swap_remove(index).2, greets);
            let all: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(one)).collect();
            stage.cictl_ends(0, &["list"]);
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        let growth = held(pid).saturating_sub(before);
        println!("{what}: {growth} KiB more");
        assert!(growth < MAX_GROWTH_KIB, "{what}: {growth} KiB");
        stage.cictl_ends(0, &["list"]);
        if must_end {
            assert!(open.into_iter().all(is_ended), "{what}: it goes on");
        }
    }
    assert_eq!(stage.sandbox.pid().unwrap(), pid);
}

/// A greeting that lets the daemon send as much as it likes.
fn greedy() -> Vec<u8> {
    const INITIAL_WINDOW_SIZE: u16 = 4;
    const MOST: u32 = (1 << 31) - 1;
    let setting = [&INITIAL_WINDOW_SIZE.to_be_bytes()[..], &MOST.to_be_bytes()].concat();
    let more = (MOST - 65_535).to_be_bytes();
    let frames = [
        frame(SETTINGS, 0, 0, &setting),
        frame(WINDOW_UPDATE, 0, 0, &more),
    ];
    [PREFACE.to_vec(), frames.concat()].concat()
}

#[test]
fn logs_that_nobody_reads_cost_little() {
    const CONNECTIONS: usize = 5;
    const STREAMS: usize = 100;
    let noise = "noise: seq -w 700000; exec sleep 1000000\nweb: python3 app.py\n";
    let stage = Stage::of(&Tree::hello().with("Procfile", noise), "");
    stage.create(ANNA);
    wait_until("the noise to be made", LIMIT * 20, || {
        let last = stage.cictl(&["logs", ANNA, "noise", "-n", "1"]).stdout;
        last.contains("700000").then_some(())
    })
    .unwrap();
    let pid = stage.sandbox.pid().unwrap();
    let before = held(pid);
    // `LogsRequest` of her workspace, with `follow` and 10,000 lines.
    let address = u8::try_from(ANNA.len()).unwrap();
    let reference = [&[0x0a, address][..], ANNA.as_bytes()].concat();
    let request = [
        &[0x0a, address + 2][..],
        &reference,
        &[0x18, 1, 0x20, 0x90, 0x4e],
    ]
    .concat();
    let unread: Vec<UnixStream> = (0..CONNECTIONS)
        .map(|_| {
            let mut stream = UnixStream::connect(stage.sandbox.socket()).unwrap();
            stream.write_all(&greedy()).unwrap();
            for number in streams().take(STREAMS) {
                let logs = call(number, "/cid.v1.Workspaces/Logs", &request);
                stream.write_all(&logs).unwrap();
            }
            stream
        })
        .collect();
    // A further one is refused, which tells that those before it have been taken up.
    let refused = wait_until("a log to be refused", LIMIT * 20, || {
        let asked = stage.cictl(&["logs", ANNA, "noise", "-n", "1"]);
        (asked.status != 0).then(|| asked.text())
    });
    let refused = refused.unwrap();
    assert!(
        refused.contains("bound of 32 (logs that one user id reads"),
        "{refused}"
    );
    for _ in 0..20 {
        thread::sleep(LIMIT / 20);
        let growth = held(pid).saturating_sub(before);
        assert!(growth < MAX_GROWTH_KIB, "{growth} KiB");
    }
    stage.cictl_ends(0, &["list"]);
    drop(unread);
    let again = wait_until("logs to be read again", LIMIT * 20, || {
        let asked = stage.cictl(&["logs", ANNA, "noise", "-n", "3"]);
        (asked.status == 0).then_some(asked.stdout)
    });
    assert_eq!(again.unwrap(), "699998\n699999\n700000\n");
}

/// As many process types as froze the supervisord of all.
#[test]
fn a_procfile_with_too_many_process_types_hurts_nobody() {
    let types: String = (0..1500).map(|n| format!("p{n}: sleep 1000\n")).collect();
    let tree = Tree::hello().with("Procfile", &format!("web: python3 app.py\n{types}"));
    let stage = Stage::of(&tree, "");
    let said = stage.create_is_taken_back(ANNA);
    assert!(
        said.contains("bound of 20 (process types of a workspace)"),
        "{said}"
    );
    let long = format!("web: python3 app.py #{}\n", "x".repeat(9000));
    for (procfile, bound) in [
        (long, "bound of 8 KiB"),
        ("#".repeat(65 * 1024), "bound of 64 KiB"),
    ] {
        let stage = Stage::of(&Tree::hello().with("Procfile", &procfile), "");
        let said = stage.create_is_taken_back(ANNA);
        assert!(said.contains(bound), "{said}");
    }
}
