import re
import shutil
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
import torch
from recipe_weights import recipe_tensor
from refusals import refused

from ssl_bench.errors import ModelError, WeightsError
from ssl_bench.files import content_folder, sha256_of_file
from ssl_bench.models import external, registry
from ssl_bench.models.checkpoints import save_checkpoint
from ssl_bench.models.contract import AnnotationLocalizer, Localizer
from ssl_bench.models.images import ImagePreprocessing
from ssl_bench.models.object_guided import ObjectGuided
from ssl_bench.models.object_prior import ClassifierArchitecture, ClassifierNetwork
from ssl_bench.models.provenance import describe
from ssl_bench.models.registry import (
    list_baselines,
    list_ready_baselines,
    load_baseline,
    load_localizer,
    with_object_prior,
)

TRIVIAL = [name for name in list_baselines() if load_baseline(name).card.modality == "trivial"]

PLUG_IN = """
from dataclasses import dataclass

import numpy as np

from ssl_bench.models.contract import Localizer


@dataclass
class Settings:
    power: float


class Bright(Localizer):
    name = "bright"
    audio_blind = True

    def __init__(self, power=1.0, weights=None):
        self.settings = Settings(float(power))
        self.weights = weights

    def encode_image(self, images):
        return {"mean": np.stack([image.mean(axis=2, dtype=np.float32) for image in images])}

    def encode_audio(self, sounds):
        return {}

    def localize(self, image_features, audio_features):
        return image_features["mean"] ** self.settings.power


class Unfinished(Localizer):
    name = "unfinished"


class Nameless(Bright):
    name = None


def no_class():
    return None
"""


@pytest.fixture
def plug_in(tmp_path: Path) -> Path:
    path = tmp_path / "bright.py"
    path.write_text(PLUG_IN)
    return path


@pytest.mark.parametrize("name", list_baselines())
def test_every_baseline_has_a_card_and_a_recipe(name: str) -> None:
    baseline = load_baseline(name)
    assert (baseline.name, baseline.card.name) == (name, name)
    assert baseline.recipe.object_prior in {None, *list_baselines()}


def test_what_is_not_ready_needs_a_file_and_has_none() -> None:
    waiting = set(list_baselines()) - set(list_ready_baselines())
    assert waiting == {"acl", "avgn", "denseav", "jsa"}
    assert all(load_baseline(name).shipped_weights() is None for name in waiting)
    assert {"center", "ogl-cls", "ezvsl"} <= set(list_ready_baselines())


@pytest.mark.parametrize("name", list_baselines())
def test_weights_that_ship_are_small_and_have_the_digest_that_the_recipe_names(name: str) -> None:
    for variant in load_baseline(name).recipe.variants.values():
        if variant.weights is not None:
            path = content_folder("baselines") / name / variant.weights.file
            assert path.stat().st_size < 2_000_000
            assert variant.weights.sha256 == sha256_of_file(path)


CORNER = """
import numpy as np

from ssl_bench.models.contract import AnnotationLocalizer


class Corner(AnnotationLocalizer):
    name = "corner"

    def __init__(self, side=4):
        self.side = int(side)

    def map_for(self, image_key, truth):
        map_ = np.zeros((self.side, self.side), np.float32)
        map_[0, 0] = 1
        return map_
"""


def test_a_trivial_baseline_is_one_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "corner"
    shutil.copytree(content_folder("baselines") / "center", folder)
    card = folder / "card.toml"
    card.write_text(card.read_text().replace('name = "center"', 'name = "corner"'))
    (folder / "recipe.toml").write_text('localizer = "localizer.py:Corner"\n')
    (folder / "localizer.py").write_text(CORNER)
    monkeypatch.setattr(registry, "content_folder", lambda name: tmp_path)
    assert list_baselines() == ["corner"]
    localizer = load_localizer("corner", options={"side": "2"})
    assert isinstance(localizer, AnnotationLocalizer)
    assert localizer.map_for("any", np.zeros((0, 0), np.float32)).tolist() == [[1, 0], [0, 0]]
    described = describe(localizer)
    assert (described["variant"], described["options"]) == ("standard", {"side": "2"})
    with refused("E_CLASS_OPTIONS", where="recipe.toml", kind=ModelError):
        load_localizer("corner", options={"speed": "2"})
    with refused("E_CLASS_OPTIONS", where="recipe.toml", kind=ModelError):
        load_localizer("corner", weights=tmp_path / "any.pth")


@pytest.mark.parametrize("name", TRIVIAL)
def test_trivial_baselines_run_on_annotations(name: str) -> None:
    localizer = load_localizer(name)
    assert isinstance(localizer, AnnotationLocalizer)
    assert localizer.name == name
    assert describe(localizer)["weights_sha256"] is None


