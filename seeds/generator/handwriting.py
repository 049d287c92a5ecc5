"""A hand of pen strokes: letters as polylines, rounded, never twice quite the same."""

import random
from functools import lru_cache
from itertools import pairwise

from PIL import ImageDraw

# A letter's strokes are divided by `/`, its points by spaces. A point is x and y as one hexadecimal digit each; y is 3 on
# the base line, 7 at the height of small letters and a at that of capitals.
_STROKES = """
a 46 27 06 04 13 33 45/47 44 53
b 0a 03/05 27 47 45 43 13 04
c 46 27 06 04 13 33 44
d 46 27 06 04 13 33 45/4a 44 53
e 05 45 46 27 06 04 13 33 44
f 4a 29 27 23/07 37
g 46 27 06 04 23 45/47 41 20 00
h 0a 03/05 27 47 45 43
i 17 14 23/19 1a
j 27 21 10 00/29 2a
k 0a 03/37 05 43
l 0a 04 13
m 07 03/05 17 27 23/25 37 57 53
n 07 03/05 27 47 45 43
o 27 06 04 13 33 45 47 27
p 07 00/06 27 47 44 23 04
q 46 27 06 04 23 45/47 40 51
r 07 03/05 16 27 37
s 37 17 06 25 44 33 03
t 1a 14 23 33/07 37
u 07 04 13 33 45/47 44 53
v 07 23 47
w 07 13 26 43 57
x 07 43/47 03
y 07 04 23 45/47 41 20 00
z 07 47 03 43
A 03 2a 43/16 36
B 0a 03/0a 3a 48 07 45 33 03
C 49 2a 07 04 23 44
D 0a 03/0a 3a 47 34 03
E 4a 0a 03 43/07 37
F 4a 0a 03/07 37
G 49 2a 07 04 23 44 46 26
H 0a 03/4a 43/06 46
I 1a 13
J 4a 44 23 04
K 0a 03/4a 06 43
L 0a 03 43
M 03 0a 25 5a 53
N 03 0a 43 4a
O 2a 07 04 23 44 47 2a
P 0a 03/0a 3a 48 36 06
Q 2a 07 04 23 44 47 2a/25 52
R 0a 03/0a 3a 48 36 06/26 43
S 49 2a 08 26 45 33 04
T 0a 4a/2a 23
U 0a 04 23 44 4a
V 0a 23 4a
W 0a 13 27 43 5a
X 0a 43/4a 03
Y 0a 26 4a/26 23
Z 0a 4a 03 43
0 29 08 04 23 44 48 29
1 08 19 13
2 08 29 48 46 03 43
3 09 39 48 26 45 43 03
4 39 05 45/39 33
5 49 09 06 36 45 43 03
6 39 07 04 13 43 45 26 05
7 09 49 23
8 26 08 29 48 26 04 23 44 26
9 47 26 07 09 39 48 43
. 13 14
, 14 02
+ 24 28/06 46
- 06 36
/ 02 4a
: 17 18/14 13
( 2b 07 22
) 0b 27 02
! 1a 15/13 12
= 07 37/05 35
' 1a 18
"""

Stroke = tuple[tuple[float, float], ...]


def _rounded(points: Stroke) -> Stroke:
    """Corner cutting (Chaikin), twice: the ends stay where they are."""
    for _ in range(2):
        cut = [points[0]]
        for (ax, ay), (bx, by) in pairwise(points):
            cut += [(0.75 * ax + 0.25 * bx, 0.75 * ay + 0.25 * by), (0.25 * ax + 0.75 * bx, 0.25 * ay + 0.75 * by)]
        points = (*cut, points[-1])
    return points


@lru_cache(maxsize=1)
def _glyphs() -> dict[str, tuple[float, tuple[Stroke, ...]]]:
    """Each letter with its width."""
    found: dict[str, tuple[float, tuple[Stroke, ...]]] = {}
    for line in _STROKES.strip().splitlines():
        strokes = tuple(
            tuple((int(point[0], 16), int(point[1], 16) - 3) for point in stroke.split())
            for stroke in line[2:].split("/")
        )
        width = max(x for stroke in strokes for x, _ in stroke)
        found[line[0]] = (width, tuple(_rounded(stroke) for stroke in strokes))
    return found


def write(draw: ImageDraw.ImageDraw, text: str, x: float, y: float, size: float, rng: random.Random) -> float:
    """Writes `text` with its base line at `y`; `size` is the number of pixels of a unit. Returns where it ended."""
    glyphs = _glyphs()
    slant = 0.16
    drift = 0.0
    for character in text:
        if character not in glyphs:
            x += size * 3.2
            continue
        width, strokes = glyphs[character]
        drift = max(-1.6, min(1.6, drift + rng.uniform(-0.6, 0.6)))
        grown = size * rng.uniform(0.92, 1.08)
        for stroke in strokes:
            points = [(x + (px + py * slant) * grown, y + drift - py * grown) for px, py in stroke]
            draw.line(points, fill=0, width=2, joint="curve")
        x += (width + 1.7) * size * rng.uniform(0.94, 1.06)
    return x
