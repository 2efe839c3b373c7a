"""Tries each call that untrusted code must not get through, in the folder it is in. Says `NAME ok` or
`NAME ERROR` of each, then `LEFT PATH MODE` for each file with a set-user-ID or set-group-ID bit."""

import ctypes, errno, fcntl, os, platform, shutil, signal, socket, stat, struct, subprocess

libc = ctypes.CDLL(None, use_errno=True)
X86 = platform.machine() == "x86_64"
CREATE, HERE = os.O_CREAT | os.O_WRONLY | os.O_EXCL, -100
HIGH = 0xFFFFFFFF00000000


def attempt(name, call):
    try:
        call()
        said = "ok"
    except OSError as error:
        said = errno.errorcode.get(error.errno, str(error.errno))
    except subprocess.CalledProcessError:
        said = "failed"
    print(name, said, flush=True)


def call(number, *arguments):
    given = [a if isinstance(a, (bytes, ctypes.Array)) else ctypes.c_ulong(a & (2**64 - 1)) for a in arguments]
    ctypes.set_errno(0)
    if libc.syscall(ctypes.c_long(number), *given) == -1:
        raise OSError(ctypes.get_errno(), "")


def made(name):
    with open(name, "w"):
        return os.fsencode(name)


# Numbers that all architectures share, and those of these two.
FCHMODAT2, OPENAT2, URING = 452, 437, (425, 426, 427)
if X86:
    CHMOD, FCHMOD, FCHMODAT, OPEN, OPENAT, CREAT, MKNOD, MKNODAT, MQ, MQ_UNLINK = 90, 91, 268, 2, 257, 85, 133, 259, 240, 241
    ADD_KEY, REQUEST_KEY, KEYCTL, IOCTL = 248, 249, 250, 16
else:
    FCHMOD, FCHMODAT, OPENAT, MKNODAT, MQ, MQ_UNLINK = 52, 53, 56, 33, 180, 181
    ADD_KEY, REQUEST_KEY, KEYCTL, IOCTL = 217, 218, 219, 29

file = made("file")
held = os.open("file", os.O_RDWR)
for bits in (0o4755, 0o2755, 0o6777):
    of = oct(bits)[2:]
    if X86:
        attempt(f"chmod-{of}", lambda: call(CHMOD, file, bits))
        attempt(f"open-{of}", lambda: call(OPEN, b"open-" + of.encode(), CREATE, bits))
        attempt(f"creat-{of}", lambda: call(CREAT, b"creat-" + of.encode(), bits))
        attempt(f"mknod-{of}", lambda: call(MKNOD, b"mknod-" + of.encode(), stat.S_IFREG | bits, 0))
    attempt(f"fchmod-{of}", lambda: call(FCHMOD, held, bits))
    attempt(f"fchmod-high-{of}", lambda: call(FCHMOD, held, HIGH | bits))
    attempt(f"fchmodat-{of}", lambda: call(FCHMODAT, HERE, file, bits))
    attempt(f"fchmodat2-{of}", lambda: call(FCHMODAT2, HERE, file, bits, 0))
    attempt(f"openat-{of}", lambda: call(OPENAT, HERE, b"openat-" + of.encode(), CREATE, bits))
    attempt(f"tmpfile-{of}", lambda: call(OPENAT, HERE, b".", os.O_TMPFILE | os.O_WRONLY, bits))
    attempt(f"mknodat-{of}", lambda: call(MKNODAT, HERE, b"mknodat-" + of.encode(), stat.S_IFREG | bits, 0))
    attempt(f"mq-{of}", lambda: call(MQ, b"cid-test-" + of.encode(), os.O_CREAT | os.O_RDWR, bits, 0))
    how = struct.pack("QQQ", CREATE, bits, 0)
    buffer = ctypes.create_string_buffer(how, len(how))
    attempt(f"openat2-{of}", lambda: call(OPENAT2, HERE, b"openat2-" + of.encode(), buffer, len(how)))
    attempt(f"tool-{of}", lambda: subprocess.run(["chmod", of, "file"], check=True, stderr=subprocess.DEVNULL))
    attempt(f"copy-{of}", lambda: subprocess.run(["install", "-m", of, "/bin/true", "copy"], check=True, stderr=subprocess.DEVNULL))

