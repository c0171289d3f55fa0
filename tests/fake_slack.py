"""A Slack that listens on 127.0.0.1, takes messages by webhook and by chat.postMessage, and refuses what Slack refuses.

    with FakeSlack() as slack:
        run_the_program(ORGMFA_SLACK_WEBHOOK_URL=slack.webhook_url)
        [message] = slack.messages

For the bot token: `slack.bot_token`, `slack.channel` and `slack.api_url`, the `base_url` of a WebClient. It may upload
files unless `may_upload` is taken from it; `files` are those that were shared, each with its thread. `messages` are the
accepted ones of the channel, in order, and `replies` those of its threads; `faults` say why others were refused;
`requests` counts every post. Posts can be made to fail first: `slack.next(RateLimited(0), ServerError(), Drop())` does
so to the next three, one each.

The program under test must not find a proxy in its environment (HTTPS_PROXY, HTTP_PROXY): slack_sdk would ask the proxy
for 127.0.0.1 too.

`find_fault(payload)` is the check alone, without HTTP. It knows the blocks that the program uses (header, section,
context, divider, table) and refuses all others, and keys that Slack does not know. Slack's limits: 50 blocks, 3,000
characters a section, 150 a header, 10 fields of 2,000, 10 context elements, no empty text; one table a message, of 100
rows and 20 columns, all rows as long, no cell empty, 10,000 characters in all cells. `refuses_tables` is the word by
which a workspace refuses every table. What Slack counts towards the about 12,000 characters of all blocks is not
documented; here it is their JSON, the most that it can be, and of tables the text of the cells.
"""

import json
import re
import secrets
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SHUT_RDWR
from socketserver import TCPServer
from threading import Event, Lock, Thread
from typing import Any, Self
from urllib.parse import parse_qsl

MAX_BLOCKS = 50
MAX_BLOCK_CHARACTERS = 12_000
MAX_SECTION = 3_000
MAX_HEADER = 150
MAX_FIELDS = 10
MAX_FIELD = 2_000
MAX_ELEMENTS = 10
MAX_TEXT = 40_000
MAX_ROWS = 100
MAX_COLUMNS = 20
MAX_CELLS = 10_000

_KEYS = {
    "header": {"text"},
    "section": {"text", "fields"},
    "context": {"elements"},
    "divider": set[str](),
    "table": {"rows", "column_settings"},
}
_TEXT_KEYS = {
    "plain_text": {"type", "text", "emoji"},
    "mrkdwn": {"type", "text", "verbatim"},
    "raw_text": {"type", "text"},
}
_MENTION = re.compile(r"<(?:!(?:here|channel|everyone|subteam\^\w+)|@\w+)[^>]*>")


@dataclass(frozen=True, slots=True)
class RateLimited:
    """Answer 429; `retry_after` is the header, or None for an answer without it."""

    retry_after: int | None = 0


@dataclass(frozen=True, slots=True)
class ServerError:
    """Answer with an error of the 5xx family."""

    status: int = 500


@dataclass(frozen=True, slots=True)
class Drop:
    """Break the connection off without an answer; `accepting` the message first, or not."""

    accepting: bool = False


@dataclass(frozen=True, slots=True)
class Silence:
    """Keep the connection open and never answer."""


@dataclass(frozen=True, slots=True)
class Say:
    """Answer with these words, whatever the message: another refusal, a proxy's page."""

    words: str
    status: int = 200


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer over HTTP."""

    status: int
    body: str
    headers: dict[str, str] = field(default_factory=dict)


Failure = RateLimited | ServerError | Drop | Silence | Say


@dataclass(frozen=True, slots=True)
class Fault:
    """Why Slack refuses a message: its word, and where."""

    word: str
    where: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """A message that was accepted. `channel` is None where it came by the webhook; `options` is what else was asked."""

    channel: str | None
    text: str
    blocks: list[dict[str, Any]] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)
    ts: str = ""
    thread_ts: str = ""

    @property
    def texts(self) -> list[str]:
        """The text of every text object, in order."""
        return [text["text"] for block in self.blocks for _, text in _texts_of(block)]

    @property
    def mentions(self) -> list[str]:
        """Whatever in the message rings somebody's phone: `<!here>`, `<@U...>`, `<!subteam^S...>`."""
        return _MENTION.findall("\n".join([self.text, *self.texts]))


