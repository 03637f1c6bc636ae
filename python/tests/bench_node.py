"""A sealed node in Python beside plain TCP and mutual TLS: two processes, over loopback.

    python bench_node.py [--count 1000] [--bytes 256 4096 65536 1048576] [--assert]
    python bench_node.py --idle

A line for each size and way: messages one way a second, with all of them acknowledged; median and 99th percentile of the time of a
request and its reply, one at a time. *Times* compares with plain TCP in the same run. Without sealwire, frames with their length pass one
blocking connection; the author of a one-way message has up to 256 under way that were not acknowledged, and nothing survives the
process. Nodes have homes, and everything on: outbox, journal, acknowledgements. With --assert it fails when the median of a sealed request
with 4 KiB is 1 ms or more.

--idle shows memory and processor time of a node that does nothing: in a process of its own, and under `sealwire serve` beside what CrewAI
takes by itself.
"""

from __future__ import annotations

import argparse
import datetime
import os
import signal
import socket
import ssl
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sealwire import Endpoint, Incoming, Node

TARGET = 0.001
"""Seconds that the median of a sealed request with 4 KiB has to stay under."""

AT_ONCE = 256
"""One-way messages under way without sealwire."""

THREADS = 8
"""Threads that send one way on a node: each waits until its message was taken over."""

ENOUGH = 64 * 1024 * 1024
"""Bytes sent one way at each size, at most."""

HEAD = struct.Struct("!BI")
REQUEST, ONE_WAY = 1, 2

Measured = tuple[float, list[float]]
"""Messages one way a second, and the times of requests in order."""


# --- without sealwire -------------------------------------------------------------------------------------------------


def take(connection: socket.socket, count: int) -> bytearray:
    """Exactly so many bytes; raises EOFError at the end."""
    data = bytearray(count)
    view = memoryview(data)
    while view:
        got = connection.recv_into(view)
        if not got:
            raise EOFError
        view = view[got:]
    return data


def answer(connection: socket.socket) -> None:
    """Send requests back and acknowledge the rest, until the other side has gone."""
    try:
        while True:
            kind, length = HEAD.unpack(take(connection, HEAD.size))
            body = take(connection, length)
            connection.sendall(HEAD.pack(kind, length) + body if kind == REQUEST else b"\1")
    except EOFError:
        return


def plain(connection: socket.socket, size: int, count: int) -> Measured:
    """Measure over one connection."""
    body = bytes(size)

    def request() -> None:
        connection.sendall(HEAD.pack(REQUEST, size) + body)
        take(connection, HEAD.size + size)

    times = timed(request, min(count, 1000))
    started, under_way = time.perf_counter(), 0
    for _ in range(count):
        connection.sendall(HEAD.pack(ONE_WAY, size) + body)
        under_way += 1
        if under_way == AT_ONCE:
            under_way -= len(connection.recv(AT_ONCE))
    take(connection, under_way)
    return count / (time.perf_counter() - started), times


def certificates(folder: Path) -> None:
    """An authority, and a certificate for each side."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    now, day = datetime.datetime.now(datetime.timezone.utc), datetime.timedelta(days=1)
    authority = ec.generate_private_key(ec.SECP256R1())
    root = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "authority")])
    for name in ("authority", "left", "right"):
        key = authority if name == "authority" else ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        builder = x509.CertificateBuilder(root, subject, key.public_key(), x509.random_serial_number(), now - day, now + day)
        builder = builder.add_extension(x509.BasicConstraints(ca=name == "authority", path_length=None), critical=True)
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        certificate = builder.sign(authority, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        (folder / f"{name}.pem").write_bytes(certificate + private)


def context(folder: Path, name: str) -> ssl.SSLContext:
    """TLS 1.3 that shows a certificate and asks for one."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if name == "right" else ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.verify_mode = ssl.CERT_REQUIRED
    made.load_cert_chain(folder / f"{name}.pem")
    made.load_verify_locations(folder / "authority.pem")
    return made


# --- the other process ------------------------------------------------------------------------------------------------


def serve(way: str, folder: Path) -> None:
    """Be the other side, and print where; ends with the connection, a node with SIGTERM."""
    if way == "sealed":
        node = Node(Endpoint(folder / "there"), listen=["tcp://127.0.0.1:0"])
        node.serve("echo", echo)
        print(node.listening[0], flush=True)
        signal.sigwait({signal.SIGTERM})
        node.close()
        return
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    connection, _ = listener.accept()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    answer(context(folder, "right").wrap_socket(connection, server_side=True) if way == "tls" else connection)


def echo(incoming: Incoming) -> bytes | None:
    """The handler of the other node."""
    return incoming.message.body if incoming.message.header.kind == "task" else None