# A socket's file takes the mode that the socket has.
nameless = socket.socket(socket.AF_UNIX)
attempt("socket-mode", lambda: os.fchmod(nameless.fileno(), 0o4777))
attempt("socket-bind", lambda: nameless.bind("socket"))
capability = struct.pack("<IIIII", 0x02000001, 0xFFFFFFFF, 0, 0, 0)
attempt("file-capability", lambda: os.setxattr("file", "security.capability", capability))
for number in URING:
    attempt(f"io_uring-{number}", lambda: call(number, 8, ctypes.create_string_buffer(256), 0, 0, 0, 0))

# In a process of its own: another architecture's call may end it.
def ends(name, attack):
    child = os.fork()
    if child == 0:
        signal.alarm(10)
        try:
            attack()
        except OSError as error:
            os._exit(error.errno)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    said = f"signal-{os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else errno.errorcode.get(os.WEXITSTATUS(status), "ok")
    print(name, said, flush=True)


def by_int_80():
    """chmod("file", 04755) as i386 code calls it; everything below 4 GiB."""
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
    page = libc.mmap(None, 4096, 7, 0x62, -1, 0)
    path = page + 64
    code = b"\x53\xb8" + struct.pack("<I", 15) + b"\xbb" + struct.pack("<I", path) + b"\xb9" + struct.pack("<I", 0o4755) + b"\xcd\x80\x5b\xc3"
    ctypes.memmove(page, code, len(code))
    ctypes.memmove(path, b"file\0", 5)
    said = ctypes.CFUNCTYPE(ctypes.c_int)(page)()
    if said < 0:
        raise OSError(-said, "")


if X86:
    attempt("x32-chmod", lambda: call(0x40000000 | CHMOD, file, 0o4755))
    attempt("x32-fchmodat", lambda: call(0x40000000 | FCHMODAT, HERE, file, 0o4755))
    ends("i386-chmod", by_int_80)

attempt("add-key", lambda: call(ADD_KEY, b"user", b"cid-test", b"text", 4, -4))
attempt("request-key", lambda: call(REQUEST_KEY, b"user", b"cid-test", 0, 0))
attempt("keyctl", lambda: call(KEYCTL, 0, -3, 1))
typed = ctypes.create_string_buffer(b"x")
attempt("sti", lambda: call(IOCTL, 0, 0x5412, typed))
attempt("sti-high", lambda: call(IOCTL, 0, 0x100005412, typed))
attempt("linux", lambda: call(IOCTL, 0, 0x541C, typed))
attempt("mptcp", lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262))
for bits in (b"4755", b"2755", b"6777"):
    libc.syscall(ctypes.c_long(MQ_UNLINK), b"cid-test-" + bits)


# What programs do all day goes on.
def usual_modes():
    for bits in (0o755, 0o600, 0o1777):
        os.chmod("file", bits)
        assert stat.S_IMODE(os.stat("file").st_mode) == bits
    os.close(os.open("usual", CREATE, 0o777))
    os.close(os.open(".", os.O_TMPFILE | os.O_WRONLY, 0o600))


def usual_trees():
    os.makedirs("tree/a", 0o2775)
    made("tree/a/b")
    shutil.copytree("tree", "tree-copy")
    subprocess.run("cp -a tree tree-cp && tar -cf tree.tar tree && mkdir out && tar -xf tree.tar -C out", shell=True, check=True)
    subprocess.run("chmod -R go-w tree && mkfifo pipe && python3 -c 'import tempfile; tempfile.mkstemp()'", shell=True, check=True)


def usual_git():
    who = "-c user.name=a -c user.email=a@example.com"
    line = f"git init -q one && git -C one {who} commit -q --allow-empty -m x && git clone -q one two && git -C two gc -q"
    subprocess.run(line, shell=True, check=True)


attempt("usual-git", usual_git)
attempt("usual-modes", usual_modes)
attempt("usual-trees", usual_trees)
attempt("usual-terminal", lambda: fcntl.ioctl(0, 0x5401, b"\0" * 64) if os.isatty(0) else None)

for at, folders, files in os.walk("."):
    for name in folders + files:
        mode = os.lstat(os.path.join(at, name)).st_mode
        if mode & 0o6000:
            print("LEFT", os.path.join(at, name), oct(mode))
print("the end")
