"""Attempts what a program in the sandbox must not be able to do; reports JSON: true where the attempt failed as it should.

Input, JSON on standard input: {"nonce", "port", "home", "pid", "maxProcesses"}: a port on which this machine listens,
the home folder and the id of the process that asks.
"""

import ctypes
import json
import mmap
import os
import resource
import socket
import sys
import time

NOT_PERMITTED = 1
details = []


def refused(action):
    """Whether an action fails."""
    try:
        action()
        return False
    except OSError:
        return True


def check_files(home):
    seen = [path for path in (home, "/etc/passwd", "/etc/shadow", "/proc/1", "/sys/kernel", "/root", "/home", "/run")
            if os.path.lexists(path)]  # fmt: skip
    details.extend(seen)
    return not seen


def check_read_only():
    targets = ["/x", "/usr/x", "/program/x", "/dev/x", "/program/probe.py"]
    return all(refused(lambda path=path: open(path, "a").close()) for path in targets)


def check_network(port):
    def connect():
        socket.create_connection(("127.0.0.1", port), timeout=2).close()

    try:
        interfaces = {name for _, name in socket.if_nameindex()}
    except OSError:
        interfaces = set()
    return refused(connect) and interfaces <= {"lo"}


def check_limits(max_processes):
    limits = {
        resource.RLIMIT_NPROC: max_processes,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: 64,
    }
    finite = (resource.RLIMIT_AS, resource.RLIMIT_FSIZE, resource.RLIMIT_CPU)
    return all(resource.getrlimit(name) == (value, value) for name, value in limits.items()) and all(
        resource.getrlimit(name)[1] != resource.RLIM_INFINITY for name in finite
    )


def check_fork(max_processes):
    """Children wait for the parent to close a pipe, so that the host can have a look at them, too."""
    read_end, write_end = os.pipe()
    children = []
    held = False
    while len(children) <= max_processes:
        try:
            child = os.fork()
        except OSError:
            held = True
            break
        if child == 0:
            os.close(write_end)
            os.read(read_end, 1)
            os._exit(0)
        children.append(child)
    time.sleep(0.1)
    os.close(write_end)
    for child in children:
        os.waitpid(child, 0)
    return held


def check_calls():
    """Some of each kind; all of them fail with EPERM before the kernel looks at their arguments."""
    libc = ctypes.CDLL(None, use_errno=True)

    def denied(name, *arguments):
        ctypes.set_errno(0)
        held = getattr(libc, name)(*arguments) == -1 and ctypes.get_errno() == NOT_PERMITTED
        if not held:
            details.append(name)
        return held

    calls = [("ptrace", 0, 0, 0, 0), ("unshare", 0), ("memfd_create", b"x", 0), ("shmget", 0, 4096, 0o1600),
             ("socket", 2, 1, 0), ("setns", 0, 0), ("vmsplice", 0, 0, 0, 0), ("listen", 0, 0), ("flock", 0, 2),
             ("inotify_init1", 0)]  # fmt: skip
    return all([denied(*call) for call in calls]) and refused(lambda: mmap.mmap(-1, 4096).close())


def main():
    request = json.load(sys.stdin)
    most = request["maxProcesses"]
    report = {
        "nonce": request["nonce"],
        "python": sys.version.split()[0],
        "files": check_files(request["home"]),
        "readOnly": check_read_only(),
        "network": check_network(request["port"]),
        "environment": set(os.environ) <= set("PATH HOME TMPDIR LANG PYTHONHASHSEED PWD LC_CTYPE".split()),
        "processes": os.getpid() < 16 and (request["pid"] < 16 or refused(lambda: os.kill(request["pid"], 0))),
        "limits": check_limits(most),
        "fork": check_fork(most),
        "calls": check_calls(),
    }
    print(json.dumps({**report, "details": ", ".join(details)}))


main()
