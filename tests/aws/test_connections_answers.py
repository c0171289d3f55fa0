"""What is sent over kept connections, and what comes back, is what it is with botocore's own HTTP session."""

import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from time import sleep
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    HTTPClientError,
    ReadTimeoutError,
)

from tests.aws.scripted_server import (
    CHUNKED,
    FORBIDDEN,
    USUAL,
    Script,
    answer,
    call,
    make_client,
    served,
    sized,
    wait_until,
)
from tests.tls import CALLER, Authority


@pytest.fixture
def secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Script]:
    """The same over TLS."""
    authority = Authority(tmp_path, "authority")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.issue())
    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority.bundle))
    with served(context=context) as made:
        yield made


@pytest.fixture
def light(script: Script) -> Any:
    """A client with one open connection."""
    client = make_client(script, ours=True)
    client.get_caller_identity()
    assert script.connections == 1
    return client


USUAL_FORMS = {
    "one piece": [USUAL],
    "byte by byte": [bytes([byte]) for byte in USUAL],
    "an error": [sized(FORBIDDEN, status=b"403 Forbidden")],
    "an error of the server": [sized(b"<html>busy</html>", status=b"503 Slow Down")],
    "elsewhere": [sized(b"<html/>", b"Location: http://127.0.0.1:9/", status=b"307 Temporary Redirect")],
    "keep-alive said": [sized(CALLER, b"Connection: Keep-Alive")],
    "no reason": [sized(CALLER, status=b"200 ")],
    "no space after the colon": [sized(CALLER, b"x-a:b")],
    "an empty header": [sized(CALLER, b"x-a:")],
    "no content": [sized(b"")],
    "latin letters": [sized(CALLER, b"x-a: gr\xfc\xdfe")],
}
OTHER_FORMS = {
    "in chunks": [answer(CHUNKED + b"\r\n", b"Transfer-Encoding: chunked")],
    "in chunks, piece by piece": [answer(b"", b"Transfer-Encoding: chunked"), CHUNKED, b"\r\n"],
    "in chunks, with a trailer": [answer(CHUNKED + b"x-a: b\r\n\r\n", b"Transfer-Encoding: chunked")],
    "in chunks, whatever the length": [sized(CHUNKED + b"\r\n", b"Transfer-Encoding: chunked")],
    "a header of two lines": [sized(CALLER, b"x-a: b", b"  c")],
    "a header twice": [sized(CALLER, b"x-a: b", b"x-a: c")],
    "continue first": [b"HTTP/1.1 100 Continue\r\n\r\n", USUAL],
    "nothing to read": [answer(b"", status=b"204 No Content")],
    "not modified, with a length": [answer(b"", b"Content-Length: 7", status=b"304 Not Modified")],
}
CLOSING_FORMS = {
    "said": [sized(CALLER, b"Connection: close")],
    "no length": [answer(CALLER), b""],
    "an older version": [sized(CALLER, version=b"HTTP/1.0")],
    "more than its length": [USUAL + b"more"],
}


@pytest.mark.parametrize("form", USUAL_FORMS | OTHER_FORMS)
def test_answer_is_the_one_that_botocore_finds(script: Script, light: Any, form: str) -> None:
    pieces = (USUAL_FORMS | OTHER_FORMS)[form]
    script.answers = [pieces]
    found = call(light)
    assert call(light)["Account"] == "123456789012"
    assert script.connections == 1, "the connection is kept"

    script.answers = [[USUAL], pieces]
    theirs = make_client(script, ours=False)
    call(theirs)
    assert found == call(theirs)


def test_headers_of_an_answer_may_be_asked_for_in_any_case(script: Script, light: Any) -> None:
    script.answers = [[sized(CALLER, b"Date: today")]]
    found: list[Any] = []
    light.meta.events.register("after-call", lambda http_response, **_: found.append(http_response))

    light.get_caller_identity()

    (response,) = found
    assert isinstance(response, AWSResponse)
    assert response.headers["DATE"] == response.headers.get("Date") == "today"
    assert "X-Amzn-RequestId" in response.headers
    assert "Age" not in response.headers
    assert response.headers.get("Age", "none") == "none"
    assert (response.content, response.text) == (CALLER, CALLER.decode())


@pytest.mark.parametrize("form", CLOSING_FORMS)
def test_connection_that_cannot_be_kept_is_closed(script: Script, light: Any, form: str) -> None:
    script.answers = [CLOSING_FORMS[form]]

    assert call(light)["Account"] == "123456789012"
    assert call(light)["Account"] == "123456789012"
    assert script.connections == 2


