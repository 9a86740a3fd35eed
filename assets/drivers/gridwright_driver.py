"""The program's side of Gridwright's protocol for outside drivers, for drivers in Python.

`backend/drivers/OUTSIDE.md` of Gridwright shows every message. A driver is an object with `name`,
`capabilities` and one method for each question; `serve` does the rest. Standard library only.
"""

import json
import sys
import threading
import time

VERSION = 1
MAX_FRAME_BYTES = 4 << 20
MAX_OPEN_REQUESTS = 64

# What each act needs a driver to declare; the acts left out are done by every driver.
NEEDS = {
    "pause": "pause",
    "resume": "pause",
    "snapshot": "snapshot",
    "restore": "snapshot",
    "drop-snapshot": "snapshot",
    "copy": "copy",
    "save-image": "save-image",
    "configure": "configure",
    "rekey": "rotate-key",
    "receive": "live-migration",
    "send": "live-migration",
}
SCALE_NEEDS = {
    "cpu": "scale-cpu",
    "mem": "scale-mem",
    "disk": "scale-disk",
    "disk-io": "scale-disk",
    "net": "scale-net",
}


class DriverError(Exception):
    """Why a request was not done: one of the errors of the protocol, with its fields."""

    def __init__(self, error, **fields):
        super().__init__(f"{error}: {fields}")
        self.message = {"error": error, **fields}


class Meaningless(Exception):
    """The agent said what this program does not understand."""


class Request:
    """One request: how its act is followed and called off."""

    def __init__(self, desk, message):
        self.id = message["id"]
        self.order = message.get("order")
        self.ask = message["ask"]
        self._until = time.monotonic() + message["within_millis"] / 1000
        self._desk = desk
        self._called_off = None

    def progressed(self, done_milli):
        """Tells how much is done, in thousandths."""
        self._desk.say({"progressed": {"id": self.id, "done_milli": done_milli}})

    def calling(self, call):
        """Tells a call that is about to be made, as `(interface, call)`."""
        self._desk.say({"calling": {"id": self.id, "call": native(call)}})

    def call_off(self, why):
        """Makes the next `checkpoint` raise."""
        self._called_off = why

    def checkpoint(self, doing):
        """Raises where the act must end early; to be called every 100 ms while it waits."""
        why = self._called_off
        if why is None and time.monotonic() >= self._until:
            why = "expired"
        if why is not None:
            words = {"cancelled": "cancelled", "expired": "the deadline has passed"}
            raise DriverError("called-off", doing=doing, why=words[why])


class _Desk:
    """What the threads share: the way back to the agent, and the requests that are open."""

    def __init__(self, output):
        self._output = output
        self._writing = threading.Lock()
        self.open = {}

    def say(self, message):
        """Sends one message; an agent that is gone reads none."""
        body = json.dumps(message).encode()
        if len(body) > MAX_FRAME_BYTES:
            raise DriverError("hypervisor", doing="answer", said=f"{len(body)} bytes are too long")
        try:
            with self._writing:
                self._output.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
                self._output.flush()
        except OSError:
            pass


def native(call):
    """A call as the protocol has it."""
    return {"interface": call[0], "call": call[1]}


def serve(driver, stdin=None, stdout=None):
    """Serves one agent until it closes our input; gives the exit status."""
    stdin = stdin or sys.stdin.buffer
    desk = _Desk(stdout or sys.stdout.buffer)
    threads = []
    status = 0
    try:
        if _greet(driver, stdin, desk):
            while (message := _read(stdin)) is not None:
                threads = [thread for thread in threads if thread.is_alive()]
                _take(driver, desk, threads, message)
    except Meaningless as meaningless:
        desk.say({"refused": {"reason": str(meaningless)}})
        status = 1
    for request in list(desk.open.values()):
        request.call_off("cancelled")
    for thread in threads:
        thread.join()
    return status


def _greet(driver, stdin, desk):
    message = _read(stdin)
    if message is None:
        return False
    try:
        oldest, newest = (message["hello"]["versions"][end] for end in ("oldest", "newest"))
        known = oldest <= VERSION <= newest
    except (KeyError, TypeError):
        raise Meaningless("the first message is no hello") from None
    if not known:
        raise Meaningless(
            f"versions {oldest} to {newest} of the protocol; this driver speaks {VERSION}"
        )
    welcome = {"version": VERSION, "driver": driver.name, "capabilities": driver.capabilities}
    desk.say({"welcome": welcome})
    return True


