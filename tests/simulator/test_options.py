"""The defaults: what is live, what is retired, what the demo's credentials look like."""

from service.simulator import CURRENT_MODELS, DEMO_STUDIO, V25_MODELS, SimulatorOptions
from service.simulator.options import RETIRED_MODELS


def test_no_live_model_is_retired():
    assert RETIRED_MODELS.isdisjoint(model.id for model in CURRENT_MODELS)
    assert {model.id for model in V25_MODELS} <= RETIRED_MODELS


def test_models_are_found_by_id():
    assert SimulatorOptions().models_by_id["mimo-v2.6-pro"].purpose == "chat"


def test_demo_ph_needs_url_encoding():
    assert all(set("/+=") <= set(session.ph) for session in DEMO_STUDIO)
