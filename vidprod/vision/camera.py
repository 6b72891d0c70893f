"""How a camera follows something along one axis: the fewest holds and eased moves that keep it well in the frame.

Decided over a whole stretch at once, so that a move begins before what it follows has left. Places and lengths are in
sizes of the frame, times in steps. The costs are a second's of a frame that is as bad as can be borne for long (1), and
whatever is worth as much.

Source of the idea: Grundmann, Kwatra, Essa, "Auto-Directed Video Stabilization with Robust L1 Optimal Camera Paths",
CVPR 2011: a path of few changes inside the frames that still show what matters. Theirs is a linear program; a path of
holds and moves of one shape is found by dynamic programming, without a solver, and holds to the pixel.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

STEP_S = 0.2  # a move begins and ends on these
SAMPLES = 5  # of what is followed, in each step

_GRID = 1 / 20  # the places a hold is first looked for at; then it is refined
_REFINED = (9, 3)  # places tried on the way to the next of the grid, and how often all holds are gone through
_DURATIONS = (3, 4, 6, 8, 12, 18, 26, 40)  # of a move, steps: from a re-framing, 0.6 s, to a walk across, 8 s
_LOOKED_AT = 8  # places on the way of a move at which it is judged
_FASTEST = 0.9  # frames a second, on average over a move: faster is a whip pan, and a blur on a small screen
_LITTLE = 0.02  # a move that came out shorter is none
_HOLD = 4  # steps, 0.8 s: a shorter stop between two moves looks like a slip

# What is followed may be off its place by an eighth of the frame without cost: the middle of a face then stays in the
# frame's middle quarter. A small one a quarter off is borne for some ten seconds before a move is worth it, a third off
# for four; one that is in the margin for two to four, and outside for less than one.
_FREE = 1 / 8
_PULL, _LEAN = 0.1, 12.0  # per square of the distance: inside of that, so that a hold is centred; and outside of it
_MARGIN = 0.1  # to the frame's edge: hair and ears are beside the landmarks
_MOST, _LARGEST = 0.84, 0.94  # what is larger has no margin, or each nod were a move; of more only the middle counts
_NEAR, _OUT = 8.0, 80.0  # per length that is in the margin; that is outside
_MOVE = 1.5  # any move
_LENGTH = 2.0  # per length of moves
_SPEED = 0.5  # per length and speed: of two moves alike the slower is the calmer
_REVERSAL = 2.0  # a move against the one before: going to and fro is what makes a camera restless
_JUMP = 0.3  # a new place where the picture jumps anyhow: nobody sees that, but a cut may have been seen where none is

_NONE, _JUMPED = -1, -2
_CHUNK = 64  # steps whose moves are judged at once: some megabytes
_FAR = np.float32(1e9)

Places = NDArray[np.float32]
Costs = NDArray[np.float32]
Values = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Followed:
    """What is followed, (steps, SAMPLES) each, in sizes of the frame from the picture's edge on."""

    low: Places  # of what must be inside
    high: Places
    at: Places  # what shall be at `aim` of the frame
    seen: NDArray[np.bool_]  # elsewhere the others mean nothing

    def part(self, begin: int, end: int) -> "Followed":
        """Steps `begin` … `end − 1`."""
        part = slice(begin, end)
        return Followed(low=self.low[part], high=self.high[part], at=self.at[part], seen=self.seen[part])


@dataclass(frozen=True, kw_only=True)
class Leg:
    """The frame's edge in steps `begin` … `end − 1`: it holds, or moves from `start` to `stop`."""

    begin: int
    end: int
    start: float
    stop: float


def ease(part: NDArray[np.float64] | float) -> NDArray[np.float64] | float:
    """How much of a move is done after `part` of its time: with the least jerk, at rest at both ends.

    Source: Flash and Hogan, "The coordination of arm movements", 1985.
    """
    return part * part * part * (10 + part * (6 * part - 15))


def operate(followed: Followed, *, free: float, aim: float = 0.5, jumps: list[int] | None = None) -> list[Leg]:
    """Holds and moves, one after the other, from the first step to the last.

    Args:
        free: how far the frame can go: its edge is at 0 … `free`.
        aim: where in the frame `followed.at` shall be.
        jumps: steps before which the picture changes, so that the frame may be anywhere afterwards.
    """
    cuts = sorted(jumps or [])
    stretch = _Stretch(followed, free=free, aim=aim)
    return _refine(_plan(stretch, cuts), stretch, cuts)


