"""The fused scoring kernel: one map is up-sampled, normalised, thresholded and compared in cache.

Order statistics are found by counting: a histogram of the map gives the bucket that holds one, and
only that bucket's values are ordered. Results are exactly those of the plain definitions in
:mod:`ssl_bench.measures.localization`.
"""

from __future__ import annotations

import numpy as np

from ssl_bench.compiled import compiled

HALF, ADAPTIVE, ABSOLUTE, FRACTION = range(4)
NONE, MINMAX, INVERTED_MINMAX, MAXIMUM = range(4)
# Columns of the kernel's two outputs.
MAP_COLUMNS = ("truth_sum", "truth_pixels", "is_flat", "peak_hit", "side")
RULE_COLUMNS = ("threshold", "n_predicted", "n_tied", "intersection", "false_positives")

_BUCKETS = 2048
# Pixels that are searched for a bucket at once.
_BLOCK = 128


@compiled()
def _widen(heat, index, weight, wide):
    """Linear interpolation along each row."""
    for y in range(heat.shape[0]):
        row = heat[y]
        target = wide[y]
        for x in range(target.size):
            start = row[index[x, 0]]
            target[x] = start + (row[index[x, 1]] - start) * weight[x, 0]


@compiled()
def _heighten(wide, index, weight, grid):
    """Linear interpolation along each column."""
    for y in range(grid.shape[0]):
        target = grid[y]
        first = wide[index[y, 0]]
        second = wide[index[y, 1]]
        share = weight[y, 0]
        for x in range(target.size):
            target[x] = first[x] + (second[x] - first[x]) * share


@compiled()
def _resize_once(heat, row_index, row_weight, column_index, column_weight, wide, grid):
    """Linear interpolation whose weights are in double precision, and whose sums are rounded."""
    for y in range(heat.shape[0]):
        row = heat[y]
        target = wide[y]
        for x in range(target.size):
            start = row[column_index[x, 0]]
            step = np.float64(row[column_index[x, 1]] - start)
            target[x] = np.float32(start + step * column_weight[x, 0])
    for y in range(grid.shape[0]):
        target = grid[y]
        first = wide[row_index[y, 0]]
        second = wide[row_index[y, 1]]
        share = row_weight[y, 0]
        for x in range(target.size):
            step = np.float64(second[x] - first[x])
            target[x] = np.float32(first[x] + step * share)


@compiled()
def _resize_cubic(heat, row_index, row_weight, column_index, column_weight, wide, grid):
    for y in range(heat.shape[0]):
        row = heat[y]
        target = wide[y]
        for x in range(target.size):
            start = row[column_index[x, 0]]
            total = start
            for tap in range(1, 4):
                total += (row[column_index[x, tap]] - start) * column_weight[x, tap - 1]
            target[x] = total
    for y in range(grid.shape[0]):
        target = grid[y]
        first = wide[row_index[y, 0]]
        second = wide[row_index[y, 1]]
        third = wide[row_index[y, 2]]
        fourth = wide[row_index[y, 3]]
        # Read before the loop: in it, the compiler must take them for parts of the target.
        share = row_weight[y, 0]
        share_of_third = row_weight[y, 1]
        share_of_fourth = row_weight[y, 2]
        for x in range(target.size):
            target[x] = (
                first[x]
                + (second[x] - first[x]) * share
                + (third[x] - first[x]) * share_of_third
                + (fourth[x] - first[x]) * share_of_fourth
            )


@compiled()
def upsample(heat, row_index, row_weight, column_index, column_weight, once, wide, grid):
    """Bring a map ``(h, w)`` to the grid ``(size, size)``, by way of ``(h, size)``."""
    if heat.shape == grid.shape:
        # Every interpolation keeps a map of the grid's own size bit for bit. Value by value, for
        # what numba says of shapes that differ takes as long to compile as all else here.
        for y in range(grid.shape[0]):
            for x in range(grid.shape[1]):
                grid[y, x] = heat[y, x]
    elif once:
        _resize_once(heat, row_index, row_weight, column_index, column_weight, wide, grid)
    elif column_index.shape[1] == 2:
        _widen(heat, column_index, column_weight, wide)
        _heighten(wide, row_index, row_weight, grid)
    else:
        _resize_cubic(heat, row_index, row_weight, column_index, column_weight, wide, grid)


