# SPDX-License-Identifier: ISC
"""Percentiles, a table and a picture of samples."""
import math

COLOURS = ["#111827", "#2563eb", "#d97706", "#059669", "#9333ea", "#dc2626", "#0891b2", "#65a30d",
           "#db2777", "#92400e", "#475569", "#7c3aed", "#f59e0b", "#10b981", "#60a5fa", "#f472b6",
          "#a3e635", "#fb7185", "#2dd4bf", "#c084fc"]
MEASURES = {"answer_ms": "", "first_byte_ms": ' stroke-dasharray="4 3"'}
WIDTH, HEIGHT, LEFT, TOP = 640, 300, 50, 30
LOW, HIGH = 0.1, 1000.0


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(share * len(values)))]


def summary(values):
    return {f"p{p}": round(percentile(values, p / 100), 3) for p in (50, 90, 99)}


def summarise(samples):
    """Of one case: its measures, its stages, and the segments that clients sent again."""
    out = {"count": len(samples)}
    for measure in MEASURES:
        if measure in samples[0]:
            out[measure] = summary([s[measure] for s in samples])
    if "retransmissions" in samples[0]:
        out["retransmissions"] = sum(s["retransmissions"] for s in samples)
    stages = {}
    for sample in samples:
        for stage, at in sample.get("stages_ms", {}).items():
            stages.setdefault(stage, []).append(at)
    if stages:
        out["stages_ms"] = {stage: summary(values) for stage, values in stages.items()}
    return out


def ratio_of(result):
    """To the process, measured in turn with the case."""
    return result["answer_ms"]["p50"] / result["process_ms"]["p50"]


def row(name, result):
    cells = [f"{result[measure][p]:.2f}" if measure in result else ""
             for measure in MEASURES for p in ("p50", "p90", "p99")]
    ratio = f"{ratio_of(result):.2f}" if "process_ms" in result else ""
    return "| " + " | ".join([name, *cells, ratio]) + " |"


def stage_row(name, stages):
    at = ", ".join(f"{stage} {value['p50']:.2f}" for stage, value in stages.items())
    return f"| {name} | {at} |"


def markdown(report):
    """The tables for README.md."""
    machine = report["machine"]
    lines = [f"{machine['cpu']}, {machine['cores']} cores, Linux {machine['kernel']}; milliseconds:",
             "", "| | answer p50 | p90 | p99 | first byte p50 | p90 | p99 | answer / process |",
             "| --- |" + " ---: |" * 7]
    lines += [row(name, result) for name, result in report["cases"].items()]
    if "storm" in report:
        storm, answer = report["storm"], report["storm"]["answer_ms"]
        lines.append(f"| storm of {storm['names']}, {storm['lost']} lost | {answer['p50']:.0f} | "
                     f"{answer['p90']:.0f} | {answer['p99']:.0f} | | | | |")
    if "density" in report:
        density = report["density"]
        lines += ["", f"{density['guests']} guests awake: PSS each {density['pss_mib']['p50']:.2f} "
                  f"MiB (p99 {density['pss_mib']['p99']:.2f}), {density['memory_mib_each']:.2f} MiB "
                  "each of the machine's memory."]
    lines += ["", "| | stages, p50 in ms since the query |", "| --- | --- |"]
    lines += [stage_row(name, result["stages_ms"]) for name, result in report["cases"].items()
              if "stages_ms" in result]
    return "\n".join(lines) + "\n"


MARKS = "<!-- tests/bench/summon -->\n", "<!-- end of tests/bench/summon -->\n"


def put_between_marks(text, tables):
    """A document with the tables in the place of what was between the marks."""
    before, mark, rest = text.partition(MARKS[0])
    _, end, after = rest.partition(MARKS[1])
    if not mark or not end:
        raise RuntimeError(f"it lacks the lines {MARKS[0].strip()} and {MARKS[1].strip()}")
    return before + mark + tables + end + after


def print_cases(cases):
    def cells(result, measure):
        if measure not in result:
            return f"{'':>26}"
        value = result[measure]
        return f"{value['p50']:>10.2f}{value['p90']:>8.2f}{value['p99']:>8.2f}"

    print(f"{'milliseconds':<20}{'answer p50':>10}{'p90':>8}{'p99':>8}"
          f"{'byte p50':>10}{'p90':>8}{'p99':>8}   answer / process")
    for name, result in cases.items():
        ratio = f"{ratio_of(result):>12.2f}" if "process_ms" in result else ""
        print(f"{name:<20}{cells(result, 'answer_ms')}{cells(result, 'first_byte_ms')}{ratio}")
    print("\nstages, p50 in ms since the query:")
    for name, result in cases.items():
        if "stages_ms" in result:
            print(f"  {name}: " + ", ".join(f"{stage} {value['p50']:.2f}"
                                            for stage, value in result["stages_ms"].items()))


def x_of(ms):
    ms = min(max(ms, LOW), HIGH)
    return LEFT + WIDTH * (math.log10(ms) - math.log10(LOW)) / (math.log10(HIGH) - math.log10(LOW))


def axes():
    for ms in (0.1, 1, 10, 100, 1000):
        yield (f'<path d="M{x_of(ms):.1f} {TOP}V{TOP + HEIGHT}" stroke="#ddd"/>'
               f'<text x="{x_of(ms):.1f}" y="{TOP + HEIGHT + 18}" text-anchor="middle">{ms:g}</text>')
    for share in (0, 50, 90, 100):
        y = TOP + HEIGHT * (1 - share / 100)
        yield (f'<path d="M{LEFT} {y:.1f}H{LEFT + WIDTH}" stroke="#ddd"/>'
               f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{share}%</text>')
    yield (f'<text x="{LEFT + WIDTH / 2}" y="{TOP + HEIGHT + 40}" text-anchor="middle">'
           'milliseconds from the query; solid: DNS answer, dashed: first byte of the page</text>')


def curve(values, colour, dash):
    values = sorted(values)
    steps = " ".join(f"L{x_of(v):.1f} {TOP + HEIGHT * (1 - (i + 1) / len(values)):.1f}"
                     for i, v in enumerate(values))
    return (f'<path d="M{x_of(values[0]):.1f} {TOP + HEIGHT} {steps}" fill="none" '
            f'stroke="{colour}" stroke-width="2"{dash}/>')


def picture(samples, path):
    """A cumulative distribution of each case over a logarithmic time axis, as an SVG."""
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH + 200} {HEIGHT + 80}" '
             'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#fff"/>',
             *axes()]
    for index, (name, case) in enumerate(samples.items()):
        colour = COLOURS[index % len(COLOURS)]
        for measure, dash in MEASURES.items():
            if measure in case[0]:
                parts.append(curve([s[measure] for s in case], colour, dash))
        parts.append(f'<text x="{LEFT + WIDTH + 12}" y="{TOP + 14 + 18 * index}" '
                     f'fill="{colour}">{name}</text>')
    path.write_text("".join(parts) + "</svg>\n")
