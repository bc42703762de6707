"""NATs in user space, for what nftables cannot do. One process stands between many hosts and one public network: each host
has a TUN device in a namespace of its own, and the public network is one more. Reads a JSON object from stdin:

    {"public": NAMESPACE, "hosts": [{"namespace": NAMESPACE, "nats": [NAT, ...]}, ...]}

with the NATs from the host outward, prints `ready`, and carries packets until stdin ends. A NAT is an object with

    external   its addresses outside
    mapping    none | endpoint | address | endpoint-and-port | port              (RFC 4787 4.1)
    filtering  any | address | address-and-port                                  (RFC 4787 5)
    ports      preserve | overload | sequential | random                         (RFC 4787 4.2.1)
    step, range, parity   of sequential ports; of all ports; true keeps it       (RFC 4787 4.2.2)
    pooling    paired | arbitrary                                                (RFC 4787 4.1)
    lifetime, refresh     in seconds; a list of in, out                          (RFC 4787 4.3)
    hairpin    none | external | internal                                        (RFC 4787 6)
    alg        true rewrites addresses in payloads                               (RFC 4787 7)
    limit      mappings at a time                                                (RFC 6888 3)
    loss       a probability, each way
    udp        false drops UDP; TCP passes
    prefix     with IPv6: the prefix outside, one to one                         (RFC 6296)

Everything random comes from one fixed seed."""
import ctypes, fcntl, ipaddress, itertools, json, os, random, select, stat, struct, sys, time

TUNSETIFF, IFF_TUN, IFF_NO_PI, CLONE_NEWNET = 0x400454CA, 1, 0x1000, 0x40000000
libc = ctypes.CDLL(None, use_errno=True)
rng = random.Random(4787)


def enter(namespace):
    with open(namespace) as file:
        if libc.setns(file.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), namespace)


def tun(namespace, name):
    """A device in a namespace. Whoever holds it need not stay there."""
    if not os.path.exists("/dev/net/tun"):
        os.makedirs("/dev/net", exist_ok=True)
        os.mknod("/dev/net/tun", stat.S_IFCHR | 0o600, os.makedev(10, 200))
    enter(f"/var/run/netns/{namespace}")
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH14x", name.encode(), IFF_TUN | IFF_NO_PI))
    enter(HOME)
    return fd


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class Packet:
    """UDP or TCP in IPv4 or IPv6, unfragmented."""

    def __init__(self, raw):
        self.raw = raw
        version = raw[0] >> 4
        if version == 4:
            self.head, self.protocol, at = (raw[0] & 15) * 4, raw[9], 12
            if struct.unpack("!H", raw[6:8])[0] & 0x3FFF:
                raise ValueError("a fragment")
        else:
            self.head, self.protocol, at = 40, raw[6], 8
        size = 4 if version == 4 else 16
        if self.protocol not in (6, 17):
            raise ValueError("neither UDP nor TCP")
        self.version = version
        ips = [ipaddress.ip_address(raw[a : a + size]) for a in (at, at + size)]
        ports = struct.unpack("!HH", raw[self.head : self.head + 4])
        self.source, self.destination = zip(ips, ports)
        self.body = raw[self.head + 4 :]

    def rewrite(self, old, new):
        self.body = self.body[:4] + self.body[4:].replace(old.packed, new.packed)

    def bytes(self):
        src, dst = self.source[0].packed, self.destination[0].packed
        segment = bytearray(struct.pack("!HH", self.source[1], self.destination[1]) + self.body)
        place = 6 if self.protocol == 17 else 16
        segment[place : place + 2] = b"\0\0"
        length = len(segment)
        tail = struct.pack("!HH", self.protocol, length) if self.version == 4 else struct.pack("!II", length, self.protocol)
        pseudo = src + dst + tail
        segment[place : place + 2] = struct.pack("!H", checksum(pseudo + bytes(segment)) or 0xFFFF)
        head = bytearray(self.raw[: self.head])
        if self.version == 4:
            head[12:20], head[10:12] = src + dst, b"\0\0"
            head[10:12] = struct.pack("!H", checksum(bytes(head)))
        else:
            head[8:40] = src + dst
        return bytes(head + segment)


class Entry:
    def __init__(self, key, internal, external, now):
        self.key, self.internal, self.external, self.used, self.remotes = key, internal, external, now, {}