def _take(driver, desk, threads, message):
    """Takes one message; what is wrong with one is told without quoting it: it may hold keys."""
    match message:
        case {"request": {"id": int(key), "within_millis": int(), "ask": dict() | str()} as asked}:
            if key in desk.open or len(desk.open) >= MAX_OPEN_REQUESTS:
                raise Meaningless("a request twice, or too many at once")
            request = desk.open[key] = Request(desk, asked)
            thread = threading.Thread(target=_answer, args=(driver, desk, request))
            threads.append(thread)
            thread.start()
        case {"cancel": {"id": int(key), "why": "cancelled" | "expired" as why}}:
            # One that is no longer open has its answer on the way.
            if request := desk.open.get(key):
                request.call_off(why)
        case _:
            raise Meaningless("a message that is none")


def _answer(driver, desk, request):
    """Asks the driver, on a thread of its own."""
    try:
        reply = {"answered": {"id": request.id, "answer": _ask(driver, request)}}
    except DriverError as error:
        reply = {"failed": {"id": request.id, "error": error.message}}
    except OSError as error:
        failed = {"error": "hypervisor", "doing": "reach the disk", "said": str(error)}
        reply = {"failed": {"id": request.id, "error": failed}}
    except Exception as error:  # a bug must not leave the agent waiting
        name = type(error).__name__
        print(f"bug: {name}, line {error.__traceback__.tb_lineno}", file=sys.stderr, flush=True)
        failed = {"error": "hypervisor", "doing": "answer", "said": f"a bug of the driver: {name}"}
        reply = {"failed": {"id": request.id, "error": failed}}
    del desk.open[request.id]
    desk.say(reply)


def _ask(driver, request):
    match request.ask:
        case "fingerprint":
            return {"fingerprinted": driver.fingerprint(request)}
        case "list":
            return {"listed": driver.list()}
        case "recover":
            return {"recovered": driver.recover()}
        case {"validate": {"machine": machine}}:
            driver.validate(machine)
            return "valid"
        case {"translate": {"vm": vm, "act": act}}:
            return {"translated": [native(call) for call in driver.translate(vm, act)]}
        case {"perform": {"vm": vm, "act": act, "keys": keys}}:
            return {"performed": driver.perform(vm, act, keys, request)}
        case {"inspect": {"vm": vm}}:
            return {"inspected": driver.inspect(vm)}
        case {"statistics": {"vm": vm}}:
            return {"measured": driver.statistics(vm)}
        case {"console": {"vm": vm}}:
            return {"console": driver.console(vm)}
    raise DriverError("hypervisor", doing="answer", said="a question that is unknown")


def _read(stdin):
    """The next message; `None`: the agent has closed our input."""
    header = stdin.readline(64)
    if not header:
        return None
    digits = header.removeprefix(b"Content-Length: ").removesuffix(b"\r\n")
    if len(digits) != len(header) - 18 or not digits.isdigit() or stdin.readline(64) != b"\r\n":
        raise Meaningless("no `Content-Length: <bytes>` and empty line where a message begins")
    length = int(digits)
    if length > MAX_FRAME_BYTES:
        raise Meaningless(f"a message of {length} bytes, more than {MAX_FRAME_BYTES}")
    body = stdin.read(length)
    if len(body) < length:
        raise Meaningless("the agent ended within a message")
    try:
        return json.loads(body)
    except ValueError:
        raise Meaningless("a message that is no JSON") from None


def after(state, act):
    """The state to which an act leads, as Gridwright's lifecycle has it; `False`: forbidden."""
    kind = act["act"]
    match kind:
        case "destroy":
            return None
        case "define" if state in (None, "stopped"):
            return "stopped"
        case "start" if state in ("stopped", "running", "failed"):
            return "running"
        case "stop" if state in ("stopped", "running", "paused", "failed"):
            return "stopped"
        case "reboot" if state == "running":
            return "running"
        case "pause" if state in ("running", "paused"):
            return "paused"
        case "resume" if state in ("running", "paused"):
            return "running"
        case "scale" if state in ("stopped", "running"):
            return state
        case "snapshot" | "restore" | "drop-snapshot" | "copy" | "save-image":
            return state if state in ("stopped", "running", "paused") else False
    return False


def admit(driver, vm, act, state):
    """Refuses what the capabilities or the lifecycle forbid; gives the state that follows."""
    kind = act["act"]
    needed = SCALE_NEEDS[act["scale"]["resource"]] if kind == "scale" else NEEDS.get(kind)
    if kind == "define" and any(disk.get("extents") for disk in act["machine"]["disks"]):
        needed = "remote-disks"
    if needed and needed not in driver.capabilities:
        what = f"{kind} a VM (it lacks {needed})"
        raise DriverError("unsupported", driver=driver.name, what=what)
    then = after(state, act)
    if then is False:
        raise DriverError("illegal", vm=vm, act=kind, state=state or "absent")
    return then