@compiled()
def _extrema(values):
    # The bits of floats, with those of negative ones inverted, compare as integers in the same
    # order; the compiler vectorises integer extrema only.
    bits = values.view(np.int32)
    flip = np.int32(0x7FFFFFFF)
    low = flip
    high = np.int32(-0x80000000)
    for i in range(bits.size):
        # Without its type, a shift is wide.
        key = np.int32(bits[i] ^ np.int32(np.int32(bits[i] >> np.int32(31)) & flip))
        low = min(low, key)
        high = max(high, key)
    found = np.empty(2, np.int32)
    found[0] = low ^ ((low >> np.int32(31)) & flip)
    found[1] = high ^ ((high >> np.int32(31)) & flip)
    extrema = found.view(np.float32)
    return extrema[0], extrema[1]


@compiled()
def extrema(heats):
    """Lowest and highest value of each map ``(n, h, w)``; one is not finite where a value is not.

    Of float32 that lies in memory without gaps; gives ``(n, 2)`` float32.
    """
    found = np.empty((heats.shape[0], 2), np.float32)
    for number in range(heats.shape[0]):
        found[number, 0], found[number, 1] = _extrema(heats[number].ravel())
    return found


@compiled()
def _normalise(values, how, low, high):
    """Normalise in place, from the extrema of the values; return those of the result."""
    if how == INVERTED_MINMAX:
        for i in range(values.size):
            values[i] = -values[i]
        low, high = -high, -low
    if how == NONE:
        return low, high
    if how == MAXIMUM:
        if high <= 0:
            return low, high
        for i in range(values.size):
            values[i] = values[i] / high
        return low / high, np.float32(1)
    if high > low:
        width = high - low
        for i in range(values.size):
            values[i] = (values[i] - low) / width
        low, high = np.float32(0), np.float32(1)
    if how == INVERTED_MINMAX:
        for i in range(values.size):
            values[i] = np.float32(1) - values[i]
        low, high = np.float32(1) - high, np.float32(1) - low
    return low, high


