import subprocess
import sys

from gradcheck.diagnosis import causes, codes
from gradcheck.rendering import render_message


def test_the_first_line_is_the_verdict_with_culprit_and_cause_in_front(make):
    first = render_message(make.failing_report()).splitlines()[0]
    assert first == (
        "layer1.bias x5 (batch size): 1 of 4 gradients wrong; 1 inconclusive (net.py:net)"
    )


def test_the_values_and_the_evidence_follow(make):
    text = render_message(make.failing_report(), rerun="gradcheck net.py:net")
    assert "layer1.bias[3]: analytic +0.0611423, numerical +0.0122285 +- 3e-12" in text
    assert "5 is the batch size" in text
    assert "too noisy" in text
    assert text.splitlines()[-1] == "  rerun: gradcheck net.py:net"


def test_many_failures_stay_within_a_dozen_lines(make):
    found = [causes.SIGN_FLIP.finding(f"why {i}", (f"W{i}",)) for i in range(9)]
    failing = [make.failing(f"W{i}", f"{i}") for i in range(500)]
    text = render_message(make.report(*failing, findings=found), rerun="gradcheck")
    assert len(text.splitlines()) == 12
    assert text.startswith("W0 sign_flip, W1 sign_flip and 498 more: 500 of 500 gradients wrong")
    assert "  and more\n" in text


def test_a_cause_of_several_parameters_names_one_and_counts_the_others(make):
    first, title, *_ = render_message(make.factor_report()).splitlines()
    assert first.startswith("layer1.weight x5 (batch size) and 3 more: 4 of 5 gradients wrong")
    assert title == (
        "  GC203 layer1.weight, layer1.bias and 2 more: "
        "off by a factor that is a size of the problem (26 of 26 entries wrong)"
    )


def test_what_could_not_be_explained_has_no_cause_in_the_first_line(make):
    first, title, *_ = render_message(make.unexplained_report()).splitlines()
    assert first == "W: 1 of 2 gradients wrong (net.py:net)"
    assert title.startswith("  GC900 W: wrong, for no reason that could be proved")


def test_causes_and_what_has_none_fit_into_a_dozen_lines(make):
    text = render_message(make.mixed_report())
    lines = text.splitlines()
    assert lines[0][:30] == "layer1.bias x5 (batch size), l"
    assert lines[0].startswith(
        "layer1.bias x5 (batch size), layer2.weight transposed and 1 more: 3 of 4 gradients wrong"
    )
    assert len(lines) == 12
    assert sum(line.startswith("    try: ") for line in lines) == 2
    assert "  layer3.bias[2]: analytic +0.500000, numerical +0.250000 +- 3e-12" in text
    assert lines[-1] == "  learn: gradcheck --explain GC203 GC201"


def test_an_error_that_names_no_parameter_speaks_of_all_that_were_not_measured(make):
    data = codes.MUTATES_DATA.finding("the loss changed args.0")
    stopped = {"reason": "a call changes args", "worst": None, "wrong": None, "wrong_count": None}
    parts = [make.failing(f"W{i}", **stopped) for i in range(3)]
    lines = render_message(make.report(*parts, findings=[data])).splitlines()
    assert lines[0] == "mutates_data: 3 of 3 gradients wrong (net.py:net)"
    assert lines[1] == "  GC111 a call changes the data it was given"
    assert not any("W1" in line for line in lines)


def test_an_inconclusive_report_says_why(make):
    text = render_message(make.inconclusive_report())
    assert text.startswith("layer2.bias, layer2.weight: 2 of 3 gradients undecided (net.py:net)\n")
    assert "the loss is too noisy" in text


def test_control_characters_in_names_are_written_out(make):
    assert "\x1b" not in render_message(make.report(make.failing("W\x1b[31m"), name="\x1b"))


def test_importing_the_message_does_not_import_rich():
    code = (
        "import sys; from gradcheck.rendering import render_message; "
        "sys.exit('rich' in sys.modules or 'numpy' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
