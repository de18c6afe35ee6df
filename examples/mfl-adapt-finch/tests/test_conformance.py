from mfl_adapt.plugin.testing import check_plugin


def test_keeps_the_promises_of_its_slots(drawn):
    report = check_plugin("finch", data=drawn)
    report.raise_if_failed()
    assert "0 not checked" in report.summary()
