"""Who serves models is set in the environment or a file; what is wrong there is said so that it can be mended."""

from __future__ import annotations

from pathlib import Path

import pytest

from cinegen_core.settings import Settings, SettingsError
from cinegen_core.writers.model import Provider
from cinegen_core.writers.model.provider import Prices

TWO = """
[[provider]]
name = "house"
base_url = "http://127.0.0.1:8080/v1"
model = "big-local"
window = 32768

[[provider]]
name = "vendor"
model = "vendor-large"
key_env = "VENDOR_KEY"
prices = { prompt = 2.0, cached = 0.5, completion = 8.0 }
"""


def test_the_ecosystems_own_variables_are_enough() -> None:
    environ = {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": "http://127.0.0.1:1234/v1/", "CINEGEN_MODEL": "m"}
    (provider,) = Settings.load(environ).providers
    assert (provider.name, provider.base_url, provider.model) == ("primary", "http://127.0.0.1:1234/v1", "m")
    assert provider.key.get_secret_value() == "k"


def test_without_a_models_name_there_is_no_provider() -> None:
    assert Settings.load({"OPENAI_API_KEY": "k"}).providers == ()


def test_a_local_server_needs_no_key_and_the_vendors_own_does() -> None:
    environ = {"CINEGEN_MODEL": "m", "OPENAI_BASE_URL": "http://127.0.0.1:1/v1"}
    assert len(Settings.load(environ).providers) == 1
    with pytest.raises(SettingsError, match="OPENAI_API_KEY holds no key"):
        Settings.load({"CINEGEN_MODEL": "m"})


def test_a_file_lists_providers_in_the_order_to_ask_them(tmp_path: Path) -> None:
    file = tmp_path / "providers.toml"
    file.write_text(TWO, encoding="utf-8")
    house, vendor = Settings.load({"CINEGEN_PROVIDERS": str(file), "VENDOR_KEY": "v"}).providers
    assert (house.name, house.window, house.limit_parameter) == ("house", 32768, "max_tokens")
    assert (vendor.key.get_secret_value(), vendor.limit_parameter) == ("v", "max_completion_tokens")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (TWO, "provider 2 .vendor.: the variable VENDOR_KEY holds no key"),
        ("[[provider]]\nname = 'a'\n", "provider 1: model"),
        ("[[provider]]\nname = 'a'\nmodel = 'm'\nbase_url = 'somewhere'\n", "provider 1: base_url: is no address"),
        ("[[provider]]\nname = 'a'\nmodel = 'm'\nbase_url = 'http://me:pw@host/v1'\n", "user or password"),
        ("[[provider]]\nname = 'a'\nmodel = 'm'\nkey = 'sk-1'\n", "keys do not belong in a file"),
        ("[[provider]]\nname = 'a'\nmodel = 'm'\nwindows = 3\n", "provider 1: windows"),
        ("[[provider]]\nname = 'embedded'\nmodel = 'm'\n", "the name 'embedded' is taken"),
        ("[provider]\nname = 'a'\n", r"begins with \[\[provider\]\]"),
        ("provider = ", "not TOML"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_the_file_is_named_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "providers.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=said) as caught:
        Settings.load({"CINEGEN_PROVIDERS": str(file)})
    assert str(file) in str(caught.value)
    assert "sk-1" not in str(caught.value)


def test_a_file_that_is_not_there_is_said() -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        Settings.load({"CINEGEN_PROVIDERS": "/nowhere/providers.toml"})


def test_cached_tokens_cost_what_the_price_list_says() -> None:
    prices = Prices(prompt=2.0, cached=0.5, completion=8.0)
    assert prices.cost(1_000_000, 600_000, 100_000) == pytest.approx(0.4 * 2 + 0.6 * 0.5 + 0.1 * 8)
    assert Prices(prompt=2.0).cost(1_000_000, 600_000, 0) == pytest.approx(2.0)


def test_parameters_that_a_server_does_not_know_can_be_left_out() -> None:
    provider = Provider.model_validate({"name": "p", "model": "m", "omit": ["seed", "temperature"]})
    assert provider.omit == {"seed", "temperature"}
