"""Who else moves a VirtualService's weights, as the server records it.

`virtual_service.py` asks it for each route it reads. Pure; what counts is judged in
`predictor/core/route_owners.py`.
"""

from __future__ import annotations

from predictor.actuators.objects import Metadata
from predictor.core.other_controllers import OwnerReference
from predictor.core.reasons import Reason
from predictor.core.route_owners import ROUTES_FIELD, RouteOwnerFacts, route_control


def controlled_elsewhere(metadata: Metadata) -> Reason | None:
    """Why the weights are left to somebody else; Rollouts themselves are not read."""
    facts = RouteOwnerFacts(
        title=f"VirtualService {metadata.namespace}/{metadata.name}",
        owners=tuple(
            OwnerReference(one.kind, one.api_version, one.name, one.controller)
            for one in metadata.owner_references
        ),
        annotations=tuple(metadata.annotations.items()),
        managers=tuple(
            one.manager for one in metadata.managed_fields if ROUTES_FIELD in one.fields_v1.spec
        ),
    )
    return route_control(facts)
