// One RTCPeerConnection behind the peer contract, inside the page. `emit` is the binding to the adapter.
"use strict";

const say = (type, fields) => emit(JSON.stringify({ type, ...fields }));
const fault = (message) => say("error", { message: String(message) });

class Peer {
    constructor({ controlling, servers, relay, noTrickle }) {
        this.controlling = controlling;
        this.noTrickle = noTrickle;
        this.held = [];
        this.version = 1;
        const policy = relay ? "relay" : "all";
        const pc = this.pc = new RTCPeerConnection({ iceServers: servers, iceTransportPolicy: policy });
        pc.onicecandidate = ({ candidate }) => this.candidate(candidate);
        pc.oniceconnectionstatechange = () => this.changed(pc.iceConnectionState);
        // A negotiated channel: without one there is nothing to connect.
        pc.createDataChannel("interop", { negotiated: true, id: 0 });
    }

    ms() {
        return this.since === undefined ? 0 : performance.now() - this.since;
    }

    changed(state) {
        if (["checking", "connected", "completed", "disconnected", "failed", "closed"].includes(state)) {
            say("state", { state, ms: this.ms() });
        }
    }

    candidate(candidate) {
        if (!candidate || !candidate.candidate) {
            if (!candidate) {
                this.held.forEach((held) => say("candidate", held));
                this.held = [];
                say("end-of-candidates", { ufrag: this.ufrag });
            }
            return;
        }
        if (candidate.component !== "rtp" || candidate.protocol !== "udp") {
            return;
        }
        const fields = { candidate: candidate.candidate, ufrag: candidate.usernameFragment };
        if (this.noTrickle) {
            this.held.push(fields);
        } else {
            say("candidate", fields);
        }
    }

    // The credentials go out before the candidates of their generation, which `setLocalDescription` sets free.
    async describe(description) {
        const value = (name) => description.sdp.match(`\r\na=${name}:(.*)\r\n`)?.[1];
        this.ufrag = value("ice-ufrag");
        say("credentials", {
            ufrag: this.ufrag,
            pwd: value("ice-pwd"),
            lite: false,
            options: value("ice-options")?.split(" ") ?? [],
            fingerprint: value("fingerprint"),
            setup: value("setup"),
        });
        await this.pc.setLocalDescription(description);
    }

    async offer(options) {
        await this.describe(await this.pc.createOffer(options));
    }

    // `setup:passive` makes the browser send its ClientHello: the only data that it sends to a peer without DTLS.
    description(type, { ufrag, pwd, lite, options }) {
        const session = ["v=0", `o=- 1 ${this.version++} IN IP4 0.0.0.0`, "s=-", "t=0 0"];
        const media = [
            "a=group:BUNDLE 0",
            "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
            "c=IN IP4 0.0.0.0",
            "a=mid:0",
            `a=ice-ufrag:${ufrag}`,
            `a=ice-pwd:${pwd}`,
            ...(options?.length ? [`a=ice-options:${options.join(" ")}`] : []),
            `a=fingerprint:sha-256 ${Array(32).fill("00").join(":")}`,
            "a=setup:passive",
            "a=sctp-port:5000",
        ];
        const lines = [...session, ...(lite ? ["a=ice-lite"] : []), ...media];
        return { type, sdp: lines.map((line) => `${line}\r\n`).join("") };
    }

    async credentials(line) {
        if (line.ufrag === this.remote) {
            return;
        }
        this.remote = line.ufrag;
        this.since ??= performance.now();
        if (this.pc.signalingState === "have-local-offer") {
            await this.pc.setRemoteDescription(this.description("answer", line));
        } else {
            await this.pc.setRemoteDescription(this.description("offer", line));
            await this.describe(await this.pc.createAnswer());
        }
        this.watch();
    }

    watch() {
        const transport = this.pc.sctp?.transport?.iceTransport;
        if (!transport || transport.onselectedcandidatepairchange) {
            return;
        }
        const show = () => {
            const pair = transport.getSelectedCandidatePair();
            if (pair) {
                say("selected", { local: pair.local.candidate, remote: pair.remote.candidate, ms: this.ms() });
            }
        };
        transport.onselectedcandidatepairchange = show;
        show();
    }

    async stats() {
        const report = [...(await this.pc.getStats()).values()];
        const transport = report.find((stat) => stat.type === "transport");
        const pair = report.find((stat) => stat.id === transport?.selectedCandidatePairId) ?? {};
        say("stats", {
            role: transport?.iceRole,
            packets_sent: pair.packetsSent,
            packets_received: pair.packetsReceived,
            requests_received: pair.requestsReceived,
            responses_received: pair.responsesReceived,
            consent_requests_sent: pair.consentRequestsSent,
        });
    }

    async take(line) {
        switch (line.type) {
        case "credentials":
            return this.credentials(line);
        case "candidate":
            return this.pc.addIceCandidate({ candidate: line.candidate, sdpMid: "0", usernameFragment: line.ufrag });
        case "end-of-candidates":
            return this.pc.addIceCandidate({ candidate: "", sdpMid: "0", usernameFragment: line.ufrag });
        case "restart":
            return this.offer({ iceRestart: true });
        case "stats":
            return this.stats();
        case "send":
        case "burst":
            throw "unsupported: data without DTLS";
        }
    }
}

let peer;
// One line after the other: the browser's own operations are asynchronous.
let queue = Promise.resolve();
const take = (line) => {
    queue = queue.then(() => peer.take(line)).catch((problem) => fault(`${line.type}: ${problem}`));
};
const start = (options) => {
    peer = new Peer(options);
    say("state", { state: "gathering", ms: 0 });
    // Who answers has credentials of its own only after the other side's.
    if (options.controlling) {
        queue = queue.then(() => peer.offer());
    }
};