class _Stretch:
    """What each place of the frame costs at each moment."""

    def __init__(self, followed: Followed, *, free: float, aim: float) -> None:
        self.free = free
        self._aim = aim
        middle = (followed.low + followed.high) / 2
        half = np.minimum((followed.high - followed.low) / 2, _LARGEST / 2)
        self._low, self._high, self._at = middle - half, middle + half, followed.at
        self._margin = np.clip(_MOST / 2 - half, 0, _MARGIN)
        self._seen = followed.seen
        lowest, highest = self._reach()
        count = 1 + max(1, int(np.ceil((highest - lowest) / _GRID)))
        self.places = np.linspace(lowest, highest, count).astype(np.float32)
        self.steps = len(followed.at)

    def _reach(self) -> tuple[float, float]:
        """The places between which all that are right at some moment lie: there is nothing to be had beyond."""
        right = self._at[self._seen] - self._aim
        if right.size == 0:
            return self.free / 2, self.free / 2
        lowest, highest = np.clip([float(right.min()), float(right.max())], 0.0, self.free)
        return float(lowest), float(highest)

    def costs(self) -> Costs:
        """(steps, places), of a step."""
        whole = np.zeros((self.steps, len(self.places)), np.float32)
        for sample in range(SAMPLES):
            everywhere = np.broadcast_to(self.places, whole.shape)
            whole += self._cost(slice(None), slice(sample, sample + 1), everywhere)
        return np.asarray(whole * (STEP_S / SAMPLES), np.float32)

    def cost(self, leg: Leg) -> float:
        """Of what is seen during `leg`."""
        count = (leg.end - leg.begin) * SAMPLES
        part = (np.arange(count) + 0.5) / count
        on_the_way = leg.start + (leg.stop - leg.start) * ease(part)
        places = np.asarray(on_the_way, np.float32).reshape(-1, SAMPLES)
        return float(self._cost(slice(leg.begin, leg.end), slice(None), places).sum()) * STEP_S / SAMPLES

    def _cost(self, steps: slice, samples: slice, places: Places) -> Costs:
        """Of a second at `places`."""
        where = (steps, samples)
        off = np.abs(self._at[where] - places - self._aim)
        margin = self._margin[where]
        out = np.maximum(places - self._low[where], self._high[where] - places - 1)
        cost = _PULL * off**2 + _LEAN * np.maximum(off - _FREE, 0) ** 2
        cost += _NEAR * np.clip(out + margin, 0, margin) + _OUT * np.maximum(out, 0)
        return np.where(self._seen[where], cost, np.float32(0))


def _price(way: Values, steps: int) -> Values:
    """Of moves as such, so long each, in so many steps."""
    speed = way / (steps * STEP_S)
    return np.where(speed > _FASTEST, _FAR, _MOVE + _LENGTH * way + _SPEED * way * speed)


def _plan(stretch: _Stretch, cuts: list[int]) -> list[Leg]:
    """The cheapest holds and moves between places of the grid."""
    moves = _Moves(stretch)
    held = stretch.costs()
    steps, count = held.shape
    ends = _next_of(cuts, steps)
    jumping = set(cuts)
    best = np.full((steps + 1, 2, count), _FAR, np.float32)  # by the direction of the last move: down, up
    best[0] = 0
    since = np.full((steps + 1, 2, count), _NONE, np.int16)  # how long ago the move that ends here began
    origin = np.zeros((steps + 1, 2, count), np.int16)
    choice = np.zeros((steps + 1, 2, count), np.int8)
    for step in range(steps + 1):
        if step:
            stay = best[step - 1] + held[step - 1]
            stays = stay <= best[step]
            best[step][stays], since[step][stays] = stay[stays], _NONE
        if step in jumping:
            cheapest = int(best[step].argmin())
            jump = best[step].flat[cheapest] + np.float32(_JUMP)
            jumps = jump < best[step]
            best[step][jumps], since[step][jumps], origin[step][jumps] = jump, _JUMPED, cheapest
        if step == steps:
            break
        if step % _CHUNK == 0:
            moves.judge(held, step, ends)
        for way in (0, 1):
            before = np.minimum(best[step][way], best[step][1 - way] + np.float32(_REVERSAL))
            for arrival, kind, cost, place in moves.from_here(step, way, before):
                better = cost < best[arrival][way]
                best[arrival][way][better] = cost[better]
                since[arrival][way][better] = arrival - step
                origin[arrival][way][better], choice[arrival][way][better] = place[better], kind
    return _trace(stretch, best, since, origin, choice)


