"""Sends the digest to Slack, once, by an incoming webhook or a bot token; the latter can attach a file to it too.

The webhook URL and the token are credentials: they appear in no message, log or exception.
"""

import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from http.client import HTTPException
from ipaddress import ip_address, ip_network
from ssl import SSLCertVerificationError, SSLContext, create_default_context
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from orchestrator.domain.environment import SlackCredentials
from orchestrator.domain.errors import ConfigError, DigestError

if TYPE_CHECKING:
    from slack_sdk import WebClient
    from slack_sdk.http_retry import HttpResponse, RetryHandler, RetryState

    _Response = HttpResponse | None

MAX_TRIES = 5
TIMEOUT_SECONDS = 10
FIRST_WAIT_SECONDS = 0.5
MAX_WAIT_SECONDS = 60.0
"""The longest `Retry-After` that is waited for; a run does not stand still for more."""

_NOT_ACCEPTED = frozenset({500, 502, 503})
"""Not 504: a gateway that waited in vain knows no more about the message than a read time-out does."""
_TAKEN = (HTTPStatus.OK, "ok")
_EMPTY_REFUSED = frozenset({"invalid_payload", "missing_text_or_fallback_or_attachments", "no_text"})
"""How a webhook that works answers an empty message; one that does not is refused before the message is looked at."""
_POSTING_SCOPES = frozenset({"chat:write", "chat:write:bot", "bot"})
"""The last two are those of apps made before 2020."""
_UPLOADING_SCOPES, _LOOKUP_SCOPES = ("files:write",), ("users:read", "users:read.email")
_LOOPBACK = ip_network("127.0.0.0/8"), ip_network("::1/128")
_SLACKS_WORD = re.compile(r"[a-z_]{2,60}")

