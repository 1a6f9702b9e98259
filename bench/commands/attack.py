"""bench attack: a classifier of one's own under attack."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from bench.attack.report import Report

SAME = (
    *("classifier", "data", "attack", "epsilons", "norm", "targets", "mean", "std", "weights"),
    *("trust", "colours", "keys", "size", "seed", "device", "threads", "download"),
    *("figure", "curve", "confusion", "save_adversarials", "adapt", "bpda"),
    *("batch_size", "precision", "parts", "per_class"),
)
"""Options that are parameters under their own names."""


def _schema(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from bench.attack.schema import schema_text

        click.echo(schema_text(), nl=False)
        ctx.exit()


@click.command()
@click.argument("classifier")
@click.argument("data")
@click.option(
    "--attack",
    multiple=True,
    default=("fgsm",),
    metavar="NAME",
    help="Of `bench list attacks`; several times: the worst case of them.  [default: fgsm]",
)
@click.option(
    "--epsilons",
    multiple=True,
    metavar="0,1/255",
    help="Radii for images in [0, 1]; in linf 0,1/255,2/255,4/255,8/255 if there are none. Of "
    "several norms once for each: --epsilons linf:8/255 --epsilons l2:0,0.5.",
)
@click.option(
    "--norm",
    metavar="linf|l2|l1|l0",
    help="Radii are of this norm; linf if the attack has it. linf,l2: of both in turn, and the "
    "worst case of them image by image.",
)
@click.option(
    "--targets",
    default="none",
    metavar="none|random|likeliest|least-likely|all|CLASS",
    help="What images are to be taken for.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="A setting of the attack, such as steps=100.",
)
@click.option("--no-clip", is_flag=True, help="Let pixels leave [0, 1], as some papers do.")
@click.option(
    "--range", "span", default="0,1", metavar="LOW,HIGH", help="Range that the model expects."
)
@click.option(
    "--mean", default="", metavar="M,M,M", help="Means that the model subtracts from channels."
)
@click.option("--std", default="", metavar="S,S,S", help="What it divides channels by after that.")
@click.option(
    "--weights", metavar="FILE", help="Weights of a model that has none: .pth, .safetensors."
)
@click.option(
    "--trust", is_flag=True, help="Run what a model's file holds, be it more than arithmetic."
)
@click.option("--colours", default="", metavar="grey|rgb", help="Bring the images to it.")
@click.option(
    "--keys", default="", metavar="IMAGES,LABELS", help="What an .npz file calls its arrays."
)
@click.option("--size", type=int, metavar="PIXELS", help="Resize and crop a folder's images.")
@click.option(
    "-n", "count", type=int, default=1000, show_default=True, help="How many images at most."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of training and attack.")
@click.option("--device", default="auto", metavar="auto|cpu|cuda|mps", help="Where to compute.")
@click.option("--threads", type=int, default=0, help="CPU threads; 0: OMP_NUM_THREADS, or one.")
@click.option(
    "--batch-size", type=int, default=0, metavar="N", help="Images at once; 0: as fit its size."
)
@click.option(
    "--precision",
    default="float32",
    show_default=True,
    metavar="float32|bfloat16|float16",
    help="What the model counts with while it is attacked; it is measured in float32.",
)
@click.option(
    "--parts",
    metavar="DIR",
    help="Keep each finished part, of --batch-size images, here: the same command goes on.",
)
@click.option(
    "--per-class", is_flag=True, help="Each class, and what it is taken for; in rows, too."
)
@click.option("--no-audit", is_flag=True, help="Leave the diagnostics out.")
@click.option("--adapt", is_flag=True, help="Try what the audit says to try, too.")
@click.option(
    "--bpda",
    default="",
    metavar="MODULE:CALLABLE",
    help="A part of the classifier that gradients pass straight through; adapts.",
)
@click.option("--download", is_flag=True, help="Let torchvision fetch its data set.")
@click.option("--figure", metavar="FILE.png", help="Image, perturbation and attacked image.")
@click.option("--curve", metavar="FILE.png", help="Robust accuracy and error over the radius.")
@click.option("--confusion", metavar="FILE.png", help="Attacked images by label and answer.")
@click.option("--save-adversarials", metavar="FILE.npz", help="Attacked images, largest radius.")
@click.option("--json", "as_rows", is_flag=True, help="Rows as JSON, with intervals and verdicts.")
@click.option(
    "--schema",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_schema,
    help="Print the JSON schema of --json and exit.",
)
@click.option(
    "--fail-if-weak", is_flag=True, help="Exit code 4 where the audit speaks against the figures."
)
def command(**options: Any) -> None:
    """Attack CLASSIFIER on DATA; what is left of its accuracy, and whether to believe it.

    CLASSIFIER: module:callable, an exported program (.pt2), a TorchScript file (.pt),
    torchvision:NAME or timm:NAME with --weights, or a registered name. DATA: a registered data set
    (its held-out images; NAME:train for the others), a folder with a folder for each class, an .npz
    file (images, labels), torchvision:NAME, or module:attribute.
    """
    from bench import api
    from bench.commands.options import setting
    from bench.core.errors import UsageError

    if options["fail_if_weak"] and options["no_audit"]:
        raise UsageError("--fail-if-weak: the audit tells what is weak: leave --no-audit out")
    same: dict[str, Any] = {name: options[name] for name in SAME}
    same["epsilons"] = options["epsilons"] or None
    with _status() as notify:
        result = api.evaluate_attack(
            settings=dict(setting(text) for text in options["settings"]),
            clip=not options["no_clip"],
            range=options["span"],
            images=options["count"],
            audit=not options["no_audit"],
            notify=notify,
            **same,
        )
    _print(result, options)
    if options["fail_if_weak"] and (code := WEAK[result.verdict.word]):
        click.echo(f"Error: --fail-if-weak: {result.verdict.said}", err=True)
        click.get_current_context().exit(code)


@contextmanager
def _status() -> Iterator[Callable[[str], None]]:
    """What is being done, on the terminal while it lasts; nothing where there is none."""
    from bench.commands.output import console

    err = console(error=True)
    if not err.is_terminal:
        yield lambda text: None
        return
    with err.status("attack") as status:
        yield lambda text: status.update(text)


def _print(result: Report, options: dict[str, Any]) -> None:
    from bench.commands.output import print_layout
    from results.tables import as_json

    if options["parts"]:
        counts = ((made.read, made.parts) for made in result.evaluations)
        kept, parts = (sum(column) for column in zip(*counts, strict=True))
        click.echo(f"parts: {kept} of {parts} were measured before", err=True)
    if options["as_rows"]:
        for note in dict.fromkeys(note for made in result.evaluations for note in made.notes):
            click.echo(f"warning: {note}", err=True)
        click.echo(as_json(result.told))
        return
    for layout in result.layouts():
        print_layout(layout)
        click.echo()
    for name in ("figure", "curve", "confusion", "save_adversarials"):
        if options[name]:
            click.echo(f"{name.replace('_', ' ')}: {options[name]}")


WEAK = {"fine": 0, "weak": 4, "doubtful": 4, "unaudited": 5}
"""Exit codes of --fail-if-weak: as of cells that can't be believed, and of nothing to judge by."""
