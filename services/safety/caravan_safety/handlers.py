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
    "list_verdicts": (sa.ListVerdicts, SafetyService.list_verdicts),
}
