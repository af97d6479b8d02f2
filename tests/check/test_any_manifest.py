"""Whatever a file holds, it is looked at or passed over with a word, never with a traceback."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictor.check.rules import checked
from predictor.core.opt_in import CEILING, FLOOR
from predictor.manifest_files import NoPlainYaml, text_objects
from tests.check.check_scenes import (
    CANARY,
    KUSTOMIZATION,
    LIVE,
    QUIET,
    ROLLOUT,
    a_scene,
    scaled_by,
)

# Any shape at all in the places that rules look at.
_LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.binary(max_size=4)
)
_NAMES = st.sampled_from(
    ["spec", "metadata", "name", "namespace", "annotations", "labels", "ownerReferences", "kind",
     "managedFields", "fieldsV1", "f:spec", "metrics", "behavior", "scaleUp", "scaleDown", "http",
     "policies", "route", "destination", "host", "weight", "match", "status", "conditions", "type",
     "scaleTargetRef", "minReplicas", "maxReplicas", "syncPolicy", "updatePolicy", "resource",
     "resourcePolicy", "containerPolicies", "targetRef", "parameters", "postgresql", FLOOR, CEILING]
)  # fmt: skip
_SHAPES = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(_NAMES, inner, max_size=4)
    ),
    max_leaves=25,
)
_KNOWN = [*QUIET, ROLLOUT, KUSTOMIZATION, CANARY, scaled_by("ScaledObject", "keda.sh/v1alpha1")]
_KINDS = st.sampled_from(sorted({one["kind"] for one in _KNOWN}))
_VERSIONS = st.sampled_from(sorted({one["apiVersion"] for one in _KNOWN} | {"autoscaling/v1"}))


@given(st.lists(st.tuples(_VERSIONS, _KINDS, _SHAPES, _SHAPES), max_size=4))
def test_whatever_a_manifest_holds_is_looked_at_without_a_failure(
    written: list[tuple[str, str, Any, Any]],
) -> None:
    objects = [
        {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec, "status": spec}
        for version, kind, metadata, spec in written
    ]
    for facts in (None, LIVE):
        checked(a_scene(objects, facts))


_LAUGHS = "\n".join(
    ["a0: &a0 [ha, ha]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12))]
)


@pytest.mark.parametrize(
    "text",
    [
        "a: !!bool 7", "a: !!timestamp x", 'a: !!int ""', "a: 2026-99-99", "a: {{ b }",
        "a: &a [*a]", "a: !!python/object:os.system x",
        "[" * 2_000, _LAUGHS,
    ],
)  # fmt: skip
def test_a_text_that_is_no_plain_yaml_is_refused_with_a_line(text: str) -> None:
    with pytest.raises(NoPlainYaml) as refused:
        text_objects(text.encode(), "it.yaml")

    assert str(refused.value)


@given(st.text(max_size=60) | st.text(alphabet="ab:-{}[]&*!|> \n\"'0.", max_size=60))
def test_any_text_gives_objects_or_a_refusal(text: str) -> None:
    try:
        found = text_objects(text.encode("utf-8", "replace"), "it.yaml")
    except NoPlainYaml:
        return
    assert all(isinstance(one, dict) for one in found)
