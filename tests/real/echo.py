"""Says what a NAT does. `serve ADDR ADDR`: answers each datagram with the source it saw, from the address it came
to, or on request from the other one. `ask LOCAL ASKS`: sends from one socket and prints what came back, one line each;
`flood LOCAL ADDR COUNT` sends them all at once and prints how many were answered."""
import json, select, socket, sys


def open_socket(addr, port=0):
    sock = socket.socket(socket.AF_INET6 if ":" in addr else socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((addr, port))
    return sock


def serve(addrs):
    socks = [open_socket(a, 7000) for a in addrs]
    other = dict(zip(socks, reversed(socks)))
    print("ready", flush=True)
    while True:
        for sock in select.select(socks, [], [])[0]:
            data, source = sock.recvfrom(2048)
            out = other[sock] if data == b"other" else sock
            out.sendto(f"{source[0]} {source[1]}".encode(), source)


def ask(local, asks):
    """Each of `asks` is [server address, text]; null where no answer came. """
    sock = open_socket(local, 5000)
    sock.settimeout(1)
    for addr, text in asks:
        sock.sendto(text.encode(), (addr, 7000))
        try:
            print(json.dumps(sock.recvfrom(2048)[0].decode()), flush=True)
        except TimeoutError:
            print("null", flush=True)


def flood(local, addr, count):
    sock = open_socket(local, 5000)
    sock.settimeout(0.7)
    for _ in range(count):
        sock.sendto(b"echo", (addr, 7000))
    answered = 0
    try:
        while sock.recvfrom(2048):
            answered += 1
    except TimeoutError:
        print(answered)


match sys.argv[1:]:
    case ["serve", *addrs]:
        serve(addrs)
    case ["ask", local, asks]:
        ask(local, json.loads(asks))
    case ["flood", local, addr, count]:
        flood(local, addr, int(count))
