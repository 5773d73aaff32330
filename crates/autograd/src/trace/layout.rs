//! Where the nodes of a graph stand in a drawing: in columns from left to right, with few crossings and straight lines.
//!
//! The method is that of K. Sugiyama, S. Tagawa and M. Toda, *Methods for Visual Understanding of Hierarchical System Structures* (1981): columns
//! by the longest way, an order within each by the means of the neighbours, and heights that draw neighbours together as far as the
//! order allows.

/// A drawing of a graph.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Layout {
    /// Its width in pixels.
    pub(crate) width: f64,
    /// Its height in pixels.
    pub(crate) height: f64,
    /// The middles of the nodes.
    pub(crate) middles: Vec<(f64, f64)>,
    /// For each edge, the points that it goes through, from the right side of one node to the left side of another.
    pub(crate) wires: Vec<Vec<(f64, f64)>>,
}

/// Between columns, and between the nodes of one.
const GAP: (f64, f64) = (76.0, 18.0);
const MARGIN: f64 = 16.0;
/// A line past other nodes takes so much room.
const LANE: f64 = 10.0;
/// Lines over more columns than this go straight, whatever stands there.
const LONGEST: usize = 40;
/// How often the order, and the heights, are looked at again.
const ROUNDS: usize = 12;

/// What stands in a column: a node, or a line that passes.
struct Place {
    height: f64,
    /// Places in the columns before and after, and how far above or below the middle the line begins there and here.
    left: Vec<Line>,
    right: Vec<Line>,
    y: f64,
}

#[derive(Clone, Copy)]
struct Line {
    other: usize,
    /// Of its end there, from the middle of the other place.
    there: f64,
    /// Of its end here.
    here: f64,
}

/// Draws nodes of some sizes, and edges from earlier nodes to later ones, several between two if need be. Edges end on the left side of a node
/// in their order.
pub(super) fn layout(sizes: &[(f64, f64)], edges: &[(usize, usize)]) -> Layout {
    let columns = columns(sizes.len(), edges);
    let count = columns.iter().map(|column| column + 1).max().unwrap_or_default();
    let mut places: Vec<Place> =
        sizes.iter().map(|(_, height)| Place { height: *height, left: Vec::new(), right: Vec::new(), y: 0.0 }).collect();
    let mut by_column: Vec<Vec<usize>> = vec![Vec::new(); count];
    for (node, &column) in columns.iter().enumerate() {
        by_column[column].push(node);
    }
    // Lines past other columns get places there.
    let mut ports = vec![0usize; sizes.len()];
    let mut arriving = vec![0usize; sizes.len()];
    for &(_, to) in edges {
        arriving[to] += 1;
    }
    let mut ways: Vec<Vec<usize>> = Vec::with_capacity(edges.len());
    let mut ends: Vec<f64> = Vec::with_capacity(edges.len());
    for &(from, to) in edges {
        let end = port(sizes[to].1, ports[to], arriving[to]);
        ports[to] += 1;
        ends.push(end);
        let mut way = vec![from];
        let between = columns[from] + 1..columns[to];
        if between.len() <= LONGEST {
            for column in between {
                by_column[column].push(places.len());
                way.push(places.len());
                places.push(Place { height: LANE, left: Vec::new(), right: Vec::new(), y: 0.0 });
            }
        }
        way.push(to);
        let last = way.len() - 2;
        for (k, pair) in way.windows(2).enumerate() {
            let here = if k == last { end } else { 0.0 };
            places[pair[0]].right.push(Line { other: pair[1], there: here, here: 0.0 });
            places[pair[1]].left.push(Line { other: pair[0], there: 0.0, here });
        }
        ways.push(way);
    }
    order(&mut places, &mut by_column);
    settle(&mut places, &by_column);

    let top = places.iter().map(|p| p.y - p.height / 2.0).fold(f64::INFINITY, f64::min);
    let bottom = places.iter().map(|p| p.y + p.height / 2.0).fold(f64::NEG_INFINITY, f64::max);
    let mut x = MARGIN;
    let mut middles_of_columns = Vec::with_capacity(count);
    let mut widths = Vec::with_capacity(count);
    for column in &by_column {
        let width = column.iter().filter_map(|&place| sizes.get(place)).map(|size| size.0).fold(0.0, f64::max);
        middles_of_columns.push(x + width / 2.0);
        widths.push(width);
        x += width + GAP.0;
    }
    let y = |place: &Place| place.y - top + MARGIN;
    let middles = (0..sizes.len()).map(|node| (middles_of_columns[columns[node]], y(&places[node]))).collect();
    let mut wires = Vec::with_capacity(edges.len());
    for ((way, &(from, to)), end) in ways.iter().zip(edges).zip(&ends) {
        let mut wire = vec![(middles_of_columns[columns[from]] + sizes[from].0 / 2.0, y(&places[from]))];
        for (column, &place) in (columns[from] + 1..).zip(&way[1..way.len() - 1]) {
            let half = widths[column] / 2.0;
            let middle = middles_of_columns[column];
            wire.extend([(middle - half, y(&places[place])), (middle + half, y(&places[place]))]);
        }
        wire.push((middles_of_columns[columns[to]] - sizes[to].0 / 2.0, y(&places[to]) + end));
        wires.push(wire);
    }
    let is_empty = sizes.is_empty();
    Layout {
        width: if is_empty { 2.0 * MARGIN } else { x - GAP.0 + MARGIN },
        height: if is_empty { 2.0 * MARGIN } else { bottom - top + 2.0 * MARGIN },
        middles,
        wires,
    }
}

