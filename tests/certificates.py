"""Certificates for tests, made by the openssl program: an authority, and what it signs for servers and clients."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Authority", "Signed"]


@dataclass(frozen=True)
class Signed:
    """The files of a certificate and its private key."""

    certificate: Path
    key: Path


class Authority:
    """An authority of its own, in a folder of its own."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        if shutil.which("openssl") is None:
            pytest.skip("certificates are made by the openssl program, which is not installed")
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.certificate = folder / "ca.pem"
        self._key = folder / "ca.key"
        self._run(
            "req", "-x509", *self._new_key(self._key), "-subj", f"/CN={name}", "-days", "2", "-out", self.certificate
        )

    @staticmethod
    def _new_key(path: Path) -> tuple[str | Path, ...]:
        return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", path)

    @staticmethod
    def _run(*arguments: str | Path) -> None:
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)

    def sign(self, name: str, names: str = "IP:127.0.0.1,DNS:localhost") -> Signed:
        """Make a key and a certificate for it, valid for `names`."""
        key, request, made = (self._folder / f"{name}.{end}" for end in ("key", "csr", "pem"))
        extensions = self._folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName={names}\n")
        self._run("req", *self._new_key(key), "-subj", f"/CN={name}", "-out", request)
        self._run(
            "x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial",
            "-days", "2", "-extfile", extensions, "-out", made,
        )  # fmt: skip
        return Signed(made, key)

    def locked(self, signed: Signed) -> Path:
        """Return a copy of a private key that a password locks."""
        path = signed.key.with_suffix(".locked")
        self._run("pkey", "-in", signed.key, "-aes256", "-passout", "pass:open", "-out", path)
        return path
