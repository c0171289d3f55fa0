"""IAM, STS and Organizations without an SDK: parameters in, parsed answers out. Decides nothing."""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree as ET

from benchmarks.connections import Connections, Request
from benchmarks.sigv4 import Signer

_IAM_VERSION, _STS_VERSION = "2010-05-08", "2011-06-15"
_ORGANIZATIONS = "AWSOrganizationsV20161128"
_FORM = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
_NAMESPACE = re.compile(rb' xmlns="[^"]*"')
_PAGE_SIZE = "1000"


class Calls:
    """Makes calls for the hub, and for each account with the credentials it was assumed with."""

    def __init__(self, connections: Connections, host: str, keys: tuple[str, str]) -> None:
        """Take the connections, the host that requests name, and the hub's access key and secret key."""
        self._connections = connections
        self._host = host
        self._hub = {service: self._signer(service, *keys, "") for service in ("sts", "organizations")}

    async def assume(self, role_arn: str, session_policy: str | None) -> Signer:
        """Return what signs for an account."""
        parameters = {"RoleArn": role_arn, "RoleSessionName": "no-sdk", "DurationSeconds": "3600"}
        if session_policy is not None:
            parameters["Policy"] = session_policy
        answer = await self.sts("AssumeRole", parameters)
        issued = (answer.findtext(f".//{name}") or "" for name in ("AccessKeyId", "SecretAccessKey", "SessionToken"))
        return self._signer("iam", *issued)

    async def sts(self, action: str, parameters: Mapping[str, str]) -> ET.Element:
        """Return the answer of STS."""
        return await self._query(self._hub["sts"], {"Action": action, "Version": _STS_VERSION, **parameters})

    async def iam(self, signer: Signer, action: str, **parameters: object) -> ET.Element:
        """Return the answer of IAM."""
        return await self._query(signer, {"Action": action, "Version": _IAM_VERSION, **parameters})

    async def pages(self, signer: Signer, action: str, **parameters: object) -> list[ET.Element]:
        """Return all pages of a list of IAM."""
        pages: list[ET.Element] = []
        marker: dict[str, object] = {}
        while True:
            page = await self.iam(signer, action, **parameters, MaxItems=_PAGE_SIZE, **marker)
            pages.append(page)
            if page.findtext(".//IsTruncated") != "true":
                return pages
            marker = {"Marker": page.findtext(".//Marker")}

    async def organizations(self, action: str, parameters: Mapping[str, str]) -> Any:  # noqa: ANN401 - an answer of the API
        """Return the answer of Organizations."""
        headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": f"{_ORGANIZATIONS}.{action}"}
        request = Request(self._hub["organizations"], json.dumps(parameters).encode(), headers)
        return json.loads(await self._connections.call(request))

    async def _query(self, signer: Signer, parameters: Mapping[str, object]) -> ET.Element:
        body = urlencode(list(_flat(parameters))).encode()
        answer = await self._connections.call(Request(signer, body, _FORM))
        return ET.fromstring(_NAMESPACE.sub(b"", answer, count=1))  # noqa: S314 - the benchmark's own endpoint

    def _signer(self, service: str, *keys: str) -> Signer:
        access_key, secret_key, token = keys
        day = f"{datetime.now(UTC):%Y%m%d}"
        return Signer(access_key, secret_key, token, service, "us-east-1", self._host, day)


def _flat(parameters: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yield parameters as the query protocol names them: lists numbered, structures by their fields."""
    for name, value in parameters.items():
        match value:
            case list():
                yield from _flat({f"{name}.member.{number}": member for number, member in enumerate(value, 1)})
            case dict():
                yield from _flat({f"{name}.{field}": part for field, part in value.items()})
            case _:
                yield name, str(value)
