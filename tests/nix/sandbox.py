"""Runs the daemon and who waits for it under their units' sandboxes, as far as that is possible without systemd:
sandbox.py UNITS HALLMARK FOLDER

The units' own lists make the syscall filters and the socket families; bwrap makes their file systems: everything
read-only but the daemon's folders, no /home, no devices, a user that is not root, and no network for who waits. The
daemon gets its socket from outside and its key as a credential, tells when it is ready, deploys a model, reloads and
stops. What is not tried: ProcSubset, device lists, cgroup limits, IP rules.
"""

import hashlib
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.request

PATIENCE = 60


def read_unit(path):
    """Returns the [Service] lines: each key with the list of its values."""
    found = {}
    section = open(path).read().split("[Service]")[1].split("\n[")[0]
    for key, value in re.findall(r"^(\w+)=(.*)$", section, flags=re.M):
        found.setdefault(key, []).append(value)
    return found


def calls_of(name):
    """Returns the system calls that systemd means by a name such as @file-system."""
    if not name.startswith("@"):
        return {name}
    listed = subprocess.run(
        ["systemd-analyze", "syscall-filter", "--no-pager", name], check=True, capture_output=True, text=True
    ).stdout
    words = re.findall(r"^ {4}([@a-z0-9_-]+)$", listed, flags=re.M)
    return set().union(*(calls_of(word) for word in words))


def load_filter(unit):
    """Allows what the unit allows; everything else fails with EPERM. Never returns to a wider filter."""
    import errno
    import seccomp as sc

    allowed = set()
    for item in unit["SystemCallFilter"]:
        if item.startswith("~"):
            allowed -= calls_of(item[1:])
        else:
            allowed |= calls_of(item)
    rules = sc.SyscallFilter(defaction=sc.ERRNO(errno.EPERM))
    # RestrictAddressFamilies, MemoryDenyWriteExecute and RestrictNamespaces look at arguments.
    chmods = {"chmod": 1, "fchmod": 1, "fchmodat": 2} if unit.get("RestrictSUIDSGID") == ["true"] else {}
    for name, argument in chmods.items():
        rules.add_rule(sc.ALLOW, name, sc.Arg(argument, sc.MASKED_EQ, 0o6000, 0))
    special = {*chmods, "socket", "mmap", "mprotect", "pkey_mprotect", "unshare", "setns", "clone", "clone3"}
    for name in sorted(allowed - special):
        try:
            rules.add_rule(sc.ALLOW, name)
        except (RuntimeError, ValueError, OSError):
            pass  # a call of another architecture
    for family in unit["RestrictAddressFamilies"]:
        rules.add_rule(sc.ALLOW, "socket", sc.Arg(0, sc.EQ, getattr(socket, family)))
    write, execute = 2, 4
    for name in ("mmap", "mprotect"):
        protection = write | execute
        # Memory may be mapped to be executed, but not made so later.
        for bits in (0, write) if name == "mprotect" else (0, write, execute):
            rules.add_rule(sc.ALLOW, name, sc.Arg(2, sc.MASKED_EQ, protection, bits))
    # clone makes threads, but no namespaces; clone3 hides its flags, so programs have to do without it.
    rules.add_rule(sc.ALLOW, "clone", sc.Arg(0, sc.MASKED_EQ, 0x7E020000, 0))
    rules.add_rule(sc.ERRNO(errno.ENOSYS), "clone3")
    rules.load()


def inside(unit_path, port_file, arguments):
    """In the sandbox: proves that it is one, opens the daemon's socket, and becomes what it is given."""
    unit = read_unit(unit_path)
    has_network = unit.get("PrivateNetwork") != ["true"]
    if has_network:
        listener = socket.create_server(("127.0.0.1", 0))
        if listener.fileno() != 3:
            os.dup2(listener.fileno(), 3)
        os.set_inheritable(3, True)
        with open(port_file, "w") as file:
            file.write(str(listener.getsockname()[1]))
        os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
    os.umask(int(unit["UMask"][0], 8))
    load_filter(unit)
    walls = {
        "a device was made": lambda: os.mknod("/tmp/device", stat.S_IFCHR | 0o600, os.makedev(1, 3)),
        "an owner was changed": lambda: os.chown(port_file, 0, 0),
        "a packet socket was opened": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
        "a resource was raised": lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)),
        "/etc was written": lambda: open("/etc/hallmark-story", "w"),
        "/home was listed": lambda: os.listdir("/home")[0],
    }
    if not has_network:
        walls["a network was asked for"] = lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        walls["the port file was written"] = lambda: open(port_file, "w")
    for what, try_it in walls.items():
        try:
            try_it()
        except (OSError, IndexError):
            continue
        sys.exit(f"this is no sandbox: {what}")
    os.execv(arguments[0], arguments)


def entry(text):
    commit = "0123456789abcdef0123456789abcdef01234567"
    return {
        "id": "ajna-insight-v1", "version": "1.0.0", "chakra": "ajna", "frequencyHz": 852,
        "geometry": {"pattern": "cube", "dimensions": 3}, "temporalScope": "eternal", "semanticTags": ["story"],
        "dataset": {"id": "story", "url": "https://example.org/data", "commit": commit},
        "training": {"repo": "https://example.org/code", "command": "train", "commit": commit},
        "artifact": {"filename": "model.bin", "sha256": hashlib.sha256(text).hexdigest(), "sizeBytes": len(text)},
        "license": "Apache-2.0", "provenance": {"runId": "story", "metrics": {}},
    }


