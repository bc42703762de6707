"""Chromium (Debian's package, without a window) behind the peer contract, through its DevTools protocol on two pipes.

What it lacks: a lite mode, addresses to bind to, data without DTLS; who is controlled prints its credentials only after
the other side's have arrived. `--mdns` (not of the contract) leaves Chromium's `.local` names on; without it the
candidates have addresses.
"""

import asyncio
import json
import os
import shutil
import sys
import tempfile

import contract

lines = contract.Lines()
PAGE = os.path.join(os.path.dirname(__file__), "chromium_page.js")


class Browser:
    """The process, and requests to it: JSON messages that end with a zero byte, on its descriptors 3 and 4."""

    def __init__(self, mdns):
        self.profile = tempfile.mkdtemp(prefix="chromium-")
        self.log = os.path.join(self.profile, "log")
        names = [] if mdns else ["--disable-features=WebRtcHideLocalIpsWithMdns"]
        self.options = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--no-default-browser-check",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-extensions",
            "--remote-debugging-pipe",
            f"--user-data-dir={self.profile}",
            *names,
            "about:blank",
        ]
        self.number = 0
        self.answers = {}
        self.events = asyncio.Queue()

    async def start(self):
        requests, write = os.pipe()
        read, answers = os.pipe()
        # Inherited at any number; the shell between moves them to the two that Chromium expects.
        move = f'exec "$@" 3<&{requests} 4>&{answers} {requests}<&- {answers}>&-'
        with open(self.log, "wb") as log:
            self.process = await asyncio.create_subprocess_exec(
                *["bash", "-c", move, "bash", "chromium", *self.options],
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(requests, answers),
                # The profile is the browser's whole world: it must not write elsewhere.
                env={**os.environ, "HOME": self.profile},
            )
        os.close(requests)
        os.close(answers)
        self.requests = os.fdopen(write, "wb", buffering=0)
        reader = asyncio.StreamReader(limit=1 << 24)
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(read, "rb")
        )
        self.reading = asyncio.create_task(self.read(reader))

    async def read(self, reader):
        try:
            while True:
                message = json.loads((await reader.readuntil(b"\0"))[:-1])
                if answer := self.answers.pop(message.get("id"), None):
                    answer.set_result(message)
                elif message.get("method") == "Runtime.bindingCalled":
                    print(message["params"]["payload"], flush=True)
        except asyncio.IncompleteReadError:
            with open(self.log, errors="replace") as log:
                print("the browser ended:", log.read()[-4000:], file=sys.stderr, flush=True)
            os._exit(1)

    async def ask(self, method, session=None, **params):
        self.number += 1
        answer = self.answers[self.number] = asyncio.get_running_loop().create_future()
        message = {"id": self.number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        self.requests.write(json.dumps(message).encode() + b"\0")
        message = await answer
        problem = message.get("error") or message["result"].get("exceptionDetails")
        if problem:
            raise RuntimeError(f"{method}: {problem}")
        return message["result"]

    async def open_page(self):
        targets = (await self.ask("Target.getTargets"))["targetInfos"]
        pages = [target["targetId"] for target in targets if target["type"] == "page"]
        page = pages[0] if pages else (await self.ask("Target.createTarget", url="about:blank"))["targetId"]
        self.session = (await self.ask("Target.attachToTarget", targetId=page, flatten=True))["sessionId"]
        await self.ask("Runtime.enable", self.session)
        await self.ask("Runtime.addBinding", self.session, name="emit")
        with open(PAGE) as script:
            await self.run(script.read())

    async def run(self, expression):
        await self.ask("Runtime.evaluate", self.session, expression=expression)

    async def close(self):
        self.reading.cancel()
        self.process.kill()
        await self.process.wait()
        shutil.rmtree(self.profile, ignore_errors=True)


def servers(args):
    found = [{"urls": uri} for uri in args.stun]
    user = {"username": args.turn_username, "credential": args.turn_password}
    return found + [{"urls": uri, **user} for uri in args.turn]


async def main():
    mdns = "--mdns" in sys.argv
    sys.argv = [argument for argument in sys.argv if argument != "--mdns"]
    args = contract.arguments("lite", "bind", "no_ipv6", "tcp", "ca", "echo", "timeout")
    browser = Browser(mdns)
    try:
        await browser.start()
        await browser.open_page()
        options = {
            "controlling": args.controlling,
            "servers": servers(args),
            "relay": args.policy == "relay",
            "noTrickle": args.no_trickle,
        }
        await browser.run(f"start({json.dumps(options)})")
        async for _, line in contract.commands(lines):
            await browser.run(f"take({json.dumps(line)})")
    finally:
        await browser.close()
    lines.state("closed")


asyncio.run(main())
