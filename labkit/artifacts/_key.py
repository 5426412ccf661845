"""Signing: DSSE envelopes (https://github.com/secure-systems-lab/dsse) with one ed25519 key (RFC 8032)."""

import contextlib
import os
import re
import secrets
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import CryptoSigner, Signature, SSlibKey  # type: ignore[attr-defined]  # names no __all__

from labkit.errors import LabError

PAYLOAD_TYPE = "application/vnd.in-toto+json"
HEX = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class PublicKey:
    """The public half of an artifact database's key, by which anybody can check what was signed.

    text is its 32 bytes as 64 hexadecimal digits.
    """

    text: str

    @classmethod
    def read(cls, text: str) -> Self:
        """Take a key as its file has it, with a line's end or without.

        :raises LabError: when it is no ed25519 public key.
        """
        if not HEX.fullmatch(text.strip()):
            next_step = "copy the file .labkit/artifacts.pub of the workspace"
            raise LabError("an ed25519 public key as 64 hexadecimal digits", repr(text[:80]), next_step)
        return cls(text.strip())

    @cached_property
    def _key(self) -> SSlibKey:
        return SSlibKey.from_crypto(Ed25519PublicKey.from_public_bytes(bytes.fromhex(self.text)))

    def signed(self, payload: str, signature: str) -> bool:
        """Return whether the signature is this key's own over this payload."""
        try:
            self._key.verify_signature(Signature(self._key.keyid, signature), _envelope(payload).pae())
        except UnverifiedSignatureError:
            return False
        return True


@dataclass(frozen=True)
class SigningKey:
    """The key of one artifact database."""

    signer: CryptoSigner

    @classmethod
    def load(cls, file: Path) -> Self:
        """Read the key.

        :raises LabError: when the file cannot be read or holds no ed25519 key.
        """
        try:
            return cls(CryptoSigner(load_pem_private_key(file.read_bytes(), None)))
        except (OSError, ValueError, TypeError) as fault:
            raise LabError(
                f"an ed25519 key in {file}", str(fault), "put back the key that signed the facts"
            ) from fault

    @classmethod
    def create(cls, file: Path) -> Self:
        """Make the key, readable by its owner alone. Processes that make it at the same time get the same."""
        draft = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
        draft.touch(mode=0o600, exist_ok=False)
        draft.write_bytes(CryptoSigner.generate_ed25519().private_bytes)
        # Unlike a rename, a link never replaces: the first process wins, and its facts keep their key.
        with contextlib.suppress(FileExistsError):
            os.link(draft, file)
        draft.unlink()
        return cls.load(file)

    def sign(self, payload: str) -> str:
        """Return the signature of a payload, as hex."""
        return str(_envelope(payload).sign(self.signer).signature)

    @cached_property
    def public(self) -> PublicKey:
        """The public half."""
        return PublicKey(str(self.signer.public_key.keyval["public"]))


def _envelope(payload: str) -> Envelope:
    return Envelope(payload.encode(), PAYLOAD_TYPE, {})