class Nat:
    def __init__(self, settings):
        default = dict(mapping="endpoint", filtering="address-and-port", ports="preserve", step=1, range=[1024, 65535])
        default |= dict(parity=False, pooling="paired", lifetime=300, refresh=["out"], hairpin="none", alg=False)
        default |= dict(limit=1 << 20, loss=0, udp=True, prefix=None, external=[])
        self.__dict__.update(default | settings)
        self.external = [ipaddress.ip_address(ip) for ip in self.external]
        self.prefix = self.prefix and ipaddress.ip_network(self.prefix)
        self.entries, self.next, self.inside = {}, self.range[0], None

    def owns(self, ip):
        if self.prefix:
            return ip in self.prefix
        return ip == self.inside if self.mapping == "none" else ip in self.external

    def expire(self, now):
        for key in [k for k, e in self.entries.items() if now >= e.used + self.lifetime]:
            del self.entries[key]
        for entry in self.entries.values():
            entry.remotes = {r: t for r, t in entry.remotes.items() if now < t + self.lifetime}

    def toward(self, destination):
        # The words of RFC 4787: the same mapping for equal values of this.
        of = {"address": destination[:1], "endpoint-and-port": destination, "port": destination[1:]}
        return of.get(self.mapping, ())

    def port(self, ip, protocol, internal, destination):
        low, high = self.range
        taken = {e.external[1] for e in self.entries.values() if e.key[0] == protocol and e.external[0] == ip
                 and (self.ports != "overload" or destination in e.remotes)}

        def free(port):
            return port not in taken and (not self.parity or (port ^ internal[1]) & 1 == 0)

        start = rng.randint(low, high)
        if self.ports in ("preserve", "overload") and low <= internal[1] <= high:
            start = internal[1]
        elif self.ports == "sequential":
            start = self.next if low <= self.next <= high else low
        candidates = itertools.chain(range(start, high + 1), range(low, start))
        port = next((port for port in candidates if free(port)), None)
        if port is not None:
            self.next = port + self.step
        return port

    def outbound(self, now, protocol, source, destination):
        """The external endpoint, or None."""
        self.expire(now)
        self.inside = source[0]
        key = (protocol, source, self.toward(destination))
        entry = self.entries.get(key)
        if entry is None:
            if len(self.entries) >= self.limit:
                return None
            if self.prefix:
                host = int(source[0]) & int(self.prefix.hostmask)
                external = (ipaddress.ip_address(int(self.prefix.network_address) | host), source[1])
            elif self.mapping == "none":
                external = source
            else:
                ip = rng.choice(self.external) if self.pooling == "arbitrary" else self.external[0]
                port = self.port(ip, protocol, source, destination)
                if port is None:
                    return None
                external = (ip, port)
            entry = self.entries[key] = Entry(key, source, external, now)
        if "out" in self.refresh:
            entry.used = now
            entry.remotes[destination] = now
        entry.remotes.setdefault(destination, now)
        return entry.external

    def inbound(self, now, protocol, source, destination):
        """The internal endpoint, or None."""
        self.expire(now)
        for entry in self.entries.values():
            if entry.key[0] != protocol or entry.external != destination:
                continue
            admitted = {
                "any": True,
                "address": any(r[0] == source[0] for r in entry.remotes),
                "address-and-port": source in entry.remotes,
            }[self.filtering]
            if admitted:
                if "in" in self.refresh:
                    entry.used = now
                    if source in entry.remotes:
                        entry.remotes[source] = now
                return entry.internal
        return None

    def loses(self, packet):
        return rng.random() < self.loss or (packet.protocol == 17 and not self.udp)


class Host:
    def __init__(self, fd, nats):
        self.fd, self.nats = fd, nats

    def out(self, now, packet, level=0):
        """From the host through its NATs; those that it comes back from send it down again."""
        for at in range(level, len(self.nats)):
            nat = self.nats[at]
            if nat.loses(packet):
                return
            hairpin = nat.mapping != "none" and nat.owns(packet.destination[0])
            if hairpin and nat.hairpin == "none":
                return
            before = packet.source
            external = nat.outbound(now, packet.protocol, packet.source, packet.destination)
            if external is None:
                return
            if nat.alg:
                packet.rewrite(before[0], external[0])
            packet.source = external
            if hairpin:
                if nat.hairpin == "internal":
                    self.into(now, packet, at, shown=before)
                else:
                    self.into(now, packet, at)
                return
        os.write(PUBLIC, packet.bytes())

    def into(self, now, packet, level, shown=None):
        for at in range(level, -1, -1):
            nat = self.nats[at]
            if shown is None and nat.loses(packet):
                return
            internal = nat.inbound(now, packet.protocol, packet.source, packet.destination)
            if internal is None:
                return
            if nat.alg:
                packet.rewrite(packet.destination[0], internal[0])
            packet.destination = internal
            if shown:
                packet.source, shown = shown, None
        try:
            os.write(self.fd, packet.bytes())
        except OSError:
            pass


HOME = f"/proc/{os.getpid()}/ns/net"


def main():
    global PUBLIC, HOME
    # The own namespace by a descriptor: its name would follow the thread.
    home = os.open(HOME, os.O_RDONLY)
    HOME = f"/proc/self/fd/{home}"
    plan = json.loads(sys.stdin.readline())
    PUBLIC = tun(plan["public"], "out")
    hosts = {}
    for host in plan["hosts"]:
        fd = tun(host["namespace"], "eth0")
        hosts[fd] = Host(fd, [Nat(nat) for nat in host["nats"]])
    print("ready", flush=True)
    while True:
        for fd in select.select([0, PUBLIC, *hosts], [], [])[0]:
            if fd == 0:
                if not os.read(0, 4096):
                    return
                continue
            try:
                packet = Packet(os.read(fd, 65536))
            except (BlockingIOError, ValueError, IndexError, struct.error):
                continue
            now = time.monotonic()
            if fd != PUBLIC:
                hosts[fd].out(now, packet)
                continue
            for host in hosts.values():
                if host.nats[-1].owns(packet.destination[0]):
                    host.into(now, packet, len(host.nats) - 1)
                    break


main()
