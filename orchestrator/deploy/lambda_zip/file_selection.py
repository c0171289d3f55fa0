"""Chooses what goes into the zip: of our own modules those that the functions import, of each package what it needs.

Pure but for reading our own sources. What is left out of a package is here and nowhere else, with the reason.
"""

import ast
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

PACKAGE = "orchestrator"
ENTRY_POINTS = ("orchestrator.handler", "orchestrator.lambdas", "orchestrator.lambdas.step")
"""The modules that the Lambda functions name."""

SERVICES = frozenset({"iam", "organizations", "s3", "secretsmanager", "securityhub", "ssm", "sts"})
"""The AWS services that a run calls. botocore brings the data of all there are, most of what pip fetches."""

_NEEDLESS = (
    "*/__pycache__/*",
    "*/test/*",
    "*/tests/*",
    "*/test_*.py",
    # Nobody checks types there.
    "*.pyi",
    "*/py.typed",
    # Examples for the documentation.
    "botocore/data/*/examples-1.json",
    "boto3/examples/*",
    # boto3's resources, which the program does not use.
    "boto3/data/*",
    # C sources of what is in the wheel, compiled.
    "*.c",
    "*.h",
    "*.pyx",
    # The package's old name.
    "slack/*",
    # Other ways to speak to Slack than to post a message.
    "slack_sdk/audit_logs/*",
    "slack_sdk/oauth/*",
    "slack_sdk/rtm/*",
    "slack_sdk/rtm_v2/*",
    "slack_sdk/scim/*",
    "slack_sdk/socket_mode/*",
    # Everything but metrics, and the logging and tracing that importing them imports.
    "aws_lambda_powertools/event_handler/*",
    "aws_lambda_powertools/middleware_factory/*",
    "aws_lambda_powertools/utilities/*/*",
)
_NEEDED = ("aws_lambda_powertools/utilities/jmespath_utils/*",)
"""Wins over what is needless."""

_SAID_OF_A_PACKAGE = ("METADATA", "LICEN[CS]E*", "COPYING*", "NOTICE*", "AUTHORS*", "licenses/*", "sboms/*")
"""Of a .dist-info folder: what its licence wants along, and its version. RECORD would be wrong after the cuts."""


def is_needed(path: PurePosixPath) -> bool:
    """Return whether a file of a third-party package goes into the zip."""
    match path.parts:
        case [info, *rest] if info.endswith(".dist-info"):
            return _matches("/".join(rest), _SAID_OF_A_PACKAGE)
        case ["botocore", "data", service, _, *_] if service not in SERVICES:
            return False
    return _matches(str(path), _NEEDED) or not _matches(str(path), _NEEDLESS)


DATA_SUFFIXES = frozenset({".css", ".html", ".js"})


def select_modules(package: Path) -> dict[str, Path]:
    """Return the files of our package that the entry points import, at import or later, by their names in the zip.

    The files that a package among them reads (a page, its style and its script) come along.
    """
    chosen: dict[str, Path] = {}
    open_names = [PACKAGE, *ENTRY_POINTS]
    while open_names:
        name = open_names.pop()
        path = _find_module(package, name)
        if path is None or name in chosen:
            continue
        chosen[name] = path
        open_names += _imported(ast.parse(path.read_bytes()))
    folders = [path.parent for path in chosen.values() if path.name == "__init__.py"]
    beside = [path for folder in folders for path in folder.iterdir() if path.suffix in DATA_SUFFIXES]
    return {f"{PACKAGE}/{path.relative_to(package).as_posix()}": path for path in [*chosen.values(), *beside]}


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _find_module(package: Path, name: str) -> Path | None:
    """Return the file of a module, or None where the name is not a module's but stands in one."""
    top, *rest = name.split(".")
    if top != PACKAGE:
        return None
    place = package.joinpath(*rest)
    return next((path for path in (place / "__init__.py", place.with_suffix(".py")) if path.is_file()), None)


def _imported(module: ast.Module) -> Iterator[str]:
    """Yield every name that a module may import, wherever the statement stands, and the packages it is in."""
    for node in ast.walk(module):
        match node:
            case ast.Import():
                names = [alias.name for alias in node.names]
            case ast.ImportFrom(module=str(source)):
                names = [f"{source}.{alias.name}" for alias in node.names]
            case _:
                continue
        for name in names:
            parts = name.split(".")
            yield from (".".join(parts[:length]) for length in range(1, len(parts) + 1))
