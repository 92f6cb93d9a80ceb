"""Samples to medians, ratios and one table."""
import statistics

DETAIL = "of which "  # rows that begin so are in the JSON file only
PEERS = ("direct", "haproxy", "nginx", "floor", "zkferryd")
RATIOS = (("direct", "zkferryd / direct"), ("haproxy", "zkferryd / haproxy"), ("floor", "zkferryd / floor"))


class Results:
    """Rows in the order in which they first came."""

    def __init__(self):
        self.samples = {}

    def add(self, row, peer, value):
        self.samples.setdefault(row, {}).setdefault(peer, []).append(value)

    def median(self, row, peer):
        values = self.samples.get(row, {}).get(peer)
        return statistics.median(values) if values else None

    def ratio(self, row, other):
        ours, theirs = self.median(row, "zkferryd"), self.median(row, other)
        return ours / theirs if ours is not None and theirs else None

    def as_json(self):
        return [{"row": row,
                 "median": {peer: self.median(row, peer) for peer in peers},
                 "ratio": {other: self.ratio(row, other) for other, _ in RATIOS},
                 "samples": peers} for row, peers in self.samples.items()]

    def as_markdown(self):
        lines = ["| | " + " | ".join((*PEERS, *(title for _, title in RATIOS))) + " |",
                 "|---" * (1 + len(PEERS) + len(RATIOS)) + "|"]
        for row in (row for row in self.samples if not row.startswith(DETAIL)):
            cells = [number(self.median(row, peer)) for peer in PEERS]
            cells += [number(self.ratio(row, other), ratio=True) for other, _ in RATIOS]
            lines.append(f"| {row} | " + " | ".join(cells) + " |")
        return "\n".join(lines)


def number(value, ratio=False):
    if value is None:
        return "–"
    if ratio:
        return f"{value:.2f}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
