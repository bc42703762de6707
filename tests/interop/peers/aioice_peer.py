"""aioice (PyPI) behind the peer contract.

What it lacks: ICE restart, a lite mode, trickling of its own candidates (all come when gathering has ended), addresses
to bind to. Its `connect` returns when a pair has been nominated: it is connected and completed at the same time.
"""

import asyncio
import os
import sys

import aioice
import contract

lines = contract.Lines()


class Peer:
    def __init__(self, args):
        self.args = args
        relay = args.policy == "relay"
        self.connection = aioice.Connection(
            ice_controlling=args.controlling,
            stun_server=contract.server(args.stun[0]) if args.stun else None,
            turn_server=contract.server(args.turn[0]) if args.turn else None,
            turn_username=args.turn_username,
            turn_password=args.turn_password,
            use_ipv6=not args.no_ipv6,
            transport_policy=aioice.TransportPolicy.RELAY if relay else aioice.TransportPolicy.ALL,
        )
        self.gathered = asyncio.Event()
        # Its `connect` fails at once as long as there is nothing to check, also when a name is being resolved.
        self.checkable = asyncio.Event()
        self.closing = False

    async def gather(self):
        connection = self.connection
        lines.say("credentials", ufrag=connection.local_username, pwd=connection.local_password, lite=False)
        lines.state("gathering")
        await connection.gather_candidates()
        for candidate in connection.local_candidates:
            lines.say("candidate", candidate="candidate:" + candidate.to_sdp())
        lines.say("end-of-candidates")
        self.gathered.set()

    async def connect(self):
        await self.gathered.wait()
        await self.checkable.wait()
        lines.state("checking")
        try:
            await asyncio.wait_for(self.connection.connect(), self.args.timeout)
        except (ConnectionError, asyncio.TimeoutError) as problem:
            lines.error(problem)
            self.fail()
        # Which pair it is has no public name in aioice.
        pair = self.connection._nominated[1]
        lines.state("connected")
        selected = [candidate.to_sdp() for candidate in (pair.local_candidate, pair.remote_candidate)]
        lines.selected(*(f"candidate:{text}" for text in selected))
        lines.state("completed")
        while True:
            try:
                data = await self.connection.recv()
            except ConnectionError as problem:
                if self.closing:
                    return
                lines.error(problem)
                self.fail()
            lines.say("data", text=data.decode(errors="replace"))
            if self.args.echo:
                await self.connection.send(data)

    def fail(self):
        lines.state("failed")
        # Standard input is still being read, and nothing may hold the process back.
        sys.stdout.flush()
        os._exit(1)

    async def take(self, kind, line):
        if kind == "credentials":
            if self.connection.remote_username is not None:
                return lines.error("unsupported: restart by the peer")
            self.connection.remote_username = line["ufrag"]
            self.connection.remote_password = line["pwd"]
            self.connection.remote_is_lite = line.get("lite", False)
            lines.remote_credentials()
            self.connecting = asyncio.create_task(self.connect())
        elif kind == "candidate":
            await self.connection.add_remote_candidate(
                aioice.Candidate.from_sdp(line["candidate"].removeprefix("candidate:"))
            )
            self.checkable.set()
        elif kind == "end-of-candidates":
            await self.connection.add_remote_candidate(None)
            self.checkable.set()
        elif kind == "send":
            await self.connection.send(line["text"].encode())
        elif kind == "burst":
            for number in range(1, line["count"] + 1):
                await self.connection.send(f"burst {number} ".encode().ljust(line["size"], b"."))
        elif kind in ("restart", "stats"):
            lines.error(f"unsupported: {kind}")


async def main():
    args = contract.arguments("lite", "bind", "tcp", "ca")
    peer = Peer(args)
    gathering = asyncio.create_task(peer.gather())
    async for kind, line in contract.commands(lines):
        try:
            await peer.take(kind, line)
        except (ValueError, KeyError, ConnectionError) as problem:
            lines.error(f"{kind}: {problem!r}")
    gathering.cancel()
    peer.closing = True
    await peer.connection.close()
    lines.state("closed")


asyncio.run(main())
