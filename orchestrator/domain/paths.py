"""Expands the paths of the configuration and of ORGMFA_CONFIG.

Addresses such as `s3://bucket/prefix` or `ssm:/name` are not paths and must not be passed.
"""

import os
import pwd
from collections.abc import Mapping
from pathlib import Path
from string import Template


def expand_path(text: str, environment: Mapping[str, str]) -> str:
    """Return a path with `$NAME`, `${NAME}`, `~` and `~user` replaced; `$$` is a dollar sign.

    Raises ValueError for a variable that is not set, or empty, and for a user without a home.
    """
    try:
        path = Template(text).substitute({name: value for name, value in environment.items() if value})
    except KeyError as error:
        raise ValueError(f"the variable {error.args[0]} is not set, or empty: set it, or write the path out") from error
    except ValueError as error:
        raise ValueError("a variable is written $NAME or ${NAME}, and a dollar sign $$") from error
    if not path.startswith("~"):
        return path
    start, slash, rest = path.partition("/")
    return f"{_home(start[1:], environment)}{slash}{rest}"


def show_path(text: str) -> str:
    """Return a path as an absolute one, and an address as it is."""
    return text if "://" in text else str(Path(text).absolute())


def has_folder(path: str) -> bool:
    """Return whether the folder of a file exists and can be read."""
    try:
        return Path(path).parent.is_dir()
    except OSError:
        return False


def _home(user: str, environment: Mapping[str, str]) -> str:
    """Return the home folder of a user; of the caller for an empty name."""
    try:
        entry = pwd.getpwnam(user) if user else None
        home = entry.pw_dir if entry else environment.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        home = ""
    if not home.startswith("/"):
        raise ValueError(f"~{user}: no such user with a home folder is known here: write the path out")
    return home.rstrip("/")
