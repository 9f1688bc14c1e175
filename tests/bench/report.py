"""Puts samples into one table, and holds them to the marks."""

import statistics

# (kind of work, measure, compared with, the ratio's limit, "most" or "least")
MARKS = [
    ("login", "cpu", "haproxy", 0.75, "most"),
    ("login", "cpu", "nginx", 0.75, "most"),
    ("login-resumed", "cpu", "haproxy", 0.65, "most"),
    ("fetch", "cpu", "haproxy", 0.80, "most"),
    ("fetch", "rate", "haproxy", 1.0, "least"),
    ("fetch-tls", "cpu", "gatepost, plain backend", 2.0, "most"),
    ("noop-1", "p50", "haproxy", 1.05, "most"),
    ("noop-1", "p99", "haproxy", 1.25, "most"),
    ("noop-16", "p50", "haproxy", 1.05, "most"),
    ("noop-16", "p99", "haproxy", 1.25, "most"),
    ("noop-logins", "p99", "gatepost, no logins", 2.0, "most"),
]
IDLE_MARKS = {"plain": 3500, "tls": 6500}  # PSS of Gatepost's session, bytes
FULL_SHARE = 0.99
QUIET_SHARE = 0.05


class Outcome:
    """All samples of one kind of work. A pair is (round, label of the peer,
    figures of the subject, figures of the peer)."""

    def __init__(self, work, labels):
        self.work = work
        self.labels = labels
        self.pairs = []
        self.warnings = []

    def numbers(self, label, key):
        if label == self.labels[0]:
            return [mine[key] for _, _, mine, _ in self.pairs]
        return [theirs[key] for _, peer, _, theirs in self.pairs
                if peer == label]

    def ratios(self, label, key):
        return [divide(mine[key], theirs[key])
                for _, peer, mine, theirs in self.pairs if peer == label]


class Verdict:
    """What one mark asks for, and whether it is so."""

    def __init__(self, limit, sense, number, digits=2):
        self.text = f"{'<=' if sense == 'most' else '>='} {limit:.{digits}f}"
        self.is_met = number <= limit if sense == "most" else number >= limit

    def __str__(self):
        return f"{self.text} {'met' if self.is_met else 'MISSED'}"


def print_table(outcomes, file):
    print(f"{'':<14} {'':<25} {'median':>9} {'min-max':>17}"
          f" {'ratio':>7} {'min-max':>13}  mark", file=file)
    for outcome in outcomes:
        print(f"{outcome.work.name}: {outcome.work.about}", file=file)
        for measure in outcome.work.measures:
            for label in outcome.labels:
                print_row(outcome, measure, label, file)
        for note in notes_on(outcome):
            print(f"  {note}", file=file)


def print_row(outcome, measure, label, file):
    numbers = outcome.numbers(label, measure.key)
    is_subject = label == outcome.labels[0]
    row = (f"  {measure.title if is_subject else '':<12} {label:<25}"
           f" {measure.text(statistics.median(numbers)):>9}"
           f" {spread(numbers, measure.text):>17}")
    if not is_subject:
        ratios = outcome.ratios(label, measure.key)
        verdict = verdict_on(outcome, measure.key, label)
        row += (f" {statistics.median(ratios):>7.3f}"
                f" {spread(ratios, '{:.2f}'.format):>13}"
                f"  {verdict if verdict else ''}")
    print(row.rstrip(), file=file)


def notes_on(outcome):
    """What a reader of the figures must know besides."""
    shares = [figures["strangers"] for _, _, mine, theirs in outcome.pairs
              for figures in (mine, theirs)]
    disturbed = sum(share > QUIET_SHARE for share in shares)
    if disturbed:
        yield (f"during {disturbed} of {len(shares)} batches other programs "
               f"had more than {QUIET_SHARE:.0%} of the machine, at most "
               f"{max(shares):.0%}")
    for label in outcome.labels:
        if outcome.work.name == "login-resumed":
            share = statistics.median(outcome.numbers(label, "resumed"))
            if share < FULL_SHARE:
                yield f"{label} resumed only {share:.0%} of its handshakes"
        if outcome.work.name == "noop-logins":
            rate = statistics.median(outcome.numbers(label, "login_rate"))
            if rate > 0:
                yield f"{label} served {rate:.0f} logins/s meanwhile"


def verdict_on(outcome, key, label):
    for work, measure, peer, limit, sense in MARKS:
        if (work, measure, peer) == (outcome.work.name, key, label):
            ratio = statistics.median(outcome.ratios(label, key))
            return Verdict(limit, sense, ratio)
    return None


def verdict_on_idle(proxy_name, backend_kind, pss):
    """None where there is no mark: the peers weigh what they weigh."""
    if proxy_name != "gatepost":
        return None
    return Verdict(IDLE_MARKS[backend_kind], "most", pss, digits=0)


def missed_marks(outcomes):
    """A line for each."""
    for outcome in outcomes:
        for measure in outcome.work.measures:
            for label in outcome.labels[1:]:
                verdict = verdict_on(outcome, measure.key, label)
                if verdict and not verdict.is_met:
                    yield (f"{outcome.work.name}, {measure.title} against "
                           f"{label}: not {verdict.text}")


def spread(numbers, text):
    return f"{text(min(numbers))}-{text(max(numbers))}"


def divide(mine, theirs):
    return mine / theirs if theirs else float("inf")
