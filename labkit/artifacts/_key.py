"""Signing: DSSE envelopes (https://github.com/secure-systems-lab/dsse) with one ed25519 key (RFC 8032)."""

import contextlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import CryptoSigner, Signature  # type: ignore[attr-defined]  # names no __all__

from labkit.errors import LabError

PAYLOAD_TYPE = "application/vnd.in-toto+json"


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

    def signed(self, payload: str, signature: str) -> bool:
        """Return whether the signature is this key's own over this payload."""
        key = self.signer.public_key
        try:
            key.verify_signature(Signature(key.keyid, signature), _envelope(payload).pae())
        except UnverifiedSignatureError:
            return False
        return True


def _envelope(payload: str) -> Envelope:
    return Envelope(payload.encode(), PAYLOAD_TYPE, {})
