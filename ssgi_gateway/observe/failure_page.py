"""The page that shows a developer what failed: the traceback with its source lines, variables on demand.

It shows and runs nothing: no evaluation, no shell. Values are shown by ``repr``, cut, and one whose ``repr`` fails is
shown as that. Shown in development only: it reveals everything.
"""

from __future__ import annotations

import html
import linecache
import os
import sys
import traceback
from types import FrameType, TracebackType
from typing import Final

__all__ = ["failure_page", "wants_page"]

COMPILED: Final = "build/mirror/"
"""How file names of the compiled build begin: it was compiled there."""
LINES: Final = 5
"""Source lines before and behind the one that failed."""
MAX_TEXT: Final = 400
"""Characters of a value."""
MAX_ROWS: Final = 40
"""Variables of a frame, and frames of a traceback's middle that are shown."""

STYLE: Final = """
:root{color-scheme:light dark;--bg:#fbfbfa;--fg:#1c1c1a;--soft:#6b6a63;--card:#fff;--line:#e4e2da;--bad:#b3261e;
--mark:#fde7e4;--focus:#2f6db5;--mono:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
@media(prefers-color-scheme:dark){:root{--bg:#161615;--fg:#ecebe4;--soft:#9b998e;--card:#1f1f1d;--line:#34332f;
--bad:#ff8a80;--mark:#47201d;--focus:#7fb4ef}}
*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--fg);font:15px/1.5 system-ui,sans-serif}
main{max-width:64rem;margin:0 auto;padding:2.5rem 1.25rem 5rem}
.what{border-left:4px solid var(--bad);padding-left:1rem;margin-bottom:2rem}
h1{font-size:1.35rem;margin:0;color:var(--bad);overflow-wrap:anywhere;white-space:pre-wrap}
.what p{margin:.35rem 0 0;color:var(--soft)}h2{font-size:1rem;font-weight:500;color:var(--soft);margin:2rem 0 .5rem}
.frame{background:var(--card);border:1px solid var(--line);border-radius:10px;margin:.75rem 0;overflow:hidden}
.frame>summary,.where{padding:.6rem 1rem;cursor:pointer;overflow-wrap:anywhere}
.frame code{font-family:var(--mono);font-size:.86rem}.soft{color:var(--soft)}
pre{margin:0;overflow-x:auto;font:13px/1.6 var(--mono);border-top:1px solid var(--line);padding:.5rem 0}
pre span{display:block;padding:0 1rem;white-space:pre;min-width:max-content}
pre .here{background:var(--mark);box-shadow:inset 3px 0 var(--bad)}pre .here i{color:inherit}
summary:focus-visible,pre:focus-visible{outline:3px solid var(--focus);outline-offset:-3px;border-radius:10px}
pre i{font-style:normal;color:var(--soft);display:inline-block;width:3.2em;user-select:none}
.vars{border-top:1px solid var(--line);padding:.4rem 1rem}.vars summary{cursor:pointer;color:var(--soft)}
table{border-collapse:collapse;width:100%;font:13px/1.5 var(--mono)}
td,th{vertical-align:top;padding:.15rem .75rem .15rem 0;overflow-wrap:anywhere}
th{color:var(--soft);white-space:nowrap;font-weight:400;text-align:left}
footer{color:var(--soft);margin-top:2rem}
"""

WAITING: Final = """<script>
// The server ends this stream when a file has changed, and the next one answers the reload.
(async () => {
  for (;;) {
    try {
      const answer = await fetch(location.href, {headers: {Accept: "text/event-stream"}, cache: "no-store"});
      const reader = answer.body.getReader();
      while (!(await reader.read()).done);
      break;
    } catch { await new Promise(again => setTimeout(again, 200)); }
  }
  location.reload();
})();
</script>"""


def wants_page(accept: str | None) -> bool:
    """Whether a request's Accept header prefers a page, as browsers' do."""
    return accept is not None and "text/html" in accept


def failure_page(title: str, exc: BaseException | None, note: str = "", waiting: bool = False) -> str:
    """The page, as HTML.

    Args:
        title: what failed, where ``exc`` does not show it.
        exc: what was raised; its causes are shown before it, as Python does.
        note: a sentence below the title.
        waiting: whether the page comes again by itself when the server has changed.
    """
    name = title if exc is None else f"{type(exc).__name__}: {exc}".removesuffix(": ")
    body = "".join(_chapter(each, words) for each, words in reversed(_chain(exc)))
    below = f"<p>{_escaped(note)}</p>" if note else ""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{_escaped(name[:120])}</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{STYLE}</style></head><body><main>'
        f'<div class="what" role="alert"><h1>{_escaped(name)}</h1>{below}</div>{body}'
        f"<footer>ssgi-gateway, Python {sys.version.split()[0]}</footer></main>"
        f"{WAITING if waiting else ''}</body></html>\n"
    )


