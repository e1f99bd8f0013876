"""Kubeconfig files with everything inside, so that one file is all that a client needs."""

import base64
import json
import os
from pathlib import Path

from sandbox.pki import Credential


def write(path: Path, *, server: str, authority: Path, user: str, credential: Credential) -> Path:
    """Write (JSON, which is YAML too) atomically, readable by its owner alone; unchanged content is left alone."""
    content = json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": "metalplane",
                    "cluster": {"server": server, "certificate-authority-data": _encoded(authority)},
                }
            ],
            "users": [
                {
                    "name": user,
                    "user": {
                        "client-certificate-data": _encoded(credential.certificate),
                        "client-key-data": _encoded(credential.key),
                    },
                }
            ],
            "contexts": [{"name": "metalplane", "context": {"cluster": "metalplane", "user": user}}],
            "current-context": "metalplane",
        },
        indent=2,
    )
    if path.exists() and path.read_text() == content:
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.touch(mode=0o600)
    scratch.write_text(content)
    scratch.rename(path)
    return path


def _encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
