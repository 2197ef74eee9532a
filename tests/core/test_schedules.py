import math
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.optim import lr_scheduler

from functional_clf.core.schedules import (
    constant,
    cosine,
    linear_warmup,
    one_cycle,
    step_decay,
)
from functional_clf.core.user_code import reading_of

rates, lengths = st.floats(1e-6, 10), st.integers(1, 60)


def rates_of(schedule, steps, dtype=torch.float64):
    return torch.stack([schedule(torch.tensor(step, dtype=dtype)) for step in range(steps)])


def torchs_rates(first, make_scheduler, steps):
    method = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=first)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the method takes no steps
        scheduler, found = make_scheduler(method), []
        for _ in range(steps):
            found.append(method.param_groups[0]["lr"])
            scheduler.step()
    return torch.tensor(found, dtype=torch.float64)


def assert_alike(ours, theirs, peak):
    assert ours.dtype == torch.float64
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12 * peak)


@settings(max_examples=50)
@given(rates, lengths, st.floats(0, 1))
def test_cosine_is_torchs_and_then_stays(peak, steps, share):
    floor = share * peak
    ours = rates_of(cosine(peak, steps, floor), steps + 5)
    theirs = torchs_rates(
        peak, lambda one: lr_scheduler.CosineAnnealingLR(one, steps, floor), steps + 1
    )
    assert_alike(ours[: steps + 1], theirs, peak)
    assert (ours[steps:] == floor).all()


@settings(max_examples=50)
@given(rates, st.integers(1, 20), st.floats(1e-3, 1), lengths)
def test_a_warm_up_is_torchs_sequence(peak, steps, start, following):
    ours = rates_of(linear_warmup(cosine(peak, following), steps, start), steps + following)
    theirs = torchs_rates(
        peak,
        lambda one: lr_scheduler.SequentialLR(
            one,
            [
                lr_scheduler.LinearLR(one, start, 1.0, steps),
                lr_scheduler.CosineAnnealingLR(one, following),
            ],
            [steps],
        ),
        steps + following,
    )
    assert_alike(ours, theirs, peak)


def test_a_warm_up_from_nothing_to_a_number_is_a_straight_line_and_exact_afterwards():
    for value in (0.1, constant(0.1)):
        found = rates_of(linear_warmup(value, 8), 20)
        wanted = torch.tensor([0.1 * min(step / 8, 1) for step in range(20)], dtype=torch.float64)
        torch.testing.assert_close(found, wanted, rtol=1e-14, atol=0)
        assert (found[8:] == 0.1).all()


@settings(max_examples=50)
@given(rates, lengths, st.floats(0.01, 1))
def test_decay_by_steps_is_torchs(value, every, factor):
    ours = rates_of(step_decay(value, every, factor), 130)
    theirs = torchs_rates(value, lambda one: lr_scheduler.StepLR(one, every, factor), 130)
    assert_alike(ours, theirs, value)


@settings(max_examples=50)
@given(rates, st.integers(2, 90), st.floats(0, 0.98), st.floats(1, 100), st.floats(1, 1e5))
def test_one_cycle_is_torchs_and_then_stays(peak, steps, pct_start, div, final_div):
    if pct_start * steps == 1:  # where torch divides by nothing
        pct_start += 1e-3
    ours = rates_of(one_cycle(peak, steps, pct_start, div, final_div), steps + 5)
    theirs = torchs_rates(
        peak,
        lambda one: lr_scheduler.OneCycleLR(
            one,
            peak,
            steps,
            pct_start=pct_start,
            cycle_momentum=False,
            div_factor=div,
            final_div_factor=final_div,
        ),
        steps,
    )
    assert_alike(ours[:steps], theirs, peak)
    assert (ours[steps:] == ours[steps - 1]).all()
    assert ours[-1].item() == pytest.approx(peak / div / final_div, rel=1e-12)


def test_one_cycle_whose_peak_is_the_first_step_falls_from_there():
    found = rates_of(one_cycle(0.5, 10, pct_start=0.1), 10)
    assert found[0] == 0.5
    assert (found.diff() < 0).all()


