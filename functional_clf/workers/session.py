"""A job's part of torchrun's store, in which every value is signed.

Whoever reaches the store's port can read, write and delete there: torch asks nobody who he is. So
what is not signed with the secret of the job is no message of ours, and ends it. A signature holds
for one place, of one life of rank 0, which is a *session* with a random name: what was written
elsewhere or earlier is not believed either. All this keeps others from telling us what is wrong; it
does not keep them from reading what is sent, nor from stopping the job.

The secret is that of the environment. Without one, rank 0 makes one for each session, and keeps it
in a file that is named after the session, in a folder that only this user can enter: the other
ranks of the machine find it there. All look for that folder by the same rule: it is in the cache of
compiled code where that outlasts a process, else in `XDG_RUNTIME_DIR`, else in the folder for
temporary files.
"""
# torch documents the names of its stores, and does not export them:
# pyright: reportPrivateImportUsage=false

import hashlib
import hmac
import os
import re
import secrets
import stat
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import torch.distributed as dist

from functional_clf.engines.cache import NAME, CacheError, cache_folder, open_trusted
from functional_clf.support.text import printable
from functional_clf.workers.launch import SECRET_VARIABLE, RankError

PART_BYTES = 2**22
"""A longer value is written in parts: the store breaks with whoever sends it more than 8 MiB."""
KEPT_SECONDS = 24 * 3600
"""A rank 0 that was killed leaves its secret behind; a later one removes it when it is so old.

That of a job that runs is never so old: rank 0 renews it with its pulse."""

_TAG_BYTES = _DIGEST_BYTES = 32
_LENGTH_BYTES = 8


class Session:
    """One life of rank 0, as those see it who have its secret.

    Args:
        store: torchrun's.
        name: of the session.
        secret: of those who may write in it.
        file: where rank 0 keeps the secret, if it made it; None otherwise.

    Example:
        >>> store = dist.HashStore()
        >>> ours, theirs = (Session(store, "0123456789abcdef", bytes([one] * 32)) for one in (1, 2))
        >>> ours.set("note", b"text")
        >>> ours.get("note"), ours.get("other")
        (b'text', None)
        >>> theirs.get("note")
        Traceback (most recent call last):
        functional_clf.workers.launch.RankError: torchrun's store holds a 'note' that is not \
signed with this job's secret: FUNCTIONAL_CLF_JOB_SECRET differs between machines, or somebody \
else writes to the store
    """

    def __init__(
        self, store: dist.Store, name: str, secret: bytes, file: Path | None = None
    ) -> None:
        self.name, self.file = name, file
        self._store, self._secret = store, secret

    def set(self, name: str, value: bytes) -> None:
        """Write a value, signed."""
        first, *rest = _parts(value)
        for number, part in enumerate(rest, 1):
            self._write(f"{name}/part/{number}", part)
        told = hashlib.sha256(value).digest() + len(value).to_bytes(_LENGTH_BYTES, "little")
        # Last: who finds it finds all the parts.
        self._write(name, self._tag(name, told) + told + first)

    def get(self, name: str) -> bytes | None:
        """Read a value; None where there is none yet.

        Raises:
            RankError: when nobody with the secret has written it.
        """
        if not self._store.check([self._key(name)]):
            return None
        found = self._store.get(self._key(name))
        head = _TAG_BYTES + _DIGEST_BYTES + _LENGTH_BYTES
        tag, told, value = found[:_TAG_BYTES], found[_TAG_BYTES:head], found[head:]
        if not hmac.compare_digest(tag, self._tag(name, told)):  # before any of it is looked at
            raise self._forged(name)
        digest, length = told[:_DIGEST_BYTES], int.from_bytes(told[_DIGEST_BYTES:], "little")
        for number in range(1, _n_parts(length)):
            if not self._store.check([key := self._key(f"{name}/part/{number}")]):
                raise self._forged(name)
            value += self._store.get(key)
        if not hmac.compare_digest(digest, hashlib.sha256(value).digest()):
            raise self._forged(name)
        return value

    def has(self, name: str) -> bool:
        """Whether there is such a value, whoever wrote it."""
        return self._store.check([self._key(name)])

    def delete(self, name: str, length: int) -> None:
        """Remove a value of so many bytes, once it is read."""
        self._store.delete_key(self._key(name))
        for number in range(1, _n_parts(length)):
            self._store.delete_key(self._key(f"{name}/part/{number}"))

    def _key(self, name: str) -> str:
        return f"{self.name}/{name}"

    def _write(self, name: str, value: bytes) -> None:
        self._store.set(self._key(name), value)  # pyright: ignore[reportArgumentType] - bytes pass, NULs and all

    def _tag(self, name: str, told: bytes) -> bytes:
        signed = hmac.new(self._secret, digestmod="sha256")
        for part in (b"functional_clf", self.name.encode(), name.encode(), told):
            signed.update(len(part).to_bytes(8, "little") + part)
        return signed.digest()

    def _forged(self, name: str) -> RankError:
        return RankError(
            f"torchrun's store holds a {name!r} that is not signed with this job's secret: "
            f"{SECRET_VARIABLE} differs between machines, or somebody else writes to the store"
        )