@contextmanager
def other_side(way: str, folder: Path) -> Iterator[str]:
    """The other process, and what it printed."""
    command = [sys.executable, __file__, "--serve", way, str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait(30)


# --- both -------------------------------------------------------------------------------------------------------------


def timed(call: Callable[[], object], count: int) -> list[float]:
    """Times of `count` calls in order, after some that do not count."""
    times = []
    for number in range(20 + count):
        started = time.perf_counter()
        call()
        if number >= 20:
            times.append(time.perf_counter() - started)
    return sorted(times)


def over_sockets(way: str, folder: Path, size: int, count: int) -> Measured:
    """Plain TCP or mutual TLS."""
    with other_side(way, folder) as port, socket.create_connection(("127.0.0.1", int(port))) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if way == "tls":
            with context(folder, "left").wrap_socket(connection, server_hostname="localhost") as secured:
                return plain(secured, size, count)
        return plain(connection, size, count)


def over_nodes(folder: Path, size: int, count: int) -> Measured:
    """Two nodes with homes."""
    with other_side("sealed", folder) as location:
        node = Node(Endpoint(folder / "here"), peers={"there": location})
        me, body = node.host("me"), bytes(size)
        times = timed(lambda: node.request(me, "echo@there", body, kind="task", timeout=60), min(count, 1000))

        def send() -> None:
            for _ in range(count // THREADS):
                node.send(me, "echo@there", body, kind="say")

        threads = [threading.Thread(target=send) for _ in range(THREADS)]
        started = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        while node.under_way():
            time.sleep(0.001)
        rate = count // THREADS * THREADS / (time.perf_counter() - started)
        node.close()
        return rate, times


def pair(folder: Path) -> None:
    """Two homes of one domain, by the commands that users type."""
    command = [sys.executable, "-m", "sealwire"]
    subprocess.run([*command, "init", "--home", folder / "here", "--name", "here"], check=True, stdout=subprocess.DEVNULL)
    invite = [*command, "invite", "there", "--home", folder / "here", "--listen", "127.0.0.1:0"]
    inviting = subprocess.Popen(invite, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert inviting.stdout is not None
    join = [*command, "join", "-", "--home", folder / "there"]
    subprocess.run(join, input=inviting.stdout.readline(), text=True, check=True, stdout=subprocess.DEVNULL)
    inviting.wait(30)


def compare(sizes: list[int], count: int) -> dict[int, float]:
    """Print the table; returns the median of a sealed request for each size."""
    medians = {}
    print(f"{'bytes':>8} {'way':<11} {'one way /s':>10} {'times':>6} {'p50 µs':>8} {'p99 µs':>8} {'times':>6}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        certificates(folder)
        pair(folder)
        for size in sizes:
            some = min(count, ENOUGH // size)
            ways = {"TCP": over_sockets("tcp", folder, size, some), "mutual TLS": over_sockets("tls", folder, size, some)}
            ways["sealed"] = over_nodes(folder, size, some)
            bare_rate, bare_times = ways["TCP"]
            for way, (rate, times) in ways.items():
                p50, p99 = statistics.median(times), times[len(times) * 99 // 100]
                slower, later = bare_rate / rate, p50 / statistics.median(bare_times)
                print(f"{size:>8} {way:<11} {rate:>10,.0f} {slower:>6.1f} {p50 * 1e6:>8,.0f} {p99 * 1e6:>8,.0f} {later:>6.1f}", flush=True)
            medians[size] = statistics.median(ways["sealed"][1])
    return medians


# --- a node that does nothing -----------------------------------------------------------------------------------------

IDLE = {
    "Python": "pass",
    "a node": "from sealwire import Endpoint, Node; n = Node(Endpoint('home'), listen=['tcp://127.0.0.1:0']); n.serve('a', lambda i: b'')",
    "CrewAI": "import crewai",
    "sealwire serve": None,
}
"""What each process does before it waits; the last is the command."""

AGENTS = "from crewai import Agent\nresearcher = Agent(role='Researcher', goal='g', backstory='b', llm='ollama/none')\n"


def idle(seconds: float = 20) -> None:
    """Print memory and processor time of processes that wait."""
    import conftest  # noqa: F401 - keeps CrewAI quiet

    print(f"{'':<15} {'memory, MB':>10}   processor time in {seconds:.0f} s")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "agents.py").write_text(AGENTS)
        subprocess.run([sys.executable, "-m", "sealwire", "init", "--name", "here"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        for what, code in IDLE.items():
            waiting = f"{code}\nprint(flush=True)\nimport time; time.sleep(1000)"
            served = ["-m", "sealwire", "serve", "--listen", "tcp://127.0.0.1:0", "agents.py:researcher"]
            command = [sys.executable, *(served if code is None else ["-c", waiting])]
            process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(2)
            before = processor_time(process.pid)
            time.sleep(seconds)
            print(f"{what:<15} {memory(process.pid):>10.1f}   {processor_time(process.pid) - before:.2f} s", flush=True)
            process.kill()
            process.wait()


def memory(process: int) -> float:
    """Resident memory in MB."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) * 1024 / 1e6


def processor_time(process: int) -> float:
    """Seconds, of all threads."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--bytes", type=int, nargs="+", default=[256, 4096, 65_536, 1_048_576])
    parser.add_argument("--assert", dest="asserting", action="store_true")
    parser.add_argument("--idle", action="store_true")
    parser.add_argument("--serve", nargs=2, metavar=("WAY", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve[0], Path(options.serve[1]))
    elif options.idle:
        idle()
    else:
        median = compare(options.bytes, options.count).get(4096)
        if options.asserting and (median is None or median >= TARGET):
            sys.exit(f"a sealed request with 4 KiB takes {median} s; it should be under {TARGET} s")


if __name__ == "__main__":
    main()
