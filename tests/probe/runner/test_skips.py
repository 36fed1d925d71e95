"""Skipped targets are counted by reason, with examples of each."""

from probe.runner.skips import MAX_EXAMPLES, MAX_REASONS, OTHER, Skips


def test_few_skips_are_all_listed() -> None:
    skips = Skips()
    for number in range(MAX_EXAMPLES):
        skips.add(f"https://{number}.test/", "time was up")
    assert len(skips.examples) == MAX_EXAMPLES
    assert skips.counts == {"time was up": MAX_EXAMPLES}


def test_each_reason_has_its_share_of_the_examples() -> None:
    skips = Skips()
    for number in range(100_000):
        skips.add(f"https://{number}.test/", "time was up")
    skips.add("https://last.test/", "a bug of ours")
    assert len(skips.examples) == MAX_EXAMPLES
    assert "https://last.test/" in {skip.input for skip in skips.examples}
    assert skips.counts == {"time was up": 100_000, "a bug of ours": 1}


def test_rare_reasons_are_counted_together() -> None:
    skips = Skips()
    for number in range(3 * MAX_REASONS):
        skips.add("https://x.test/", f"reason {number}")
    assert len(skips.counts) == MAX_REASONS + 1
    assert skips.counts[OTHER] == 2 * MAX_REASONS
