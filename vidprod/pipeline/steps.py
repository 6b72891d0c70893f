"""The steps by what asks for them. Importing this warms the child: codecs and filters are loaded, nothing is read."""

from collections.abc import Callable
from typing import Any

from vidprod.domain.step import CoverRequest, PlanRequest, ProbeRequest, RenderRequest, TrackRequest
from vidprod.pipeline import cover, plan, probe, render, track

STEPS: dict[type, Callable[..., Any]] = {
    ProbeRequest: probe.run,
    PlanRequest: plan.run,
    TrackRequest: track.run,
    RenderRequest: render.run,
    CoverRequest: cover.run,
}
