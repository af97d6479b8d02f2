"""Who may speak to a rig's API server: certificates, tokens and kubeconfig files.

Called by `rigs.kubernetes`. All of it is made for one start, in the rig's own folder.
Must never print a token or reuse one.
"""

from __future__ import annotations

import csv
import secrets
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

ADMIN = "admin"
PREDICTOR = "system:serviceaccount:mplp-predictor:mplp-predictor"
RESTORER = "system:serviceaccount:mplp-predictor:mplp-predictor-restorer"

_GROUPS: Mapping[str, Sequence[str]] = {
    ADMIN: ("system:masters",),
    # The groups that a real service account token would carry.
    PREDICTOR: ("system:serviceaccounts", "system:serviceaccounts:mplp-predictor"),
    RESTORER: ("system:serviceaccounts", "system:serviceaccounts:mplp-predictor"),
}
_TIMEOUT_S = 30


def write_certificates(program: Path, folder: Path) -> None:
    """Fill the folder with the key pairs that `rigs/kubernetes/certificates` makes."""
    folder.mkdir(parents=True)
    subprocess.run([program, folder], check=True, timeout=_TIMEOUT_S)


def new_tokens(users: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """A fresh token for the administrator, the service's two accounts, and each further user."""
    return {name: secrets.token_hex(16) for name in (*_GROUPS, *users)}


def write_tokens(file: Path, tokens: Mapping[str, str], users: Mapping[str, Sequence[str]]) -> None:
    """The API server's token file: token, user, uid, groups."""
    groups = {**_GROUPS, **users}
    with file.open("w", newline="") as out:
        rows = csv.writer(out)
        for name, token in tokens.items():
            rows.writerow([token, name, name, ",".join(groups[name])])
    file.chmod(0o600)


def write_kubeconfig(file: Path, server: str, ca_file: Path, token: str) -> None:
    """A kubeconfig with one cluster, one user and one context, all called `rig`."""
    cluster = {"server": server, "certificate-authority": str(ca_file)}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "rig", "cluster": cluster}],
        "users": [{"name": "rig", "user": {"token": token}}],
        "contexts": [{"name": "rig", "context": {"cluster": "rig", "user": "rig"}}],
        "current-context": "rig",
    }
    file.write_text(yaml.safe_dump(content))
    file.chmod(0o600)
