"""Signature Version 4 by hand, for POST requests to the root path of a service.

Source: IAM User Guide, 'Create a signed AWS API request'. The signing key of a day is made once per set of credentials.
"""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True)
class Signer:
    """Signs for one set of credentials, one service and one day."""

    access_key: str
    secret_key: str
    token: str
    service: str
    region: str
    host: str
    day: str

    @cached_property
    def _key(self) -> bytes:
        key = f"AWS4{self.secret_key}".encode()
        for part in (self.day, self.region, self.service, "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        return key

    @cached_property
    def _scope(self) -> str:
        return f"{self.day}/{self.region}/{self.service}/aws4_request"

    def headers(self, body: bytes, now: datetime, extra: dict[str, str]) -> dict[str, str]:
        """Return the headers of a request, the authorization among them; `extra` is signed too, names in lower case."""
        moment = f"{now:%Y%m%dT%H%M%SZ}"
        signed = {"host": self.host, "x-amz-date": moment, **extra}
        if self.token:
            signed["x-amz-security-token"] = self.token
        names = sorted(signed)
        lines = "".join(f"{name}:{signed[name]}\n" for name in names)
        listed = ";".join(names)
        canonical = f"POST\n/\n\n{lines}\n{listed}\n{hashlib.sha256(body).hexdigest()}"
        text = f"{ALGORITHM}\n{moment}\n{self._scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        signature = hmac.digest(self._key, text.encode(), "sha256").hex()
        credential = f"{self.access_key}/{self._scope}"
        signed["authorization"] = f"{ALGORITHM} Credential={credential}, SignedHeaders={listed}, Signature={signature}"
        return signed
