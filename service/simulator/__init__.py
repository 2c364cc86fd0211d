"""A stand-in for both MiMo wires: deterministic, strict, scriptable. See docs/simulator.md."""

from service.simulator.options import (
    CURRENT_MODELS,
    DEMO_PLATFORM,
    DEMO_STUDIO,
    V25_MODELS,
    Limits,
    PlatformAccount,
    SimulatedModel,
    SimulatorOptions,
    StudioSession,
)
from service.simulator.server import Simulator, create_simulator

__all__ = [
    "CURRENT_MODELS",
    "DEMO_PLATFORM",
    "DEMO_STUDIO",
    "V25_MODELS",
    "Limits",
    "PlatformAccount",
    "SimulatedModel",
    "Simulator",
    "SimulatorOptions",
    "StudioSession",
    "create_simulator",
]