SOME = {
    "constant": constant(0.3),
    "cosine": cosine(0.3, 997, 1e-5),
    "warm-up": linear_warmup(cosine(0.3, 900), 97),
    "steps": step_decay(0.3, 41, 0.7),
    "one cycle": one_cycle(0.3, 1000),
}


@pytest.mark.parametrize("name", SOME)
def test_in_float32_a_rate_is_right_to_its_last_digits(name):
    schedule = SOME[name]
    found = rates_of(schedule, 1100, torch.float32)
    assert found.dtype == torch.float32
    exact = rates_of(schedule, 1100)
    torch.testing.assert_close(found.double(), exact, rtol=2e-5, atol=1e-8)
    torch.testing.assert_close(found.double(), exact, rtol=0, atol=2e-7)


@pytest.mark.parametrize("name", SOME)
def test_whole_numbers_and_replicates_side_by_side_will_do(name, float64):
    schedule = SOME[name]
    wanted = rates_of(schedule, 1100)
    steps = torch.arange(1100)
    assert torch.equal(torch.func.vmap(schedule)(steps), wanted)
    assert schedule(steps[7]).shape == ()


@pytest.mark.parametrize("every", [3, 7, 41, 49, 1000])
def test_no_rounding_moves_a_decay(every):
    steps = torch.cat([torch.arange(1, 400) * every, torch.arange(1, 400) * every - 1])
    found = step_decay(1.0, every, 0.5)(steps.float()).log2()
    exponents = -(steps // every).float()
    seen = exponents > -120
    assert torch.equal(found[seen].round(), exponents[seen])


def test_schedules_are_pure_and_read_as_what_they_are():
    readings = [reading_of(schedule) for schedule in SOME.values()]
    assert all(one.is_own for one in readings)
    again = reading_of(linear_warmup(cosine(0.3, 900), 97))
    assert readings[2] == again != reading_of(linear_warmup(cosine(0.3, 901), 97))
    step = torch.tensor(5.0)
    for schedule in SOME.values():
        schedule(step)
    assert step == 5


@pytest.mark.parametrize(
    ("build", "error", "words"),
    [
        (lambda: constant(0), ValueError, "value is 0; it must be above 0"),
        (lambda: constant("x"), TypeError, "value is 'x'"),
        (lambda: cosine(math.inf, 3), ValueError, "peak is inf"),
        (lambda: cosine(0.1, 0), ValueError, "steps is 0"),
        (lambda: cosine(0.1, 2.5), TypeError, "steps is 2.5"),
        (lambda: cosine(0.1, 3, 0.2), ValueError, "floor is 0.2; .* the peak, 0.1"),
        (lambda: cosine(0.1, 3, -0.2), ValueError, "floor is -0.2"),
        (lambda: linear_warmup(-1, 3), ValueError, "schedule_or_value is -1"),
        (lambda: linear_warmup(None, 3), TypeError, "schedule_or_value is None"),
        (lambda: linear_warmup(0.1, 0), ValueError, "steps is 0"),
        (lambda: linear_warmup(0.1, 3, 1.5), ValueError, "start_factor is 1.5"),
        (lambda: step_decay(0.1, 0, 0.5), ValueError, "every is 0"),
        (lambda: step_decay(0.1, 3, 0), ValueError, "factor is 0"),
        (lambda: step_decay(0.1, 3, 2), ValueError, "factor is 2"),
        (lambda: one_cycle(0.1, 3, 1.0), ValueError, "pct_start is 1.0"),
        (lambda: one_cycle(0.1, 3, div_factor=0.5), ValueError, "div_factor is 0.5"),
        (lambda: one_cycle(0.1, 3, final_div_factor=0), ValueError, "final_div_factor is 0"),
        (lambda: one_cycle(0.1, 3, math.nan), ValueError, "pct_start is nan"),
    ],
)
def test_what_is_no_schedule_is_refused(build, error, words):
    with pytest.raises(error, match=f"^{words}"):
        build()
