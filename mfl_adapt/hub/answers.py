"""What can go wrong between this machine and a hub, as one line that says what to do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from huggingface_hub import constants
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, RevisionNotFoundError

from mfl_adapt.errors import ConfigError, HubError, StorageError

# huggingface-hub has changed its HTTP library twice; its own error always derives from the root
# of that library's errors, which is what a broken connection raises.
_NETWORK_ERRORS: tuple[type[Exception], ...] = (
    *(root for root in HfHubHTTPError.__bases__ if issubclass(root, Exception)),
    OSError,
)

_LOCKED = "Ask for access there, and put a token into HF_TOKEN."
_AGAIN = "Run the same command again: it goes on where it stopped."
_BY_STATUS = {
    401: ("that it lets us in", _LOCKED),
    403: ("that it lets us in", _LOCKED),
    404: ("that it has this", "Check the name, and --revision."),
    409: ("that nobody else writes there", "Run the same command again."),
    412: ("that nobody else writes there", "Run the same command again."),
    429: ("an answer", f"It asks for patience. {_AGAIN}"),
}


def find_endpoint() -> str:
    """Return the address of the hub: ``HF_ENDPOINT``, or huggingface-hub's own default.

    Raises:
        ConfigError: If the variable holds no web address.
    """
    named = os.environ.get("HF_ENDPOINT") or constants.ENDPOINT
    try:
        parts = urlsplit(named)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        secret = parts.username is not None or parts.password is not None
    except ValueError:
        usable = secret = False
    if secret:  # messages name the address
        raise ConfigError(
            "HF_ENDPOINT: expected an address without a user or password, got one with. "
            "Put a token into HF_TOKEN instead."
        )
    if not usable:
        raise ConfigError(
            f"HF_ENDPOINT: expected http://HOST or https://HOST, got {named!r}. Mend or unset it."
        )
    return named.rstrip("/")


def is_offline() -> bool:
    """Tell whether the user forbade all connections by ``HF_HUB_OFFLINE``."""
    return bool(constants.HF_HUB_OFFLINE)


@contextmanager
def explained(where: str) -> Iterator[None]:
    """Turn errors of the network and the disk into ours.

    Args:
        where: Repository, or repository and file.

    Raises:
        HubError: If the hub refuses or the connection breaks.
        StorageError: If a file cannot be written.
    """
    try:
        yield
    except HFValidationError as error:
        raise HubError(f"{where}: expected a repository OWNER/NAME: {error}.") from error
    except HfHubHTTPError as error:
        raise HubError(_describe_answer(where, error)) from error
    except _NETWORK_ERRORS as error:
        if _is_local(error):
            raise StorageError(
                f"{where}: expected to keep this file on disk, got {error}. "
                "Check permissions and free space."
            ) from error
        reason = " ".join(str(error).split()) or type(error).__name__
        raise HubError(
            f"{where}: expected an answer of {find_endpoint()}, got {type(error).__name__} "
            f"({reason}). {_AGAIN}"
        ) from error


def _is_local(error: Exception) -> bool:
    """Tell a full disk, which has an error number, from a broken connection."""
    if not isinstance(error, OSError) or isinstance(error, ConnectionError | TimeoutError):
        return False
    return error.errno is not None


def _describe_answer(where: str, error: HfHubHTTPError) -> str:
    """Word an answer that is no success."""
    status = getattr(error.response, "status_code", 0)
    if isinstance(error, RevisionNotFoundError):
        return f"{where}: expected a revision that exists, got {status}. Check --revision."
    later = f"The hub has a fault of its own. {_AGAIN}"
    expected, advice = _BY_STATUS.get(status, ("an answer", later))
    return f"{where}: expected of {find_endpoint()} {expected}, got {status}. {advice}"
