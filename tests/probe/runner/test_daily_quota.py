"""The daily quota: a hard cap, a new one each day."""

from probe.runner.daily_quota import DAILY_BYTES, DailyQuota, QuotaUsage, today


def test_a_new_day_begins_with_no_usage() -> None:
    saved = QuotaUsage(day="2026-11-20", spent=5)
    assert today(saved, "2026-11-21") == QuotaUsage(day="2026-11-21")
    assert today(saved, "2026-11-20") is saved
    assert today(None, "2026-11-20") == QuotaUsage(day="2026-11-20")


def test_a_clock_set_back_does_not_reset_the_quota() -> None:
    saved = QuotaUsage(day="2026-11-20", spent=5)
    assert today(saved, "2026-11-19") is saved


def test_the_cap_is_hard() -> None:
    quota = DailyQuota(QuotaUsage(day="2026-11-21", spent=DAILY_BYTES - 100))
    assert quota.affords(100)
    assert not quota.affords(101)
    quota.spend(300)
    assert quota.left == 0
    assert not quota.affords(1)
    assert quota.usage.spent == DAILY_BYTES + 200


def test_a_share_of_the_day_can_be_kept_for_others() -> None:
    quota = DailyQuota(QuotaUsage(day="2026-11-21", spent=300), cap=1000)
    assert quota.affords(200, beside=0.5)
    assert not quota.affords(201, beside=0.5)
