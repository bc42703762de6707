"""What the adapters share: the command line and the lines of the peer contract."""

import argparse
import asyncio
import json
import sys
import time


def usage(problem):
    """Ends the process as the contract asks for an option that the implementation lacks."""
    print(f"unsupported: {problem}", file=sys.stderr, flush=True)
    sys.exit(2)


def arguments(*unsupported):
    """The command line; an option among `unsupported` ends the process."""
    parser = argparse.ArgumentParser()
    role = parser.add_mutually_exclusive_group()
    role.add_argument("--controlling", action="store_true")
    role.add_argument("--controlled", action="store_true")
    parser.add_argument("--stun", action="append", default=[])
    parser.add_argument("--turn", action="append", default=[])
    parser.add_argument("--turn-username")
    parser.add_argument("--turn-password")
    parser.add_argument("--policy", choices=["all", "relay"], default="all")
    parser.add_argument("--no-trickle", action="store_true")
    parser.add_argument("--lite", action="store_true")
    parser.add_argument("--bind", action="append", default=[])
    parser.add_argument("--no-ipv6", action="store_true")
    parser.add_argument("--tcp", action="store_true")
    parser.add_argument("--echo", action="store_true")
    parser.add_argument("--timeout", type=float)
    parser.add_argument("--ca")
    args = parser.parse_args()
    for option in unsupported:
        if getattr(args, option.replace("-", "_")):
            usage(f"--{option}")
    return args


def server(uri):
    """The host and the port of `stun:203.0.113.1:3478`, or with another scheme."""
    host, port = uri.split("?")[0].split(":", 1)[1].rsplit(":", 1)
    return host.strip("[]"), int(port)


class Lines:
    """The lines out, and the clock of their `ms`."""

    def __init__(self):
        self.since = None

    def say(self, kind, **fields):
        print(json.dumps({"type": kind, **fields}), flush=True)

    def remote_credentials(self):
        if self.since is None:
            self.since = time.monotonic()

    def ms(self):
        return 0 if self.since is None else round((time.monotonic() - self.since) * 1000, 1)

    def state(self, state):
        self.say("state", state=state, ms=self.ms())

    def selected(self, local, remote):
        self.say("selected", local=local, remote=remote, ms=self.ms())

    def error(self, message):
        self.say("error", message=str(message))


def decode(lines, text):
    """The type of a line in and the line; None for an empty line, and after an error line."""
    if not text.strip():
        return None
    try:
        line = json.loads(text)
        return line["type"], line
    except (ValueError, TypeError, KeyError) as problem:
        lines.error(f"malformed line: {problem!r}")
        return None


async def commands(lines):
    """The lines in, until `close` or the end of stdin."""
    reader = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while text := await reader.readline():
        command = decode(lines, text)
        if command and command[0] == "close":
            return
        if command:
            yield command
