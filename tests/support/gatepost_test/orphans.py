"""Processes whose parents have ended: they become ours, not the system's, so
that their end can be seen."""

import ctypes
import os
import signal
import time

_PR_SET_CHILD_SUBREAPER = 36
_ended = {}  # exit statuses by process id


def adopt():
    """From now on each process below this one is ours once its parent has
    ended."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def is_running(pid):
    """False once the process has ended, or was never ours."""
    if pid not in _ended:
        try:
            found, status = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            return os.path.exists(f"/proc/{pid}")  # its parent lives still
        if found == 0:
            return True
        _ended[pid] = os.waitstatus_to_exitcode(status)
    return False


def wait(pid, timeout):
    """The exit status, once the process has ended by itself."""
    deadline = time.monotonic() + timeout
    while is_running(pid):
        if time.monotonic() > deadline:
            raise TimeoutError(f"process {pid} does not end")
        time.sleep(0.01)
    return _ended[pid]


def kill(pid):
    """Ends it whatever its state."""
    if is_running(pid):
        os.kill(pid, signal.SIGKILL)
        wait(pid, 5)
