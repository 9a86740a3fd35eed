"""What the gVisor driver asks of `runsc` and of the node's files: calls, states, records."""

import contextlib
import fcntl
import json
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
import zlib

from gridwright_driver import DriverError

PROBE_SECONDS = 20
QUESTION_SECONDS = 20
# systrap is gVisor's own choice, ptrace works wherever a debugger does. KVM is not tried: its device
# file is there on nodes where guests die. Without control groups nothing limits a container.
CHOICES = [
    ["--platform=systrap", "--cpu-num-from-quota"],
    ["--platform=ptrace", "--cpu-num-from-quota"],
    ["--platform=systrap", "--ignore-cgroups"],
    ["--platform=ptrace", "--ignore-cgroups"],
]
CAPABILITIES = [
    f"CAP_{name}"
    for name in """CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP
    LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE
    SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME
    SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP""".split()
]


def boot_id():
    """Names this boot of the node."""
    return pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def bundle(root, arguments, hostname, group, cpus, mem_mib, read_only=False):
    """A container as the Open Container Initiative's runtime specification has it."""
    every = {kind: CAPABILITIES for kind in ("bounding", "effective", "permitted")}
    namespaces = ("pid", "mount", "ipc", "uts", "network")
    period = 100_000
    return {
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": arguments,
            "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "container=gvisor"],
            "cwd": "/",
            "capabilities": every,
        },
        "root": {"path": str(root), "readonly": read_only},
        "hostname": hostname,
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs"},
        ],
        "linux": {
            "cgroupsPath": group,
            "namespaces": [{"type": kind} for kind in namespaces],
            "resources": {
                "cpu": {"period": period, "quota": cpus * period},
                "memory": {"limit": mem_mib << 20},
            },
        },
    }


class Files:
    """The driver's folder: records that are written whole or not at all, and locks of VMs."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder).resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        # A lock of a byte ends with the process that holds it, and is not inherited.
        self._locks = open(self.folder / "locks", "ab")
        self._held = set()

    def of(self, vm):
        """The folder of a VM, there or not."""
        return self.folder / f"vm-{vm}"

    def load(self, vm):
        """The record of a VM; `None`: there is no such VM."""
        return read_json(self.of(vm) / "state.json")

    def note(self, vm, **changes):
        """Changes the record of a VM."""
        write_json(self.of(vm) / "state.json", {**(self.load(vm) or {}), **changes})

    def vms(self):
        """VMs that have a record, by id."""
        found = (path.parent.name for path in self.folder.glob("vm-*/state.json"))
        return sorted(int(name.removeprefix("vm-")) for name in found)

    def forget(self, vm):
        """Removes a VM; its record goes first, so that a half-removed folder holds no VM."""
        (self.of(vm) / "state.json").unlink(missing_ok=True)
        shutil.rmtree(self.of(vm), ignore_errors=True)

    @contextlib.contextmanager
    def hold(self, vms, request):
        """Keeps others from these VMs, a driver of an agent before us included."""
        held = []
        try:
            for vm in sorted(set(vms)):
                while not self._try_hold(vm):
                    request.checkpoint(f"wait for whoever else acts on vm {vm}")
                    time.sleep(0.02)
                held.append(vm)
            yield
        finally:
            for vm in held:
                fcntl.lockf(self._locks, fcntl.LOCK_UN, 1, vm)
                self._held.discard(vm)

    def _try_hold(self, vm):
        if vm in self._held:
            return False
        try:
            fcntl.lockf(self._locks, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, vm)
        except BlockingIOError:
            return False
        self._held.add(vm)
        return True


def read_json(path):
    """A record; `None`: there is none."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return None


