"""The sheet of what excites units and directions: each kind in its panel, a row for each."""

import numpy as np

from results.pictures.tops import draw_tops


def test_each_kind_has_its_panel():
    """Grey levels tell which is which; a cell that keeps none has no row."""
    rows = np.arange(6, dtype=np.uint8)[:, None, None, None, None]
    units = np.broadcast_to(10 + rows, (6, 8, 1, 4, 4))
    kept = {"top_units": units, "top_random": units + 100}
    figure = draw_tops("digits", [("a", {}), ("cnn", kept), ("mlp", kept)])
    titles = [axis.get_title() for axis in figure.axes]
    assert titles == [f"{n}: {k}" for n in ("cnn", "mlp") for k in ("units", "random directions")]
    for axis, least in zip(figure.axes, (10, 110, 10, 110), strict=True):
        sheet = np.asarray(axis.images[0].get_array())[..., 0]
        assert sheet.shape == (6 * 8 + 4, 8 * 8 + 4)
        assert [set(sheet[4 + 8 * row, 4:8]) for row in range(6)] == [
            {least + row} for row in range(6)
        ]


def test_of_nothing_there_is_no_sheet():
    assert draw_tops("digits", [("a", {"top_units": np.zeros((1, 8, 1, 4, 4), np.uint8)})]) is None
