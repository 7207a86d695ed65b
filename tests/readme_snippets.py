#!/usr/bin/env python3
"""Every code block of the README that names a file is that file, or a run of its lines.

    readme_snippets.py [README.md …]

A block names a file in an HTML comment on the line before it:

    <!-- examples/hello/main.cpp -->
    ```cpp
    …
    ```

"<!-- part of FILE -->" asks for consecutive lines of FILE only, whatever their indentation. Paths are relative to the README's
folder. Fails also when a README has no such block, and for relative links that lead nowhere: to no file, or no heading in it.
"""
import os
import re
import sys
import textwrap

BLOCK = re.compile(r"(?ms)^<!-- (part of )?(\S+) -->\n```\w*\n(.*?)^```$")
LINK = re.compile(r"\]\(([^)#:\s]*)(?:#([^)]*))?\)")


def headings(path):
    """The names by which links find them."""
    for heading in re.findall(r"(?m)^#+ (.*)$", open(path, encoding="utf-8").read()):
        yield re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def check(readme, needs_blocks):
    if not os.path.exists(readme):
        return [f"{readme}: does not exist"]
    folder = os.path.dirname(os.path.abspath(readme))
    text = open(readme, encoding="utf-8").read()
    errors = []
    blocks = BLOCK.findall(text)
    if needs_blocks and not blocks:
        errors.append("has no code block that names a file")
    for part, name, block in blocks:
        path = os.path.join(folder, name)
        if not os.path.exists(path):
            errors.append(f"a block names {name}, which does not exist")
            continue
        content = open(path, encoding="utf-8").read()
        if part:
            lines = [line.strip() for line in content.splitlines()]
            wanted = [line.strip() for line in textwrap.dedent(block).splitlines()]
            found = any(lines[i:i + len(wanted)] == wanted for i in range(len(lines)))
        else:
            found = content == block
        if not found:
            errors.append(f"the block of {name} differs from the file")
    for target, heading in LINK.findall(re.sub(r"(?ms)^```.*?^```$", "", text)):
        path = os.path.join(folder, target) if target else readme
        if not os.path.exists(path):
            errors.append(f"a link leads to {target}, which does not exist")
        elif heading and heading not in headings(path):
            errors.append(f"a link leads to {target}#{heading}: there is no such heading")
    return [f"{readme}: {error}" for error in errors]


def main():
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
    files = sys.argv[1:]
    if not files:
        files = [os.path.join(root, "README.md")]
        files += [os.path.join(root, f, "README.md") for f in ("include/inlay", "examples", "bench", "tests")]
    errors = [e for f in files for e in check(f, os.path.dirname(f) == os.path.dirname(files[0]))]
    print("\n".join(errors) or f"{len(files)} files agree with what they show")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
