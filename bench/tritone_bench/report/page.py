"""The page around charts and tables: style sheet, header, table. Self-contained: no script, no link, no font."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

STYLE = """
:root{--bg:#fbfbfa;--card:#fff;--ink:#1c1f23;--dim:#667078;--rule:#e3e5e4;--s1:#9bbfe0;--s2:#5596cf;--s3:#1f6fb2;
--s4:#0d3f6e;--alt:#c2571a;--limit:#c0392b;--good:#1e7f4f}
@media(prefers-color-scheme:dark){:root{--bg:#15181b;--card:#1d2125;--ink:#e8eaec;--dim:#98a2aa;--rule:#31373c;
--s1:#3f6f9a;--s2:#5b9bd5;--s3:#8cc0ee;--s4:#cfe6fb;--alt:#f0955a;--limit:#f0776a;--good:#5fcf97}}
*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:1340px;margin:0 auto;padding:28px 20px 60px}h1{font-size:19px;margin:0 0 2px;font-weight:600}
h2{font-size:15px;margin:0 0 10px;font-weight:600}.dim{color:var(--dim)}.big{font-size:52px;line-height:1.1;
font-weight:700;letter-spacing:-.02em;margin:14px 0 0}.tiles{display:grid;grid-template-columns:repeat(auto-fit,
minmax(172px,1fr));gap:12px;margin:20px 0}.tile,.card{background:var(--card);border:1px solid var(--rule);
border-radius:8px;padding:12px 16px}.tile b{display:block;font-size:21px;font-variant-numeric:tabular-nums}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(560px,100%),1fr));gap:16px;margin:16px 0}
.bad{color:var(--limit)}.good{color:var(--good)}svg{width:100%;height:auto;display:block}.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;font-size:14px}th,td{text-align:right;
padding:5px 9px;border-bottom:1px solid var(--rule);white-space:nowrap}th{color:var(--dim);font-weight:500}
td:first-child,th:first-child,.text td{text-align:left}.text td{white-space:normal;overflow-wrap:anywhere}
td.why{white-space:normal;text-align:left;min-width:220px}th.why{text-align:left}code{font:13px ui-monospace,monospace;
background:var(--bg);border:1px solid var(--rule);border-radius:4px;padding:2px 6px;overflow-wrap:anywhere}
.grid{stroke:var(--rule)}.axis{stroke:var(--dim)}.tick{fill:var(--dim);font-size:11px}.title{fill:var(--dim);
font-size:11.5px}.row,.name{fill:var(--ink);font-size:12px}.line{fill:none;stroke-width:2;stroke-linejoin:round}
.line.s1,.dot.s1,.ring.s1{stroke:var(--s1)}.line.s2,.dot.s2,.ring.s2{stroke:var(--s2)}.line.s3,.dot.s3,.ring.s3{
stroke:var(--s3)}.line.s4,.dot.s4,.ring.s4{stroke:var(--s4)}.line.alt,.dot.alt,.ring.alt{stroke:var(--alt)}
.dot.s1{fill:var(--s1)}.dot.s2{fill:var(--s2)}.dot.s3{fill:var(--s3)}.dot.s4{fill:var(--s4)}.dot.alt{fill:var(--alt)}
.ring{fill:var(--card);stroke-width:2}.limit{stroke:var(--limit);stroke-dasharray:5 4}.limit-text{fill:var(--limit);
font-size:11px}.bar{fill:var(--s2)}.whisker{stroke:var(--ink)}.note{font-size:13px;color:var(--dim);margin:8px 0 0}
"""


def page(title: str, body: Sequence[str]) -> str:
    """A whole HTML document."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>{''.join(body)}</main></body></html>\n"
    )


def card(title: str, content: str, note: str = "") -> str:
    """A titled box."""
    below = f'<p class="note">{escape(note)}</p>' if note else ""
    return f'<section class="card"><h2>{escape(title)}</h2>{content}{below}</section>'


def tiles(values: Sequence[tuple[str, str]]) -> str:
    """Numbers with their names."""
    inner = "".join(
        f'<div class="tile"><b>{escape(v)}</b><span class="dim">{escape(n)}</span></div>' for n, v in values
    )
    return f'<div class="tiles">{inner}</div>'


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, last_is_text: bool = False) -> str:
    """A table of numbers; the first column is text."""
    names = [f"<th>{escape(name)}</th>" for name in head]
    if last_is_text:
        names[-1] = f'<th class="why">{escape(head[-1])}</th>'
    top = "".join(names)
    body = []
    for row in rows:
        cells = [f"<td>{escape(cell)}</td>" for cell in row]
        if last_is_text:
            cells[-1] = f'<td class="why">{escape(row[-1])}</td>'
        body.append(f"<tr>{''.join(cells)}</tr>")
    return f'<div class="scroll"><table><thead><tr>{top}</tr></thead><tbody>{"".join(body)}</tbody></table></div>'


def facts(values: Mapping[str, str]) -> str:
    """Names and values."""
    rows = "".join(
        f'<tr><td class="dim">{escape(name)}</td><td>{escape(value)}</td></tr>'
        for name, value in values.items()
        if value
    )
    return f'<table class="text"><tbody>{rows}</tbody></table>'
