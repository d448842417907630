"""Pictures of a report: desktop and phone, light and dark, the top of the page and one trajectory opened.

    python scripts/screenshots.py outputs/default/report.html docs/images
    python scripts/screenshots.py outputs/tools/report.html pictures --find making:word_sorting

Needs Chromium (`chromium`, `chromium-browser` or `google-chrome` on the path). Ends with status 1 if the page wrote to
the console or asked for anything but itself.
"""

import argparse
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SIZES = {"desktop": (1280, 860), "phone": (390, 844)}
_SEARCH_MS = 1_000  # the page searches when nothing has been typed for a moment
_NAMES = ("chromium", "chromium-browser", "google-chrome")


def main() -> int:
    """The command line."""
    from playwright.sync_api import sync_playwright

    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("page", type=Path)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--find", default="", help="open the first trajectory that the search of the page finds")
    given = arguments.parse_args()
    path = next(filter(None, map(shutil.which, _NAMES)), None)
    if path is None:
        arguments.exit(2, f"needs one of {', '.join(_NAMES)} on the path\n")
    given.folder.mkdir(parents=True, exist_ok=True)
    told: list[str] = []
    with sync_playwright() as playwright:
        # Chromium's sandbox does not start for root, as in most containers.
        args = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=path, args=args)
        for size in SIZES:
            for scheme in ("light", "dark"):
                told += photograph(browser, given.page, given.folder, size, scheme, given.find)
        browser.close()
    print(f"pictures: {given.folder}", *told, sep="\n")
    return int(bool(told))


def photograph(browser: "Browser", report: Path, folder: Path, size: str, scheme: str, find: str) -> list[str]:
    """Two pictures: `<size>-<scheme>.png`, `<size>-<scheme>-trajectory.png`. What the page should not have done."""
    width, height = SIZES[size]
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme="dark" if scheme == "dark" else "light"
    )
    page, told, url = context.new_page(), list[str](), report.resolve().as_uri()
    page.set_default_timeout(60_000)
    page.on("console", lambda message: told.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: told.append(f"error: {error}"))
    page.on("request", lambda request: told.append(f"asked for {request.url}") if request.url != url else None)
    page.goto(url)
    page.wait_for_selector("html[data-ready]", state="attached")
    page.screenshot(path=folder / f"{size}-{scheme}.png")
    if find:
        page.fill("#words", find)
        page.wait_for_timeout(_SEARCH_MS)
    first = page.locator("#list button").first
    if find and not first.count():
        told.append(f"no trajectory has {find!r}")
    elif first.count():
        first.click()
        page.wait_for_selector("#trajectory :is(h2, h3, h4)")
        page.screenshot(path=folder / f"{size}-{scheme}-trajectory.png")
    context.close()
    return told


if __name__ == "__main__":
    raise SystemExit(main())