def begin(store: dist.Store, secret: bytes | None) -> Session:
    """Begin a session: this process is rank 0.

    Args:
        store: torchrun's.
        secret: of the environment; None to make one, for the ranks of this machine.

    Raises:
        RankError: when there is no private folder to keep the secret in.
    """
    name = secrets.token_hex(8)
    if secret:
        session = Session(store, name, secret)
    else:
        file = _folder() / name
        session = Session(store, name, _made(file), file)
    store.set("session", name)
    return session


def renew(session: Session) -> None:
    """Keep the secret that was made for a session, if one was, from getting old."""
    if session.file is not None:
        with suppress(OSError):
            os.utime(session.file)


def end(session: Session) -> None:
    """Remove the secret that was made for a session, if one was."""
    if session.file is not None:
        with suppress(OSError):
            session.file.unlink(missing_ok=True)


def current(store: dist.Store, secret: bytes | None) -> Session | None:
    """The session that rank 0 has begun; None where it has not, or keeps no secret here.

    Args:
        store: torchrun's.
        secret: of the environment; None to look for the one that rank 0 has made.

    Raises:
        RankError: when somebody else has written to the store, or to the file.
    """
    if not store.check(["session"]):
        return None
    name = store.get("session").decode("latin-1")
    if not re.fullmatch("[0-9a-f]{16}", name):
        raise RankError("torchrun's store names no session of this job; somebody else writes to it")
    secret = secret or _found(name)
    return None if secret is None else Session(store, name, secret)


def _parts(value: bytes) -> list[bytes]:
    return [value[start : start + PART_BYTES] for start in range(0, len(value), PART_BYTES)] or [
        b""
    ]


def _n_parts(length: int) -> int:
    return max(1, -(-length // PART_BYTES))


def _made(path: Path) -> bytes:
    folder, secret = path.parent, secrets.token_bytes(32)
    try:
        for old in folder.iterdir():
            with suppress(FileNotFoundError):  # another job is at it, too
                if time.time() - old.stat().st_mtime > KEPT_SECONDS:
                    old.unlink()
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
        with open(os.open(path, flags, 0o600), "wb") as file:
            file.write(secret)
    except OSError as error:
        raise RankError(
            f"the job's secret cannot be kept in {folder}: {error.strerror}; set {SECRET_VARIABLE}"
        ) from error
    return secret


def _found(name: str) -> bytes | None:
    try:
        with open_trusted(_folder() / name) as file:
            return file.read() or None
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RankError(f"the job's secret cannot be read: {error}") from error


def _folder() -> Path:
    """Where all ranks of this user on this machine look for the secret.

    Raises:
        RankError: when there is no private folder that all of them find.
    """
    refused = []
    for place in (_in_cache, _in_runtime_folder, _in_temporary_folder):
        try:
            return place()
        except OSError as error:
            refused.append(str(error))
    raise RankError(
        f"the job's secret can be kept nowhere ({printable('; '.join(refused))}); "
        f"set {SECRET_VARIABLE}"
    )


def _in_cache() -> Path:
    return cache_folder("jobs", lasting=True)


def _in_runtime_folder() -> Path:
    told = Path(os.environ.get("XDG_RUNTIME_DIR", ""))
    if not told.is_absolute():  # as its specification has it
        raise CacheError("XDG_RUNTIME_DIR is no whole path")
    _check_private(told)
    return _private_folder(told / f"{NAME}_jobs")


def _in_temporary_folder() -> Path:
    base = Path(tempfile.gettempdir()).absolute()
    if not hasattr(os, "getuid"):  # Windows: a user's temporary folder is the user's own
        return _private_folder(base / f"{NAME}_jobs")
    about = base.stat()
    if about.st_uid != os.geteuid() and not about.st_mode & stat.S_ISVTX:
        raise CacheError(f"{base} is another user's, and not sticky")
    return _private_folder(base / f"{NAME}_jobs_{os.geteuid()}")


def _private_folder(folder: Path) -> Path:
    with suppress(FileExistsError):  # looked at below
        folder.mkdir(mode=0o700)
    _check_private(folder)
    return folder


def _check_private(folder: Path) -> None:
    about = folder.lstat()
    if not stat.S_ISDIR(about.st_mode):
        raise CacheError(f"{folder} is no folder")
    if not hasattr(os, "getuid"):
        return
    if about.st_uid != os.geteuid():
        raise CacheError(f"{folder} is another user's")
    if about.st_mode & 0o077:
        raise CacheError(
            f"others have rights to {folder} (its mode is {stat.S_IMODE(about.st_mode):03o})"
        )