BROKEN = {
    "nothing": [b""],
    "half a head": [USUAL[:20], b""],
    "half the content": [USUAL[:-9], b""],
    "half a chunk": [answer(CHUNKED[:-9], b"Transfer-Encoding: chunked"), b""],
    "no HTTP": [b"220 mail ESMTP\r\n\r\n", b""],
    "a status that is none": [sized(CALLER, status=b"2xx OK"), b""],
    "a head without end": [b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 30_000, b""],
}


@pytest.mark.parametrize("form", BROKEN)
def test_answer_that_breaks_off_or_is_none_is_a_closed_connection(script: Script, light: Any, form: str) -> None:
    script.answers = [BROKEN[form]]

    with pytest.raises(ConnectionClosedError):
        light.get_caller_identity()
    assert call(light)["Account"] == "123456789012"
    assert script.connections == 2
    assert len(script.requests) == 3, "nothing is sent twice"


def test_silence_is_a_timeout_and_the_late_answer_is_nobodys(script: Script) -> None:
    client = make_client(script, ours=True, read_timeout=0.2)
    client.get_caller_identity()
    script.answers = [[]]

    with pytest.raises(ReadTimeoutError):
        client.get_caller_identity()
    assert call(client)["Account"] == "123456789012"
    assert script.connections == 2


@pytest.mark.parametrize("read_timeout", [60, None])
def test_answer_may_take_longer_than_opening_a_connection(script: Script, read_timeout: float | None) -> None:
    client = make_client(script, ours=True, connect_timeout=0.3, read_timeout=read_timeout)
    script.together = Barrier(2)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(client.get_caller_identity)
        wait_until(lambda: len(script.requests) == 1)
        sleep(0.6)
        script.together.wait(timeout=30)

        assert answer.result(timeout=60)["Account"] == "123456789012"


def test_client_without_a_timeout_waits_for_as_long_as_it_takes(script: Script) -> None:
    client = make_client(script, ours=True, read_timeout=None)

    assert [call(client)["Account"] for _ in range(3)] == 3 * ["123456789012"]
    assert script.connections == 1


def test_connection_that_the_server_closed_meanwhile_is_not_used(script: Script, light: Any) -> None:
    script.answers = [[USUAL, b""]]
    light.get_caller_identity()
    wait_until(lambda: script.closed == 1)

    assert call(light)["Account"] == "123456789012"
    assert script.connections == 2


def test_request_is_the_one_that_botocore_sends(script: Script, light: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = {}
    for name, client in (("ours", light), ("theirs", make_client(script, ours=False))):
        call(client)
        call(client)
        head, _, body = script.requests[-1].partition(b"\r\n\r\n")
        changing = (b"authorization:", b"x-amz-date:", b"amz-sdk-invocation-id:", b"user-agent:")
        lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(changing)]
        sent[name] = (lines[0], sorted(lines[1:]), len(head.split(b"\r\n")), body)

    assert sent["ours"] == sent["theirs"]


def test_header_that_could_end_the_head_is_not_written(script: Script, light: Any) -> None:
    def smuggle(request: Any, **_: Any) -> None:
        request.headers["x-a"] = "b\r\nx-c: d"

    light.meta.events.register("before-send", smuggle)
    with pytest.raises(HTTPClientError, match="Invalid header value"):
        light.get_caller_identity()
    assert len(script.requests) == 1


LARGE = CALLER.replace(b"AIDAEXAMPLE", b"A" * 300_000)


@pytest.mark.parametrize(
    "pieces",
    [
        [USUAL],
        [bytes([byte]) for byte in USUAL],
        [sized(LARGE)],
        [answer(b"", b"Transfer-Encoding: chunked"), CHUNKED, b"\r\n"],
    ],
    ids=["one piece", "byte by byte", "large", "in chunks"],
)
def test_answer_over_tls_is_read_whole(secret: Script, pieces: list[bytes]) -> None:
    client = make_client(secret, ours=True)
    client.get_caller_identity()
    secret.answers = [pieces]

    found = call(client)

    assert found["UserId"] in {"AIDAEXAMPLE", "A" * 300_000}
    assert call(client)["Account"] == "123456789012"
    assert (secret.connections, len(secret.requests)) == (1, 3)


@pytest.mark.parametrize("kind", ["script", "secret"])
def test_request_larger_than_any_buffer_arrives_whole(kind: str, request: pytest.FixtureRequest) -> None:
    script: Script = request.getfixturevalue(kind)
    client = make_client(script, ours=True)
    client.get_caller_identity()
    message = "x" * 12_000_000
    script.answers = [[sized(FORBIDDEN, status=b"403 Forbidden")]]

    with pytest.raises(ClientError, match="AccessDenied"):
        client.decode_authorization_message(EncodedMessage=message)

    assert script.requests[-1].endswith(b"EncodedMessage=" + message.encode())
    assert script.connections == 1