/// Where on the left side of a node line `k` of `n` ends, from the middle.
fn port(height: f64, k: usize, n: usize) -> f64 {
    if n < 2 { 0.0 } else { (k as f64 / (n - 1) as f64 - 0.5) * (height - 16.0).max(0.0) * (n as f64 / (n as f64 + 1.0)) }
}

/// The column of each node: one more than the last of what it is computed from; what is computed from nothing stands just before its first use.
pub(super) fn columns(n: usize, edges: &[(usize, usize)]) -> Vec<usize> {
    let mut into: Vec<Vec<usize>> = vec![Vec::new(); n];
    let mut out: Vec<Vec<usize>> = vec![Vec::new(); n];
    for &(from, to) in edges {
        into[to].push(from);
        out[from].push(to);
    }
    let mut columns = vec![0usize; n];
    for node in 0..n {
        columns[node] = into[node].iter().map(|&x| columns[x] + 1).max().unwrap_or_default();
    }
    for node in (0..n).filter(|&node| into[node].is_empty()) {
        columns[node] = out[node].iter().map(|&y| columns[y]).min().unwrap_or(1).saturating_sub(1);
    }
    columns
}

/// Orders each column by the means of its neighbours, from left to right and back.
fn order(places: &mut [Place], by_column: &mut [Vec<usize>]) {
    let number = |by_column: &[Vec<usize>], places: &mut [Place]| {
        for column in by_column {
            for (k, &place) in column.iter().enumerate() {
                places[place].y = k as f64;
            }
        }
    };
    number(by_column, places);
    let mut best = (crossings(places, by_column), by_column.to_vec());
    for round in 0..ROUNDS {
        if best.0 == 0 {
            break;
        }
        let count = by_column.len();
        for step in 0..count {
            let (column, is_right) = if round % 2 == 0 { (step, true) } else { (count - 1 - step, false) };
            let mut keyed: Vec<(f64, usize)> = by_column[column]
                .iter()
                .map(|&place| {
                    let lines = if is_right { &places[place].left } else { &places[place].right };
                    let sum: f64 = lines.iter().map(|line| places[line.other].y + line.there * 1e-3).sum();
                    (if lines.is_empty() { places[place].y } else { sum / lines.len() as f64 }, place)
                })
                .collect();
            keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
            by_column[column] = keyed.into_iter().map(|(_, place)| place).collect();
            for (k, &place) in by_column[column].iter().enumerate() {
                places[place].y = k as f64;
            }
        }
        let now = crossings(places, by_column);
        if now < best.0 {
            best = (now, by_column.to_vec());
        }
    }
    by_column.clone_from_slice(&best.1);
    number(by_column, places);
}

/// How many pairs of lines cross: of lines sorted by one end, the pairs that are not sorted by the other.
fn crossings(places: &[Place], by_column: &[Vec<usize>]) -> usize {
    let mut count = 0;
    for column in by_column {
        let mut lines: Vec<(f64, f64)> = column
            .iter()
            .flat_map(|&p| places[p].right.iter().map(move |line| (places[p].y, places[line.other].y + line.there * 1e-3)))
            .collect();
        lines.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        // Inserting the other ends one by one, those that are already there and lie below are crossed.
        let mut seen: Vec<f64> = Vec::with_capacity(lines.len());
        for (_, y) in lines {
            let at = seen.partition_point(|other| *other <= y);
            count += seen.len() - at;
            seen.insert(at, y);
        }
    }
    count
}

/// Gives heights: each place is drawn to the middle of its neighbours, and keeps its distance from those above and below.
fn settle(places: &mut [Place], by_column: &[Vec<usize>]) {
    for column in by_column {
        let mut y = 0.0;
        for &place in column {
            y += places[place].height / 2.0;
            places[place].y = y;
            y += places[place].height / 2.0 + GAP.1;
        }
        let middle = y / 2.0;
        for &place in column {
            places[place].y -= middle;
        }
    }
    for round in 0..2 * ROUNDS {
        for step in 0..by_column.len() {
            let column = &by_column[if round % 2 == 0 { step } else { by_column.len() - 1 - step }];
            let wanted: Vec<(f64, f64)> = column
                .iter()
                .map(|&place| {
                    let lines = places[place].left.iter().chain(&places[place].right);
                    let (sum, n) = lines.fold((0.0, 0.0), |(sum, n), line| (sum + places[line.other].y + line.there - line.here, n + 1.0));
                    // Passing lines should be straight above all.
                    if n == 0.0 { (places[place].y, 0.1) } else { (sum / n, n * if places[place].height <= LANE { 4.0 } else { 1.0 }) }
                })
                .collect();
            spread(places, column, &wanted);
        }
    }
}

