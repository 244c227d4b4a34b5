"""Pictures of every format show the same scene, and their streams say what they are."""

from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np
import pytest

from dev.origin.origin import Canvas, Texture
from tests.accuracy.cases import SPECIAL
from tests.accuracy.encode import Encoding
from tests.accuracy.footage import Generated
from tests.accuracy.formats import FORMATS, Former
from tests.accuracy.inject import inject

SIZE = (160, 96)


@pytest.mark.parametrize(
    ("form", "codes"),
    # ITU-R BT.2408, table 1: reference white is 58 % of PQ and 75 % of HLG. PQ of 0.0138 cd/m2,
    # which is code 20, is 2.5 %.
    [
        ("8-bit", (16, 20, 235)),
        ("10-bit", (64, 80, 940)),
        ("full range", (0, 5, 255)),
        ("PQ", (64, 86, 573)),
        ("HLG", (64, 77, 721)),
        ("interlaced", (16, 20, 235)),
    ],
)
def test_black_and_white_have_the_codes_of_the_standards(
    form: str, codes: tuple[int, int, int]
) -> None:
    former, canvas = Former(form), Canvas(*SIZE)
    found = []
    for luma in (16, 20, 235):
        canvas.blank(luma)
        lines = former.frame(canvas).to_ndarray()[: SIZE[1]]
        assert lines.min() == lines.max()
        found.append(int(lines.max()))
    assert found == pytest.approx(codes, abs=3 if form in ("PQ", "HLG") else 0)


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(ValueError, match="12-bit: not one of 8-bit"):
        Former("12-bit")


@pytest.fixture(scope="module", params=SPECIAL, ids=" ".join)
def clip(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, list[av.VideoFrame]]]:
    codec, form = request.param
    encoding = Encoding(codec, 20, 1.0, form=form)
    path = tmp_path_factory.mktemp("formats") / f"clip{encoding.suffix}"
    footage = Generated(
        "test", 0.2, Fraction(25), SIZE, Texture(*SIZE), None, interlaced=form == "interlaced"
    )
    inject(footage, path, encoding=encoding)
    with av.open(str(path)) as container:
        yield form, list(container.decode(video=0))


def test_the_stream_says_what_its_pictures_are(clip: tuple[str, list[av.VideoFrame]]) -> None:
    form, frames = clip
    assert form in FORMATS
    assert len(frames) == 5
    for frame in frames:
        assert frame.format.components[0].bits == (10 if form in ("10-bit", "PQ", "HLG") else 8)
        assert (frame.color_range == 2) == (form == "full range")
        assert frame.color_trc == {"PQ": 16, "HLG": 18}.get(form, 2)
        assert frame.interlaced_frame == (form == "interlaced")


def test_the_fields_of_an_interlaced_picture_are_of_different_times() -> None:
    texture, before, after = Texture(*SIZE), Canvas(*SIZE), Canvas(*SIZE)
    footage = Generated("test", 0.2, Fraction(25), SIZE, texture, None, interlaced=True)
    woven = [canvas.y.copy() for canvas in footage.frames()][2]
    texture.draw(before, 4)
    texture.draw(after, 5)
    assert np.array_equal(woven[::2], before.y[::2])
    assert np.array_equal(woven[1::2], after.y[1::2])
    assert not np.array_equal(before.y, after.y)
