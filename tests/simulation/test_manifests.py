"""HPAs as they lie in a repository."""

from __future__ import annotations

from pathlib import Path

import pytest

from predictor.core.cluster import TargetKey
from predictor.settings import Settings
from predictor.simulation.manifests import ManifestRefused, manifest_of, read_manifests

GUIDE = Path("deploy/mplp")
HPA = """
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  minReplicas: 2
  maxReplicas: 9
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  template:
    spec:
      containers:
      - {name: a, resources: {requests: {cpu: 250m}}}
      - {name: b, resources: {requests: {cpu: "1"}}}
"""


def test_the_repository_of_the_guide_holds_every_target_once() -> None:
    found, notes = read_manifests((GUIDE,))
    settings = Settings()

    bounds = {
        region: manifest_of(TargetKey("core", region), found, settings)
        for region in settings.regions
    }
    read = {region: (one.replicas_min, one.replicas_max) for region, one in bounds.items() if one}
    assert read == {"us-east-1": (3, 20), "eu-west-1": (2, 15), "ap-southeast-1": (2, 10)}
    assert manifest_of(TargetKey("trace", "eu-west-1"), found, settings) is not None
    assert notes == []


def test_requests_are_the_sum_over_the_containers_of_a_pod(tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text(HPA)

    found, _ = read_manifests((tmp_path,))

    assert found[0].requests["cpu"] == 1250
    assert found[0].requests["b/cpu"] == 1000


def test_the_first_version_is_read_as_the_api_server_converts_it(tmp_path: Path) -> None:
    spec = HPA.replace("autoscaling/v2", "autoscaling/v1").replace(
        "maxReplicas: 9", "maxReplicas: 9\n  targetCPUUtilizationPercentage: 55"
    )
    (tmp_path / "web.yaml").write_text(spec)

    found, _ = read_manifests((tmp_path,))

    assert found[0].spec.metrics[0].target.amount == 55


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("autoscaling/v2", "autoscaling/v2beta2"), "not served any more"),
        (("maxReplicas: 9", "maxReplicas: 1"), "are no bounds"),
        (("minReplicas: 2", "minReplicas: two"), "are no bounds"),
        (("HorizontalPodAutoscaler", "Ingress"), "no HorizontalPodAutoscaler there"),
        (
            ("maxReplicas: 9", "maxReplicas: 9\n  behavior: {scaleUp: {selectPolicy: Most}}"),
            "selectPolicy",
        ),
    ],
    ids=["an API that is gone", "max below min", "no number", "no HPA", "unknown policy"],
)
def test_a_manifest_that_cannot_be_used_is_named(
    tmp_path: Path, change: tuple[str, str], sentence: str
) -> None:
    (tmp_path / "web.yaml").write_text(HPA.replace(*change))

    with pytest.raises(ManifestRefused, match=sentence):
        read_manifests((tmp_path,))


def test_a_template_is_passed_over_with_a_note(tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text(HPA)
    (tmp_path / "chart.yaml").write_text("spec: {{ .Values.spec }\n  {{- end }}\n")

    found, notes = read_manifests((tmp_path,))

    assert len(found) == 1
    assert "chart.yaml: passed over" in notes[0]


def test_two_manifests_of_one_target_are_refused(tmp_path: Path) -> None:
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text(HPA)
    found, _ = read_manifests((tmp_path,))

    with pytest.raises(ManifestRefused, match="both hold its HPA"):
        manifest_of(TargetKey("web", "us-east-1"), found, Settings())