@compiled()
def _count_buckets(values, low, scale, bucket, counts):
    """Assign each value to one of the buckets that start at `low`, and count those in each."""
    counts[:] = 0
    for i in range(values.size):
        bucket[i] = np.int16((values[i] - low) * scale)
    # Four histograms in turn: neighbouring pixels often share a bucket, and adding to the same
    # counter twice in a row makes the processor wait. An unsigned index needs no test for being
    # counted from the end.
    first, second, third, fourth = counts[0], counts[1], counts[2], counts[3]
    for quarter in range(values.size // 4):
        i = 4 * quarter
        first[np.uint16(bucket[i])] += 1
        second[np.uint16(bucket[i + 1])] += 1
        third[np.uint16(bucket[i + 2])] += 1
        fourth[np.uint16(bucket[i + 3])] += 1
    for i in range(values.size - values.size % 4, values.size):
        first[np.uint16(bucket[i])] += 1


@compiled()
def _gather_bucket(values, bucket, wanted, gathered):
    """Copy the values of one bucket to the start of `gathered`; return their number."""
    found = 0
    # Few blocks hold any of the bucket, and looking for one takes no branch.
    whole = values.size - values.size % _BLOCK
    for start in range(0, whole, _BLOCK):
        block = bucket[start : start + _BLOCK]
        here = np.int16(0)
        for i in range(_BLOCK):
            here |= np.int16(block[i] == wanted)
        if here:
            for i in range(start, start + _BLOCK):
                if bucket[i] == wanted:
                    gathered[found] = values[i]
                    found += 1
    for i in range(whole, values.size):
        if bucket[i] == wanted:
            gathered[found] = values[i]
            found += 1
    return found


@compiled()
def _select(values, rank):
    """s[rank] of the ascending values, which are reordered (Hoare 1961).

    numpy's own partition and sort take longer to compile than all else here.
    """
    first = 0
    last = values.size - 1
    while first < last:
        pivot = values[(first + last) // 2]
        left = first
        right = last
        while left <= right:
            while values[left] < pivot:
                left += 1
            while values[right] > pivot:
                right -= 1
            if left <= right:
                values[left], values[right] = values[right], values[left]
                left += 1
                right -= 1
        if rank <= right:
            last = right
        elif rank >= left:
            first = left
        else:
            break
    return values[rank]


@compiled()
def _order_statistic(values, rank, low, high, bucket, counts, gathered, filled):
    """s[rank] of the ascending values; `bucket` and `counts` are reused once `filled`."""
    width = high - low
    scale = np.float32(_BUCKETS) / width
    # A range beyond single precision, or within its last digits, has no buckets.
    if not (np.isfinite(width) and np.isfinite(scale)):
        for i in range(values.size):
            gathered[i] = values[i]
        return _select(gathered, rank)
    if not filled:
        _count_buckets(values, low, scale, bucket, counts)
    below = 0
    wanted = np.int16(0)
    for number in range(counts.shape[1]):
        here = counts[0, number] + counts[1, number] + counts[2, number] + counts[3, number]
        if below + here > rank:
            wanted = np.int16(number)
            break
        below += here
    inside = gathered[: _gather_bucket(values, bucket, wanted, gathered)]
    lowest, highest = _extrema(inside)
    if lowest == highest:
        return lowest
    return _select(inside, rank - below)


@compiled(fastmath={"reassoc"})
def _compare(values, truth, threshold, is_mask, found):
    """Pixels above the threshold and at it: `found` becomes (2, 3) of all, their truth, and false.

    Both ``>`` and ``>=`` follow from these. Sums of a truth map are exact in double precision,
    whatever their order; those of a mask are counts.
    """
    above = tied = false_above = false_tied = np.int32(0)
    for i in range(values.size):
        higher = values[i] > threshold
        equal = values[i] == threshold
        outside = truth[i] == 0
        # Sums are wide unless they are told not to be, and narrow ones are added eight at a time.
        above = np.int32(above + np.int32(higher))
        tied = np.int32(tied + np.int32(equal))
        false_above = np.int32(false_above + np.int32(higher & outside))
        false_tied = np.int32(false_tied + np.int32(equal & outside))
    true_above = np.float64(above - false_above)
    true_tied = np.float64(tied - false_tied)
    if not is_mask:
        true_above = true_tied = np.float64(0)
        for i in range(values.size):
            true_above += truth[i] if values[i] > threshold else np.float32(0)
            true_tied += truth[i] if values[i] == threshold else np.float32(0)
    found[0, 0], found[0, 1], found[0, 2] = above, true_above, false_above
    found[1, 0], found[1, 1], found[1, 2] = tied, true_tied, false_tied


@compiled(fastmath={"reassoc"})
def truth_totals(truth):
    """Sum of a truth map in [0, 1], and number of its pixels above 0."""
    # Narrow sums, as above; of a mask, which has no other values than 0 and 1, there is no more.
    inside = whole = np.int32(0)
    for i in range(truth.size):
        inside = np.int32(inside + np.int32(truth[i] > 0))
        whole = np.int32(whole + np.int32(truth[i] == 1))
    total = np.float64(inside)
    if inside != whole:
        total = np.float64(0)
        for i in range(truth.size):
            total += truth[i]
    return total, np.int64(inside)


@compiled()
def _peak(values, truth, high):
    """Share of the pixels at the maximum that lie in the truth."""
    at_peak = hit = np.int32(0)
    for i in range(values.size):
        highest = values[i] == high
        at_peak = np.int32(at_peak + np.int32(highest))
        hit = np.int32(hit + np.int32(highest & (truth[i] > 0)))
    return hit / at_peak


@compiled()
def _side(grid, region, high):
    """1 where the maximum lies inside the region only, 0 outside only, one half where in both."""
    inside = outside = np.int32(0)
    left, right = region[1], region[3]
    for y in range(grid.shape[0]):
        row = grid[y]
        here = whole = np.int32(0)
        for x in range(row.size):
            whole = np.int32(whole + np.int32(row[x] == high))
        if whole:
            if region[0] <= y < region[2]:
                for x in range(left, right):
                    here = np.int32(here + np.int32(row[x] == high))
            inside += here
            outside += whole - here
    if inside and outside:
        return 0.5
    return 1.0 if inside else 0.0


@compiled()
def score_maps(
    heats,
    ends,
    index,
    truths,
    regions,
    row_index,
    row_weight,
    column_index,
    column_weight,
    once,
    normalisation,
    rules,
    rule_values,
    strict,
    keep_maximum,
    with_peak,
    of_maps,
    of_rules,
    size,
):
    """Score a batch of maps; see :func:`ssl_bench.measures.batch.evaluate_maps`."""
    pixels = size * size
    grid = np.empty((size, size), np.float32)
    values = grid.ravel()
    wide = np.empty((heats.shape[1], size), np.float32)
    bucket = np.empty(pixels, np.int16)
    counts = np.empty((4, _BUCKETS + 2), np.int32)
    gathered = np.empty(pixels, np.float32)
    is_flat = False
    filled = False
    low = high = threshold = ranked = np.float32(0)
    found = np.empty((2, 3))
    for number in range(index.size):
        truth = truths[number].ravel()
        if number == 0 or index[number] != index[number - 1]:
            heat = heats[index[number]]
            low, high = ends[index[number], 0], ends[index[number], 1]
            is_flat = low == high
            upsample(heat, row_index, row_weight, column_index, column_weight, once, wide, grid)
            if heat.shape != grid.shape:
                low, high = _extrema(values)
            low, high = _normalise(values, normalisation, low, high)
            filled = False
        truth_sum, truth_pixels = truth_totals(truth)
        of_maps[number, 0] = truth_sum
        of_maps[number, 1] = truth_pixels
        of_maps[number, 2] = is_flat
        of_maps[number, 3] = _peak(values, truth, high) if with_peak else np.nan
        of_maps[number, 4] = _side(grid, regions[number], high) if regions.size else np.nan
        is_mask = truth_sum == truth_pixels
        rank = -1
        for r in range(rules.size):
            before = threshold
            if rules[r] == ABSOLUTE:
                threshold = np.float32(rule_values[number, r])
            elif rules[r] == FRACTION:
                threshold = np.float32(rule_values[number, r]) * high
            elif low == high:
                threshold = low
            else:
                wanted = pixels // 2
                if rules[r] == ADAPTIVE and truth_pixels > 0:
                    wanted = pixels - truth_pixels
                if wanted != rank:
                    ranked = _order_statistic(
                        values, wanted, low, high, bucket, counts, gathered, filled
                    )
                    rank = wanted
                    filled = True
                threshold = ranked
            # Evaluators that share a threshold share its comparison.
            if r == 0 or threshold != before:
                _compare(values, truth, threshold, is_mask, found)
            tied = found[1, 0]
            predicted, intersection, false = found[0, 0], found[0, 1], found[0, 2]
            if not strict[r]:
                predicted += found[1, 0]
                intersection += found[1, 1]
                false += found[1, 2]
            # Where the maximum is kept, everything from 1 is predicted.
            if keep_maximum[r] and threshold >= 1:
                _compare(values, truth, np.float32(1), is_mask, found)
                predicted = found[0, 0] + found[1, 0]
                intersection = found[0, 1] + found[1, 1]
                false = found[0, 2] + found[1, 2]
                _compare(values, truth, threshold, is_mask, found)
            of_rules[number, r, 0] = threshold
            of_rules[number, r, 1] = predicted
            of_rules[number, r, 2] = tied
            of_rules[number, r, 3] = intersection
            of_rules[number, r, 4] = false
