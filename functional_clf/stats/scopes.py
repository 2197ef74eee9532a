"""What varied decides what may be said: a scope owns the words of its claim.

Every sentence of a conclusion passes through its scope, so none can reach further.
"""

from dataclasses import dataclass

from functional_clf.stats import validation


@dataclass(frozen=True)
class Scope:
    """What one replicate redraws, and what a claim from such replicates reaches.

    Attributes:
        name: as arguments and files name it.
        replicate: what each replicate redraws, as in "(each redraws ...)".
        claim_template: what the verdict reaches; `{setting}` is where the data come from.
        unnamed_setting: stands for the setting where none is named.
        ending: what every sentence ends with.
        counts_reach: what the counts of seeds and their limits reach, where that is less than
            the verdict's reach; empty where it is the same.
        independent: whether replicates are independent draws from what the claim reaches, as the
            sign-flip test and the bounded interval need.
    """

    name: str
    replicate: str
    claim_template: str
    unnamed_setting: str
    ending: str = ""
    counts_reach: str = ""
    independent: bool = True

    def claim(self, setting: str) -> str:
        """Return what the verdict reaches."""
        return self.claim_template.format(setting=setting or self.unnamed_setting)

    def sentence(self, text: str) -> str:
        """Return `text` as a sentence that says no more than this scope allows."""
        return f"{text}{self.ending}."


DATA = Scope(
    name="data",
    replicate="each redraws data, split and initialisation",
    claim_template="new data from {setting}, these training settings",
    unnamed_setting="the same source",
)
SPLIT = Scope(
    name="split",
    replicate="each redraws the split and initialisation of one data set",
    claim_template=(
        "new data sets of this size from {setting}, these training settings, by the "
        "Nadeau-Bengio approximation for splits that overlap"
    ),
    unnamed_setting="the same source",
    counts_reach="on new splits of this one data set only",
    independent=False,
)
INIT = Scope(
    name="init",
    replicate="each redraws the initialisation",
    claim_template="new training runs with these settings on {setting}",
    unnamed_setting="this data set",
    ending=", on this split only",
)
TEST_SET = Scope(
    name="test_set",
    replicate="each redraws the initialisation",
    claim_template="new training runs with these settings on {setting}",
    unnamed_setting="this data set",
    ending=", on this test set only",
)
CROSSED = Scope(
    name="crossed",
    replicate="each data seed crossed with each initialisation seed",
    claim_template="new data from {setting} and new initialisations, these training settings",
    unnamed_setting="the same source",
    independent=False,
)
UNSAID = Scope(
    name="unsaid",
    replicate="nobody said what each redraws",
    claim_template="more runs made as these were, whatever each of them redrew",
    unnamed_setting="",
)
"""Of scores from elsewhere, of which nobody says it: the least that pairs can claim."""

_BY_NAME = {scope.name: scope for scope in (DATA, SPLIT, INIT, TEST_SET)}
_UNLISTED = {UNSAID.name: UNSAID}


def named(name: str) -> Scope:
    """Return the scope of a comparison of two columns."""
    if isinstance(name, str) and name in _UNLISTED:
        return _UNLISTED[name]
    if not isinstance(name, str) or name not in _BY_NAME:
        crossed = isinstance(name, str) and name == CROSSED.name
        hint = "; a crossed design needs compare_crossed" if crossed else ""
        raise ValueError(
            f"scope is {validation.shown(name)}: one of {', '.join(_BY_NAME)} is needed{hint}"
        )
    return _BY_NAME[name]
