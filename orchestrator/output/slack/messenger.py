"""Messages to users by Slack, as direct messages of the app.

They need the scopes users:read, users:read.email and chat:write. The words stand in a rich text block, of which Slack
parses nothing: what is a link is said apart, which is the sign-in address alone.
"""

import re
from ssl import SSLContext
from typing import Any

from orchestrator.domain.environment import SlackCredentials
from orchestrator.domain.errors import DeliveryError, DigestError
from orchestrator.domain.nudges import is_member_id
from orchestrator.output.slack.client import SlackClient

_GENERAL = re.compile(
    r"could not be reached|certificate of Slack|refused the message: (account_inactive|invalid_auth|missing_scope|"
    r"not_authed|rate_?limited|token_expired|token_revoked)"
)
"""Failures that concern every message. Any other is one person's: nobody's address may end the messages of a run."""
_SIGN_IN = re.compile(r"(https://[0-9]{12}\.signin\.[a-z0-9.-]+/console)")


class SlackMessenger:
    """Finds people by their e-mail address or member ID, and writes to them."""

    def __init__(self, bot_token: str, *, tls: SSLContext | None = None, **options: Any) -> None:  # noqa: ANN401 - those of the client
        """Take the bot token and the TLS context; `options` are those of the client."""
        credentials = SlackCredentials(bot_token=bot_token)
        self._client = SlackClient(credentials, channel="users", tls=tls, **options)

    def find(self, address: str) -> tuple[str, str]:
        """Return the member ID and the e-mail address of a person. Raises DeliveryError."""
        if is_member_id(address):
            answer = self._ask("users_info", user=address)
        else:
            answer = self._ask("users_lookupByEmail", email=address)
        user = answer.get("user")
        if not isinstance(user, dict) or user.get("deleted") or user.get("is_bot") or user.get("is_stranger"):
            raise DeliveryError("the address is of no member of the workspace who could be told")
        profile = user.get("profile")
        return str(user.get("id")), str(profile.get("email")).lower() if isinstance(profile, dict) else ""

    def send(self, recipient: str, subject: str, text: str) -> None:
        """Send one direct message. Raises DeliveryError where Slack does not accept it."""
        words = [
            {"type": "link", "url": part} if _SIGN_IN.fullmatch(part) else {"type": "text", "text": part}
            for part in _SIGN_IN.split(text)
            if part
        ]
        blocks = [{"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": words}]}]
        self._ask("chat_postMessage", channel=recipient, text=subject, blocks=blocks, unfurl_links=False)

    def _ask(self, method: str, **parameters: object) -> dict[str, Any]:
        try:
            answer = self._client.attempt(lambda: getattr(self._client.web_client(), method)(**parameters), "message")
        except DigestError as error:
            raise DeliveryError(str(error), is_general=_GENERAL.search(str(error)) is not None) from None
        data: dict[str, Any] = answer.data
        return data
