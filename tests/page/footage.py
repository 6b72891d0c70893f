"""A short vertical clip, its poster, its sprite and what shows eyes before and after: what the simulated daemon serves
as a finished segment."""

import io
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT, FPS = 216, 384, 30
TILE_WIDTH, TILE_HEIGHT, COLUMNS, ROWS, INTERVAL_S = 54, 96, 5, 2, 0.5
COMPARE_ROWS, COMPARE_WIDTH, COMPARE_HEIGHT = 3, 360, 160


def write_clip(path: Path, *, seconds: float = 4.0) -> None:
    """H.264 and AAC, moov first: a bar of light that moves down once in the whole length."""
    with av.open(path, "w", options={"movflags": "+faststart"}) as container:
        video = container.add_stream("libx264", rate=FPS, options={"preset": "ultrafast", "g": "15"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        audio = container.add_stream("aac", rate=48_000, layout="stereo")
        total = int(seconds * FPS)
        for number in range(total):
            frame = av.VideoFrame.from_ndarray(picture(number / total), format="rgb24")
            frame.pts = number
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        for start in range(0, int(seconds * 48_000), 1024):
            sound = av.AudioFrame.from_ndarray(_tone(start), format="fltp", layout="stereo")
            sound.sample_rate, sound.pts = 48_000, start
            container.mux(audio.encode(sound))
        container.mux(audio.encode(None))


def poster() -> bytes:
    return jpeg(picture(0.3))


def sprite() -> bytes:
    sheet = np.zeros((ROWS * TILE_HEIGHT, COLUMNS * TILE_WIDTH, 3), np.uint8)
    for n in range(COLUMNS * ROWS):
        row, column = divmod(n, COLUMNS)
        tile = picture(n / (COLUMNS * ROWS))[::4, ::4]
        sheet[row * TILE_HEIGHT : (row + 1) * TILE_HEIGHT, column * TILE_WIDTH : (column + 1) * TILE_WIDTH] = tile
    return jpeg(sheet)


def compare() -> bytes:
    """Eyes that look aside in the left half and straight in the right one; each row is lighter than the one above."""
    rows = [np.hstack([eyes(0.6, row), eyes(0.0, row)]) for row in range(COMPARE_ROWS)]
    return jpeg(np.vstack(rows))


def eyes(aside: float, row: int) -> NDArray[np.uint8]:
    """Two eyes in a face, (COMPARE_HEIGHT, COMPARE_WIDTH, 3)."""
    y, x = np.mgrid[0:COMPARE_HEIGHT, 0:COMPARE_WIDTH].astype(np.float32)
    image = np.empty((COMPARE_HEIGHT, COMPARE_WIDTH, 3), np.float32)
    image[:] = np.array([176, 128, 104], np.float32) + 24 * row
    for middle in (COMPARE_WIDTH * 0.28, COMPARE_WIDTH * 0.72):
        white = ((x - middle) / 58) ** 2 + ((y - 80) / 28) ** 2 < 1
        iris = (x - middle - 30 * aside) ** 2 + (y - 80 - 10 * aside) ** 2 < 23**2
        pupil = (x - middle - 30 * aside) ** 2 + (y - 80 - 10 * aside) ** 2 < 10**2
        image[white] = (240, 236, 232)
        image[white & iris] = (70, 96, 118)
        image[white & pupil] = (16, 18, 20)
    return np.asarray(np.clip(image, 0, 255), np.uint8)


def picture(share: float) -> NDArray[np.uint8]:
    """One RGB picture, (HEIGHT, WIDTH, 3): dusk above, a round head and shoulders, a bar at `share` of the height."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    down = y[..., None] / HEIGHT
    image = np.array([54, 66, 108], np.float32) * (1 - down) + np.array([226, 158, 122], np.float32) * down
    person = ((x - WIDTH / 2) ** 2 + (y - 150) ** 2 < 52**2) | (
        ((x - WIDTH / 2) / 96) ** 2 + ((y - 360) / 130) ** 2 < 1
    )
    image[person] = (44, 50, 70)
    image[abs(y - share * HEIGHT) < 6] += 70
    return np.asarray(np.clip(image, 0, 255), np.uint8)


def jpeg(image: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mjpeg") as container:
        stream = container.add_stream("mjpeg", rate=1)
        stream.height, stream.width = image.shape[:2]
        stream.pix_fmt = "yuvj420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def _tone(start: int) -> NDArray[np.float32]:
    phase = (np.arange(start, start + 1024, dtype=np.float32)) / 48_000
    return np.tile((0.1 * np.sin(2 * np.pi * 330 * phase)).astype(np.float32), (2, 1))