def test_a_random_baseline_states_its_seed_and_resolution() -> None:
    described = describe(load_localizer("random", seed=5, options={"resolution": "14"}))
    assert (described["seed"], described["options"]) == (5, {"resolution": 14})


def test_listing_and_reading_cards_does_not_import_torch() -> None:
    program = (
        "import sys\n"
        "from ssl_bench.models.registry import list_baselines, load_baseline, load_localizer\n"
        "cards = [load_baseline(name) for name in list_baselines()]\n"
        "load_localizer('center')\n"
        "assert cards and 'torch' not in sys.modules and 'scipy' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with refused("E_MODEL_UNKNOWN", where="ogl-cls, ogl-l1", kind=ModelError):
        load_localizer("ezvls")


def test_a_name_cannot_leave_the_folder_of_baselines() -> None:
    with refused("E_MODEL_UNKNOWN", kind=ModelError):
        load_localizer("../baselines/ezvsl")


def test_an_unknown_variant_lists_the_known_ones() -> None:
    with refused("E_VARIANT_UNKNOWN", where="synth, collage, full", kind=ModelError):
        load_localizer("ezvsl", variant="large")


@pytest.mark.parametrize("name", ["center", "random", "ezvsl"])
def test_unknown_options_are_errors(name: str, authors_checkpoint: Path) -> None:
    weights = authors_checkpoint if name == "ezvsl" else None
    variant = "full" if name == "ezvsl" else None
    with refused("E_SCHEMA", where="speed", kind=ModelError):
        load_localizer(name, variant=variant, weights=weights, options={"speed": 1})


@pytest.mark.parametrize("name", TRIVIAL)
def test_trivial_baselines_take_no_weights_and_no_alpha(name: str, tmp_path: Path) -> None:
    with refused("E_WEIGHTS_NOT_TAKEN", where=name, kind=ModelError):
        load_localizer(name, weights=tmp_path / "any.pth")
    with refused("E_PRIOR_NONE", where=name, kind=ModelError):
        load_localizer(name, alpha=0.4)


def test_the_full_variant_without_weights_says_how_to_give_them() -> None:
    with refused("E_WEIGHTS_NEEDED", where="weights=FILE", kind=WeightsError):
        load_localizer("ezvsl", variant="full")


def test_weights_of_another_model_are_refused(imagenet_checkpoint: Path) -> None:
    with refused("E_WEIGHTS_MODEL", where="resnet18.pth", kind=WeightsError):
        load_localizer("ezvsl", variant="full", weights=imagenet_checkpoint)


def test_a_sound_bank_of_another_dimension_is_refused(
    authors_checkpoint: Path, tmp_path: Path
) -> None:
    content = torch.load(authors_checkpoint, weights_only=False)["model"]
    torch.save({**content, "sound_bank": torch.zeros(4, 3)}, tmp_path / "w.pth")
    with refused("E_WEIGHTS_BANK", where="w.pth", kind=WeightsError):
        load_localizer("ezvsl", variant="full", weights=tmp_path / "w.pth")


def test_a_missing_shipped_file_names_it_and_the_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source = content_folder("baselines") / "ezvsl"
    (tmp_path / "ezvsl").mkdir()
    for name in ("card.toml", "recipe.toml"):
        (tmp_path / "ezvsl" / name).write_text((source / name).read_text())
    monkeypatch.setattr(registry, "content_folder", lambda name: tmp_path)
    with refused("E_WEIGHTS_MISSING", where="synth.safetensors", kind=WeightsError):
        load_localizer("ezvsl")


def test_alpha_mixes_the_baselines_object_prior_in(
    authors_checkpoint: Path, imagenet_checkpoint: Path
) -> None:
    localizer = load_localizer(
        "ezvsl",
        variant="full",
        weights=authors_checkpoint,
        alpha=0.4,
        options={"prior_weights": str(imagenet_checkpoint)},
    )
    assert isinstance(localizer, ObjectGuided)
    described = describe(localizer)
    assert described["alpha"] == 0.4
    assert [part["weights_sha256"] for part in described["parts"]] == [
        sha256_of_file(authors_checkpoint),
        sha256_of_file(imagenet_checkpoint),
    ]
    assert [part["preset"] for part in described["parts"]] == ["original", "original"]


def _lend(monkeypatch: pytest.MonkeyPatch, folder: Path, lender: str) -> None:
    """Baselines of which ``borrower`` takes the weights of `lender`."""
    shutil.copytree(content_folder("baselines"), folder, dirs_exist_ok=True)
    shutil.copytree(folder / "ogl-l1", folder / "borrower")
    recipe = (folder / "ogl-l1" / "recipe.toml").read_text()
    table = re.compile(r"\[variants\.synth\.weights\]\nfile = .*\nsha256 = .*\n")
    assert table.search(recipe)
    field = f'weights_of = "{lender}"\n[variants.synth.architecture]\n'
    (folder / "borrower" / "recipe.toml").write_text(
        table.sub("", recipe).replace("[variants.synth.architecture]\n", field)
    )
    card = folder / "borrower" / "card.toml"
    card.write_text(card.read_text().replace('name = "ogl-l1"', 'name = "borrower"'))
    (folder / "borrower" / "synth.safetensors").unlink()
    monkeypatch.setattr(registry, "content_folder", lambda name: folder)


def test_a_baseline_may_take_the_weights_of_another(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _lend(monkeypatch, tmp_path, "ogl-l1")
    borrower = load_baseline("borrower")
    assert borrower.shipped_weights("synth") == load_baseline("ogl-l1").shipped_weights("synth")
    described = describe(load_localizer("borrower"))
    assert described["name"] == "borrower"
    assert described["weights_sha256"] == describe(load_localizer("ogl-l1"))["weights_sha256"]
    assert borrower.shipped_weights("full") is None


def test_a_lender_without_weights_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _lend(monkeypatch, tmp_path, "center")
    with refused("E_WEIGHTS_OF", where="borrower", kind=ModelError):
        load_localizer("borrower")


def test_the_object_prior_can_be_chosen() -> None:
    own = load_localizer("ezvsl", alpha=0.4)
    assert describe(load_localizer("ezvsl", alpha=0.4, options={"prior": "ogl-l1"})) == describe(
        own
    )
    other = load_localizer("ezvsl", alpha=0.4, options={"prior": "ogl-cls"})
    assert other.name == "ezvsl+ogl-cls"
    assert [part["name"] for part in describe(other)["parts"]] == ["ezvsl", "ogl-cls"]


@pytest.mark.parametrize(
    ("prior", "code"),
    [
        ("ogl", "E_MODEL_UNKNOWN"),
        ("ezvsl", "E_PRIOR_LISTENS"),
        ("random", "E_VARIANT_UNKNOWN"),
    ],
)
def test_only_an_audio_blind_model_is_a_prior(prior: str, code: str) -> None:
    with refused(code, kind=ModelError):
        load_localizer("ezvsl", alpha=0.4, options={"prior": prior})


@pytest.mark.parametrize("option", ["prior", "prior_weights"])
def test_a_prior_without_alpha_is_no_silent_setting(option: str) -> None:
    with refused("E_PRIOR_UNUSED", where=f"option {option} ", kind=ModelError):
        load_localizer("ezvsl", options={option: "ogl-cls"})


def test_alpha_without_the_priors_weights_says_how_to_give_them(authors_checkpoint: Path) -> None:
    with refused("E_WEIGHTS_NEEDED", where="prior_weights=FILE", kind=WeightsError):
        load_localizer("ezvsl", variant="full", weights=authors_checkpoint, alpha=0.4)


def test_the_provenance_of_a_class_from_elsewhere_says_what_it_was_made_with(
    plug_in: Path, tmp_path: Path
) -> None:
    named = 'provenance = Provenance("bright", options={"power": 1, "kind": "mean"})'
    text = PLUG_IN.replace('name = "bright"', f'name = "bright"\n    {named}')
    imported = "from ssl_bench.models.provenance import Provenance\n"
    plug_in.write_text(text.replace("import numpy", f"{imported}import numpy", 1))
    weights = tmp_path / "own.bin"
    weights.write_bytes(b"own")
    made = load_localizer(f"{plug_in}:Bright", weights=weights, options={"power": 2})
    assert describe(made)["options"] == {"power": 2, "kind": "mean"}
    assert describe(made)["weights_sha256"] == sha256_of_file(weights)
    assert describe(load_localizer(f"{plug_in}:Bright"))["weights_sha256"] is None


def test_a_class_in_a_file_is_a_localizer(plug_in: Path, tmp_path: Path) -> None:
    localizer = load_localizer(
        f"{plug_in}:Bright", weights=tmp_path / "w.bin", options={"power": "2"}
    )
    assert isinstance(localizer, Localizer)
    assert vars(localizer)["weights"] == tmp_path / "w.bin"
    assert describe(localizer)["name"] == "bright"


@pytest.mark.parametrize(
    ("class_name", "options", "code"),
    [
        ("Missing", {}, "E_CLASS_MISSING"),
        ("Unfinished", {}, "E_CLASS_CONTRACT"),
        ("Nameless", {}, "E_CLASS_CONTRACT"),
        ("no_class", {}, "E_CLASS_CONTRACT"),
        ("Settings", {}, "E_CLASS_CONTRACT"),
        ("Bright", {"speed": 1}, "E_CLASS_OPTIONS"),
    ],
)
def test_a_class_that_breaks_the_contract_is_refused(
    plug_in: Path, class_name: str, options: dict[str, int], code: str
) -> None:
    with refused(code, kind=ModelError):
        load_localizer(f"{plug_in}:{class_name}", options=options)


def test_a_file_that_is_no_python_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def (:\n")
    (tmp_path / "needy.py").write_text("import no_such_package\n")
    for name, code in [
        ("broken.py:A", "E_MODEL_FILE"),
        ("needy.py:A", "E_MODEL_FILE"),
        ("absent.py:A", "E_FILE_MISSING"),
        ("broken.txt:A", "E_MODEL_UNKNOWN"),
    ]:
        with refused(code, kind=ModelError):
            load_localizer(f"{tmp_path}/{name}")


def test_what_comes_from_elsewhere_has_no_variants(plug_in: Path) -> None:
    with refused("E_MODEL_EXTERNAL", where="variant", kind=ModelError):
        load_localizer(f"{plug_in}:Bright", variant="full")


def test_what_comes_from_elsewhere_is_mixed_with_the_usual_prior(plug_in: Path) -> None:
    name, own = f"{plug_in}:Bright", {"power": 2}
    guided = load_localizer(name, alpha=0.25, options=own)
    described = describe(guided)
    assert isinstance(guided, ObjectGuided)
    assert (described["name"], described["alpha"]) == ("bright+ogl-l1", 0.25)
    assert [part["name"] for part in described["parts"]] == ["bright", "ogl-l1"]
    assert described["parts"][1] == describe(load_localizer("ogl-l1"))
    other = {**own, "prior": "ogl-cls", "ogl_upsampling": "bilinear-half-pixel"}
    described = describe(load_localizer(name, alpha=0.4, options=other))
    assert described["parts"][1]["name"] == "ogl-cls"
    assert described["options"]["upsampling"] == "bilinear-half-pixel"


def test_weights_of_a_prior_are_those_of_its_full_size(
    plug_in: Path, imagenet_checkpoint: Path
) -> None:
    name, weights = f"{plug_in}:Bright", {"prior_weights": str(imagenet_checkpoint)}
    described = describe(load_localizer(name, alpha=0.4, options=weights))
    assert described["parts"][1]["variant"] == "full"
    assert described["parts"][1]["weights_sha256"] == sha256_of_file(imagenet_checkpoint)
    with refused("E_WEIGHTS_MISFIT", kind=WeightsError):
        load_localizer(name, alpha=0.4, options={**weights, "prior_variant": "synth"})
    with refused("E_WEIGHTS_NEEDED", where="prior_weights=FILE", kind=WeightsError):
        load_localizer(name, alpha=0.4, options={"prior_variant": "full"})


def test_a_prior_sees_images_cut_as_a_model_from_elsewhere_that_says_how() -> None:
    model = load_localizer("center")
    with refused("E_PRIOR_KIND", kind=ModelError):
        with_object_prior(model, 0.4)
    square = load_localizer("lvs")
    assert isinstance(square, Localizer)
    square.image_input = ImagePreprocessing(resize="crop-pil")  # type: ignore[attr-defined]
    assert describe(with_object_prior(square, 0.4))["parts"][1]["preset"] != "synth"
    with refused("E_SCHEMA", where="speed", kind=ModelError):
        with_object_prior(square, 0.4, {"speed": 1})
    with refused("E_ALPHA_RANGE", kind=ModelError):
        with_object_prior(square, 1.5)


def test_installed_plug_ins_are_found_by_name(
    plug_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(plug_in.parent)
    points = [
        EntryPoint("sunny", "bright:Bright", external.PLUG_INS),
        EntryPoint("gone", "bright:Gone", external.PLUG_INS),
        # A plug-in cannot take the name of a baseline.
        EntryPoint("center", "bright:Bright", external.PLUG_INS),
    ]
    monkeypatch.setattr(external, "entry_points", lambda group: points)
    assert registry.list_plug_ins() == ["center", "gone", "sunny"]
    assert load_localizer("sunny").name == "bright"
    assert load_localizer("center").name == "center"
    with refused("E_PLUGIN_BROKEN", where="gone", kind=ModelError):
        load_localizer("gone")


def test_a_small_network_loads_from_half_precision(tmp_path: Path) -> None:
    architecture = load_baseline("ogl-l1").variant("synth").architecture
    network = ClassifierNetwork(ClassifierArchitecture.model_validate(architecture))
    state = {
        key: recipe_tensor("half", key, tuple(value.shape))
        for key, value in network.state_dict().items()
    }
    digest = save_checkpoint(tmp_path / "w.safetensors", state, half=True)
    described = describe(load_localizer("ogl-l1", weights=tmp_path / "w.safetensors"))
    assert (described["variant"], described["preset"]) == ("synth", "synth")
    assert described["weights_sha256"] == digest