/// The heights nearest to the wanted ones, weighted, that keep order and distance: neighbours that would overlap form a block and share its
/// mean.
fn spread(places: &mut [Place], column: &[usize], wanted: &[(f64, f64)]) {
    // Each block: the weighted sum of where its first place would want to be, its weight, and how many places it has.
    let mut blocks: Vec<(f64, f64, usize)> = Vec::new();
    let mut offsets = vec![0.0; column.len()];
    for k in 1..column.len() {
        offsets[k] = offsets[k - 1] + f64::midpoint(places[column[k - 1]].height, places[column[k]].height) + GAP.1;
    }
    for (k, (y, weight)) in wanted.iter().enumerate() {
        blocks.push(((y - offsets[k]) * weight, *weight, 1));
        while let [.., a, b] = blocks[..] {
            if a.0 / a.1 <= b.0 / b.1 {
                break;
            }
            blocks.pop();
            blocks.pop();
            blocks.push((a.0 + b.0, a.1 + b.1, a.2 + b.2));
        }
    }
    let mut k = 0;
    for (sum, weight, n) in blocks {
        for _ in 0..n {
            places[column[k]].y = sum / weight + offsets[k];
            k += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sizes: &[(f64, f64)], edges: &[(usize, usize)]) -> Layout {
        let drawing = layout(sizes, edges);
        for (i, (a, size)) in drawing.middles.iter().zip(sizes).enumerate() {
            assert!(a.0 - size.0 / 2.0 >= 0.0 && a.0 + size.0 / 2.0 <= drawing.width, "node {i} leaves the picture");
            assert!(a.1 - size.1 / 2.0 >= 0.0 && a.1 + size.1 / 2.0 <= drawing.height, "node {i} leaves the picture");
            for (j, (b, other)) in drawing.middles.iter().zip(sizes).enumerate().take(i) {
                let apart = (a.0 - b.0).abs() >= f64::midpoint(size.0, other.0) - 1e-6
                    || (a.1 - b.1).abs() >= f64::midpoint(size.1, other.1) - 1e-6;
                assert!(apart, "nodes {i} and {j} overlap");
            }
        }
        for (wire, &(from, to)) in drawing.wires.iter().zip(edges) {
            assert!(drawing.middles[from].0 < drawing.middles[to].0);
            assert!(wire.windows(2).all(|pair| pair[0].0 <= pair[1].0), "a wire goes back: {wire:?}");
        }
        drawing
    }

    #[test]
    fn nodes_do_not_overlap_and_edges_go_to_the_right() {
        let mut state = 1u64;
        let mut draw = |n: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).unwrap() % n
        };
        for n in [1, 2, 5, 30, 200] {
            let sizes: Vec<(f64, f64)> = (0..n).map(|_| (40.0 + draw(100) as f64, 20.0 + draw(40) as f64)).collect();
            let edges: Vec<(usize, usize)> = (1..n).flat_map(|to| [(draw(to), to), (to - 1 - draw(to.min(3)), to)]).collect();
            check(&sizes, &edges);
        }
        check(&[], &[]);
    }

    #[test]
    fn a_chain_is_a_straight_line_and_a_tree_has_no_crossings() {
        let drawing = check(&[(50.0, 30.0); 6], &[(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)]);
        assert!(drawing.middles.iter().all(|m| (m.1 - drawing.middles[0].1).abs() < 1e-6));
        // ((0 + 1)·(2 + 3)): leaves 0, 2, 1, 3 in an order that crosses at first.
        let edges = [(0, 4), (2, 4), (1, 5), (3, 5), (4, 6), (5, 6)];
        let drawing = check(&[(50.0, 30.0); 7], &edges);
        let y = |k: usize| drawing.middles[k].1;
        assert!((y(0) < y(1)) == (y(2) < y(3)) && (y(0) < y(1)) == (y(4) < y(5)), "{:?}", drawing.middles);
    }

    #[test]
    fn two_thousand_nodes_take_no_time() {
        let edges: Vec<(usize, usize)> =
            (1..2000usize).flat_map(|to| [(to - 1, to), (to.saturating_sub(20), to)]).filter(|(a, b)| a < b).collect();
        check(&vec![(60.0, 30.0); 2000], &edges);
    }
}
