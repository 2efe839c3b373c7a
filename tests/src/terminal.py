"""Runs a command on a terminal of its own and talks to it: argv is the steps as JSON, then the command.

["expect", TEXT] waits until it has been written since the step before, ["send", TEXT] types, ["size", ROWS,
COLUMNS] changes the terminal, ["kill", SIGNAL] signals the command, ["run", WORD...] runs something else
meanwhile, ["hangup"] takes the terminal away, ["pause", SECONDS] waits, ["restored"] waits until the terminal is set as at the
beginning.
Prints one JSON object: `status` (128 + signal), `written`, and `restored`: whether the terminal is set at the
end as it was at the beginning."""

import fcntl, json, os, select, signal, struct, subprocess, sys, termios, time

LIMIT = 60
steps, command = json.loads(sys.argv[1]), sys.argv[2:]
ours, theirs = os.openpty()


def size(rows, columns):
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


size(33, 120)
before = termios.tcgetattr(theirs)
child = os.fork()
if child == 0:
    os.setsid()
    fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)
    for number in range(3):
        os.dup2(theirs, number)
    os.closerange(3, 64)
    os.environ["TERM"] = "xterm-256color"
    os.execvp(command[0], command)
written, seen, failed = b"", 0, None


def read(wait):
    global written
    if ours >= 0 and select.select([ours], [], [], wait)[0]:
        try:
            written += os.read(ours, 65536)
        except OSError:
            pass


for verb, *words in steps:
    if verb == "send":
        os.write(ours, words[0].encode())
    elif verb == "size":
        size(*words)
    elif verb == "kill":
        os.kill(child, getattr(signal, "SIG" + words[0]))
    elif verb == "run":
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    elif verb == "pause":
        time.sleep(words[0])
    elif verb == "restored":
        deadline = time.monotonic() + LIMIT
        while termios.tcgetattr(theirs) != before and time.monotonic() < deadline:
            read(0.1)
        if termios.tcgetattr(theirs) != before:
            failed = "the terminal given back"
            break
    elif verb == "hangup":
        os.close(theirs)
        os.close(ours)
        ours = -1
    else:
        deadline = time.monotonic() + LIMIT
        while (at := written.find(words[0].encode(), seen)) < 0 and time.monotonic() < deadline:
            read(0.1)
        if at < 0:
            failed = words[0]
            break
        seen = at + len(words[0].encode())
deadline = time.monotonic() + (0 if failed else LIMIT)
status = None
while True:
    read(0.05)
    pid, ended = os.waitpid(child, os.WNOHANG)
    if pid:
        status = os.waitstatus_to_exitcode(ended)
        status = 128 - status if status < 0 else status
        break
    if time.monotonic() > deadline:
        failed = failed or "the end"
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        break
read(0.2)
restored = ours >= 0 and termios.tcgetattr(theirs) == before
text = written.decode(errors="replace")
print(json.dumps({"status": status, "written": text, "restored": restored, "failed": failed}))
