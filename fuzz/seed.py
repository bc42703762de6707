#!/usr/bin/env python3
"""Writes the seed corpus: published STUN messages (RFC 5769), some that differ in one thing, and candidate lines.

Run it from anywhere: `python3 fuzz/seed.py`. It writes the same bytes each time, so the corpus can be kept in git.
"""

import pathlib
import struct

CORPUS = pathlib.Path(__file__).parent / "corpus"
COOKIE = 0x2112A442
IDENTITY = bytes.fromhex("b7e7a701bc34d686fa87dfae")

RFC_5769 = {
    "rfc5769-2.1-request": """
        00010058 2112a442 b7e7a701 bc34d686 fa87dfae 80220010 5354554e 20746573 7420636c 69656e74 00240004 6e0001ff
        80290008 932ff9b1 51263b36 00060009 6576746a 3a683676 59202020 00080014 9aeaa70c bfd8cb56 781ef2b5 b2d3f249
        c1b571a2 80280004 e57a3bcf""",
    "rfc5769-2.2-ipv4-response": """
        0101003c 2112a442 b7e7a701 bc34d686 fa87dfae 8022000b 74657374 20766563 746f7220 00200008 0001a147 e112a643
        00080014 2b91f599 fd9e90c3 8c7489f9 2af9ba53 f06be7d7 80280004 c07d4c96""",
    "rfc5769-2.3-ipv6-response": """
        01010048 2112a442 b7e7a701 bc34d686 fa87dfae 8022000b 74657374 20766563 746f7220 00200014 0002a147 0113a9fa
        a5d3f179 bc25f4b5 bed2b9d9 00080014 a382954e 4be67bf1 1784c97c 8292c275 bfe3ed41 80280004 c8fb0b4c""",
    "rfc5769-2.4-long-term-request": """
        00010060 2112a442 78ad3433 c6ad72c0 29da412e 00060012 e3839ee3 8388e383 aae38383 e382afe3 82b90000 0015001c
        662f2f34 39396b39 35346436 4f4c3334 6f4c3946 53547679 36347341 0014000b 6578616d 706c652e 6f726700 00080014
        f6702465 6dd64a3e 02b8e071 2e85c9a2 8ca89666""",
}


def attribute(kind, value):
    return struct.pack(">HH", kind, len(value)) + value + bytes(-len(value) % 4)


def message(kind, *attributes):
    body = b"".join(attributes)
    return struct.pack(">HHI", kind, len(body), COOKIE) + IDENTITY + body


def xor_v4(addr, port):
    number = int.from_bytes(bytes(map(int, addr.split("."))), "big")
    return struct.pack(">BBHI", 0, 1, port ^ (COOKIE >> 16), number ^ COOKIE)


def stun():
    seeds = {name: bytes.fromhex(text) for name, text in RFC_5769.items()}
    peer = attribute(0x0012, xor_v4("192.0.2.1", 5000))
    seeds |= {
        "binding-empty": message(0x0001),
        "allocate": message(0x0003, attribute(0x0019, b"\x11\0\0\0"), attribute(0x000D, struct.pack(">I", 600))),
        "allocate-401": message(
            0x0113,
            attribute(0x0009, b"\0\0\x04\x01Unauthorized"),
            attribute(0x0014, b"example.org"),
            attribute(0x0015, b"obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA"),
        ),
        "allocate-success": message(
            0x0103,
            attribute(0x0016, xor_v4("203.0.113.10", 49152)),
            attribute(0x0020, xor_v4("203.0.113.21", 5000)),
            attribute(0x000D, struct.pack(">I", 600)),
        ),
        "create-permission": message(0x0008, peer, peer),
        "channel-bind": message(0x0009, attribute(0x000C, b"\x40\0\0\0"), peer),
        "send-indication": message(0x0016, peer, attribute(0x0013, b"data")),
        "data-indication": message(0x0017, peer, attribute(0x0013, b"data")),
        "role-conflict": message(0x0111, attribute(0x0009, b"\0\0\x04\x57Role Conflict")),
        "unknown-attributes": message(0x0111, attribute(0x0009, b"\0\0\x04\x14"), attribute(0x000A, b"\x7f\xff")),
        "check": message(
            0x0001,
            attribute(0x0006, b"evtj:h6vY"),
            attribute(0x0024, struct.pack(">I", 0x6E0001FF)),
            attribute(0x802A, bytes(8)),
            attribute(0x0025, b""),
        ),
        "length-beyond-the-end": message(0x0001)[:2] + b"\0\x08" + message(0x0001)[4:],
        "attribute-beyond-the-end": message(0x0001, b"\0\x06\0\x40abcd"),
    }
    return seeds


def candidates():
    foundation = "candidate:1 1"
    lines = {
        "host": f"{foundation} udp 2130706431 192.0.2.1 5000 typ host",
        "srflx": f"{foundation} UDP 1694498815 203.0.113.21 5000 typ srflx raddr 10.1.0.2 rport 5000",
        "relay-ipv6": f"{foundation} udp 16777215 2001:db8::10 49152 typ relay raddr 2001:db8::21 rport 5000",
        "prflx": f"{foundation} udp 1862270975 198.51.100.7 9 typ prflx raddr 0.0.0.0 rport 0",
        "tcp-active": f"{foundation} TCP 2105524479 192.0.2.1 9 typ host tcptype active",
        "extensions": f"{foundation} udp 2130706431 192.0.2.1 5000 typ host generation 0 ufrag evtj network-id 1",
        "mdns": f"{foundation} udp 2113937151 1f4712db-ea17-4bcf-a596-105139dfd8bf.local 54596 typ host",
        "sdp-attribute": f"a={foundation} udp 2130706431 192.0.2.1 5000 typ host",
        "port-too-large": f"{foundation} udp 2130706431 192.0.2.1 65536 typ host",
        "signal-credentials": "0 credentials ufrag=8hhY pwd=asd88fgpdd777uzjYhagZg lite pacing=20 options=ice2,trickle",
        "signal-candidate": f"0 generation=8hhY {foundation} udp 2130706431 192.0.2.1 5000 typ host",
        "signal-end": "1 generation=8hhY end-of-candidates",
        "cut-short": f"{foundation} udp 2130706431",
    }
    return {name: text.encode() for name, text in lines.items()}


def sdp():
    """The descriptions that the tests read, and some that are wrong in one thing."""
    fixtures = pathlib.Path(__file__).parent.parent / "tests" / "sdp" / "fixtures"
    seeds = {path.name: path.read_bytes().replace(b"\n", b"\r\n") for path in sorted(fixtures.iterdir())}
    head = b"m=audio 9 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\n"
    credentials = b"a=ice-ufrag:8hhY\r\na=ice-pwd:asd88fgpdd777uzjYhagZg\r\n"
    seeds |= {
        "attribute": b"a=remote-candidates:1 192.0.2.3 45664 2 192.0.2.3 45665",
        "half-credentials": head + b"a=ice-ufrag:8hhY\r\n",
        "mismatch": head.replace(b"0.0.0.0", b"192.0.2.9") + credentials,
        "rtcp": head + credentials + b"a=rtcp:5 IN IP6 ::\r\na=rtcp-mux\r\na=ice-pacing:9999999999\r\n",
        "removed": head.replace(b" 9 ", b" 0 ") + credentials,
    }
    return seeds


def write(target, seeds):
    directory = CORPUS / target
    directory.mkdir(parents=True, exist_ok=True)
    for name, data in seeds.items():
        (directory / name).write_bytes(data)


if __name__ == "__main__":
    write("stun", stun())
    write("stun_differential", stun())
    write("candidate", candidates())
    write("sdp", sdp())
