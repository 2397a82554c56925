import subprocess
import sys

from gradcheck.rendering import render_message


def test_the_first_line_is_the_verdict_with_culprit_and_cause_in_front(make):
    first = render_message(make.failing_report()).splitlines()[0]
    assert first == (
        "layer1.bias batch_size_factor: 1 of 4 gradients wrong; 1 inconclusive (net.py:net)"
    )


def test_the_values_and_the_evidence_follow(make):
    text = render_message(make.failing_report(), rerun="gradcheck net.py:net")
    assert "layer1.bias[3]: analytic +0.0611423, numerical +0.0122285 +- 3e-12" in text
    assert "5 is the batch size" in text
    assert "too noisy" in text
    assert text.splitlines()[-1] == "  rerun: gradcheck net.py:net"


def test_many_failures_stay_within_a_dozen_lines(make):
    finding = make.failing_report().findings[1]
    failing = [make.failing(f"W{i}", f"{i}", findings=(finding,)) for i in range(500)]
    text = render_message(make.report(*failing, findings=[finding] * 9), rerun="gradcheck")
    assert len(text.splitlines()) <= 12
    assert text.startswith("W0 batch_size_factor, W1 batch_size_factor and 498 more: 500 of 500")


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
