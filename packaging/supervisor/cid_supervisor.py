"""cid's own part of supervisord: loads one program file without reading any other, gives the states of all
processes in one answer, and tells the daemon of each change as it happens.

supervisord never waits for the daemon. A daemon that does not read, or reads too slowly, is hung up on; it then
asks for all states anew.
"""

import configparser
import json
import os
import socket
import time

from supervisor import events, loggers
from supervisor.options import UnhosedConfigParser
from supervisor.states import SupervisorStates, getProcessStateDescription
from supervisor.xmlrpc import Faults, RPCError

# Another number whenever the daemon has to know that something here has changed.
VERSION = 1
# An end this many seconds after the one before does not belong to the same trouble.
APART = 600


def make(supervisord, socket):
    """What supervisord calls at its start; `socket` is where the daemon listens."""
    _survive_full_disks()
    return Interface(supervisord, socket)


def _survive_full_disks():
    """A line that cannot be written is lost. supervisord complains of it on its standard error, and ends where that
    cannot be written either: with all apps, for the one that has filled the disk."""
    complain = loggers.Handler.handleError

    def complain_if_possible(self):
        try:
            complain(self)
        except OSError:
            pass

    loggers.Handler.handleError = complain_if_possible


class Interface:
    """The methods `cid.*` of supervisord's XML-RPC."""

    def __init__(self, supervisord, path):
        self._supervisord = supervisord
        self._path = path
        self._link = None
        # Lines sent so far: answers name it, so that the daemon knows how far to read.
        self._told = 0
        self._changed = {}
        self._last_end = (0, 0)
        # supervisord calls this once in each round of its loop, after all changes of state, and before
        # each look at an ended child. It does not keep the status of one that ended too quickly.
        self._waitpid = supervisord.options.waitpid
        supervisord.options.waitpid = self._tell_and_wait
        events.subscribe(events.ProcessStateEvent, self._process_changed)
        events.subscribe(events.ProcessGroupEvent, self._group_changed)

    def watch(self, token):
        """Connects to the daemon, says the token there, and gives the states of all processes.

        From then on each change is a line of JSON on that connection.

        @param string token   what the connection begins with
        @return string result JSON: version, told, and processes by group
        """
        self._refuse_when_stopping()
        self._hang_up()
        link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            link.setblocking(False)
            link.connect(self._path)
            link.send((token + "\n").encode())
        except OSError as error:
            link.close()
            raise RPCError(Faults.FAILED, "cannot reach the daemon: %s" % error)
        self._link = link
        self._changed = {}
        groups = self._supervisord.process_groups
        return json.dumps({
            "version": VERSION,
            "told": self._told,
            "groups": {name: _processes(group) for name, group in groups.items()},
        })

    def load(self, name, path):
        """Reads one program file and starts its group.

        @param string name  the group's name
        @param string path  the file, which has this group alone
        @return int result  lines told so far
        """
        self._refuse_when_stopping()
        options = self._supervisord.options
        group = self._read(name, path)
        others = [other for other in options.process_group_configs if other.name != name]
        options.process_group_configs = others + [group]
        if not self._supervisord.add_process_group(group):
            raise RPCError(Faults.ALREADY_ADDED, name)
        # supervisord itself would start it in its next round, up to a second later.
        self._supervisord.process_groups[name].transition()
        self._tell()
        return self._told

    def _read(self, name, path):
        options = self._supervisord.options
        parser = UnhosedConfigParser()
        parser.expansions = options.environ_expansions
        try:
            if not parser.read(path):
                raise ValueError("there is no file %s" % path)
            groups = options.process_groups_from_parser(parser)
        except (ValueError, configparser.Error) as error:
            raise RPCError(Faults.CANT_REREAD, str(error))
        if [group.name for group in groups] != [name]:
            raise RPCError(Faults.CANT_REREAD, "it has not just the group %s (file: %r)" % (name, path))
        for process in groups[0].process_configs:
            environment = options.configroot.supervisord.environment.copy()
            environment.update(process.environment)
            process.environment = environment
        return groups[0]

    def _refuse_when_stopping(self):
        if self._supervisord.options.mood < SupervisorStates.RUNNING:
            raise RPCError(Faults.SHUTDOWN_STATE)

    def _tell_and_wait(self):
        self._tell()
        pid, status = self._waitpid()
        if pid:
            self._last_end = (pid, status)
        return pid, status

    # Called in the middle of supervisord's own work, which an exception would break off.

    def _process_changed(self, event):
        try:
            process = event.process
            _note(process).take(event, self._last_end)
            self._changed[process.group.config.name] = True
        except Exception:
            self._hang_up()

    def _group_changed(self, event):
        try:
            self._changed[event.group] = True
            if isinstance(event, events.ProcessGroupRemovedEvent):
                options = self._supervisord.options
                options.process_group_configs = [
                    other for other in options.process_group_configs if other.name != event.group
                ]
        except Exception:
            self._hang_up()

    def _tell(self):
        changed, self._changed = self._changed, {}
        for name in changed:
            if self._link is None:
                return
            try:
                group = self._supervisord.process_groups.get(name)
                line = {"told": self._told + 1, "group": name, "processes": group and _processes(group)}
                data = (json.dumps(line) + "\n").encode()
                # Half a line would be no line.
                if self._link.send(data) != len(data):
                    raise BlockingIOError()
                self._told += 1
            except Exception:
                self._hang_up()

    def _hang_up(self):
        if self._link is not None:
            self._link.close()
            self._link = None


class Note:
    """What supervisord does not keep of a process."""

    def __init__(self):
        self.since = time.time()
        self.starts = 0
        self.ends = 0
        self.ended = None

    def take(self, event, last_end):
        now = time.time()
        process = event.process
        self.since = now
        if isinstance(event, events.ProcessStateStartingEvent):
            self.starts += 1
        if isinstance(event, (events.ProcessStateBackoffEvent, events.ProcessStateExitedEvent)):
            self.ends += 1
            before = self.ended and self.ended["at"]
            first = self.ended["first"] if before and now - before < APART else now
            self.ended = {"at": now, "before": before, "first": first, "exit": None, "signal": None, "why": ""}
            pid, status = last_end
            if not process.pid:
                self.ended["why"] = process.spawnerr or ""
            elif pid == process.pid and os.WIFSIGNALED(status):
                self.ended["signal"] = os.WTERMSIG(status)
            elif pid == process.pid:
                self.ended["exit"] = os.WEXITSTATUS(status)


def _note(process):
    if not hasattr(process, "cid_note"):
        process.cid_note = Note()
    return process.cid_note


def _processes(group):
    # `PROJECT.NAME.TYPE`: so that supervisord's log says whose it is.
    prefix = group.config.name + "."
    return [_process(process, prefix) for process in group.processes.values()]


def _process(process, prefix):
    note = _note(process)
    name = process.config.name
    return {
        "name": name[len(prefix):] if name.startswith(prefix) else name,
        "state": getProcessStateDescription(process.get_state()),
        "pid": process.pid,
        "since": note.since,
        "restarts": max(note.starts - 1, 0),
        "ends": note.ends,
        "ended": note.ended,
    }
