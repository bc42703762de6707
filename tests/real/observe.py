"""What a NAT does, seen with plain sockets. `serve ADDR ADDR`: answers each datagram with the source it saw, from the one
of its four endpoints whose number it asks for, or from where it came to. `look LOCAL ADDR ADDR`: prints one JSON object."""
import json, select, socket, sys

PORTS = [7000, 7001]


def bound(addr, port=0):
    sock = socket.socket(socket.AF_INET6 if ":" in addr else socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((addr, port))
    return sock


def serve(addrs):
    socks = [bound(addr, port) for addr in addrs for port in PORTS]
    print("ready", flush=True)
    while True:
        for sock in select.select(socks, [], [])[0]:
            data, source = sock.recvfrom(2048)
            out = socks[int(data)] if data.isdigit() else sock
            out.sendto(json.dumps(source[:2]).encode(), source)


def ask(sock, to, text=b"?", tries=4):
    """What comes back, or None."""
    sock.settimeout(0.5)
    for _ in range(tries):
        sock.sendto(text, to)
        try:
            return json.loads(sock.recvfrom(2048)[0])
        except TimeoutError:
            pass


def hairpin(local, server):
    socks = [bound(local), bound(local)]
    ends = [ask(sock, server) for sock in socks]
    if None in ends:
        return None
    for _ in range(3):
        for sock, end in zip(socks, reversed(ends)):
            sock.sendto(b"mine", tuple(end))
        ready = select.select(socks, [], [], 0.5)[0]
        if ready:
            source = ready[0].recvfrom(2048)[1][0]
            return "internal-source" if source == local else "external-source"
    return "none"


def look(local, addrs):
    servers = [(addr, port) for addr in addrs for port in PORTS]
    sock = bound(local)
    # The same, another port, another address, both others.
    seen = [ask(sock, to) for to in servers]
    row = []
    for _ in range(12):
        one = bound(local)
        row.append([one.getsockname()[1], *(ask(one, servers[0]) or [])])
    print(json.dumps({
        "local": sock.getsockname()[:2],
        "seen": seen,
        "any": ask(bound(local), servers[0], b"3") is not None,
        "address": ask(bound(local), servers[0], b"1") is not None,
        "hairpinning": hairpin(local, servers[0]),
        "row": row,
    }))


match sys.argv[1:]:
    case ["serve", *addrs]:
        serve(addrs)
    case ["look", local, *addrs]:
        look(local, addrs)
