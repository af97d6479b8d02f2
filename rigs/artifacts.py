"""What the rigs run: the broker's jars, the control plane's programs, Istio's CRD file.

Called by the rigs and by `python -m rigs build`. Each is built once from the versions
pinned beside this file. Must never take a version that no pin file names.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

from rigs import cache, toolchain

_HERE = Path(__file__).parent
_POM = _HERE / "kafka" / "pom.xml"
_KUBERNETES = _HERE / "kubernetes"
_ETCD = _HERE / "etcd"
_CRDS = _HERE / "crds"

_KUBERNETES_VERSION_FLAGS = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
_KUBERNETES_PACKAGES = (
    "k8s.io/kubernetes/cmd/kube-controller-manager",
    "k8s.io/kubernetes/cmd/kube-scheduler",
    "sigs.k8s.io/kwok/cmd/kwok",
    "./adapter",
    "./certificates",
)
# The general pod stages are the ones whose delays a pod's annotations can set.
_STAGES = ("node/fast", "node/heartbeat-with-lease", "pod/general")


class BuildError(RuntimeError):
    """A build command failed; the message holds the command and the end of what it said."""


def kafka_jars() -> Path:
    """The folder of the broker's jars."""
    what = "fetch the broker's jars (43 MB, about 10 s)"
    return cache.folder("kafka", [_POM], what, _fetch_jars)


def kubernetes_programs() -> Path:
    """The folder of the control plane's programs, and kwok's stages under `stages/`."""
    pins = [*_module_files(_KUBERNETES), *_KUBERNETES.glob("*/*.go")]
    taken = _prebuilt("kube-apiserver")
    what = "build the control plane (450 MB, 4 to 6 min, once)"
    variant = "prebuilt API server" if taken else ""
    return cache.folder("kubernetes", pins, what, _build_kubernetes, variant=variant)


def kubernetes_servers() -> tuple[Path, Path, Path]:
    """All that a cluster needs: etcd, the API server, and the folder with the rest."""
    return etcd(), kube_apiserver(), kubernetes_programs()


def kube_apiserver() -> Path:
    """The API server, the one that is there already or our own."""
    return _prebuilt("kube-apiserver") or kubernetes_programs() / "kube-apiserver"


def etcd() -> Path:
    """The store, the one that is there already or our own."""
    taken = _prebuilt("etcd")
    if taken:
        return taken
    what = "build etcd (25 MB, about 20 s)"
    return cache.folder("etcd", _module_files(_ETCD), what, _build_etcd) / "etcd"


def istio_crds() -> Path:
    """Istio's CustomResourceDefinitions, from the pinned `istio.io/api`."""
    what = "fetch Istio's CRDs (about 2 s)"
    return cache.folder("crds", _module_files(_CRDS), what, _copy_istio_crds) / "istio.yaml"


def _prebuilt(program: str) -> Path | None:
    """What the envtest convention offers, where it is set and has the program."""
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    candidate = Path(assets) / program if assets else None
    return candidate if candidate and candidate.exists() else None


def _module_files(folder: Path) -> list[Path]:
    return [folder / "go.mod", folder / "go.sum"]


def _fetch_jars(folder: Path) -> None:
    fetcher = toolchain.maven_or_jgo()
    if fetcher.program.name == "mvn":
        goal = ["dependency:copy-dependencies", f"-DoutputDirectory={folder}"]
        _run([fetcher.program, "-q", "-B", "-f", _POM, *goal], _HERE)
        return
    own_cache = folder / "jgo"
    command = ["--ignore-config", "--class-path-only", "--links", "copy", "info", "classpath"]
    environment = {"JGO_CACHE_DIR": str(own_cache)}
    _run([fetcher.program, *command, "+".join(_coordinates())], folder, environment)
    for jar in own_cache.rglob("*.jar"):
        jar.rename(folder / jar.name)
    shutil.rmtree(own_cache)


def _coordinates() -> list[str]:
    dependencies = ET.parse(_POM).getroot().iter("dependency")
    parts = ("groupId", "artifactId", "version")
    return [":".join(one.findtext(part, "") for part in parts) for one in dependencies]


def _build_kubernetes(folder: Path) -> None:
    version = _module("k8s.io/kubernetes", _KUBERNETES)["Version"]
    stamps = [f"-X {package}.gitVersion={version}" for package in _KUBERNETES_VERSION_FLAGS]
    packages = [*_KUBERNETES_PACKAGES]
    if not _prebuilt("kube-apiserver"):
        packages.append("k8s.io/kubernetes/cmd/kube-apiserver")
    flags = " ".join(["-s -w", *stamps])
    _go(["build", "-ldflags", flags, "-o", f"{folder}/", *packages], _KUBERNETES)
    module = Path(_module("sigs.k8s.io/kwok", _KUBERNETES)["Dir"])
    (folder / "stages").mkdir()
    for stage in _STAGES:
        for file in (module / "kustomize" / "stage" / stage).glob("*.yaml"):
            if file.name != "kustomization.yaml":
                shutil.copyfile(file, folder / "stages" / file.name)


def _build_etcd(folder: Path) -> None:
    out = str(folder / "etcd")
    _go(["build", "-ldflags", "-s -w", "-o", out, "go.etcd.io/etcd/server/v3"], _ETCD)


def _copy_istio_crds(folder: Path) -> None:
    module = Path(_module("istio.io/api", _CRDS)["Dir"])
    source = module / "kubernetes" / "customresourcedefinitions.gen.yaml"
    shutil.copyfile(source, folder / "istio.yaml")


def _module(path: str, folder: Path) -> dict[str, str]:
    described: dict[str, str] = json.loads(_go(["mod", "download", "-json", path], folder))
    return described


def _go(arguments: list[str], folder: Path) -> str:
    return _run([toolchain.go().program, *arguments], folder, {"GOWORK": "off"})


def _run(command: list[str | Path], folder: Path, environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        end = "\n".join((done.stdout + done.stderr).strip().splitlines()[-20:])
        shown = " ".join(str(part) for part in command[:6])
        raise BuildError(f"`{shown} ...` failed, is the network there? It said:\n{end}")
    return done.stdout
