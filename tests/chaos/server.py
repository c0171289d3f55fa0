"""The fake AWS of the matrix: `AwsServer` with books, with whatever goes wrong on the way, and with people at work.

For each call, one after the other: happenings first (somebody else changes the organization at this very moment), then
the books are written while AWS works, then the answer goes out, or what a `Trouble` makes of it.
"""

import re
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from io import BytesIO
from socket import SHUT_RD, SHUT_RDWR, SO_LINGER, SOL_SOCKET, socket
from threading import RLock, Timer
from time import sleep
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

from tests.aws_server import MANAGEMENT, Answer, AwsServer, Call, _read_call
from tests.chaos.book import Book, Entry, Fate, Session
from tests.chaos.listing import AccountPages
from tests.chaos.people import OWN
from tests.chaos.tempo import READ_TIMEOUT_SECONDS
from tests.chaos.wire import Cut, Dice, Disturbance, Instead, Reset, Served, Slow, Spoiled, Trouble
from tests.chaos.world import World

SECRET = "chaos-secret"
"""What every secret of the fake begins with: it must never be seen in anything that the program puts out."""
_SESSION_NAME = "orgmfa-"
_CALLER = re.compile(rb"(?<=<Arn>)[^<]*:user/moto")
_OWN_ARN = f"arn:aws:iam::{MANAGEMENT}:user/{OWN.name}".encode()
_ROLE = re.compile(r"arn:aws:iam::(?P<account_id>\d{12}):role/(?P<name>.+)")


