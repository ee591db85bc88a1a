"""Every conformance case of a folder, run against what the published code produced."""

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from conformance.case import Case, compare

HERE = Path(__file__).parent
ADAPTERS, CHECKS = {}, {}
for source in sorted(HERE.glob("*.py")):
    if not source.stem.startswith("test_"):
        module = import_module(f"conformance.{source.stem}")
        ADAPTERS |= getattr(module, "ADAPTERS", {})
        CHECKS |= getattr(module, "CHECKS", {})


def pytest_generate_tests(metafunc):
    if "case_path" not in metafunc.fixturenames:
        return
    folder = Path(metafunc.config.getoption("--cases") or HERE / "cases")
    paths = sorted(folder.glob("*.json"))
    assert paths, f"no cases in {folder}"
    metafunc.parametrize("case_path", paths, ids=[path.stem for path in paths])


def test_case(case_path):
    case = Case.read(case_path)
    if case.name not in ADAPTERS:
        pytest.fail(f"no adapter knows the case {case.name}")
    CHECKS.get(case.name, compare)(case, ADAPTERS[case.name](case))


@pytest.mark.parametrize(
    ("produced", "fault"),
    [
        ({}, "a: not produced"),
        ({"a": np.ones(2)}, r"a: shape \(2,\), stored \(3,\)"),
        ({"a": np.ones(3) * 1.1}, "a: relative error 1.00e-01 over 1e-02"),
        ({"a": np.array([1, np.nan, 1])}, "a: relative error inf"),
    ],
)
def test_the_comparison_names_every_fault(produced, fault):
    case = Case("x", {"tolerance": 0.01}, {"a": np.ones(3)})
    with pytest.raises(AssertionError, match=fault):
        compare(case, produced)
    compare(case, {"a": np.ones(3) * 1.001})


def test_what_is_no_number_has_to_be_none():
    case = Case("x", {"tolerance": 0.01}, {"a": np.array([1, np.nan, 2])})
    compare(case, {"a": np.array([1, np.nan, 2.001])})
    for wrong in ([1, 0, 2], [np.nan, np.nan, 2], [1, np.nan, 3]):
        with pytest.raises(AssertionError, match="a: relative error"):
            compare(case, {"a": np.array(wrong)})


def test_a_case_is_read_from_its_own_words():
    words = {"tag": "t", "construction": "a*[50,-6.5,4e1]; b", "subsample": {"m": "v [:, 1::2]"}}
    case = Case("x", words, {})
    assert case.numbers("[#,#,#]") == (50, -6.5, 40)
    with pytest.raises(ValueError, match="nothing like"):
        case.numbers("c*#")
    np.testing.assert_array_equal(case.stored("m", np.eye(4)), np.eye(4)[:, 1::2])
    np.testing.assert_array_equal(case.stored("other", np.eye(4)), np.eye(4))
    cube, rules = np.arange(24).reshape(2, 3, 4), {"e": "[..., ::3] of it", "d": {}}
    rules["d"]["axis_strides"] = [1, 2, 3]
    case = Case("x", {"subsample": rules}, {})
    np.testing.assert_array_equal(case.stored("e", cube), cube[:, :, ::3])
    np.testing.assert_array_equal(case.stored("d", cube), cube[:, ::2, ::3])