def until(what, is_so, daemon):
    begun = time.monotonic()
    while not is_so():
        assert daemon.poll() is None, f"the daemon ended with {daemon.returncode} before {what}"
        assert time.monotonic() - begun < PATIENCE, f"waited in vain for {what}"
        time.sleep(0.02)


def sandboxed(unit_path, folder, writable, command):
    """Returns the command line that runs a command under a unit's sandbox."""
    place = lambda name: os.path.join(folder, name)
    sandbox = ["bwrap", "--die-with-parent", "--unshare-user", "--uid", "61234", "--gid", "61234", "--unshare-ipc"]
    if read_unit(unit_path).get("PrivateNetwork") == ["true"]:
        sandbox += ["--unshare-net"]
    sandbox += ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]
    sandbox += ["--tmpfs", "/home", "--tmpfs", "/tmp", "--ro-bind", folder, folder]
    for program in sorted({command[0], os.path.realpath(__file__), os.path.realpath(unit_path)}):
        sandbox += ["--ro-bind", program, program]
    for name in writable:
        sandbox += ["--bind", place(name), place(name)]
    entrance = ["/usr/bin/python3", os.path.realpath(__file__), "--inside", os.path.realpath(unit_path), place("run/port")]
    return sandbox + entrance + command


def outside(units, hallmark, folder):
    place = lambda name: os.path.join(folder, name)
    unit = lambda name: os.path.join(units, name)
    for name in ("seeds", "run", "state", "models", "credentials"):
        os.makedirs(place(name))
    text = b"the weights of a story"
    key = "1" * 64
    with open(place("credentials/signing-key"), "w") as file:
        file.write(key)
    # As systemd leaves them: the service may read them, and nobody writes.
    os.chmod(place("credentials/signing-key"), 0o440)
    json.dump({"models": [entry(text)]}, open(place("index.json"), "w"))
    config = place("hallmark.toml")
    with open(config, "w") as file:
        file.write(f'[catalog]\nindex = "{place("index.json")}"\n')
        file.write(f'[vault]\nstore = "{place("models")}"\ncache = "{place("models/hf-cache")}"\n')
        file.write(f'seeds = ["{place("seeds")}"]\n[deploy]\nmodels = ["ajna-insight-v1"]\nretry_seconds_first = 1\n')
        file.write(f'retry_seconds_max = 1\n[ledger]\nkey_file = "{place("credentials/signing-key")}"\n')
        # Nobody listens there.
        file.write('[hub]\nendpoint = "http://127.0.0.1:9"\n')
    notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notices.bind(place("run/notify"))
    notices.setblocking(False)
    heard = []

    def hears(word):
        try:
            heard.append(notices.recv(4096).decode())
        except BlockingIOError:
            pass
        return any(word in it.split("\n") for it in heard)

    serve = [hallmark, "serve", "--config", config, "--state", place("state")]
    daemon_command = sandboxed(unit("hallmark.service"), folder, ("run", "state", "models"), serve)
    wait = [hallmark, "wait", "--keep-waiting", "--state", place("state"), "ajna-insight-v1"]
    wait_command = sandboxed(unit("hallmark-model@story.service"), folder, (), wait)
    environment = {"PATH": "/usr/bin:/bin", "NOTIFY_SOCKET": place("run/notify"), "WATCHDOG_USEC": "3000000"}
    daemon = subprocess.Popen(daemon_command, env=environment, stdout=subprocess.DEVNULL)
    waiting = None
    try:
        until("READY=1", lambda: hears("READY=1"), daemon)
        waiting = subprocess.Popen(wait_command, env={}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        first = waiting.stderr.readline()
        assert "ajna-insight-v1 is" in first, first + waiting.stderr.read()
        # Now the file is carried to the host.
        with open(place("seeds/coming"), "wb") as file:
            file.write(text)
        os.rename(place("seeds/coming"), place("seeds/anything"))
        model = place("models/ajna-insight-v1/model.bin")
        until("the model", lambda: os.path.exists(model), daemon)
        said, trouble = waiting.communicate(timeout=PATIENCE)
        assert waiting.returncode == 0 and said == "ajna-insight-v1 is deployed\n", (waiting.returncode, said, trouble)
        assert open(model, "rb").read() == text
        rights = stat.S_IMODE(os.stat(model).st_mode)
        assert rights == 0o440, oct(rights)
        assert not os.path.exists(place("state/daemon.key")), "the daemon made a key of its own"
        port = open(place("run/port")).read()
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"http://127.0.0.1:{port}/healthz") as answer:
            assert answer.status == 200
        until("the watchdog", lambda: hears("WATCHDOG=1"), daemon)
        children = subprocess.run(["pgrep", "-P", str(daemon.pid)], capture_output=True, text=True).stdout.split()
        pid = int(children[0]) if children else daemon.pid
        heard.clear()
        os.kill(pid, signal.SIGHUP)
        until("RELOADING=1", lambda: hears("RELOADING=1"), daemon)
        until("READY=1 after the reload", lambda: hears("READY=1"), daemon)
        os.kill(pid, signal.SIGTERM)
        code = daemon.wait(PATIENCE)
        assert code == 0, f"the daemon ended with {code}"
    finally:
        for process in filter(None, (waiting, daemon)):
            process.kill()
            process.wait()


if sys.argv[1] == "--inside":
    inside(sys.argv[2], sys.argv[3], sys.argv[4:])
else:
    outside(sys.argv[1], os.path.realpath(sys.argv[2]), sys.argv[3])
