"""What botocore works out anew for each call though it is the same for all: user agent and endpoint; and dates, slowly.

Each function leaves a client that is not built as expected as it is. The answers are botocore's own, kept.
"""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.regions import EndpointRulesetResolver
from botocore.useragent import UserAgentString
from botocore.utils import parse_timestamp

if TYPE_CHECKING:
    from botocore.endpoint_provider import RuleSetEndpoint
    from botocore.model import OperationModel

C = TypeVar("C")


def keeping_repeats(client: C) -> C:
    """Return a botocore client that keeps its user agent, and its endpoints where no parameter of a call counts."""
    creator: Any = getattr(client, "_user_agent_creator", None)
    resolver: Any = getattr(client, "_ruleset_resolver", None)
    has_agent, has_resolver = type(creator) is UserAgentString, type(resolver) is EndpointRulesetResolver
    if has_agent:
        text = creator.to_string()
        creator.__class__ = _KeptUserAgent
        creator.text = text
    if has_resolver:
        resolver.__class__ = _KeptEndpoints
        resolver.kept = {}
    return client


def trying_once(client: C) -> C:
    """Return a botocore client that does not ask itself after each call whether to try again, where it never may."""
    meta: Any = getattr(client, "meta", None)
    if meta is not None and (meta.config.retries or {}).get("total_max_attempts") == 1:
        name = meta.service_model.service_id.hyphenize()
        meta.events.unregister(f"needs-retry.{name}", unique_id=f"retry-config-{name}")
    return client


class _KeptUserAgent(UserAgentString):
    """The user agent of a client."""

    text: str

    def to_string(self) -> str:
        """Return it."""
        return self.text


class _KeptEndpoints(EndpointRulesetResolver):
    """The endpoints of a client, by operation."""

    kept: "dict[str, RuleSetEndpoint]"

    def construct_endpoint(
        self,
        operation_model: "OperationModel",
        call_args: Mapping[str, Any] | None,
        request_context: Mapping[str, Any],
    ) -> "RuleSetEndpoint":
        """Return the endpoint of a call."""
        found = self.kept.get(operation_model.name)
        if found is None:
            found = super().construct_endpoint(operation_model, call_args, request_context)
            if not operation_model.context_parameters and not operation_model.operation_context_parameters:
                self.kept[operation_model.name] = found
        return found


def read_timestamp(value: Any) -> datetime:  # noqa: ANN401 - whatever an answer holds
    """Return the date of an answer; the usual form is read by Python itself, which is far faster."""
    if isinstance(value, str) and "T" in value:
        with suppress(ValueError):
            return datetime.fromisoformat(value)
    return parse_timestamp(value)
