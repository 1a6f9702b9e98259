"""Parts that are like another: what their tests show, those of the other show as well."""

ALIKE = {
    **dict.fromkeys(
        ("lsgan-pearson", "hingegan", "rsgan", "rasgan", "rhinge", "rahinge", "rlsgan", "ralsgan"),
        "lsgan",
    ),
    **dict.fromkeys(
        (
            *("fgan-kl", "fgan-reverse-kl", "fgan-pearson", "fgan-neyman", "fgan-hellinger"),
            *("fgan-jeffrey", "fgan-js", "fgan-tv", "softmax-gan", "bgan", "b-gan", "smoothed-gan"),
        ),
        "lsgan",
    ),
    **dict.fromkeys(("pacgan3", "pacgan4"), "pacgan2"),
    **dict.fromkeys(("unrolled1", "unrolled10"), "unrolled5"),
    "ebgan": "ebgan-pt",
    "mcgan-mean": "mcgan",
    "margin-gan": "wgan",
    "amgan": "acgan",
    "r2gan": "r1gan",
    "bigan": "veegan",
    "stacked-unrolled-half": "stacked-unrolled-quarter",
    "dcgan-32": "dcgan",
    **dict.fromkeys(("apgd-ce", "apgd-dlr", "apgd-t", "apgd-restarts"), "apgd"),
    **dict.fromkeys(("ni-fgsm", "ti-fgsm", "vmi-fgsm"), "di-fgsm"),
    "cascade": "autoattack",
    "best": "fmn",
    "simba-dct": "simba",
    "pgd-last": "pgd",
    "mi-fgsm": "bim",
    **dict.fromkeys(("crown-ibp", "alpha-crown"), "crown"),
}
"""Models that differ from another by the loss or by a setting alone, protocols by widths, attacks
and certificates by settings of one engine: how they are trained, stopped and resumed, or what they
promise, holds for both or for neither.
"""
