"""What goes wrong between the program and AWS: each a `Trouble`, most of them at a rate."""

from collections import Counter
from collections.abc import Callable
from random import Random

from tests.aws_server import Answer, Call, error_for, json_error, xml_error
from tests.chaos.book import WRITES
from tests.chaos.tempo import TOO_SLOW_SECONDS
from tests.chaos.wire import Cut, Disturbance, Instead, Reset, Slow, Spoiled, Trouble

XML, JSON = "text/xml", "application/x-amz-json-1.1"
_FOREIGN_PAGE = "<html><head><title>Sign in to the guest network</title></head><body><p>Welcome<br></body></html>"
_FOREIGN_XHTML = '<?xml version="1.0"?><html><body><p>Sign in to the guest network</p></body></html>'
GUEST_NETWORK = Answer(200, _FOREIGN_XHTML, XML)
"""A page that is well-formed XML, and says nothing of a request."""

HALF = 0.5


def is_api(call: Call) -> bool:
    """Return whether a call goes to IAM, STS or Organizations, which the program itself tries again."""
    return call.service in {"iam", "sts", "organizations", "secretsmanager"}


def at_rate(rate: float, happen: Callable[[Call, Random], Disturbance]) -> Trouble:
    """Have this happen to a share of the calls."""
    return lambda call, chance: happen(call, chance) if is_api(call) and chance.random() < rate else None


def throttling(rate: float) -> Trouble:
    """Throttle a share of the calls, in the words of each service."""

    def answer(call: Call, _: Random) -> Disturbance:
        code = "TooManyRequestsException" if call.service == "organizations" else "Throttling"
        return Instead(error_for(call, code, "Rate exceeded"))

    return at_rate(rate, answer)


def server_errors(rate: float) -> Trouble:
    """Answer a share of the calls with 500 or 503, before or after AWS worked; also without AWS's own body."""

    def answer(call: Call, chance: Random) -> Disturbance:
        status, code = chance.choice([(500, "InternalFailure"), (503, "ServiceUnavailable")])
        bare = Answer(status, "<html><body>upstream", "text/html")
        error = chance.choice([error_for(call, code, status=status), bare])
        return Instead(error) if chance.random() < HALF else Spoiled(error)

    return at_rate(rate, answer)


def resets(rate: float, *, after: bool) -> Trouble:
    """Reset a share of the connections, before AWS saw the call or after it worked."""
    return at_rate(rate, lambda *_: Reset(after=after))


def cut_answers(rate: float) -> Trouble:
    """Cut a share of the answers short, with the length told or not."""
    return at_rate(rate, lambda _, chance: Cut(chance.random(), is_noticed=chance.random() < 0.5))


def slow_answers(most: int, slow: Slow = Slow(TOO_SLOW_SECONDS)) -> Trouble:  # noqa: B008 - a frozen value
    """Have up to so many answers come late, as a rule when nobody waits any more."""
    left = [most]

    def trouble(call: Call, chance: Random) -> Disturbance | None:
        if not is_api(call) or left[0] <= 0 or chance.random() > 0.08:
            return None
        left[0] -= 1
        return slow

    return trouble


def nonsense(rate: float) -> Trouble:
    """Put something that is neither AWS's XML nor its JSON in the place of a share of the answers."""

    def answer(call: Call, chance: Random) -> Disturbance:
        kind = XML if call.service in {"iam", "sts"} else JSON
        body = chance.choice([_FOREIGN_PAGE, "", "{", "<ErrorResponse><Error>", "null", "\x00\x01\x02"])
        answered = Answer(chance.choice([200, 200, 502]), body or " ", kind)
        return Instead(answered) if chance.random() < HALF else Spoiled(answered)

    return at_rate(rate, answer)


def guest_network(rate: float) -> Trouble:
    """Answer in AWS's place with a page that is well-formed XML, and says nothing of a request."""
    return at_rate(rate, lambda *_: Instead(GUEST_NETWORK))


def skewed_clock(rate: float) -> Trouble:
    """Refuse signatures, in the words of AWS, which repeat what was signed: the session token too."""

    def answer(call: Call, chance: Random) -> Disturbance:
        if call.service not in {"iam", "sts"}:
            return Instead(json_error("InvalidSignatureException", "Signature expired: 20260302T1 is now earlier"))
        if chance.random() < 0.5:
            return Instead(xml_error("RequestExpired", "Request has expired.", 400))
        signed = f"POST\n/\n\nhost:iam.amazonaws.com\nx-amz-security-token:{call_token(call)}\n\nhost;x-amz-date"
        words = (
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret "
            f"Access Key and signing method. The Canonical String for this request should have been '{signed}'"
        )
        return Instead(xml_error("SignatureDoesNotMatch", words, 403))

    return at_rate(rate, answer)