@dataclass
class ChaosServer(AwsServer):
    """The server; `begin` gives it a world and a seed, and from then on things may go wrong."""

    book: Book = field(default_factory=Book)
    troubles: list[Trouble] = field(default_factory=list)
    happenings: list[Callable[[Call], None]] = field(default_factory=list)
    listing: AccountPages = field(default_factory=AccountPages)
    edits: list[Callable[[Call, bytes], bytes]] = field(default_factory=list)
    """What becomes of the content of AWS's answers before anything goes wrong with them: pages, old reports."""
    world: World | None = None
    timeout_seconds: float = READ_TIMEOUT_SECONDS
    """How long the program that is served waits for an answer."""
    _dice: Dice = field(default_factory=lambda: Dice(""))
    _turn: Any = field(default_factory=RLock)

    def begin(self, world: World, seed: str) -> None:
        """Take a new world; books and dice begin anew."""
        self.world, self.book, self._dice = world, Book(), Dice(seed)
        self.calm()

    def calm(self) -> None:
        """Let nothing go wrong any more."""
        self.troubles, self.happenings, self.edits = [], [], []
        self.listing = AccountPages()

    def close_door(self, seconds: float) -> None:
        """Refuse every connection for a while."""
        assert self._server is not None
        door: socket = self._server.socket
        address = self._server.server_address
        door.settimeout(0.5)  # else the server waits in accept() for one that came and went
        door.shutdown(SHUT_RD)

        def reopen() -> None:
            with suppress(OSError):  # the first time the port is lost: it was drawn, not asked for
                door.bind(address)
            door.listen(128)

        Timer(seconds, reopen).start()

    def _serve(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = BytesIO(body)
        call = _read_call(environ, body)
        with self._turn:
            disturbance = self._meet(call)
            if isinstance(disturbance, Instead | Reset) and not (isinstance(disturbance, Reset) and disturbance.after):
                self._enter(call, Fate.REFUSED)
                served = None
            else:
                is_in_time = isinstance(disturbance, Slow) and disturbance.seconds < self.timeout_seconds
                served = self._work(call, environ, is_lost=disturbance is not None and not is_in_time)
        return _send(served, disturbance, environ, start_response)

    def _meet(self, call: Call) -> Disturbance | None:
        """Let everybody else act who waits for this call, and return what goes wrong with it."""
        for happening in self.happenings:
            happening(call)
        chance = self._dice.throw(call)
        return next((found for trouble in self.troubles if (found := trouble(call, chance)) is not None), None)

    def _work(self, call: Call, environ: WSGIEnvironment, *, is_lost: bool) -> Served:
        """Have AWS work on the call, and write the books."""
        before = self._observe(call)
        served = self.listing.answer(call) or self._ask_moto(environ)
        if call.action == "AssumeRole":
            served = Served(served.status, served.headers, self._note_session(call, served.content))
        if call.action == "GetCallerIdentity":
            served = Served(served.status, served.headers, _CALLER.sub(_OWN_ARN, served.content))
        for edit in self.edits:
            served = Served(served.status, served.headers, edit(call, served.content))
        fate = Fate.LOST if is_lost else Fate.ANSWERED
        self._enter(call, fate, status=int(served.status.split()[0]), before=before, content=served.content)
        return served

    def _ask_moto(self, environ: WSGIEnvironment) -> Served:
        caught: list[Any] = []

        def keep(status: str, headers: Any, _: Any = None) -> Callable[[bytes], object]:
            caught[:] = status, headers
            return lambda _: None

        content = b"".join(super()._serve(environ, keep))
        return Served(caught[0], [pair for pair in caught[1] if pair[0].lower() != "content-length"], content)

    def _observe(self, call: Call) -> dict[str, Any]:
        """Return what stands in the account of a call: its user, and the policy."""
        if self.world is None or call.service != "iam" or call.account_id not in self.world.places:
            return {}
        name = call.parameters.get("UserName")
        user = self.world.user_state(call.account_id, name) if name else None
        return {"user": user, "policy": self.world.policy_state(call.account_id)}

    def _enter(
        self, call: Call, fate: Fate, *, status: int = 0, before: dict[str, Any] | None = None, content: bytes = b""
    ) -> None:
        """Write one entry into the books."""
        states = self._observe(call) if before is None else before
        page = self.listing.read(content) if call.action == "ListAccounts" and status == 200 else None
        entry = Entry(
            number=len(self.book.entries),
            call=call,
            fate=fate,
            status=status,
            session=self.book.sessions.get(call.access_key),
            page=page,
            stops=call.action == "GetParameter" and b'"go"' not in content,
            **states,
        )
        self.book.entries.append(entry)

    def _note_session(self, call: Call, content: bytes) -> bytes:
        """Note whose session this is, and make its secrets such that they are known wherever they turn up."""
        key = re.search(rb"<AccessKeyId>([^<]+)<", content)
        role = _ROLE.match(call.parameters.get("RoleArn", ""))
        name = call.parameters.get("RoleSessionName", "")
        if key and role and name.startswith(_SESSION_NAME):
            can_write, role_name = "Policy" not in call.parameters, role["name"]
            session = Session(name.removeprefix(_SESSION_NAME), role["account_id"], can_write, role_name)
            self.book.sessions[key[1].decode()] = session
        token = rb"chaos-secret-token-of-" + (key[1] if key else b"")
        content = re.sub(rb"(?<=<SessionToken>)[^<]*", token, content)
        return re.sub(rb"(?<=<SecretAccessKey>)[^<]*", b"chaos-secret-key", content)


def _send(
    served: Served | None, disturbance: Disturbance | None, environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    match disturbance:
        case Instead(answer) | Spoiled(answer):
            return _send_whole(_as_served(answer), start_response)
        case Reset():
            _reset(environ)
            raise ConnectionAbortedError
        case Cut(share, is_noticed):
            assert served is not None
            whole = len(served.content.rstrip())  # at least the last sign that says anything is missing
            return _send_part(served, max(0, int(whole * share) - 1), start_response, is_noticed=is_noticed)
        case Slow(seconds):
            sleep(seconds)
    assert served is not None
    return _send_whole(served, start_response)


def _send_whole(served: Served, start_response: StartResponse) -> Iterable[bytes]:
    start_response(served.status, [*served.headers, ("Content-Length", str(len(served.content)))])
    return [served.content]


def _send_part(served: Served, count: int, start_response: StartResponse, *, is_noticed: bool) -> Iterator[bytes]:
    """Yield the beginning of an answer, with the length that the whole has or that the part has."""
    length = len(served.content) if is_noticed else count
    start_response(served.status, [*served.headers, ("Content-Length", str(length))])
    yield served.content[:count]
    if is_noticed:
        raise ConnectionAbortedError


def _as_served(answer: Answer) -> Served:
    return Served(f"{answer.status} Injected", [("Content-Type", answer.content_type)], answer.body.encode())


def _reset(environ: WSGIEnvironment) -> None:
    """End the connection at once, with a reset instead of an orderly close."""
    connection: socket = environ["werkzeug.socket"]
    connection.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
    connection.shutdown(SHUT_RDWR)
