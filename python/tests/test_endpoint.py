"""The native endpoint as Python sees it: types, errors, hooks and threads."""

from __future__ import annotations

import asyncio
import resource
import stat
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import sealwire
from sealwire import Endpoint, Entry, Request

START = 1_800_000_000


class Pair:
    """An endpoint with two agents."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.a = endpoint.host("a")
        self.b = endpoint.host("b")

    def seal(self, body: bytes = b"body", **more: object) -> sealwire.Sealed:
        return self.endpoint.seal(self.a, self.b, body, kind="task", **more)  # type: ignore[arg-type]

    def open(self, sealed: sealwire.Sealed) -> sealwire.Message:
        return self.endpoint.open(sealed.envelope)


@pytest.fixture
def pair() -> Pair:
    return Pair(Endpoint())


def test_what_is_sealed_opens_once(pair: Pair) -> None:
    thread, ref = bytes(range(16)), (b"s" * 16, b"i" * 16)
    sealed = pair.seal(thread=thread, labels=["pii", "a"], content_type="text/plain", answers=ref, came_from=ref, lifetime=60)
    message = pair.open(sealed)
    assert message.body == b"body"
    assert message.header == sealed.header
    header = message.header
    assert (header.sender, header.reader, header.kind, header.thread) == ("a@local", "b@local", "task", thread)
    assert (header.labels, header.content_type, header.answers, header.came_from) == (("a", "pii"), "text/plain", ref, ref)
    assert header.ref == (header.signer, header.id)
    assert header.expires == header.issued + 60
    assert (sealed.form, message.form, pair.open(pair.seal()).form) == ("opening", "opening", "lane")
    with pytest.raises(sealwire.Duplicate, match=header.id.hex()):
        pair.open(sealed)


def test_no_text_shows_a_body(pair: Pair) -> None:
    sealed = pair.seal(b"the secret plan")
    shown = f"{sealed!r} {sealed.header!r} {pair.open(sealed)!r} {pair.endpoint!r}"
    assert "secret" not in shown
    assert b"secret" not in sealed.envelope


@pytest.mark.parametrize(
    ("data", "error", "says"),
    [
        (b"", sealwire.Malformed, "input ends inside an item at byte 0"),
        (b"not CBOR \xff", sealwire.Malformed, "at byte"),
        (b"\x18\x17", sealwire.Malformed, "number not in its shortest form at byte 0"),
        (b"\x81" * 64, sealwire.Malformed, "nested deeper than 8 levels at byte 9"),
        (b"\xa0", sealwire.Malformed, "expected a COSE_Encrypt"),
        (b"\x00" * (16 * 1024 * 1024 + 1), sealwire.TooLarge, "at most 16777216 are read"),
    ],
)
def test_bytes_that_are_no_envelope(pair: Pair, data: bytes, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        pair.endpoint.open(data)


def test_what_is_too_large_costs_no_memory(pair: Pair) -> None:
    data = bytes(64 * 1024 * 1024)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(sealwire.TooLarge, match="67108864 bytes"):
        pair.endpoint.open(data)
    with pytest.raises(sealwire.TooLarge):
        pair.seal(data)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 4 * 1024, "KiB"


def test_each_misuse_has_its_error(pair: Pair) -> None:
    with pytest.raises(sealwire.UnknownAgent, match="c@local"):
        pair.endpoint.seal(pair.a, "c@local", b"", kind="task")
    with pytest.raises(sealwire.UnknownAgent, match="not an agent of this endpoint"):
        pair.endpoint.seal("c@local", pair.b, b"", kind="task")
    with pytest.raises(sealwire.InvalidName, match="name@node"):
        pair.endpoint.seal("a", pair.b, b"", kind="task")
    with pytest.raises(sealwire.InvalidName, match="a-z"):
        pair.endpoint.host("Senior Researcher")
    with pytest.raises(sealwire.InvalidName, match="kind"):
        pair.endpoint.seal(pair.a, pair.b, b"", kind="Task")
    with pytest.raises(sealwire.InvalidName, match="label"):
        pair.seal(labels=["two words"])
    with pytest.raises(sealwire.InvalidName, match="at most 16 labels"):
        pair.seal(labels=[str(number) for number in range(17)])
    with pytest.raises(sealwire.InvalidName, match="lifetime"):
        pair.seal(lifetime=0)
    with pytest.raises(sealwire.TooLarge):
        pair.seal(bytes(16 * 1024 * 1024))
    with pytest.raises(TypeError, match="policy"):
        Endpoint(policy="yes")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        pair.seal("text")  # type: ignore[arg-type]


def test_another_domain_is_another_world(pair: Pair) -> None:
    other = Pair(Endpoint())
    with pytest.raises(sealwire.UnknownKey):
        other.open(pair.seal())
    with pytest.raises(sealwire.UnknownSigner):
        other.endpoint.introduce(pair.endpoint.certificate(pair.a))


@pytest.mark.parametrize("answer", [False, None, 1, "why not", "True"])
def test_only_true_allows(answer: object) -> None:
    pair = Pair(Endpoint(policy=lambda _: answer))
    says = answer if isinstance(answer, str) else "did not return True"
    with pytest.raises(sealwire.Denied, match=says):
        pair.seal()


def test_a_policy_that_raises_or_dawdles_denies() -> None:
    def raises(_: Request) -> object:
        raise ValueError("the secret plan")

    with pytest.raises(sealwire.Denied, match="the policy raised ValueError") as caught:
        Pair(Endpoint(policy=raises)).seal()
    assert "secret" not in str(caught.value)

    def dawdles(_: Request) -> bool:
        time.sleep(1.1)
        return True

    with pytest.raises(sealwire.Denied, match="over 1 s"):
        Pair(Endpoint(policy=dawdles)).seal()


def test_a_policy_sees_header_and_size() -> None:
    seen: list[Request] = []

    def policy(request: Request) -> bool:
        seen.append(request)
        return True

    pair = Pair(Endpoint(policy=policy))
    pair.open(pair.seal(b"12345", labels=["pii"]))
    assert [request.direction for request in seen] == ["seal", "open"]
    assert {(r.sender, r.reader, r.kind, r.size, r.labels) for r in seen} == {("a@local", "b@local", "task", 5, frozenset(["pii"]))}


def test_what_the_audit_cannot_write_is_not_released() -> None:
    entries: list[Entry] = []

    def audit(entry: Entry) -> None:
        if len(entries) == 1:
            raise OSError(28, "No space left on device")
        entries.append(entry)

    pair = Pair(Endpoint(audit=audit))
    sealed = pair.seal()
    with pytest.raises(sealwire.AuditFailed, match="No space left"):
        pair.open(sealed)
    with pytest.raises(sealwire.AuditFailed):
        pair.seal()
    assert [(entry.direction, entry.decision, entry.size) for entry in entries] == [("seal", "allowed", 4)]


def test_refusals_are_audited_without_a_claimed_header() -> None:
    entries: list[Entry] = []
    pair = Pair(Endpoint(audit=entries.append))
    sealed = pair.seal()
    with pytest.raises(sealwire.SealwireError):
        pair.endpoint.open(sealed.envelope[:-1] + bytes([sealed.envelope[-1] ^ 1]))
    with pytest.raises(sealwire.Malformed):
        pair.endpoint.open(b"\x00")
    assert [(entry.decision, entry.header is None, entry.form) for entry in entries[1:]] == [
        ("refused", True, "opening"),
        ("refused", True, None),
    ]


def test_a_clock_decides_what_is_fresh() -> None:
    now = [START]
    pair = Pair(Endpoint(clock=lambda: now[0]))
    old, new = pair.seal(), pair.seal()
    now[0] += 600 + 120
    with pytest.raises(sealwire.Expired, match="2 min 0 s ago"):
        pair.open(old)
    now[0] = START - 121
    with pytest.raises(sealwire.FromFuture, match="2 min 1 s in the future"):
        pair.open(new)


def test_many_threads_seal_and_open(pair: Pair) -> None:
    def exchange(number: int) -> bytes:
        return pair.open(pair.seal(b"%d" % number)).body

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(exchange, range(400))) == [b"%d" % number for number in range(400)]


def test_hooks_may_use_the_endpoint_from_other_threads() -> None:
    """A hook that waits for a thread that seals: nothing is locked while hooks run."""
    place: list[Pair] = []

    def policy(request: Request) -> bool:
        if request.labels:
            other = threading.Thread(target=lambda: place[0].seal())
            other.start()
            other.join(60)
            return not other.is_alive()
        return True

    place.append(Pair(Endpoint(policy=policy, clock=lambda: START)))
    assert place[0].open(place[0].seal(labels=["x"])).body == b"body"


def test_asyncio_tasks_share_an_endpoint(pair: Pair) -> None:
    async def exchange(number: int) -> bytes:
        sealed = await asyncio.to_thread(pair.seal, b"%d" % number)
        return (await asyncio.to_thread(pair.open, sealed)).body

    async def all_of_them() -> list[bytes]:
        return await asyncio.gather(*(exchange(number) for number in range(40)))

    assert asyncio.run(all_of_them()) == [b"%d" % number for number in range(40)]


class TestHome:
    def test_it_is_made_once_and_private(self, tmp_path: Path) -> None:
        home = tmp_path / "crew" / ".sealwire"
        first = Endpoint(home, node="pi1")
        address = first.host("researcher")
        assert (first.created, first.home, first.node, address) == (True, str(home), "pi1", "researcher@pi1")
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
        files = [path for path in home.rglob("*") if path.is_file()]
        assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
        assert (home / ".gitignore").read_text() == "*\n"
        second = Endpoint(home)
        assert (second.created, second.node, second.domain) == (False, "pi1", first.domain)

    def test_an_agent_keeps_its_key(self, tmp_path: Path) -> None:
        pairs = [Pair(Endpoint(tmp_path / "home")) for _ in range(2)]
        assert len({pair.seal().header.signer for pair in pairs}) == 1

    def test_what_was_opened_stays_opened(self, tmp_path: Path) -> None:
        before = Pair(Endpoint(tmp_path / "home"))
        opened, under_way = before.seal(), before.seal()
        before.open(opened)
        del before
        after = Pair(Endpoint(tmp_path / "home"))
        with pytest.raises(sealwire.Duplicate):
            after.open(opened)
        assert after.open(under_way).body == b"body"

    @pytest.mark.parametrize("file", ["root.pem", "node.pem", "store.db", "roster.cbor", "agents/a.pem"])
    @pytest.mark.parametrize("damage", ["truncated", "garbage", "missing"])
    def test_damage_names_the_file_and_the_remedy(self, file: str, damage: str, tmp_path: Path) -> None:
        home = tmp_path / "home"
        Pair(Endpoint(home))
        path = home / file
        if damage == "missing":
            path.unlink()
        else:
            path.write_bytes(path.read_bytes()[:20] if damage == "truncated" else b"garbage " * 100)
        if (file, damage) == ("agents/a.pem", "missing"):
            assert Pair(Endpoint(home)).open(Pair(Endpoint(home)).seal()).body == b"body"  # a new key is made
            return
        with pytest.raises(sealwire.HomeError, match=r"restore it from a backup or make a new") as caught:
            Pair(Endpoint(home))
        assert str(path) in str(caught.value)

    def test_keys_that_others_can_read_are_not_used(self, tmp_path: Path) -> None:
        home = tmp_path / "home"
        Endpoint(home)
        (home / "node.pem").chmod(0o644)
        with pytest.raises(sealwire.HomeError, match=r"can be read by others .*chmod 600"):
            Endpoint(home)

    def test_a_place_that_is_none_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(sealwire.HomeError, match="cannot"):
            Endpoint(tmp_path / "file" / "home")
        (tmp_path / "full").mkdir()
        (tmp_path / "full" / "letter").write_text("")
        with pytest.raises(sealwire.HomeError, match="is not a sealwire home"):
            Endpoint(tmp_path / "full")
        with pytest.raises(sealwire.HomeError, match="cannot"):
            Endpoint("/proc/home")
