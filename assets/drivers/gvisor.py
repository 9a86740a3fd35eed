#!/usr/bin/python3 -B
"""Gridwright's driver for gVisor: containers under a kernel in user space, by `runsc`.

Usage: gvisor.py FOLDER, by the agent; FOLDER keeps what must be remembered. Python 3.10, standard
library only. Each act is a list of steps, which `translate` shows and `perform` walks; a note in the
VM's record says which act is under way, so that a repeat of one that was cut short ends it.
"""

import contextlib
import os
import pathlib
import platform
import re
import shutil
import sys
import time

from gridwright_driver import DriverError, admit, serve
from gvisor_runsc import Files, Runsc, boot_id, bundle, shown, write_json

INITS = ("sbin/init", "init")


class Gvisor:
    """The driver; a VM is a container whose root is a folder of the node."""

    name = "gvisor"
    capabilities = ["pause", "snapshot", "console", "copy", "save-image"]

    def __init__(self, folder):
        self._files = Files(folder)
        self._runsc = Runsc(self._files)

    def fingerprint(self, request):
        """Runs a container, and tells which way it ran."""
        version = self._runsc.call(["runsc", "--version"], "ask for the version", request)
        probe = self._runsc.probe(request, again=True)
        limits = "not limited" if "--ignore-cgroups" in probe["flags"] else "limited"
        return {
            "driver": self.name,
            "version": version.splitlines()[0].removeprefix("runsc version "),
            "virtualisation": ["container"],
            "native": [platform.machine()],
            "emulated": [],
            "capabilities": self.capabilities,
            "evidence": f"{probe['evidence']}; cpu and memory are {limits} by control groups",
        }

    def validate(self, machine):
        """Refuses the first field that could not be honoured."""
        for field, found, expected in [
            ("virtualisation", machine["virtualisation"], "container"),
            ("arch", machine["arch"], platform.machine()),
            ("guest", machine["guest"], "linux"),
            ("boot.from", machine["boot"]["from"], "folder"),
            ("disks", [disk["name"] for disk in machine["disks"]], []),
            ("interfaces", [end["name"] for end in machine["interfaces"]], []),
        ]:
            if found != expected:
                refuse(field, found, expected)

    def list(self):
        """All VMs."""
        return self._files.vms()

    def recover(self):
        """All VMs as they are now."""
        return [seen for vm in self._files.vms() if (seen := self.inspect(vm))]

    def inspect(self, vm):
        """A VM as it is now."""
        if (record := self._files.load(vm)) is None:
            return None
        limited = "--ignore-cgroups" not in self._runsc.probe()["flags"]
        size = {key: record["machine"][key] if limited else None for key in ("cpus", "mem_mib")}
        return {"vm": vm, "state": self._state(vm, record), **size}

    def console(self, vm):
        """The file to which the container writes."""
        self._known(vm, "show the console")
        return {"console": "log", "path": str(self._log(vm))}

    def statistics(self, vm):
        """What can be measured now; rates as running totals."""
        record = self._known(vm, "be measured")
        figures = {"stops": record["stops"], "reboots": record["reboots"]}
        if self._state(vm, record) in ("running", "paused"):
            figures["uptime-seconds"] = time.time() - record["started"]
            figures |= self._runsc.usage(vm)
        whole = {"subject": {"subject": "whole"}, "source": "hypervisor"}
        return [whole | {"metric": key, "value": value} for key, value in figures.items()]

    def translate(self, vm, act):
        """The calls that `perform` would make now."""
        _, steps, _ = self._plan(vm, act)
        return [call for call, _ in steps if call]

    def perform(self, vm, act, keys, request):
        """Walks the steps of an act."""
        vms = [vm, act["to"]["vm"]] if act["act"] == "copy" else [vm]
        with self._files.hold(vms, request):
            then, steps, undo = self._plan(vm, act)
            try:
                for number, (call, do) in enumerate(steps, start=1):
                    request.checkpoint(act["act"])
                    if call:
                        request.calling(call)
                    do(request)
                    if call and number < len(steps):
                        request.progressed(1000 * number // len(steps))
            except (DriverError, OSError):
                with contextlib.suppress(DriverError):
                    for _, do in undo:
                        do(None)
                raise
        return {"state": then}

    def _plan(self, vm, act):
        """The state after an act, its steps as pairs of a call and a function, and what to do where
        a step fails."""
        record = self._files.load(vm)
        now = self._state(vm, record) if record else None
        doing = (record or {}).get("doing")
        again = bool(doing) and doing["act"] == act
        was = doing["was"] if again else now
        then = admit(self, vm, act, was)
        if machine := act.get("machine") or act.get("to"):
            self.validate(machine)
        begin = [self._note(vm, doing={"act": act, "was": was})]
        plan = getattr(self, "_" + act["act"].replace("-", "_"))
        steps, undo = plan(vm, act, now, was)
        if doing and doing["act"]["act"] == "restore" and act["act"] not in ("restore", "destroy"):
            # A root that is half put back is put back before anything else.
            steps = self._put_back(vm, doing["act"]["name"]) + steps
        if steps and record:
            end = [self._note(vm, doing=None)] if then else []
            steps = [*begin, *steps, *end]
            undo = [*undo, *end] if undo else []
        return then, steps, undo

    def _define(self, vm, act, now, was):
        machine = act["machine"]
        root = pathlib.Path(machine["boot"]["root"])
        if not any(os.path.lexists(root / init) for init in INITS):
            refuse("boot.root", root, "a folder with /sbin/init or /init")
        return self._write(vm, machine), []

    def _start(self, vm, act, now, was):
        record = self._files.load(vm)
        if now == "running":
            return ([] if record["wish"] == "running" else [self._started(vm)]), []
        stops = record["stops"] + (now == "failed")
        return [*self._clean(vm), *self._boot(vm), self._note(vm, stops=stops)], []

    def _stop(self, vm, act, now, was):
        shutdown = act["shutdown"]
        steps = []
        if now == "running" and shutdown["how"] == "asked":
            steps = self._ask(vm, shutdown["patience_millis"] / 1000)
        steps += self._clean(vm)
        if now != "stopped" or was != "stopped":
            stops = self._files.load(vm)["stops"] + 1
            steps.append(self._note(vm, wish="stopped", stops=stops, doing=None))
        return steps, []

    def _destroy(self, vm, act, now, was):
        known = self._files.of(vm).exists()
        path = self._files.of(vm)
        gone = [(("file", f"remove {path}"), lambda _: self._files.forget(vm))] if known else []
        return [*self._clean(vm), *gone], []

    def _reboot(self, vm, act, now, was):
        reboots = self._files.load(vm)["reboots"] + 1
        return [*self._clean(vm), *self._boot(vm), self._note(vm, reboots=reboots, doing=None)], []

    def _pause(self, vm, act, now, was):
        return ([] if now == "paused" else [self._runs(vm, "pause")]), []

    def _resume(self, vm, act, now, was):
        return ([] if now == "running" else [self._runs(vm, "resume")]), []

    def _snapshot(self, vm, act, now, was):
        kept, fresh = self._snapshot_folder(vm, act["name"])
        steps = []
        if not kept.exists():
            steps = [(None, lambda _: remake(fresh))]
            if now in ("running", "paused"):
                memory = f"--image-path={fresh / 'memory'}"
                steps.append(self._runs(vm, "checkpoint", "--leave-running", memory))
            steps += [self._copy_tree(self._root(vm), fresh / "root"), self._rename(fresh, kept)]
        return self._still(vm, now, was, steps)

    def _restore(self, vm, act, now, was):
        kept = self._kept(vm, act["name"])
        steps = [*self._clean(vm), *self._put_back(vm, act["name"])]
        if was in ("running", "paused"):
            memory = kept / "memory"
            if memory.exists():
                where = ["--detach", f"--bundle={self._bundle(vm)}", f"--image-path={memory}"]
                steps += [self._runs(vm, "restore", *where, log=True), self._started(vm)]
            else:
                steps += self._boot(vm)
        if was == "paused":
            steps.append(self._runs(vm, "pause"))
        return steps, []

    def _drop_snapshot(self, vm, act, now, was):
        kept, _ = self._snapshot_folder(vm, act["name"])
        steps = [(("file", f"remove {kept}"), lambda _: shutil.rmtree(kept))]
        return (steps if kept.exists() else []), []

    def _copy(self, vm, act, now, was):
        to = act["to"]
        copy = self._files.load(to["vm"])
        if copy and copy["machine"] == to and not copy["doing"]:
            return self._still(vm, now, was, [])
        if copy:
            raise DriverError("illegal", vm=to["vm"], act="define", state="there already")
        root = pathlib.Path(to["boot"]["root"])
        fresh = root.with_name(root.name + ".copy")
        steps = [
            (None, lambda _: shutil.rmtree(fresh, ignore_errors=True)),
            self._copy_tree(self._root(vm), fresh),
            self._exchange(fresh, root),
            *self._write(to["vm"], to),
        ]
        return self._still(vm, now, was, steps)

    def _save_image(self, vm, act, now, was):
        if len(act["disks"]) != 1:
            refuse("disks", len(act["disks"]), "one, the root: a container has no other")
        file = pathlib.Path(act["disks"][0]["file"])
        fresh = file.with_name(file.name + ".part")
        tar = ["tar", "--create", "--numeric-owner", "--xattrs", "--sort=name"]
        command = [*tar, f"--file={fresh}", f"--directory={self._root(vm)}", "."]
        steps = [self._command(command, "save the image"), self._rename(fresh, file)]
        return self._still(vm, now, was, steps)

    def _still(self, vm, now, was, steps):
        """Steps with the container paused under them, where it runs."""
        first = [self._runs(vm, "pause")] if steps and now == "running" else []
        resume = self._runs(vm, "resume")
        last = [resume] if was == "running" and (first or now == "paused") else []
        return [*first, *steps, *last], last

    def _ask(self, vm, patience):
        """Asks the container's first process to end, and waits for it."""

        def wait(request):
            until = time.monotonic() + patience
            while time.monotonic() < until and self._runsc.state(vm) == "running":
                request.checkpoint("wait for the guest")
                time.sleep(0.05)

        return [self._runs(vm, "kill", last="TERM"), (None, wait)]

    def _clean(self, vm):
        """Ends all that runs of a VM and makes `runsc` forget it; nothing where nothing is there."""
        record = self._files.load(vm) or {}
        if record.get("boot_id") not in (None, boot_id()):
            # Its process ids are those of others by now.
            stale = ("file", f"remove {self._runsc.root}/vm-{vm}_sandbox:*")
            return [(stale, lambda _: self._runsc.sweep(vm))]
        if self._runsc.state(vm) == "absent" and not self._runsc.processes(vm):
            return []
        call, delete = self._runs(vm, "delete", "--force")

        def do(request):
            # What a killed `create` left half done it does not know, or not in whole.
            with contextlib.suppress(DriverError):
                delete(request)
            self._runsc.sweep(vm)

        return [(call, do)]

    def _boot(self, vm):
        """Creates the container and starts it."""
        where = f"--bundle={self._bundle(vm)}"
        create = self._runs(vm, "create", where, log=True)
        return [create, self._runs(vm, "start"), self._started(vm)]

    def _started(self, vm):
        return (
            None,
            lambda _: self._files.note(
                vm, wish="running", boot_id=boot_id(), started=time.time()
            ),
        )

    def _write(self, vm, machine):
        """Takes note of a VM."""

        def configure(_):
            root = pathlib.Path(machine["boot"]["root"])
            init = next((init for init in INITS if os.path.lexists(root / init)), INITS[0])
            size = machine["cpus"], machine["mem_mib"]
            group = self._runsc.group(vm)
            write_json(config, bundle(root, ["/" + init], machine["name"], group, *size))

        config = self._bundle(vm) / "config.json"
        record = {"machine": machine, "wish": "stopped", "doing": None, "stops": 0, "reboots": 0}
        state = self._files.of(vm) / "state.json"
        return [
            (("file", f"write {config}"), configure),
            (("file", f"write {state}"), lambda _: self._files.note(vm, **record)),
        ]

    def _put_back(self, vm, name):
        """Replaces the root by that of a snapshot."""
        root = self._root(vm)
        fresh = root.with_name(root.name + ".restored")
        return [
            (None, lambda _: shutil.rmtree(fresh, ignore_errors=True)),
            self._copy_tree(self._kept(vm, name) / "root", fresh),
            self._exchange(fresh, root),
        ]

    def _runs(self, vm, *words, log=False, last=None):
        """A call of `runsc`; with `log`, what the container will write goes to its log."""
        command = self._runsc.command(vm, *words) + ([last] if last else [])

        def do(request):
            if not log:
                self._runsc.call(command, f"{words[0]} vm {vm}", request)
                return
            with open(self._log(vm), "ab") as output:
                self._runsc.call(command, f"{words[0]} vm {vm}", request, output)

        return (shown(command), do)

    def _command(self, command, doing):
        return (shown(command), lambda request: self._runsc.call(command, doing, request))

    def _copy_tree(self, source, target):
        return self._command(["cp", "--archive", source, target], f"copy {source}")

    @staticmethod
    def _rename(source, target):
        return (("file", f"rename {source} to {target}"), lambda _: os.replace(source, target))

    @staticmethod
    def _exchange(fresh, root):
        """Puts a folder in another's place."""

        def do(_):
            former = root.with_name(root.name + ".former")
            shutil.rmtree(former, ignore_errors=True)
            if root.exists():
                os.rename(root, former)
            os.rename(fresh, root)
            shutil.rmtree(former, ignore_errors=True)

        return (("file", f"rename {fresh} to {root}"), do)

    def _note(self, vm, **changes):
        return (None, lambda _: self._files.note(vm, **changes))

    def _state(self, vm, record):
        """A VM's state in the lifecycle's words."""
        stale = record.get("boot_id") not in (None, boot_id())
        actual = "absent" if stale else self._runsc.state(vm)
        if actual in ("running", "paused"):
            return actual
        gave_up = record["wish"] == "running" and not record["doing"]
        return "failed" if gave_up else "stopped"

    def _known(self, vm, act):
        if (record := self._files.load(vm)) is None:
            raise DriverError("illegal", vm=vm, act=act, state="absent")
        return record

    def _kept(self, vm, name):
        kept, _ = self._snapshot_folder(vm, name)
        if not kept.exists():
            found = ", ".join(sorted(path.name for path in kept.parent.glob("[!.]*")))
            expected = f"a snapshot of vm {vm}, which has {found or 'none'}"
            refuse("name", name, expected)
        return kept

    def _snapshot_folder(self, vm, name):
        if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}", name):
            refuse("name", name, "at most 64 letters, digits, dots and dashes")
        folder = self._files.of(vm) / "snapshots"
        return folder / name, folder / ("." + name)

    def _root(self, vm):
        return pathlib.Path(self._files.load(vm)["machine"]["boot"]["root"])

    def _bundle(self, vm):
        return self._files.of(vm) / "bundle"

    def _log(self, vm):
        return self._files.of(vm) / "console.log"


def refuse(field, found, expected):
    """Refuses a field of a machine or an act."""
    raise DriverError("invalid", field=field, found=str(found), expected=str(expected))


def remake(folder):
    """Makes a folder anew."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: gvisor.py FOLDER")
    sys.exit(serve(Gvisor(sys.argv[-1])))