def _chain(exc: BaseException | None) -> list[tuple[BaseException, str]]:
    """The exception and what it came of, the newest first, with the words that lead to the next one."""
    found: list[tuple[BaseException, str]] = []
    words = ""
    while exc is not None and all(exc is not known for known, _ in found):
        found.append((exc, words))
        if exc.__cause__ is not None:
            exc, words = exc.__cause__, "which was the direct cause of"
        else:
            exc, words = None if exc.__suppress_context__ else exc.__context__, "and while it was handled"
    return found


def _chapter(exc: BaseException, words: str) -> str:
    frames = list(traceback.walk_tb(exc.__traceback__))
    shown = _frames(frames)
    if isinstance(exc, SyntaxError):
        shown += _syntax(exc)
    heading = f"<h2>{_escaped(''.join(traceback.format_exception_only(exc)).strip())}</h2>" if words else ""
    return heading + shown + (f"<h2>{words}</h2>" if words else "")


def _frames(frames: list[tuple[FrameType, int]]) -> str:
    left_out = max(0, len(frames) - MAX_ROWS)
    if left_out:
        frames = frames[: MAX_ROWS // 2] + frames[-MAX_ROWS // 2 :]
    last = len(frames) - 1
    texts = [_frame(frame, line, index == last) for index, (frame, line) in enumerate(frames)]
    if left_out:
        texts.insert(MAX_ROWS // 2, f'<p class="soft">{left_out} more</p>')
    return "".join(texts)


def _frame(frame: FrameType, line: int, is_last: bool) -> str:
    code = frame.f_code
    theirs = f"{os.sep}site-packages{os.sep}" in code.co_filename or code.co_filename.startswith("<frozen")
    name = getattr(code, "co_qualname", code.co_name)
    opened = " open" if is_last or not theirs else ""
    return (
        f'<details class="frame"{opened}><summary><code>{_escaped(name)}</code> '
        f'<span class="soft">{_escaped(_short(code.co_filename))}:{line}</span></summary>'
        f"{_source(code.co_filename, line, frame.f_globals)}{_variables(frame)}</details>"
    )


def _short(path: str) -> str:
    """A path as a person would write it: from here, or from where packages are."""
    here = os.getcwd() + os.sep
    if path.startswith(here):
        return path[len(here) :]
    return path.rpartition(f"{os.sep}site-packages{os.sep}")[2]


def _source(path: str, line: int, names: dict[str, object] | None = None) -> str:
    rows = []
    for number in range(max(1, line - LINES), line + LINES + 1):
        text = linecache.getline(path, number, names)
        if text:
            here = ' class="here" aria-current="true"' if number == line else ""
            rows.append(f"<span{here}><i>{number}</i>{_escaped(text.rstrip())}</span>")
    # It scrolls where lines are long, and so has to be reached with the keyboard.
    return f"""<pre tabindex="0">{"".join(rows)}</pre>""" if rows else ""


def _syntax(exc: SyntaxError) -> str:
    if not exc.filename or not exc.lineno:
        return ""
    where = f'<span class="soft">{_escaped(_short(exc.filename))}:{exc.lineno}</span>'
    return f'<div class="frame"><div class="where">{where}</div>{_source(exc.filename, exc.lineno)}</div>'


def _variables(frame: FrameType) -> str:
    names = [name for name in frame.f_locals if not name.startswith("__")]
    rows = [
        f'<tr><th scope="row">{_escaped(name)}</th><td>{_value(frame.f_locals[name])}</td></tr>'
        for name in names[:MAX_ROWS]
    ]
    if not rows:
        return ""
    more = f'<tr><td class="soft">{len(names) - MAX_ROWS} more</td></tr>' if len(names) > MAX_ROWS else ""
    return f'<details class="vars"><summary>variables</summary><table>{"".join(rows)}{more}</table></details>'


def _value(value: object) -> str:
    try:
        text = repr(value)
    except Exception as error:
        text = f"(its repr raised {type(error).__name__})"
    return _escaped(text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}...")


def _escaped(text: str) -> str:
    # A message may hold any character, and a page is UTF-8.
    return html.escape(text.encode("utf-8", "backslashreplace").decode())


def without_own_frames(exc: BaseException, own: tuple[str, ...]) -> BaseException:
    """``exc`` with those frames left out at the begin of its traceback that are not the application's."""
    own += (COMPILED,)
    trace: TracebackType | None = exc.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(own):
        trace = trace.tb_next
    return exc.with_traceback(trace)