@dataclass(frozen=True, slots=True)
class File:
    """A file that was shared: into which channel and thread, and with which words."""

    channel: str
    thread_ts: str
    name: str
    content: bytes
    comment: str


@dataclass(slots=True)
class _Upload:
    """A file on its way: announced with its length, then put, then shared."""

    name: str
    length: int
    content: bytes | None = None


def find_fault(payload: Mapping[str, Any]) -> Fault | None:
    """Return why Slack would refuse this message, or None where it would take it."""
    return next(_find_faults(payload), None)


def _find_faults(payload: Mapping[str, Any]) -> Iterator[Fault]:
    text, blocks = payload.get("text") or "", payload.get("blocks") or []
    if not isinstance(text, str) or not isinstance(blocks, list):
        yield Fault("invalid_arguments")
        return
    if not text.strip() and not blocks:
        yield Fault("no_text")
    if len(text) > MAX_TEXT:
        yield Fault("msg_too_long")
    yield from _find_faults_of_blocks(blocks)


def _find_faults_of_blocks(blocks: list[Any]) -> Iterator[Fault]:
    if not all(isinstance(block, dict) for block in blocks):
        yield Fault("invalid_blocks_format")
        return
    if len(blocks) > MAX_BLOCKS:
        yield Fault("invalid_blocks", f"no more than {MAX_BLOCKS} items allowed [json-pointer:/blocks]")
    for position, block in enumerate(blocks):
        faults = _find_table_faults(block) if block.get("type") == "table" else _find_block_faults(block)
        yield from (Fault("invalid_blocks", f"{where} [json-pointer:/blocks/{position}]") for where in faults)
    tables = [block for block in blocks if block.get("type") == "table"]
    if len(tables) > 1:
        yield Fault("invalid_attachments", "only_one_table_allowed")
    cells = sum(_count(cell["text"]) for table in tables for row in table["rows"] for cell in row)
    if cells > MAX_CELLS:
        yield Fault("invalid_blocks", f"no more than {MAX_CELLS} characters allowed in a table")
    others = [block for block in blocks if block not in tables]
    if cells + _count(json.dumps(others, ensure_ascii=False)) > MAX_BLOCK_CHARACTERS:
        yield Fault("msg_blocks_too_long")


def _find_block_faults(block: dict[str, Any]) -> Iterator[str]:
    kind = block.get("type")
    if kind not in _KEYS:
        yield f"unsupported type: {kind}"
        return
    if unknown := block.keys() - _KEYS[kind] - {"type", "block_id"}:
        yield f"invalid additional property: {', '.join(sorted(unknown))}"
    if kind != "divider" and not _KEYS[kind] & block.keys():
        yield f"missing required field: {' or '.join(sorted(_KEYS[kind]))}"
    for name, most in (("fields", MAX_FIELDS), ("elements", MAX_ELEMENTS)):
        items = block.get(name, [None])
        if not isinstance(items, list) or not 1 <= len(items) <= most:
            yield f"{name}: between 1 and {most} items allowed"
            return
    for limit, text in _texts_of(block):
        yield from _find_text_faults(text, limit)
        if kind == "header" and isinstance(text, dict) and text.get("type") != "plain_text":
            yield "must be plain_text"


def _find_table_faults(table: dict[str, Any]) -> Iterator[str]:
    rows, settings = table.get("rows"), table.get("column_settings", [])
    if not isinstance(rows, list) or not 1 <= len(rows) <= MAX_ROWS:
        yield f"rows: between 1 and {MAX_ROWS} items allowed"
        return
    if not all(isinstance(row, list) and 1 <= len(row) <= MAX_COLUMNS for row in rows) or len(settings) > MAX_COLUMNS:
        yield f"between 1 and {MAX_COLUMNS} columns allowed"
        return
    if len({len(row) for row in rows}) > 1:
        yield "all rows must have the same number of cells"
    for cell in (cell for row in rows for cell in row):
        if not isinstance(cell, dict) or cell.get("type") != "raw_text":
            yield "failed to match any allowed schema"
        yield from _find_text_faults(cell, MAX_SECTION)


def _texts_of(block: dict[str, Any]) -> Iterator[tuple[int, Any]]:
    """Yield the text objects of a block, each with its limit."""
    if "text" in block:
        yield MAX_HEADER if block["type"] == "header" else MAX_SECTION, block["text"]
    yield from ((MAX_FIELD, text) for text in block.get("fields", []))
    yield from ((MAX_SECTION, text) for text in block.get("elements", []))
    yield from ((MAX_SECTION, cell) for row in block.get("rows", []) for cell in row)