def call_token(call: Call) -> str:
    """Return the session token that a call was signed with, as the fake made it."""
    return f"chaos-secret-token-of-{call.access_key}"


def failing_listing(page: int, code: str = "TooManyRequestsException") -> Trouble:
    """Refuse ListAccounts from a page on."""

    def trouble(call: Call, _: Random) -> Disturbance | None:
        is_late = call.action == "ListAccounts" and int(call.parameters.get("NextToken") or 0) >= page
        return Instead(json_error(code, "no more")) if is_late else None

    return trouble


def role_denied(account_id: str, *, times: int | None = None) -> Trouble:
    """Refuse to have the role of an account assumed; so many times, or always."""
    seen: Counter[str] = Counter()

    def trouble(call: Call, _: Random) -> Disturbance | None:
        if call.action != "AssumeRole" or f":{account_id}:" not in call.parameters["RoleArn"]:
            return None
        seen[account_id] += 1
        if times is not None and seen[account_id] > times:
            return None
        return Instead(xml_error("AccessDenied", "is not authorized to perform: sts:AssumeRole", 403))

    return trouble


def slow_roles(account_id: str) -> Trouble:
    """Answer the first AssumeRole of an account too late."""
    return _first(lambda call: call.action == "AssumeRole" and f":{account_id}:" in call.parameters["RoleArn"])


def report_never_ready(account_ids: frozenset[str], code: str) -> Trouble:
    """Never have the credential report of these accounts ready."""

    def trouble(call: Call, _: Random) -> Disturbance | None:
        if call.account_id not in account_ids or call.action != "GetCredentialReport":
            return None
        return Instead(xml_error(code, "not ready", 404 if code == "ReportInProgress" else 410))

    return trouble


def report_refused(account_ids: frozenset[str]) -> Trouble:
    """Refuse to make the credential report of these accounts: one was asked for too lately."""

    def trouble(call: Call, _: Random) -> Disturbance | None:
        is_asked = call.account_id in account_ids and call.action == "GenerateCredentialReport"
        return Instead(xml_error("LimitExceeded", "Rate", 409)) if is_asked else None

    return trouble


def lost_writes(times: int) -> Trouble:
    """Lose the answer to each write so many times: it takes effect, and the connection is reset."""
    return _each_write(times, Reset(after=True))


def throttled_writes(times: int) -> Trouble:
    """Throttle each write so many times."""
    return _each_write(times, Instead(xml_error("Throttling", "Rate exceeded")))


def slow_writes(seconds: float) -> Trouble:
    """Return what has every write to a user answered late."""
    return lambda call, _: Slow(seconds) if call.action in WRITES else None


def slow_looks(seconds: float) -> Trouble:
    """Return what has every look at a user's devices answered late."""
    return lambda call, _: Slow(seconds) if call.action == "ListMFADevices" else None


def failing_writes(user_name: str, disturbance: Disturbance) -> Trouble:
    """Have this happen to each write to a user."""
    write = _each_write(99, disturbance)
    return lambda call, chance: write(call, chance) if call.parameters.get("UserName") == user_name else None


def unreadable_devices(account_id: str, share: float) -> Trouble:
    """Refuse to say which MFA devices some users of an account have; their credential report is never ready."""
    never = report_never_ready(frozenset({account_id}), "ReportInProgress")

    def trouble(call: Call, chance: Random) -> Disturbance | None:
        is_look = call.account_id == account_id and call.action == "ListMFADevices"
        if is_look and Random(call.parameters["UserName"]).random() < share:  # noqa: S311 - a die, no secret
            return Instead(xml_error("AccessDenied", "is not authorized to perform: iam:ListMFADevices", 403))
        return never(call, chance)

    return trouble


def _each_write(times: int, disturbance: Disturbance) -> Trouble:
    seen: Counter[str] = Counter()

    def trouble(call: Call, _: Random) -> Disturbance | None:
        if call.action not in {"AttachUserPolicy", "AddUserToGroup"}:
            return None
        write = f"{call.account_id}{call.parameters['UserName']}"
        seen[write] += 1
        return disturbance if seen[write] <= times else None

    return trouble


def _first(matches: Callable[[Call], bool]) -> Trouble:
    left = [1]

    def trouble(call: Call, _: Random) -> Disturbance | None:
        if not left[0] or not matches(call):
            return None
        left[0] = 0
        return Slow(TOO_SLOW_SECONDS)

    return trouble
