"""An agent in Python that talks to another over a Unix socket. sockets.c is the same in C, and says what crosses the socket.

python sockets.py HOME NODE answer NAME SOCKET
python sockets.py HOME NODE ask NAME PEER SOCKET QUESTION
"""

import socket
import struct
import sys
from pathlib import Path

from sealwire import Endpoint, Message, SealwireError

# As in C.
MOST = 1024 * 1024


def send(connection: socket.socket, data: bytes) -> None:
    """Sends bytes after their length."""
    connection.sendall(struct.pack(">I", len(data)) + data)


def receive(connection: socket.socket) -> bytes:
    """The bytes that were sent."""
    (size,) = struct.unpack(">I", receive_exactly(connection, 4))
    if size > MOST:
        sys.exit("the peer announces too much")
    return receive_exactly(connection, size)


def receive_exactly(connection: socket.socket, size: int) -> bytes:
    """So many bytes."""
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            sys.exit("the peer hung up")
        data += part
    return data


def introduce(connection: socket.socket, endpoint: Endpoint, agent: str) -> str:
    """Gives the other side our agent's certificate and takes its own; returns whose it is."""
    send(connection, endpoint.certificate(agent))
    return endpoint.introduce(receive(connection))


def receive_sealed(connection: socket.socket, endpoint: Endpoint, peer: str) -> Message:
    """Opens what comes, which must be from `peer`: any agent of the domain may write to this one."""
    message = endpoint.open(receive(connection))
    if message.header.sender != peer:
        sys.exit("somebody else wrote this")
    return message


def ask(endpoint: Endpoint, name: str, wanted: str, path: str, question: str) -> None:
    """Asks one question and prints the answer."""
    agent = endpoint.host(name)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        peer = introduce(connection, endpoint, agent)
        if peer != wanted:
            sys.exit("another agent is at this socket")
        sealed = endpoint.seal(agent, peer, question.encode(), kind="task")
        send(connection, sealed.envelope)
        message = receive_sealed(connection, endpoint, peer)
    if message.header.answers != sealed.header.ref:
        sys.exit("the answer is to another question")
    print(message.body.decode())


def answer(endpoint: Endpoint, name: str, path: str) -> None:
    """Answers one question, in capitals."""
    agent = endpoint.host(name)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(1)
        connection, _ = listener.accept()
    Path(path).unlink()
    with connection:
        peer = introduce(connection, endpoint, agent)
        question = receive_sealed(connection, endpoint, peer)
        sealed = endpoint.seal(agent, peer, question.body.upper(), kind="result", answers=question.header.ref)
        send(connection, sealed.envelope)


def main() -> None:
    """See above."""
    try:
        match sys.argv[1:]:
            case [home, node, "ask", name, peer, path, question]:
                ask(Endpoint(home, node=node), name, peer, path, question)
            case [home, node, "answer", name, path]:
                answer(Endpoint(home, node=node), name, path)
            case _:
                sys.exit(__doc__)
    except SealwireError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