def _find_text_faults(text: Any, limit: int) -> Iterator[str]:
    if not isinstance(text, dict) or text.get("type") not in _TEXT_KEYS:
        yield "not a text object"
        return
    if unknown := text.keys() - _TEXT_KEYS[text["type"]]:
        yield f"invalid additional property: {', '.join(sorted(unknown))}"
    content = text.get("text")
    if not isinstance(content, str) or not content.strip():
        yield "must be more than 0 characters"
    elif _count(content) > limit:
        yield f"must be less than {limit + 1} characters"


def _count(text: str) -> int:
    """Return a length in UTF-16 code units, the most that a count of characters can give; half pairs count as one."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


class FakeSlack:
    """The server, in threads of this process, from `with` to the end of it."""

    def __init__(self) -> None:
        self.bot_token = f"xoxb-{secrets.token_hex(8)}"
        self.channel = "C0SECURITY"
        self.foreign_channels = {"C0PRIVATE": "not_in_channel", "C0OLD": "is_archived"}
        """Channels that refuse the app, each by its word; any other one is `channel_not_found`."""
        self.messages: list[Message] = []
        self.replies: list[Message] = []
        self.refuses_tables = ""
        self.may_upload = True
        """Whether the token has the scope files:write."""
        self.max_file_bytes = 1 << 30
        self.files: list[File] = []
        self._uploads: dict[str, _Upload] = {}
        self.faults: list[Fault] = []
        self.requests = 0
        self._closing = Event()
        self._failures: deque[Failure] = deque()
        self._lock = Lock()
        self._webhook_path = f"/services/T0ACME/B0ORGMFA/{secrets.token_urlsafe(18)}"
        self._server = _Server(self)
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,), name="fake-slack", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def webhook_url(self) -> str:
        """The incoming webhook; its path is the secret."""
        return f"{self._url}{self._webhook_path}"

    @property
    def api_url(self) -> str:
        """The address of the Web API, the `base_url` of a WebClient."""
        return f"{self._url}/api/"

    @property
    def secret_texts(self) -> tuple[str, ...]:
        """What must never be seen anywhere: the token, and the path of the webhook and its last part."""
        return self.bot_token, self._webhook_path, self._webhook_path.rpartition("/")[2]

    def next(self, *failures: Failure) -> None:
        """Treat the next posts so, one each."""
        with self._lock:
            self._failures.extend(failures)

    def answer(self, path: str, authorization: str, body: bytes) -> Answer | None:
        """Return the answer to a post, or None where there is to be none."""
        with self._lock:
            self.requests += 1
            failure = self._failures.popleft() if self._failures else None
            judged = self._judge(path, authorization, body) if failure in {None, Drop(accepting=True)} else None
        match failure:
            case None:
                return judged
            case RateLimited(retry_after):
                headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
                return Answer(429, '{"ok": false, "error": "ratelimited"}', headers)
            case ServerError(status):
                return Answer(status, "server_error")
            case Say(words, status):
                return Answer(status, words)
            case Silence():
                self._closing.wait()
                return None
            case Drop():
                return None

    @property
    def _url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def _judge(self, path: str, authorization: str, body: bytes) -> Answer:
        if path.startswith("/upload/"):
            return self._put(path.rpartition("/")[2], body)
        if path.startswith("/api/files."):
            told = self._call_files(path.rpartition(".")[2], authorization, dict(parse_qsl(body.decode())))
            return Answer(200, json.dumps({"ok": "error" not in told} | told), {"Content-Type": "application/json"})
        try:
            payload = json.loads(body)
        except ValueError:
            payload = None
        if path == self._webhook_path:
            fault = find_fault(payload) if isinstance(payload, dict) else Fault("invalid_payload")
            self._keep(None, payload, fault)
            return Answer(400, fault.word) if fault else Answer(200, "ok")
        if path != "/api/chat.postMessage":
            return Answer(404, "no_service")
        fault = self._find_call_fault(authorization, payload)
        ts = self._keep(self.channel, payload, fault)
        said: dict[str, Any] = {"ok": fault is None}
        if fault is None:
            said |= {"channel": self.channel, "ts": ts}
        else:
            said |= {"error": fault.word, "response_metadata": {"messages": [f"[ERROR] {fault.where}"]}}
        return Answer(200, json.dumps(said), {"Content-Type": "application/json"})

    def _find_call_fault(self, authorization: str, payload: object) -> Fault | None:
        if authorization != f"Bearer {self.bot_token}":
            return Fault("invalid_auth" if authorization else "not_authed")
        if not isinstance(payload, dict):
            return Fault("invalid_json")
        channel = payload.get("channel")
        if channel != self.channel:
            return Fault(self.foreign_channels.get(str(channel), "channel_not_found"))
        if payload.get("thread_ts", "") not in {"", *(message.ts for message in self.messages)}:
            return Fault("thread_not_found")
        has_table = any(block.get("type") == "table" for block in payload.get("blocks", []))
        return Fault(self.refuses_tables) if self.refuses_tables and has_table else find_fault(payload)

    def _keep(self, channel: str | None, payload: Any, fault: Fault | None) -> str:
        """Book a message, and return its time stamp, which is its ID."""
        if fault is not None:
            self.faults.append(fault)
            return ""
        ts = f"{1_772_452_800 + len(self.messages) + len(self.replies)}.000100"
        told = {"channel", "text", "blocks", "thread_ts"}
        options = {key: value for key, value in payload.items() if key not in told}
        thread = payload.get("thread_ts") or ""
        message = Message(channel, payload.get("text") or "", payload.get("blocks") or [], options, ts, thread)
        (self.replies if thread else self.messages).append(message)
        return ts

    def _call_files(self, method: str, authorization: str, form: dict[str, str]) -> dict[str, Any]:
        """Return the answer to one of the two calls of the Web API around an upload."""
        if authorization != f"Bearer {self.bot_token}":
            return {"error": "invalid_auth" if authorization else "not_authed"}
        if not self.may_upload:
            return {"error": "missing_scope", "needed": "files:write"}
        if method == "getUploadURLExternal":
            if not form.get("filename") or not form.get("length", "").isdecimal():
                return {"error": "invalid_arguments"}
            file_id = f"F0FILE{len(self._uploads)}"
            self._uploads[file_id] = _Upload(form["filename"], int(form["length"]))
            return {"file_id": file_id, "upload_url": f"{self._url}/upload/{file_id}"}
        if method == "completeUploadExternal":
            return self._share(form)
        return {"error": "unknown_method"}

    def _put(self, file_id: str, content: bytes) -> Answer:
        """Return the answer of the place where files are put: not the Web API, and without the token."""
        upload = self._uploads.get(file_id)
        if upload is None or upload.length != len(content):
            return Answer(400, "bad upload")
        if len(content) > self.max_file_bytes:
            return Answer(413, "too large")
        upload.content = content
        return Answer(200, f"OK - {len(content)}")

    def _share(self, form: dict[str, str]) -> dict[str, Any]:
        channel, thread_ts = form.get("channel_id", ""), form.get("thread_ts", "")
        if channel != self.channel:
            return {"error": self.foreign_channels.get(channel, "channel_not_found")}
        if thread_ts and thread_ts not in {message.ts for message in self.messages if message.channel == channel}:
            return {"error": "thread_not_found"}
        wanted = [str(file["id"]) for file in json.loads(form.get("files", "[]"))]
        uploads = [self._uploads.pop(file_id, None) for file_id in wanted]
        for upload in uploads:
            if upload is None or upload.content is None:
                return {"error": "file_not_found"}
            comment = form.get("initial_comment", "")
            self.files.append(File(channel, thread_ts, upload.name, upload.content, comment))
        return {"files": [{"id": file_id} for file_id in wanted]}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, slack: FakeSlack) -> None:
        self.slack = slack
        super().__init__(("127.0.0.1", 0), _Handler)

    def server_bind(self) -> None:
        TCPServer.server_bind(self)  # without HTTPServer's look-up of the host's name

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: that the other side went away is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, _Server)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        answer = self.server.slack.answer(self.path, self.headers.get("Authorization", ""), body)
        if answer is None:
            self.close_connection = True
            self.connection.shutdown(SHUT_RDWR)
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body.encode())))
        self.end_headers()
        self.wfile.write(answer.body.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that http.server gives it
        """Say nothing on stderr: it belongs to the program under test."""
