"""The paths of the configuration and of ORGMFA_CONFIG: the only place where they are expanded.

An address such as `s3://bucket/prefix` or `ssm:/name` is no path; whoever expands keeps it from here.
"""

import os
import pwd
from collections.abc import Mapping
from pathlib import Path
from string import Template


def expand_path(text: str, environment: Mapping[str, str]) -> str:
    """Return a path with `$NAME`, `${NAME}`, `~` and `~user` replaced; `$$` is a dollar sign.

    Raises ValueError, which says what to do, for a variable that is not set, or empty, and for a user without a home.
    """
    path = _with_variables(text, environment)
    if not path.startswith("~"):
        return path
    start, slash, rest = path.partition("/")
    return f"{_home(start[1:], environment)}{slash}{rest}"


def show_path(text: str) -> str:
    """Return how a place is shown: a path absolute, an address as it is."""
    return text if "://" in text else str(Path(text).absolute())


def has_folder(path: str) -> bool:
    """Return whether the folder of a file is there and can be looked into."""
    try:
        return Path(path).parent.is_dir()
    except OSError:
        return False


def _with_variables(text: str, environment: Mapping[str, str]) -> str:
    try:
        return Template(text).substitute({name: value for name, value in environment.items() if value})
    except KeyError as error:
        message = f"the variable {error.args[0]} is not set, or empty: set it, or write the path out"
        raise ValueError(message) from error
    except ValueError as error:
        message = "a variable is written $NAME or ${NAME}, and a dollar sign $$"
        raise ValueError(message) from error


def _home(user: str, environment: Mapping[str, str]) -> str:
    """Return the home folder of a user, of the caller where the name is empty."""
    try:
        entry = pwd.getpwnam(user) if user else None
        home = entry.pw_dir if entry else environment.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        home = ""
    if not home.startswith("/"):
        message = f"~{user}: no such user with a home folder is known here: write the path out"
        raise ValueError(message)
    return home.rstrip("/")
