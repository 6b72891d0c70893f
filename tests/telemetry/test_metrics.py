"""Numbers: named once, readable by Prometheus."""

from prometheus_client.parser import text_string_to_metric_families

from vidprod.telemetry import metrics


def samples() -> dict[str, float]:
    text = metrics.render()[0].decode()
    return {
        s.name + "".join(f"|{v}" for v in s.labels.values()): s.value
        for family in text_string_to_metric_families(text)
        for s in family.samples
    }


def test_what_is_rendered_is_what_prometheus_parses() -> None:
    metrics.uploads.labels(outcome="stored").inc()
    metrics.step_seconds.labels(kind="render").observe(12.5)
    found = samples()
    assert found["vidprod_uploads_total|stored"] >= 1
    assert found["vidprod_step_seconds_sum|render"] >= 12.5
    assert metrics.render()[1].startswith("text/plain")


def test_resident_memory_is_read_when_asked() -> None:
    assert 5e6 < samples()["vidprod_resident_memory_bytes"] < 5e9


def test_a_state_of_the_queue_that_emptied_does_not_keep_its_last_value() -> None:
    metrics.set_queue({("render", "running"): 2, ("probe", "available"): 1}, oldest_available_age_ms=1500)
    metrics.set_queue({("render", "running"): 1}, oldest_available_age_ms=0)
    found = samples()
    assert found["vidprod_queue_tasks|render|running"] == 1
    assert "vidprod_queue_tasks|probe|available" not in found
    assert found["vidprod_queue_oldest_available_seconds"] == 0


def test_every_name_says_whose_it_is_and_its_unit() -> None:
    names = [family.name for family in metrics.registry.collect()]
    assert len(names) >= 16
    assert all(name.startswith("vidprod_") for name in names)
    assert not [name for name in names if name.endswith(("_ms", "_mb", "_total_total"))]


def test_publications_are_shown_as_they_are_now() -> None:
    metrics.set_publications({"scheduled": 3, "unknown": 1})
    assert 'vidprod_publications{state="unknown"} 1.0' in metrics.render()[0].decode()
    metrics.set_publications({"scheduled": 4})
    text = metrics.render()[0].decode()
    assert 'vidprod_publications{state="scheduled"} 4.0' in text
    assert "unknown" not in text
