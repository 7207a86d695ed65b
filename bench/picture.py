"""Draws what compare.py measured, as SVG: ratios, and shares of the machine's limit."""
from xml.sax.saxutils import escape

INLAY, LLAMA, INK, FAINT, RULE = "#1f6feb", "#b0b7c0", "#1c2128", "#6e7781", "#e4e8ec"
ROW, HEAD, TOP, LEFT, RATIO, SHARE, GAP = 20, 34, 92, 215, 330, 330, 70
FONT = "font-family='system-ui, Segoe UI, Helvetica, Arial, sans-serif'"


def text(x, y, content, size=12, color=INK, anchor="start", weight="normal"):
    halo = "paint-order='stroke' stroke='white' stroke-width='3'"
    return (f"<text x='{x:.1f}' y='{y:.1f}' font-size='{size}' fill='{color}' text-anchor='{anchor}' "
            f"font-weight='{weight}' {halo}>{escape(content)}</text>")


def bar(x, y, width, height, color):
    return f"<rect x='{x:.1f}' y='{y:.1f}' width='{max(width, 0):.1f}' height='{height}' fill='{color}' rx='2'/>"


def line(x, y0, y1, color=RULE, dash=""):
    return f"<line x1='{x:.1f}' y1='{y0:.1f}' x2='{x:.1f}' y2='{y1:.1f}' stroke='{color}'{dash}/>"


def nice_step(most):
    return next(step for step in (0.5, 1, 2, 5, 10, 20, 50, 100, 1000) if most / step <= 7)


def draw(report):
    rows = report["results"]
    models = list(dict.fromkeys(row["model"] for row in rows))
    height = TOP + sum(HEAD + ROW * sum(r["model"] == m for r in rows) for m in models) + 60
    x_ratio, x_share = LEFT, LEFT + RATIO + GAP
    width = x_share + SHARE + 60
    most = max([1.2] + [row.get("ratio", 0) for row in rows])
    step = nice_step(most)
    top_ratio = step * -(-most // step)
    has_ratio = any("ratio" in row for row in rows)
    target = report["versions"]["inlay"]["target"]
    out = [f"<svg xmlns='http://www.w3.org/2000/svg' width='{width}' height='{height}' "
           f"viewBox='0 0 {width} {height}' {FONT}>",
           f"<rect width='{width}' height='{height}' fill='white'/>",
           text(20, 30, "inlay beside llama.cpp" if has_ratio else "inlay", 18, weight="600"),
           text(20, 50, f"{report['cpu']}, {report['cores']} cores, {target}, {report['date'][:10]}; "
                        f"{report['rounds']} round{'s' * (report['rounds'] > 1)} in turn, medians", 12, FAINT),
           text(x_ratio, TOP - 14, "times llama.cpp's speed", 12, INK, weight="600"),
           text(x_share, TOP - 14, "share of the machine's limit", 12, INK, weight="600")]
    for i, (name, color) in enumerate((("inlay", INLAY), ("llama.cpp", LLAMA))):
        x = x_share + 210 + 58 * i
        out += [bar(x, TOP - 23, 10, 10, color), text(x + 14, TOP - 14, name, 11, FAINT)]

    bottom = height - 56
    tick = 0.0
    while tick <= top_ratio + 1e-9:
        x = x_ratio + RATIO * tick / top_ratio
        out += [line(x, TOP, bottom), text(x, bottom + 16, f"{tick:g} ×", 11, FAINT, "middle")]
        tick += step
    for tick in (0, 25, 50, 75, 100):
        x = x_share + SHARE * tick / 100
        out += [line(x, TOP, bottom), text(x, bottom + 16, f"{tick} %", 11, FAINT, "middle")]

    one = x_ratio + RATIO / top_ratio
    out.append(line(one, TOP, bottom, INK, " stroke-dasharray='3 3'"))

    y = TOP
    for model in models:
        out.append(text(20, y + 22, model.removesuffix(".gguf"), 13, weight="600"))
        y += HEAD
        for row in (r for r in rows if r["model"] == model):
            label = row["test"] + ("" if row["kv"] == "f16" else f" {row['kv']}")
            out += [text(32, y + 13, label), text(LEFT - 14, y + 13, f"{row['threads']} thr.", 11, FAINT, "end")]
            if "ratio" in row:
                ratio = row["ratio"]
                end = x_ratio + RATIO * ratio / top_ratio
                out.append(bar(x_ratio, y + 3, end - x_ratio, ROW - 7, INLAY if ratio >= 1 else LLAMA))
                least, greatest = min(row["ratio_by_round"]), max(row["ratio_by_round"])
                if greatest > least:
                    a, b = (x_ratio + RATIO * min(v / top_ratio, 1) for v in (least, greatest))
                    middle = y + 3 + (ROW - 7) / 2
                    out.append(f"<line x1='{a:.1f}' y1='{middle:.1f}' x2='{b:.1f}' y2='{middle:.1f}' "
                               f"stroke='{INK}' stroke-width='1.5'/>")
                    end = max(end, b)
                out.append(text(end + 6, y + 13, f"{ratio:.2f}", 11))
            shares = row.get("of_limit", {})
            for engine, color, offset in (("inlay", INLAY, 3), ("llama.cpp", LLAMA, 10)):
                if engine in shares:
                    out.append(bar(x_share, y + offset, SHARE * min(shares[engine], 1.05), 6, color))
            if shares:
                end = x_share + SHARE * min(max(shares.values()), 1.05)
                out.append(text(end + 6, y + 13, f"{100 * shares['inlay']:.0f} %", 11))
            y += ROW
    out.append(text(20, height - 14, "Limit of writing (tg): bytes read for a token, over what the threads read from "
                                     "memory. Limit of reading (pp): products, over what the cores multiply.", 11, FAINT))
    return "\n".join(out + ["</svg>", ""])
