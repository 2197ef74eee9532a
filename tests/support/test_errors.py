import pytest

from functional_clf.support.errors import one_line, telling_line

ADVICE = "\n\nSet TORCHDYNAMO_VERBOSE=1 for the internal stack trace"
TOLD = {
    "backend='inductor' raised:\nKeyError: 'uid not found'" + ADVICE: "KeyError: 'uid not found'",
    "InvalidCxxCompiler: No working C++ compiler found" + ADVICE: (
        "InvalidCxxCompiler: No working C++ compiler found"
    ),
    "CppCompileError: C++ compile error\n\nCommand:\ng++ a.cpp -o a.so\n\nOutput:\n"
    "a.cpp: In function 'x':\na.cpp:1:2: error: expected ';'\n" + ADVICE: (
        "a.cpp:1:2: error: expected ';'"
    ),
    "An exception occurred in a subprocess:\n\nName=f\nTraceback (most recent call last):\n"
    '  File "a.py", line 1, in f\n    raise ValueError("no")\nValueError: no\n' + ADVICE: (
        "ValueError: no"
    ),
    "fatal error: no space left": "fatal error: no space left",
    "only a heading:": "only a heading:",
    "one\ntwo": "one",
    "\n  \n  indented": "indented",
    " \n": None,
    "": None,
}


@pytest.mark.parametrize("text", TOLD)
def test_the_line_that_tells_the_cause_is_found(text):
    assert telling_line(text) == TOLD[text]


def test_an_exception_without_a_text_is_told_by_its_type():
    assert one_line(MemoryError()) == "MemoryError"
    assert one_line(KeyError("epochs")) == "KeyError: 'epochs'"
    assert one_line(ValueError("first:\nsecond")) == "second"
