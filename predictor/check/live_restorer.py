"""The restorer of a running cluster: where its CronJobs look, and as whom.

`live_facts.py` asks it. It only reads; a CronJob is found by what it runs, for its owner may have
renamed it.

Source: `predictor/way_back_cli.py` (the options of `restore`) and `deploy/base/restorer.yaml`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from predictor.check.fields import entries, mapping, text, texts, value
from predictor.check.live_source import ClusterReader
from predictor.check.scene import Restorer

_COMMAND = "restore"
_NAMESPACE = ("--namespace", "-n")
_EVERYWHERE = {"--all-namespaces", "-A"}
_CONFIG = ("--config", "-c")


async def read_restorers(
    reader: ClusterReader, namespace: str, configured: Sequence[str]
) -> tuple[Restorer, ...] | None:
    """Those of the service's own namespace; None where CronJobs may not be read there.

    `configured` are the namespaces of the settings, where one with a configuration looks.
    """
    jobs = await reader.listing(f"/apis/batch/v1/namespaces/{namespace}/cronjobs")
    if jobs is None:
        return None
    return tuple(one for job in jobs for one in _restorers(job, configured))


def _restorers(job: Mapping[str, Any], configured: Sequence[str]) -> Iterator[Restorer]:
    if value(job, "spec", "suspend") is True:
        return
    pod = mapping(job, "spec", "jobTemplate", "spec", "template", "spec")
    for container in entries(pod, "containers"):
        arguments = [*texts(container, "command"), *texts(container, "args")]
        if _COMMAND not in arguments:
            continue
        named = [*_values(arguments, _NAMESPACE)]
        if not named and any(_values(arguments, _CONFIG)):
            named = [*configured]
        metadata = mapping(job, "metadata")
        yield Restorer(
            title=f"CronJob {text(metadata, 'namespace')}/{text(metadata, 'name')}",
            account=f"{text(metadata, 'namespace')}/{text(pod, 'serviceAccountName') or 'default'}",
            namespaces=() if _EVERYWHERE & {*arguments} else tuple(named),
        )


def _values(arguments: Sequence[str], names: Sequence[str]) -> Iterator[str]:
    """What an option is given, in either of its forms."""
    for place, one in enumerate(arguments):
        name, is_joined, given = one.partition("=")
        if name in names:
            yield from [given] if is_joined else arguments[place + 1 : place + 2]
