"""Every text that EnforceMFA has had, by the SHA-256 of its normalised form, and how a policy found compares. Pure.

A text stays listed for good: an account may have it still. Who changes the text adds its digests here, which a test
asks for, and says of the text that was current whether it can lock out.
"""

from dataclasses import dataclass
from hashlib import sha256

from orchestrator.domain.model import PolicyState
from orchestrator.domain.policy_document import normalised


@dataclass(frozen=True, slots=True)
class KnownText:
    """A text: the partition it is for, and whether a user under it may be unable to sign in, so to enrol."""

    partition: str
    can_lock_out: bool = False


# By text, the newest last: for `access_keys` deny and allow in each partition.
KNOWN_TEXTS = {
    # Spares no action of the sign-in service. Where console authorization is on, `deny` denies sign-in itself. `allow`
    # does so where AWS says that MFA is false, and whether it says so is not documented.
    "8c66933507632137abea66fcfa89f797874c89f3e1205fd5776f7222a3f60207": KnownText("aws", can_lock_out=True),
    "b5c7ca6116dc02a6c37dbc7ed8ad4c11472ae98f9002c0f4d97a29595b028e41": KnownText("aws", can_lock_out=True),
    "6e9ba5bd26be2b8049d5f569875e9028ec10746fa68568f5d622a43d97b70136": KnownText("aws-us-gov", can_lock_out=True),
    "551c212281d3f911b9ebee2afcc33bd9bd64175310b34e65633d5d747e9842ab": KnownText("aws-us-gov", can_lock_out=True),
    "cc2195dade6cf1e8f6858d3214b41204116856d44cbd4fb2e13ae586df0bab7c": KnownText("aws-cn", can_lock_out=True),
    "082e12bf879e4575b0f3af06b4d02abcf6a0f9a6661336e2e9ed1b13f33ff675": KnownText("aws-cn", can_lock_out=True),
    # Current.
    "1ca86d434f5655206df04803c71d48bd11bd535e5fcdec6bedad8d5e30fbcb77": KnownText("aws"),
    "f4e7593fd8bdeebc8e0c49a94b197b7f8f7e98a90d26132a3e765981698b7a68": KnownText("aws"),
    "0afa702d23889c553fc622ccb4df034386ef5fb3a5939bf4746abfbc26898e4d": KnownText("aws-us-gov"),
    "17732e880a290ec3946eef2176e32fdd8dfb36bc32a0528542394da11310d34e": KnownText("aws-us-gov"),
    "0fd01f94ae17b242903d21f5c2a436ad0905427f46f4b473b9f52309b6e45a2f": KnownText("aws-cn"),
    "f88c3e5e6a52a84e018e8b5be9e10b53b82e467399015f0580729d45a51df442": KnownText("aws-cn"),
    "87ecafdec72acdeb3e998f05d1a200bef1d6c65e9b51b23b4ca63f811658c9e9": KnownText("aws-eusc"),
    "70f740c951b92efd25705235d78436a431313c948a74bc9ca98971f2683cae49": KnownText("aws-eusc"),
}


def digest_of(document: object) -> str:
    """Return the digest of the text of a policy document; empty where it cannot be read, or in two ways.

    Only of a text, as IAM returns it, can be told whether it has a key twice.
    """
    try:
        return sha256(normalised(document).encode()).hexdigest() if isinstance(document, str) else ""
    except ValueError:
        return ""


def judge_text(document: object, *, partition: str, ours: str) -> tuple[PolicyState, bool]:
    """Return the state of a policy with this text, and whether the text can lock out; `ours` is the digest to have.

    The tag of a policy does not count: whoever may write its text may tag it.
    """
    digest = digest_of(document)
    if digest == ours:
        return PolicyState.OURS, False
    known = KNOWN_TEXTS.get(digest)
    if known is None or known.partition != partition:
        return PolicyState.DRIFTED, False
    return PolicyState.OUTDATED, known.can_lock_out
