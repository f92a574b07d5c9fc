"""Links of the documentation that lead out of its folder, for the site that `make docs` builds.

On a page that is read in the repository `../eval/README.md` is a link. The site does not hold that file: where
`SGC_REPOSITORY` names an address, such as `https://…/blob/main`, the link leads there; else the file is named.
"""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)\s]+)\)")

logger = logging.getLogger("mkdocs.plugins.site_links")


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Return the text of a page with its links out of the folder rewritten; warn of those that lead nowhere."""
    place = Path(page.file.abs_src_path).parent

    def rewrite(match: re.Match[str]) -> str:
        text, target = match.groups()
        name, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", target) or not name:
            return match.group()
        path = Path(os.path.normpath(place / name))
        if path.is_relative_to(DOCS):
            return match.group()  # mkdocs looks after these
        if not path.exists():
            logger.warning("%s: the link %s leads nowhere", page.file.src_uri, target)
        relative = path.relative_to(DOCS.parent).as_posix()
        if address := os.environ.get("SGC_REPOSITORY"):
            return f"[{text}]({address.rstrip('/')}/{relative}{'#' * bool(anchor)}{anchor})"
        plain = text.strip("`")
        return f"`{relative}`" if plain in (relative, Path(relative).name) else f"{text} (`{relative}`)"

    return LINK.sub(rewrite, markdown)