def write_json(path, value):
    """Writes a record whole or not at all, and to the disk before it returns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        json.dump(value, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    os.replace(file.name, path)
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


class Runsc:
    """`runsc` over a state folder of its own."""

    def __init__(self, files):
        self._files = files
        self.root = files.folder / "runsc"
        self.mark = f"gridwright-{zlib.crc32(str(files.folder).encode()):08x}"

    def command(self, vm, *words):
        """The command line of one call about a VM."""
        flags = self.probe()["flags"]
        return [*self._base(flags), *words, self._name(vm)]

    def group(self, vm):
        """The control group of a VM, unlike that of any other folder's VM."""
        return f"/{self.mark}-{self._name(vm)}"

    def state(self, vm):
        """`absent`, `created`, `running`, `paused` or `stopped`."""
        if not self._is_known(vm):
            return "absent"
        try:
            said = self.call(self.command(vm, "state"), "ask for the state")
        except DriverError:
            if self._is_known(vm):
                raise
            return "absent"  # it went while we asked
        return json.loads(said)["status"]

    def processes(self, vm):
        """What runs of a VM, a call of a driver that was killed included, by process id."""
        root, name = f"--root={self.root}", self._name(vm)
        found = []
        for path in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                words = (path / "cmdline").read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue  # it ended meanwhile
            about = name in words or f"--bundle={self._files.of(vm)}/bundle" in words
            if root in words and about and int(path.name) != os.getpid():
                found.append(int(path.name))
        return found

    def sweep(self, vm):
        """Kills what still runs of a VM, and forgets its state and its control groups."""
        limit = time.monotonic() + QUESTION_SECONDS
        while processes := self.processes(vm):
            for process in processes:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            if time.monotonic() > limit:
                said = f"processes {processes} survive"
                raise DriverError("hypervisor", doing=f"end vm {vm}", said=said)
            time.sleep(0.01)
        for path in self.root.glob(f"{self._name(vm)}_sandbox:*"):
            path.unlink(missing_ok=True)
        (self.root / f"runsc-{self._name(vm)}.sock").unlink(missing_ok=True)
        groups = pathlib.Path("/sys/fs/cgroup")
        for group in [groups / self.group(vm)[1:], *groups.glob("*" + self.group(vm))]:
            with contextlib.suppress(OSError):
                group.rmdir()

    def usage(self, vm):
        """What `runsc` measures of a running VM, by metric; processor time as a running total."""
        said = self.call(self.command(vm, "events", "--stats"), f"measure vm {vm}")
        data = json.loads(said)["data"]
        figures = {"mem-used-mib": data["memory"]["usage"]["usage"] / (1 << 20)}
        if "--ignore-cgroups" not in self.probe()["flags"]:
            # Thousandths of a core times seconds; without a control group it is the whole node's.
            figures["cpu-milli"] = data["cpu"]["usage"]["total"] / 1e6
        return figures

    def call(self, command, doing, request=None, output=None):
        """Runs a command to its end, or until it is called off; gives what it said."""
        limit = time.monotonic() + QUESTION_SECONDS
        if not shutil.which(command[0]):
            raise DriverError("missing", what=command[0], hint=f"install {command[0]}")
        with tempfile.TemporaryFile() as said:
            process = subprocess.Popen(
                # A helper of a killed driver would act beside the next one.
                ["setpriv", "--pdeathsig=KILL", *command],
                stdin=subprocess.DEVNULL,
                stdout=output or said,
                stderr=output or said,
                cwd="/",
            )
            try:
                while (status := self._ended(process)) is None:
                    if request:
                        request.checkpoint(doing)
                    elif time.monotonic() > limit:
                        raise DriverError("called-off", doing=doing, why="it did not end")
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()
            said.seek(0)
            text = said.read().decode(errors="replace").strip()
        if status != 0:
            told = text[-500:] or f"exit status {status}"
            raise DriverError("hypervisor", doing=doing, said=told)
        return text

    def probe(self, request=None, again=False):
        """Tries the choices and takes the first that works: once a boot, and whenever asked."""
        record = self._files.folder / "probe.json"
        known = read_json(record)
        if known and known["boot_id"] == boot_id() and not again:
            return known
        said = []
        for flags in CHOICES:
            try:
                self._try(flags, request)
            except DriverError as error:
                if error.message["error"] == "missing":
                    raise
                said.append(f"{' '.join(flags)}: {error}")
                continue
            said.append(f"{' '.join(flags)}: ran a container")
            found = {"boot_id": boot_id(), "flags": flags, "evidence": "; ".join(said)}
            write_json(record, found)
            return found
        raise DriverError("hypervisor", doing="run a container", said="; ".join(said))

    def _try(self, flags, request):
        """Runs `/bin/true` of the node itself, read-only, in a container."""
        with tempfile.TemporaryDirectory(dir=self._files.folder) as folder:
            name = f"probe-{os.path.basename(folder)}"
            group = f"/{self.mark}-{name}"
            container = bundle("/", ["/bin/true"], "probe", group, 1, 64, read_only=True)
            write_json(pathlib.Path(folder) / "config.json", container)
            limit = ["timeout", "--signal=KILL", str(PROBE_SECONDS)]
            command = [*limit, *self._base(flags), "run", f"--bundle={folder}", name]
            try:
                self.call(command, "run a container", request)
            finally:
                with contextlib.suppress(DriverError):
                    self.call([*self._base(flags), "delete", "--force", name], "forget it")

    def _base(self, flags):
        own = [f"--root={self.root}", "--network=none", "--overlay2=none"]
        return ["runsc", *own, *flags]

    def _is_known(self, vm):
        return any(self.root.glob(f"{self._name(vm)}_sandbox:*.state"))

    @staticmethod
    def _ended(process):
        try:
            return process.wait(timeout=0.05)
        except subprocess.TimeoutExpired:
            return None

    @staticmethod
    def _name(vm):
        return f"vm-{vm}"


def shown(command):
    """A command as a call of the protocol."""
    return ("exec", shlex.join(str(word) for word in command))
