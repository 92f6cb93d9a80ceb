"""The Prometheus text format, as far as tests need it."""
import re

_SAMPLE = re.compile(r'^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)')
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class Metrics:
    """Samples of one scrape."""

    def __init__(self, text):
        self.text = text
        self.samples = []
        for line in text.splitlines():
            if line and not line.startswith("#"):
                found = _SAMPLE.match(line)
                assert found, f"not a Prometheus sample: {line!r}"
                self.samples.append((found[1], dict(_LABEL.findall(found[2] or "")), float(found[3])))

    def value(self, name, **labels):
        """The sum over all samples of that name whose labels include these; 0 when there is none."""
        return sum(value for sample, have, value in self.samples
                   if sample == name and labels.items() <= have.items())

    def by_label(self, name, label, **labels):
        """{label value: sum} over all samples whose labels include these."""
        sums = {}
        for sample, have, value in self.samples:
            if sample == name and label in have and labels.items() <= have.items():
                sums[have[label]] = sums.get(have[label], 0) + value
        return sums
