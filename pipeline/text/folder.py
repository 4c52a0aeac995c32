"""Where the files of a pretrained text encoder lie: a local folder, or the cache of the Hugging Face hub."""

from pathlib import Path

from ...cache_schema import InputError, MissingInputError, digest_file
from ..hub import download_text, fetch_from_hub, first_line, refuse_stand_in

WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
TOKENIZER = (
    *("tokenizer.json", "vocab.txt", "vocab.json"),
    *("sentencepiece.bpe.model", "tokenizer.model", "spm.model", "spiece.model"),
)
FILES = ["config.json", "*.safetensors", "*.safetensors.index.json", "tokenizer*", "vocab*", "merges.txt"]
FILES += ["*.model", "special_tokens_map.json", "added_tokens.json"]
"""What is fetched of a hub repository: only weights that cannot run code (safetensors) and what reads the text."""

CONVERSION = (
    " Weights in pytorch_model.bin are a pickle, which can run code, and are neither fetched nor read. Convert them "
    "once, where you trust them: transformers.AutoModel.from_pretrained(ID).save_pretrained(DIR), the same with "
    "AutoTokenizer, and give DIR."
)


def encoder_folder(encoder: str) -> Path:
    """Return the folder with the files of an encoder, fetching them from the hub when they are not in its cache.

    Raises
    ------
    MissingInputError
        If they can neither be found nor fetched; the message names the encoder and the other choices.
    InputError
        If the folder is not complete, or a file in it is empty or a pointer of Git LFS.
    """
    folder = Path(encoder).expanduser()
    if not folder.is_dir():
        folder = _cached(encoder) or _fetched(encoder)
    _check(folder, encoder)
    return folder


def digest_folder(folder: Path) -> dict[str, str]:
    """Return the sha256 of every file that decides the result, by name."""
    return {path.name: digest_file(path) for path in _files(folder)}


def _files(folder: Path) -> list[Path]:
    names = {path.name: path for pattern in FILES for path in folder.glob(pattern) if path.is_file()}
    return [names[name] for name in sorted(names)]


def _cached(encoder: str) -> Path | None:
    """Return the folder of the hub's cache if it holds a complete copy."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(encoder, local_files_only=True))
    except HFValidationError as error:
        raise _not_found(encoder, "There is no such folder, and it is not a name of the Hugging Face hub.") from error
    except LocalEntryNotFoundError:
        return None
    return folder if _has(folder, ("config.json",)) and _has(folder, WEIGHTS) and _has(folder, TOKENIZER) else None


def _fetched(encoder: str) -> Path:
    try:
        return fetch_from_hub(encoder, FILES)
    except OSError as error:
        reason = f"It is neither a folder nor in the local hub cache, and fetching it failed ({first_line(error)})."
        raise _not_found(encoder, reason, _download(encoder)) from error


def _not_found(encoder: str, reason: str, more: str = "") -> MissingInputError:
    return MissingInputError(
        f"The text encoder {encoder!r} cannot be loaded. {reason} Give a folder that holds it with "
        f"`--text-encoder DIR`, or `--text-encoder random` to try things out without pretrained weights.{more}"
    )


def _download(encoder: str) -> str:
    """Return the commands that bring an encoder of the hub here from another machine."""
    folder = encoder.rpartition("/")[2]
    included = [word for pattern in FILES for word in ("--include", pattern)]
    return download_text(["hf", "download", encoder, *included, "--local-dir", folder], ["--text-encoder", folder])


def _check(folder: Path, encoder: str) -> None:
    for names in (("config.json",), WEIGHTS, TOKENIZER):
        if not _has(folder, names):
            found = ", ".join(sorted(path.name for path in folder.iterdir())[:10]) or "nothing"
            raise InputError(
                f"The text encoder {encoder!r} is not complete: {' or '.join(names[:2])} is missing in {folder} "
                f"(found: {found}).{CONVERSION if names == WEIGHTS else ''} `--text-encoder random` needs no weights."
            )
    for path in _files(folder):
        refuse_stand_in(path)


def _has(folder: Path, names: tuple[str, ...]) -> bool:
    return any((folder / name).is_file() for name in names)
