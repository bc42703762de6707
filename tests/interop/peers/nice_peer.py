"""libnice behind the peer contract, through its introspected interface (Debian's gir1.2-nice-0.1).

What it lacks: new local candidates after a restart (it keeps its own and gets new credentials), statistics.
"""

import ctypes
import os
import sys
import threading

import contract
import gi

gi.require_version("Nice", "0.1")
from gi.repository import GLib, Nice  # noqa: E402

STATES = {2: "checking", 3: "connected", 4: "completed", 5: "failed"}
RECEIVE = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint, ctypes.c_uint], *[ctypes.c_void_p] * 2)
lines = contract.Lines()


class Peer:
    def __init__(self, args):
        self.args = args
        options = Nice.AgentOption.REGULAR_NOMINATION | Nice.AgentOption.CONSENT_FRESHNESS
        if args.lite:
            options |= Nice.AgentOption.LITE_MODE
        if not args.no_trickle:
            options |= Nice.AgentOption.ICE_TRICKLE
        context = GLib.MainContext.default()
        self.agent = agent = Nice.Agent.new_full(context, Nice.Compatibility.RFC5245, options)
        agent.set_property("controlling-mode", args.controlling)
        agent.set_property("ice-tcp", False)
        agent.set_property("upnp", False)
        agent.set_property("force-relay", args.policy == "relay")
        for uri in args.stun[:1]:
            host, port = contract.server(uri)
            agent.set_property("stun-server", host)
            agent.set_property("stun-server-port", port)
        for bind in args.bind:
            address = Nice.Address()
            address.init()
            address.set_from_string(bind)
            agent.add_local_address(address)
        agent.connect("new-candidate-full", self.candidate)
        agent.connect("candidate-gathering-done", self.gathered)
        agent.connect("component-state-changed", self.changed)
        agent.connect("new-selected-pair-full", self.selected)
        self.stream = agent.add_stream(1)
        for uri in args.turn[:1]:
            user = (args.turn_username, args.turn_password)
            agent.set_relay_info(self.stream, 1, *contract.server(uri), *user, Nice.RelayType.UDP)
        self.held = []
        self.remote = None
        self.awaiting = False
        # The introspected interface has no way to receive.
        self.receive = RECEIVE(lambda _agent, _stream, _component, size, data, _: self.data(ctypes.string_at(data, size)))
        attach = ctypes.CDLL("libnice.so.10").nice_agent_attach_recv
        attach.argtypes = [ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint, ctypes.c_void_p, RECEIVE, ctypes.c_void_p]
        attach(hash(agent), self.stream, 1, None, self.receive, None)

    def start(self):
        self.credentials()
        lines.state("gathering")
        if not self.agent.gather_candidates(self.stream):
            lines.error("no candidates can be gathered")

    def credentials(self):
        _, self.ufrag, pwd = self.agent.get_local_credentials(self.stream)
        lines.say("credentials", ufrag=self.ufrag, pwd=pwd, lite=self.args.lite)

    def text(self, candidate):
        return self.agent.generate_local_candidate_sdp(candidate).removeprefix("a=")

    def candidate(self, _agent, candidate):
        text = self.text(candidate)
        if self.args.no_ipv6 and ":" in text.split(" ")[4]:
            return
        if self.args.no_trickle:
            self.held.append(text)
        else:
            lines.say("candidate", candidate=text, ufrag=self.ufrag)

    def gathered(self, _agent, _stream):
        for text in self.held:
            lines.say("candidate", candidate=text, ufrag=self.ufrag)
        self.held.clear()
        lines.say("end-of-candidates", ufrag=self.ufrag)

    def changed(self, _agent, _stream, _component, state):
        if state in STATES:
            lines.state(STATES[state])
        if STATES.get(state) == "failed" and self.remote:
            sys.stdout.flush()
            os._exit(1)

    def selected(self, _agent, _stream, _component, local, remote):
        lines.selected(self.text(local), self.text(remote))

    def data(self, data):
        lines.say("data", text=data.decode(errors="replace"))
        if self.args.echo:
            self.send(data.decode(errors="replace"))

    def send(self, text):
        if self.agent.send(self.stream, 1, len(text.encode()), text) < 0:
            lines.error("send: not sent")

    def restart(self):
        self.agent.restart_stream(self.stream)
        self.credentials()
        for candidate in self.agent.get_local_candidates(self.stream, 1):
            self.candidate(self.agent, candidate)
        self.gathered(self.agent, self.stream)

    def remote_credentials(self, line):
        if line["ufrag"] == self.remote:
            return
        if self.remote and not self.awaiting:
            self.restart()
        self.remote, self.awaiting = line["ufrag"], False
        lines.remote_credentials()
        self.agent.set_remote_credentials(self.stream, line["ufrag"], line["pwd"])

    def take(self, kind, line):
        if kind == "credentials":
            self.remote_credentials(line)
        elif kind in ("candidate", "end-of-candidates") and line.get("ufrag", self.remote) != self.remote:
            lines.error(f"{kind} is of generation {line['ufrag']}, not {self.remote}")
        elif kind == "candidate":
            candidate = self.agent.parse_remote_candidate_sdp(self.stream, f"a={line['candidate']}")
            if candidate is None or self.agent.set_remote_candidates(self.stream, 1, [candidate]) < 1:
                lines.error(f"not taken: {line['candidate']}")
        elif kind == "end-of-candidates":
            self.agent.peer_candidate_gathering_done(self.stream)
        elif kind == "send":
            self.send(line["text"])
        elif kind == "burst":
            for number in range(1, line["count"] + 1):
                self.send(f"burst {number} ".ljust(line["size"], "."))
        elif kind == "restart":
            self.awaiting = True
            self.restart()
        elif kind == "stats":
            lines.error("unsupported: stats")
        return False


def read(peer, loop):
    for text in sys.stdin:
        command = contract.decode(lines, text)
        if command and command[0] == "close":
            break
        if command:
            GLib.idle_add(peer.take, *command)
    GLib.idle_add(loop.quit)


def main():
    args = contract.arguments("tcp", "ca", "timeout")
    loop = GLib.MainLoop()
    peer = Peer(args)
    threading.Thread(target=read, args=(peer, loop), daemon=True).start()
    GLib.idle_add(peer.start)
    loop.run()
    lines.state("closed")


main()