def _next_of(cuts: list[int], steps: int) -> NDArray[np.int64]:
    """For each step the first cut after it, or the end."""
    bounds = np.array([*cuts, steps], np.int64)
    nexts: NDArray[np.int64] = bounds[np.searchsorted(bounds, np.arange(steps), side="right").clip(max=len(bounds) - 1)]
    return nexts


class _Moves:
    """All moves from each place to each other in each duration, and what they cost from a certain step on."""

    def __init__(self, stretch: _Stretch) -> None:
        places = stretch.places.astype(np.float64)
        self._count = len(places)
        spacing = (places[1] - places[0]) or 1.0
        way = places[None, :] - places[:, None]
        self._price = np.stack([_price(np.abs(way), steps) for steps in _DURATIONS]).astype(np.float32)
        self._wrong = (np.tril(np.full(way.shape, _FAR, np.float32)).T, np.tril(np.full(way.shape, _FAR, np.float32)))
        self._via: list[list[tuple[int, float, NDArray[np.intp]]]] = []  # step, weight, places from each to each
        for steps in _DURATIONS:
            looks = min(steps, _LOOKED_AT)
            parts = [(look + 0.5) / looks for look in range(looks)]
            on_the_way = [(places[:, None] - places[0] + way * ease(part)) / spacing for part in parts]
            self._via.append([
                (int(part * steps), steps / looks, np.rint(at).astype(np.intp))
                for part, at in zip(parts, on_the_way, strict=True)
            ])  # fmt: skip
        self._costs: Costs = np.zeros(0, np.float32)
        self._arrivals: NDArray[np.int64] = np.zeros(0, np.int64)
        self._first = 0

    def judge(self, held: Costs, first: int, ends: NDArray[np.int64]) -> None:
        """Those that begin in the steps from `first` on."""
        steps = len(held)
        begins = np.arange(first, min(first + _CHUNK, steps))
        longest = begins[-1] + max(_DURATIONS) + _HOLD + 1
        summed = np.zeros((longest - first + 1, self._count), np.float32)
        part = held[first:longest]
        summed[1 : len(part) + 1] = np.cumsum(part, axis=0)
        self._costs = np.empty((len(begins), len(_DURATIONS), self._count, self._count), np.float32)
        self._arrivals = np.empty((len(begins), len(_DURATIONS)), np.int64)
        for kind, duration in enumerate(_DURATIONS):
            total = np.broadcast_to(self._price[kind], (len(begins), self._count, self._count)).copy()
            for offset, weight, via in self._via[kind]:
                rows = np.minimum(begins + offset, steps - 1)
                total += held[rows][:, via] * np.float32(weight)
            over = begins + duration
            arrival = np.minimum(over + _HOLD, ends[begins])
            late = over > ends[begins]  # it would go on over a cut
            after = summed[arrival - first] - summed[np.minimum(over, arrival) - first]
            total += after[:, None, :]
            total[late] = _FAR
            self._costs[:, kind] = total
            self._arrivals[:, kind] = np.where(late, -1, arrival)
        self._first = first

    def from_here(self, step: int, way: int, before: Costs) -> list[tuple[int, int, Costs, NDArray[np.intp]]]:
        """Of each duration: when the frame may move again; its index; by the place it goes to, what it costs and where
        it comes from.

        Args:
            way: 0 down, 1 up.
            before: what it cost so far, by place.
        """
        total = self._costs[step - self._first] + (self._wrong[way] + before[:, None])
        best = total.argmin(axis=1)
        cost = np.take_along_axis(total, best[:, None, :], axis=1)[:, 0]
        arrivals = self._arrivals[step - self._first]
        return [(int(arrival), kind, cost[kind], best[kind]) for kind, arrival in enumerate(arrivals) if arrival >= 0]


