"""The defaults of a worker's size."""

from pathlib import Path

from reelmill_server.settings.machine import usable_cpus


def test_usable_cpus_minds_a_container_quota(tmp_path: Path) -> None:
    """A quota caps the cores, at least 1 is left, and without one all cores count."""
    quota = tmp_path / "cpu.max"
    assert usable_cpus(quota) >= 1
    all_cores = usable_cpus(quota)
    for text, expected in (
        ("50000 100000", 1),
        ("100000 100000", 1),
        ("max 100000", all_cores),
        ("99900000 100000", all_cores),
    ):
        quota.write_text(text + "\n")
        assert usable_cpus(quota) == expected
