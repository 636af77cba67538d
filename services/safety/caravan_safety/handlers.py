"""Bus subjects to calls of the service."""

from __future__ import annotations

from typing import Final

from caravan_bus.control.verbs import Verbs
from caravan_contracts import safety as sa

from caravan_safety.service import SafetyService

VERBS: Final[Verbs] = {
    "check": (sa.Check, SafetyService.check),
    "run_shield": (sa.RunShield, SafetyService.run_shield),
    "moderate": (sa.Moderate, SafetyService.moderate),
    "try_shield": (sa.TryShield, SafetyService.try_shield),
    "list_verdicts": (sa.ListVerdicts, SafetyService.list_verdicts),
}
ENTRIES: Final[Verbs] = {verb: VERBS[verb] for verb in ("run_shield", "moderate")} | {
    "list_shields": (sa.ListShields, SafetyService.list_shields),
}
"""What foreign bus users may ask."""
