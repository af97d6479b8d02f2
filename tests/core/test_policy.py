from __future__ import annotations

from typing import Any

import msgspec
import pytest

from predictor.core.cluster import TargetKey
from predictor.core.policy import ModuleOverride, ModulePolicy, Policy
from predictor.core.policy_rows import PolicyRows, policy_rows


def decoded(**values: Any) -> Policy:
    return msgspec.convert(values, Policy)


def test_the_narrowest_setting_wins_and_the_rest_is_inherited() -> None:
    policy = decoded(
        defaults={"quantile": 0.9, "hold_s": 900},
        modules={"core": {"quantile": 0.99}},
        targets={"core/eu-west-1": {"replicas_min": 2}},
    )

    eu, us, role = policy.of("core", "eu-west-1"), policy.of("core", "us"), policy.of("role", "us")

    assert (eu.quantile, eu.hold_s, eu.replicas_min) == (0.99, 900, 2)
    assert (us.quantile, us.hold_s, us.replicas_min) == (0.99, 900, None)
    assert (role.quantile, role.hold_s) == (0.9, 900)


def test_rows_say_the_same_as_the_policy() -> None:
    policy = decoded(modules={"core": {"quantile": 0.99}}, targets={"core/eu": {"replicas_min": 2}})
    keys = [TargetKey("core", "us"), TargetKey("role", "us"), TargetKey("core", "eu")]

    rows = policy_rows(policy, keys)

    assert rows.quantile.tolist() == [policy.of(*key).quantile for key in keys]
    assert rows.replicas_min.tolist()[2] == 2
    assert rows.hold_s.tolist() == [120.0, 120.0, 120.0]


def test_every_setting_can_be_set_for_one_module_and_is_a_row() -> None:
    assert ModuleOverride.__struct_fields__ == ModulePolicy.__struct_fields__
    assert tuple(PolicyRows.__dataclass_fields__)[:-1] == ModulePolicy.__struct_fields__


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        pytest.param({"quantil": 0.9}, "unknown field `quantil`", id="a slip of the pen"),
        pytest.param(
            {"defaults": {"quantile": 0.93}},
            "quantile must be one of",
            id="a quantile that no forecast has",
        ),
        pytest.param(
            {"defaults": {"hold_s": 0, "release_step_ratio": 2}},
            r"hold_s must be.*; release_step_ratio must lie",
            id="every fault at once",
        ),
        pytest.param(
            {"modules": {"core": {"lead_time_default_s": 5000}}},
            "core: lead_time_default_s",
            id="a module's own setting",
        ),
        pytest.param(
            {"routes": {"core": {"home_weights": {"us": 60, "eu": 30}}}},
            "these sum to 90",
            id="weights that do not sum to 100",
        ),
        pytest.param(
            {"regions": {"weight_min": 60, "weight_max": 40}},
            "weight_min",
            id="bounds the wrong way round",
        ),
    ],
)
def test_a_wrong_setting_is_refused_by_name(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=sentence):
        decoded(**values)