def _trace(
    stretch: _Stretch,
    best: Costs,
    since: NDArray[np.int16],
    origin: NDArray[np.int16],
    choice: NDArray[np.int8],
) -> list[Leg]:
    """The legs that led to the cheapest end, in the order of time."""
    step, count = len(best) - 1, best.shape[2]
    way, place = divmod(int(best[step].argmin()), count)
    at = [float(value) for value in stretch.places]
    legs: list[Leg] = []
    held_until = step
    while step > 0:
        ago, source = int(since[step, way, place]), int(origin[step, way, place])
        if ago == _NONE:
            step -= 1
        elif ago == _JUMPED:
            legs.append(Leg(begin=step, end=held_until, start=at[place], stop=at[place]))
            way, place = divmod(source, count)
            held_until = step
        else:
            begin = step - ago
            over = begin + _DURATIONS[int(choice[step, way, place])]
            legs.append(Leg(begin=over, end=held_until, start=at[place], stop=at[place]))
            legs.append(Leg(begin=begin, end=over, start=at[source], stop=at[place]))
            if best[begin][1 - way][source] + np.float32(_REVERSAL) < best[begin][way][source]:
                way = 1 - way
            step, place, held_until = begin, source, begin
    legs.append(Leg(begin=0, end=held_until, start=at[place], stop=at[place]))
    return [leg for leg in reversed(legs) if leg.begin < leg.end]


def _refine(legs: list[Leg], stretch: _Stretch, cuts: list[int]) -> list[Leg]:
    """The same holds and moves, each hold where it costs least: the grid is coarser than the eye."""
    stops = _stops(legs, set(cuts))
    values = [legs[indexes[0][0]].start if indexes[0][1] else legs[indexes[0][0]].stop for indexes in stops]
    reach = _GRID
    for _ in range(_REFINED[1]):
        for number, ends in enumerate(stops):
            tried = np.clip(values[number] + reach * np.linspace(-1, 1, _REFINED[0]), 0.0, stretch.free)
            costs = [_cost_of(_with(legs, ends, float(value)), ends, stretch) for value in tried]
            values[number] = float(tried[_least(costs)])
            _put(legs, ends, values[number])
        reach /= 3
    for number in range(1, len(stops)):
        (index, begins), little = stops[number][0], abs(values[number] - values[number - 1]) < _LITTLE
        if little and not begins:  # a move, no jump
            values[number] = values[number - 1]
            _put(legs, stops[number], legs[index].start)
    return legs


def _put(legs: list[Leg], ends: list[tuple[int, bool]], value: float) -> None:
    """Puts that place at `value`."""
    for index, leg in _with(legs, ends, value).items():
        legs[index] = leg


def _stops(legs: list[Leg], cuts: set[int]) -> list[list[tuple[int, bool]]]:
    """Ends of legs that are one place: pairs of a leg's index and whether it is its start."""
    stops: list[list[tuple[int, bool]]] = [[(0, True)]] if legs else []
    for index, leg in enumerate(legs):
        if index and (leg.begin in cuts and legs[index - 1].stop != leg.start):
            stops.append([(index, True)])
        elif index:
            stops[-1].append((index, True))
        if leg.start != leg.stop:
            stops.append([(index, False)])
        else:
            stops[-1].append((index, False))
    return stops


def _with(legs: list[Leg], ends: list[tuple[int, bool]], value: float) -> dict[int, Leg]:
    """The legs that change when that place is at `value`."""
    changed: dict[int, Leg] = {}
    for index, is_start in ends:
        leg = changed.get(index, legs[index])
        start, stop = (value, leg.stop) if is_start else (leg.start, value)
        changed[index] = Leg(begin=leg.begin, end=leg.end, start=start, stop=stop)
    return changed


def _cost_of(changed: dict[int, Leg], ends: list[tuple[int, bool]], stretch: _Stretch) -> float:
    total = 0.0
    for index, leg in changed.items():
        total += stretch.cost(leg)
        if ((index, True) in ends) != ((index, False) in ends):
            total += float(_price(np.abs(np.float64(leg.stop - leg.start)), leg.end - leg.begin))
    return total


def _least(costs: list[float]) -> int:
    """The index of the least cost; of those as good as it the one nearest to the middle."""
    middle = len(costs) // 2
    least = min(costs)
    return min((abs(index - middle), index) for index, cost in enumerate(costs) if cost <= least + 1e-6)[1]