_WORDS_BY_REMEDY = {
    "put a valid bot token into ORGMFA_SLACK_BOT_TOKEN, or into the secret that slack.secret names": (
        "account_inactive invalid_auth not_authed token_expired token_revoked"
    ),
    "make a new webhook, and put its URL into ORGMFA_SLACK_WEBHOOK_URL or the secret that slack.secret names": (
        "invalid_token no_active_hooks no_service no_service_id no_team team_disabled"
    ),
    "set slack.channel to the ID of a channel (C...), and invite the app where it is private": "channel_not_found",
    "invite the app into the channel that slack.channel names": "not_in_channel",
    "give the app the scope chat:write (for slack.attach files:write too; for nudge users:read and users:read.email), "
    "and install it again": "missing_scope",
    "choose a channel that is not archived": "channel_is_archived is_archived",
    "ask an administrator of the workspace to let the app post there": (
        "action_prohibited posting_to_general_channel_denied restricted_action"
    ),
    "ask an administrator of the workspace to let the app upload files, or leave slack.attach out": (
        "file_upload_size_restricted file_uploads_disabled file_uploads_except_images_disabled"
    ),
    "run again in a few minutes": "rate_limited ratelimited",
    "this is a defect of orgmfa, please report it": (
        "invalid_blocks invalid_blocks_format invalid_payload msg_blocks_too_long msg_too_long no_text"
    ),
}
UNTRUSTED_REMEDY = (
    "have AWS_CA_BUNDLE, which AWS gets too, or SSL_CERT_FILE, where that is not set, name a file with the certificate "
    "of your proxy's authority"
)
_TABLE_REFUSED = frozenset(
    {"invalid_attachments", "invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "only_one_table_allowed"}
)
"""How Slack refuses a table: not every workspace takes one, and what it counts against its limits is not documented."""
_Result = TypeVar("_Result")
_What = Literal["digest", "credentials", "page", "thread", "message"]
_REMEDIES = {word: remedy for remedy, words in _WORDS_BY_REMEDY.items() for word in words.split()}
_NO_WEBHOOK_ATTACHES = (
    "slack.attach: nothing can be attached by a webhook, which wins where both are given. It needs a bot token alone: "
    'set ORGMFA_SLACK_BOT_TOKEN, or put {"bot_token": "..."} into the secret that slack.secret names'
)


class _Refused(Exception):
    """Slack did not take what it was given: the HTTP status, and its word, which is empty in what Slack never says."""


class SlackClient:
    """Posts one message: by the webhook where there is one, else by the bot token into the channel.

    `attaches` is whether a file is to follow in its thread, which no webhook can do; `looks_up_users`, whether the app
    is to know people by their address too.
    """

    def __init__(
        self,
        credentials: SlackCredentials,
        *,
        channel: str | None,
        attaches: bool = False,
        looks_up_users: bool = False,
        base_url: str | None = None,
        timeout_seconds: int = TIMEOUT_SECONDS,
        tls: SSLContext | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Take the TLS context with the CA bundle that AWS gets too; None: the authorities that Python trusts.

        Raises ConfigError where the credentials cannot serve this, or a bot token has no channel to post into.
        """
        self._webhook_url = (credentials.webhook_url or "").strip()
        self._bot_token = (credentials.bot_token or "").strip()
        self._channel = channel or ""
        self._needs = {*_UPLOADING_SCOPES * attaches, *_LOOKUP_SCOPES * looks_up_users}
        self._thread: dict[str, Any] = {}
        self._base_url = base_url
        self._timeout_seconds = timeout_seconds
        self._tls = tls
        self._sleep = sleep
        if self._webhook_url:
            if not _is_url(self._webhook_url):
                raise ConfigError(
                    "the Slack webhook is not a URL; it begins with https:// (http:// on this machine alone)"
                )
            if attaches:
                raise ConfigError(_NO_WEBHOOK_ATTACHES)
        elif not self._bot_token:
            raise ConfigError("Slack needs a webhook URL or a bot token; there is neither")
        elif not self._channel:
            raise ConfigError("slack.channel: a bot token needs the channel to post into, such as C0123456789")

    def send(self, text: str, blocks: Sequence[Mapping[str, Any]]) -> None:
        """Post the message once. Raises DigestError where Slack refuses it, or does not answer."""
        self.attempt(partial(self._post, text, blocks), "digest")

    @property
    def has_thread(self) -> bool:
        """Whether there is a thread below the message; no webhook can post into one."""
        return not self._webhook_url

    def reply(self, text: str, blocks: Sequence[Mapping[str, Any]], otherwise: Sequence[Mapping[str, Any]]) -> None:
        """Post once into the thread, `otherwise` where Slack refuses the table. Raises DigestError where that fails."""
        self.attempt(partial(self._reply, text, blocks, otherwise), "thread")

    def attach(self, filename: str, content: bytes, comment: str) -> None:
        """Upload a file into the thread of the message that was sent. Raises DigestError where Slack refuses it."""
        self.attempt(partial(self._upload, filename, content, comment), "page")

    def probe(self) -> str:
        """Return in words that Slack accepts the credentials; nothing is posted. Raises DigestError if it does not."""
        self.attempt(self._test_credentials, "credentials")
        if self._webhook_url:
            return "Slack accepts the webhook (an empty message was refused as empty)"
        return f"Slack accepts the bot token; whether it may post into {self._channel}, the first digest shows"

    def attempt(self, call: Callable[[], _Result], what: _What) -> _Result:
        """Return the result of a call to Slack. Raises DigestError where it fails or is refused."""
        try:
            return _translated(call)
        except _Refused as refused:
            status, word = refused.args
            fault = _explain(status, word, what, by_webhook=bool(self._webhook_url))
        except URLError as error:
            fault = _describe_unreachable(error)
        except (OSError, HTTPException):
            fault = f"Slack did not answer within {self._timeout_seconds} s, or broke off"
            if what != "credentials":
                fault += f"; the {what} may have arrived, so it is not sent again"
        except (ValueError, LookupError, AttributeError, TypeError) as error:
            # slack_sdk on an answer that is not what Slack sends, or on a proxy that is no URL.
            fault = f"Slack's answer could not be read ({type(error).__name__}): check the proxy (HTTPS_PROXY)"
        # Raised here, outside of any `except`: the errors of the SDK hold the URL, and none is to hang on ours.
        raise DigestError(fault)

    def _post(self, text: str, blocks: Sequence[Mapping[str, Any]]) -> None:
        message = _message(text, blocks)
        if self._webhook_url:
            status, word = self._send_to_webhook(message)
            if (status, word) != _TAKEN:
                raise _Refused(status, "" if status == HTTPStatus.OK else word)
            return
        posted = self.web_client().chat_postMessage(channel=self._channel, **message)
        if posted.get("ts"):
            # The ID of the channel: an upload takes no name, which slack.channel can be.
            self._thread = {"channel": posted.get("channel") or self._channel, "thread_ts": posted.get("ts")}

    def _reply(self, text: str, blocks: Sequence[Mapping[str, Any]], otherwise: Sequence[Mapping[str, Any]]) -> None:
        try:
            _translated(partial(self._post_below, text, blocks))
        except _Refused as refused:
            if refused.args[1] not in _TABLE_REFUSED:
                raise
            self._post_below(text, otherwise)

    def _post_below(self, text: str, blocks: Sequence[Mapping[str, Any]]) -> None:
        if not self._thread:
            raise _Refused(HTTPStatus.OK, "")
        self.web_client().chat_postMessage(**self._thread, **_message(text, blocks))

    def _upload(self, filename: str, content: bytes, comment: str) -> None:
        from slack_sdk.errors import SlackRequestError  # noqa: PLC0415 - as in web_client

        if not self._thread:
            raise _Refused(HTTPStatus.OK, "")
        try:
            self.web_client().files_upload_v2(
                filename=filename, title=filename, content=content, initial_comment=comment, **self._thread
            )
        except SlackRequestError:  # the place where the file is put: not the Web API, and its answer is in no format
            raise _Refused(HTTPStatus.OK, "") from None
        except HTTPError as error:
            raise _Refused(error.code, "") from None

    def _test_credentials(self) -> None:
        """Send an empty message to the webhook, or ask auth.test by the bot token.

        The answers of the Web API list the token's scopes in a header; where it is missing, nothing is held against it.
        """
        if self._webhook_url:
            status, word = self._send_to_webhook({})
            if word not in _EMPTY_REFUSED and (status, word) != _TAKEN:
                raise _Refused(status, word)
            return
        headers = self.web_client().auth_test().headers
        scopes = next((value for name, value in headers.items() if name.lower() == "x-oauth-scopes"), "")
        given = scopes.replace(" ", "").split(",")
        if scopes and (_POSTING_SCOPES.isdisjoint(given) or not self._needs.issubset(given)):
            raise _Refused(HTTPStatus.OK, "missing_scope")

    def _send_to_webhook(self, message: dict[str, Any]) -> tuple[int, str]:
        from slack_sdk import WebhookClient  # noqa: PLC0415 - as in web_client

        sent = WebhookClient(self._webhook_url, **self._settings()).send_dict(message)
        return sent.status_code, sent.body.strip()

    def web_client(self) -> "WebClient":
        """Return a client of the Web API with the bot token."""
        from slack_sdk import WebClient  # noqa: PLC0415 - 100 ms that only a digest is to cost

        return WebClient(self._bot_token, **self._settings())

    def _settings(self) -> dict[str, Any]:
        settings: dict[str, Any] = {
            "timeout": self._timeout_seconds,
            # slack_sdk logs the webhook URL, in errors too: its logger leads nowhere.
            "logger": logging.Logger("slack", logging.CRITICAL + 1),  # noqa: LOG001 - outside of all configured ones
            "retry_handlers": [_make_retry_handler(self._sleep)],
            "ssl": self._tls or create_default_context(),  # urllib's own is made once in a process
        }
        if self._base_url and not self._webhook_url:
            settings["base_url"] = self._base_url
        return settings


def seconds_to_wait(tries: int, response: "_Response", error: Exception | None) -> float | None:
    """Return how long to wait before the message is posted again, or None where it is not to be.

    Slack knows no idempotency key. So a message is posted again only where Slack said that it did not take it (429,
    5xx) or cannot have taken it: urllib raises `URLError` up to the moment at which the whole request is sent, never
    later. While the answer is awaited a time-out or a broken connection is none: the message may stand in the channel.
    A connection that timed out has cost enough already.
    """
    backoff = FIRST_WAIT_SECONDS * 2**tries
    if response is None:
        is_unsent = isinstance(error, URLError) and not isinstance(
            error.reason, TimeoutError | SSLCertVerificationError
        )
        return backoff if is_unsent else None
    if response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
        asked = [value[0] for name, value in response.headers.items() if name.lower() == "retry-after"]
        wait = float(asked[0]) if asked and asked[0].isdecimal() else backoff
        return wait if wait <= MAX_WAIT_SECONDS else None
    return backoff if response.status_code in _NOT_ACCEPTED else None


def _make_retry_handler(sleep: Callable[[float], None]) -> "RetryHandler":
    """Return the only retry handler. slack_sdk's own post again after a broken connection, and wait however long."""
    from slack_sdk.http_retry import RetryHandler  # noqa: PLC0415 - as in web_client

    class Patience(RetryHandler):
        def _can_retry(
            self, *, state: "RetryState", response: "_Response" = None, error: Exception | None = None, **_: object
        ) -> bool:
            return seconds_to_wait(state.current_attempt, response, error) is not None

        def prepare_for_next_attempt(
            self, *, state: "RetryState", response: "_Response" = None, error: Exception | None = None, **_: object
        ) -> None:
            sleep(seconds_to_wait(state.current_attempt, response, error) or 0.0)
            state.next_attempt_requested = True
            state.increment_current_attempt()

    return Patience(max_retry_count=MAX_TRIES - 1)


def _message(text: str, blocks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"text": text, "blocks": [dict(block) for block in blocks], "unfurl_links": False, "unfurl_media": False}


def _translated(call: Callable[[], _Result]) -> _Result:
    """Return the result of a call. Raises _Refused where the Web API refuses it."""
    from slack_sdk.errors import SlackApiError  # noqa: PLC0415 - as in web_client

    try:
        return call()
    except SlackApiError as error:
        raise _Refused(error.response.status_code, str(error.response.get("error", ""))) from None


def _explain(status: int, word: str, what: _What, *, by_webhook: bool) -> str:
    """Return why Slack refused something, and what to do about it."""
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        doubt = "" if status in _NOT_ACCEPTED or what == "credentials" else f"; the {what} may have arrived"
        return f"Slack answered with an error of its own (HTTP {status}){doubt}: run again later"
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        word = "ratelimited"
    if _SLACKS_WORD.fullmatch(word) is None or word == "ok":
        suspects = "the webhook URL and the proxy" if by_webhook else "the proxy"
        return f"the answer is not Slack's (HTTP {status}): check {suspects} (HTTPS_PROXY)"
    remedy = _REMEDIES.get(word)
    return f"Slack refused the {what}: {word}{f'; {remedy}' if remedy else ''}"


def _describe_unreachable(error: URLError) -> str:
    reason = error.reason
    if isinstance(reason, SSLCertVerificationError):
        return f"the certificate of Slack is not trusted ({reason.verify_message}): {UNTRUSTED_REMEDY}"
    said = reason.strerror if isinstance(reason, OSError) else ""
    what = "timed out" if isinstance(reason, TimeoutError) else said or type(reason).__name__
    return f"Slack could not be reached ({what}): check the network and the proxy (HTTPS_PROXY)"


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        has_port = parts.port != 0  # reading it refuses a port that is none
        is_safe = parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname or ""))
    except ValueError:
        return False
    is_clean = text.isascii() and text.isprintable() and " " not in text
    return is_clean and has_port and is_safe and bool(parts.hostname)


def _is_loopback(host: str) -> bool:
    """Return whether a host is this machine. Raises ValueError for another name."""
    return host == "localhost" or any(ip_address(host) in network for network in _LOOPBACK)
