"""Colours that tell classes apart, for people of every colour vision too."""

import colorsys

Colour = tuple[int, int, int]
# Okabe and Ito 2008 without black, then hues of Tol 2021 that differ from them in lightness.
_FIRST = (
    (86, 180, 233),
    (213, 94, 0),
    (240, 228, 66),
    (0, 114, 178),
    (204, 121, 167),
    (0, 158, 115),
    (230, 159, 0),
    (51, 34, 136),
    (170, 68, 153),
    (255, 255, 255),
    (136, 34, 85),
    (68, 170, 153),
    (153, 153, 51),
    (255, 170, 187),
    (140, 81, 10),
)
_GOLDEN = 0.61803398875
_LIGHTNESS = (0.35, 0.75, 0.55)


def colours(count: int) -> list[Colour]:
    """So many colours; the first ones differ in lightness as well as in hue."""
    chosen: list[Colour] = list(_FIRST[:count])
    for index in range(len(chosen), count):
        hue, lightness = (index * _GOLDEN) % 1, _LIGHTNESS[index % len(_LIGHTNESS)]
        red, green, blue = colorsys.hls_to_rgb(hue, lightness, 0.7)
        chosen.append((round(255 * red), round(255 * green), round(255 * blue)))
    return chosen
