"""Runs notebooks from top to bottom and saves them with their outputs: `python tools/run_notebooks.py [NOTEBOOK ...]`.

Without a name, all of notebooks/. A cell that fails ends it with that cell's error, and nothing is saved.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.manager import start_new_kernel

ROOT = Path(__file__).parents[1]
PATIENCE = 600
"""Seconds that one cell may take."""


class CellError(Exception):
    """A cell failed; the message is the kernel's."""


def run(path: Path) -> None:
    """Executes the notebook in a fresh kernel, in its own folder, and saves it. Raises `CellError`."""
    book = nbformat.read(path, as_version=4)
    manager, client = start_new_kernel(kernel_name="python3", cwd=str(path.parent))
    try:
        count = 0
        for cell in book.cells:
            if cell.cell_type != "code":
                continue
            count += 1
            cell.outputs, cell.execution_count, cell.metadata = [], count, nbformat.NotebookNode()
            cell.outputs = _executed(client, cell.source, f"{path.name}, code cell {count}")
            for output in cell.outputs:
                if output.output_type == "execute_result":
                    output.execution_count = count
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    book.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    nbformat.write(book, path)


def _executed(client: Any, source: str, where: str) -> list[Any]:
    outputs: list[Any] = []

    def hear(message: dict[str, Any]) -> None:
        kind = message["header"]["msg_type"]
        if kind in ("stream", "display_data", "execute_result", "error"):
            output = nbformat.v4.output_from_msg(message)
            if outputs and kind == "stream" == outputs[-1].output_type and outputs[-1].name == output.name:
                outputs[-1].text += output.text
            else:
                outputs.append(output)

    reply = client.execute_interactive(source, timeout=PATIENCE, output_hook=hear, allow_stdin=False)
    if reply["content"]["status"] != "ok":
        raise CellError(f"{where}: {reply['content']['ename']}: {reply['content']['evalue']}")
    return outputs


def main() -> int:
    given = [Path(name) for name in sys.argv[1:]] or sorted((ROOT / "notebooks").glob("*.ipynb"))
    for path in given:
        sys.stdout.write(f"{path.name} ... ")
        sys.stdout.flush()
        try:
            run(path)
        except CellError as error:
            sys.stdout.write(f"\n{error}\n")
            return 1
        sys.stdout.write("done\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
