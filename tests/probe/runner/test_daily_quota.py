from probe.runner.daily_quota import DAILY_BYTES, DailyQuota, QuotaUsage, today


def test_a_new_day_begins_with_nothing_spent() -> None:
    kept = QuotaUsage(day="2026-11-20", spent=5)
    assert today(kept, "2026-11-21") == QuotaUsage(day="2026-11-21")
    assert today(kept, "2026-11-20") is kept
    assert today(None, "2026-11-20") == QuotaUsage(day="2026-11-20")


def test_a_clock_set_back_buys_no_second_budget() -> None:
    kept = QuotaUsage(day="2026-11-20", spent=5)
    assert today(kept, "2026-11-19") is kept


def test_the_cap_is_hard() -> None:
    purse = DailyQuota(QuotaUsage(day="2026-11-21", spent=DAILY_BYTES - 100))
    assert purse.affords(100)
    assert not purse.affords(101)
    purse.spend(300)
    assert purse.left == 0
    assert not purse.affords(1)
    assert purse.spending.spent == DAILY_BYTES + 200
