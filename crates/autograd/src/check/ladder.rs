//! A ladder of steps, and the slope by agreement across its scales; or the slopes of two sides, or why there is none.

use std::collections::BTreeMap;

use super::{
    extrapolate::{Limit, Quotient, limit},
    slope::{Form, Place, Probe, Sample, Scale, Slope},
};

/// Pairs of neighbouring levels that are tried first; two central differences of one such pair mostly decide.
const QUICK: [(i32, i32); 3] = [(11, 12), (7, 8), (15, 16)];
/// The same for a claim of 0, which longer steps would show to be wrong more clearly.
const QUICK_ZERO: [(i32, i32); 4] = [(3, 4), (7, 8), (11, 12), (15, 16)];
/// The levels of the ladder: a run for extrapolation, and smaller ones that have to agree.
const RUN: std::ops::RangeInclusive<i32> = 3..=17;
const BELOW: [i32; 5] = [20, 23, 26, 29, 32];
/// Where a finer ladder goes on, for functions whose own scale is far below that of the point, and for points near a kink or an edge.
const FINE: i32 = 36;
/// Down to here goes the ladder where the values at the smallest steps are rougher than rounding explains: perhaps they are smooth below.
const FINEST: i32 = 42;
/// The largest level to which longer steps go, where rounding hides the slope.
const TOP: i32 = -10;
/// Beyond this level they go only if the slope has shown already: far steps over a function that rounding hides see another function.
const FAR: i32 = -3;

/// The values at all levels so far.
struct Ladder<'a, 'p> {
    probe: &'a mut Probe<'p>,
    scale: Scale,
    pairs: BTreeMap<i32, [Sample; 2]>,
}

impl Ladder<'_, '_> {
    /// The samples on the left and on the right.
    fn at(&mut self, level: i32) -> [Sample; 2] {
        if let Some(pair) = self.pairs.get(&level) {
            return *pair;
        }
        let step = self.scale.step(level);
        let pair = [(self.probe)(-step), (self.probe)(step)];
        self.pairs.insert(level, pair);
        pair
    }

    fn climb(&mut self, levels: impl IntoIterator<Item = i32>) {
        for level in levels {
            if level <= self.scale.bottom {
                self.at(level);
            }
        }
    }

    /// The central difference quotients of all levels whose two ends are near, with rounding as it is, or as it shows in the even part of the
    /// function, which for a smooth one falls with the square of the step.
    fn central(&self) -> Vec<Quotient> {
        let near: Vec<_> = self.pairs.iter().filter(|(_, pair)| pair.iter().all(|s| s.place == Place::Near)).collect();
        // Where a value has not changed at all it may have changed by less than the least change seen; unless it is flat over so long steps
        // that no rounding explains it.
        let is_flat = (14..=*RUN.end()).all(|level| self.pairs.get(&level).is_some_and(|pair| pair.iter().all(|s| s.change == 0.0)));
        let changes = || near.iter().flat_map(|(_, pair)| *pair).map(|s| s.change.abs());
        let least = changes().filter(|c| *c > 0.0).fold(f64::INFINITY, f64::min);
        let hidden = |s: &Sample| if s.change == 0.0 && least.is_finite() && !is_flat { least } else { 0.0 };
        let noise: Vec<f64> = near.iter().map(|(_, [a, b])| a.noise.max(b.noise).max(hidden(a)).max(hidden(b))).collect();
        let even = |k: usize| near[k].1[0].change + near[k].1[1].change;
        let odd_one_out: Vec<f64> = (1..near.len())
            .map(|k| {
                let ratio = 4f64.powi(*near[k].0 - *near[k - 1].0);
                (even(k - 1) - ratio * even(k)).abs() / (1.0 + ratio)
            })
            .collect();
        let measured = |from: usize| odd_one_out.iter().skip(from).fold(0.0f64, |m, v| m.max(*v));
        let quotient = |(k, (level, [a, b])): (usize, &(&i32, &[Sample; 2]))| {
            let width = b.step - a.step;
            // The noise at smaller steps counts, since one pair alone may look calm; for agreement, that at the next larger one, too.
            let noise = noise[k].max(measured(k.min(odd_one_out.len().saturating_sub(1))));
            let slack = noise + 5.0 * measured(k.saturating_sub(1));
            let value = (b.change - a.change) / width;
            Quotient { level: **level, step: width / 2.0, value, noise: 2.0 * noise / width, slack: 2.0 * slack / width }
        };
        near.iter().enumerate().map(quotient).collect()
    }

    /// Whether the smallest steps show more than rounding.
    fn is_rough(&self) -> bool {
        let last = |of: &Quotient| of.noise * of.step;
        let floor = self.pairs.values().next_back().map_or(0.0, |[a, b]| a.noise.max(b.noise));
        self.central().last().is_some_and(|q| last(q) > 16.0 * floor)
    }

    /// The quotients of one side, of all levels that take the same sides of all kinks as the smallest step there.
    fn one_sided(&self, side: usize) -> Vec<Quotient> {
        let inside = |pair: &[Sample; 2]| pair[side].place != Place::Outside;
        let Some((_, smallest)) = self.pairs.iter().rfind(|(_, pair)| inside(pair)) else { return Vec::new() };
        let signature = smallest[side].signature;
        let same = self.pairs.iter().filter(|(_, pair)| inside(pair) && pair[side].signature == signature);
        same.map(|(level, pair)| {
            let Sample { step, change, noise, .. } = pair[side];
            let noise = noise / step.abs();
            Quotient { level: *level, step: step.abs(), value: change / step, noise, slack: 3.0 * noise }
        })
        .collect()
    }

    /// Whether the function bends so much within the steps of a one-sided limit that these are far beyond its own scale: the even part, which one
    /// side is off by, is much more than both slopes that are in question explain. A kink that nobody tells of bends it too, but not so much.
    fn is_bent_within(&self, limit: &Limit, claim: f64) -> bool {
        let near = |pair: &&[Sample; 2]| pair.iter().all(|s| s.place == Place::Near && s.step.abs() <= limit.step);
        self.pairs.values().find(near).is_some_and(|[a, b]| {
            let slope = limit.value.abs().max(claim.abs()) + limit.error;
            (a.change + b.change).abs() > 100.0 * slope * b.step.abs()
        })
    }

    /// The size of the difference quotient of one side at its smallest step, if the value there goes to that at the point; else 0.
    fn slope_at_the_end(&self, side: usize) -> f64 {
        let inside = self.pairs.values().rev().map(|pair| pair[side]).filter(|s| s.place != Place::Outside);
        match inside.take(5).collect::<Vec<_>>()[..] {
            [least, .., largest] if least.change.abs() < 0.5 * largest.change.abs() => (least.change / least.step).abs(),
            _ => 0.0,
        }
    }

    /// Whether the value stays away from that at the point, however small the step, by more than slopes such as that of the other side, or the
    /// claimed one, explain over the smallest step: a kink that is nearer than that looks the same.
    fn jumps(&self, claim: f64) -> bool {
        (0..2).any(|side| {
            let smallest = self.pairs.iter().rev().map(|(_, pair)| pair[side]).filter(|s| s.place != Place::Outside).take(5);
            let smallest: Vec<Sample> = smallest.collect();
            let [least, .., largest] = &smallest[..] else { return false };
            let height = least.change;
            let is_explained = height.abs() <= 4.0 * least.step.abs() * claim.abs().max(self.slope_at_the_end(1 - side));
            !is_explained
                && smallest.len() == 5
                && largest.step.abs() >= 8.0 * least.step.abs()
                && smallest.iter().all(|s| (s.change - height).abs() <= 0.05 * height.abs() && height.abs() > 50.0 * s.noise)
        })
    }

    /// Whether the difference quotients of a side grow without bound as the step shrinks.
    fn steepens(&self) -> bool {
        (0..2).any(|side| {
            let quotients = self.one_sided(side);
            let clear: Vec<f64> = quotients.iter().filter(|q| q.noise < 0.01 * q.value.abs()).map(|q| q.value.abs()).collect();
            clear.len() >= 8
                && clear.windows(2).all(|pair| pair[1] > 1.05 * pair[0])
                && clear.last().zip(clear.first()).is_some_and(|(last, first)| *last > 20.0 * first)
        })
    }

    fn finish(&self, claim: f64, quotients: &[Quotient], limit: Option<Limit>, form: Form) -> Slope {
        let samples = || self.pairs.values().flatten().filter(|s| s.place != Place::Outside);
        let secant = samples().filter(|s| s.change.abs() > 16.0 * s.noise).map(|s| (s.change / s.step).abs()).fold(0.0, f64::max);
        let kinks = self.pairs.values().flatten().filter_map(|s| s.kink);
        let kink = kinks.min_by(|a, b| a.distance.total_cmp(&b.distance));
        let value = limit.map_or(f64::NAN, |l| l.value);
        Slope {
            value,
            error: limit.map_or(f64::INFINITY, |l| l.error),
            step: limit.map_or(f64::NAN, |l| l.step),
            form,
            support: support(quotients, value, claim),
            secant,
            swing: samples().map(|s| s.change.abs()).fold(0.0, f64::max),
            noise: samples().map(|s| s.noise).fold(0.0, f64::max),
            kink,
            evaluations: 2 * self.pairs.len(),
        }
    }
}

/// From the smallest step on that rounding leaves clear enough to tell the two apart: how many quotients in a row are nearer to the limit than
/// to the claim.
fn support(quotients: &[Quotient], limit: f64, claim: f64) -> usize {
    let clear = quotients.iter().rev().filter(|q| q.noise <= 0.3 * (limit - claim).abs());
    clear.take_while(|q| (q.value - limit).abs() <= 0.5 * (q.value - claim).abs()).count()
}

/// The slope by agreement across scales. Where two central differences confirm what is claimed, they suffice.
pub(super) fn measured(probe: &mut Probe<'_>, claim: f64, scale: Scale, rtol: f64) -> Slope {
    let mut ladder = Ladder { probe, scale, pairs: BTreeMap::new() };
    let first = if claim == 0.0 { &QUICK_ZERO[..] } else { &QUICK[..] };
    for &(above, below) in first {
        if let Some(slope) = quick(&mut ladder, claim, above, below, rtol) {
            return slope;
        }
    }
    ladder.climb(RUN.chain(BELOW));
    if ladder.is_rough() {
        ladder.climb(33..=FINEST);
    }
    let mut central = ladder.central();
    let mut found = limit(&central, 2);
    let is_poor = |found: Option<Limit>| found.is_none_or(|l| l.error > 1e-6 * l.value.abs().max(claim.abs()));
    if is_poor(found) {
        // Where rounding is what makes it poor, longer steps; else the scale of the function may be far below.
        for level in (TOP..=2).rev() {
            let has_shown = found.is_some_and(|l| l.error <= 0.1 * l.value.abs());
            if (level < FAR && !has_shown) || ladder.at(level).iter().any(|s| s.place != Place::Near) {
                break;
            }
            central = ladder.central();
            let longer = limit(&central, 2);
            if longer.is_none() && found.is_none() {
                continue;
            }
            let has_gained = longer.is_some_and(|l| found.is_none_or(|f| l.error < f.error));
            found = longer;
            if !has_gained || !is_poor(found) {
                break;
            }
        }
    }
    if is_poor(found) {
        ladder.climb(18..=FINE);
        if central.len() < 8 || found.is_none() {
            let bottom = ladder.scale.bottom;
            ladder.climb(FINE + 1..=bottom.min(FINE + 24));
            // Elements that are tiny beside the others of their tensor: a run at their own scale.
            ladder.climb((bottom - 39).max(FINE + 25)..=bottom);
        }
        central = ladder.central();
        found = limit(&central, 2);
    }
    conclude(&ladder, claim, &central, found)
}

/// What the ladder says, once it is climbed.
fn conclude(ladder: &Ladder<'_, '_>, claim: f64, central: &[Quotient], found: Option<Limit>) -> Slope {
    if ladder.jumps(claim) {
        return ladder.finish(claim, central, None, Form::Jump);
    }
    let sides = [ladder.one_sided(0), ladder.one_sided(1)];
    let limits = [limit(&sides[0], 1), limit(&sides[1], 1)];
    if ladder.steepens() {
        return ladder.finish(claim, central, None, Form::Unclear("the difference quotients grow without bound as the step shrinks"));
    }
    if let [Some(left), Some(right)] = limits {
        let error = left.error + right.error;
        let size = left.value.abs().max(right.value.abs());
        let apart = (left.value - right.value).abs();
        // At a kink the even part of the function makes the central limit as uncertain as the two sides are apart.
        let is_smooth = found.is_some_and(|l| l.error < 0.05 * apart);
        if !is_smooth && apart > 10.0 * error + 1e-6 * size && error <= 0.1 * size {
            let middle = Limit { value: left.value.midpoint(right.value), error, step: left.step.min(right.step) };
            return ladder.finish(claim, central, Some(middle), Form::Kink { left: left.value, right: right.value });
        }
        // On a kink in form alone the two sides have one slope.
        if central.is_empty() {
            let better = if left.error < right.error { (left, &sides[0]) } else { (right, &sides[1]) };
            return ladder.finish(claim, better.1, Some(Limit { error: better.0.error.max(apart), ..better.0 }), Form::Smooth);
        }
    }
    // The point is not on a kink, but near one: the side that leads away from it allows longer steps.
    let away = (0..2).filter(|&side| {
        let is_near = |pair: &[Sample; 2]| pair[side].place == Place::Near;
        ladder.pairs.values().next_back().is_some_and(is_near)
    });
    let mut best = (found, central);
    for side in away {
        let is_better = |l: &Limit| {
            !ladder.is_bent_within(l, claim)
                && best.0.is_none_or(|b| l.error < 0.1 * b.error && (l.value - b.value).abs() <= 10.0 * (l.error + b.error))
        };
        if let Some(limit) = limits[side].filter(is_better) {
            best = (Some(limit), &sides[side]);
        }
    }
    let is_somewhere = ladder.pairs.values().flatten().any(|s| s.place != Place::Outside);
    let form = match best.0 {
        Some(_) => Form::Smooth,
        None if !is_somewhere => Form::Outside,
        None if central.is_empty() && sides.iter().any(Vec::is_empty) => Form::Outside,
        None => Form::Unclear("no two scales of the finite difference agree"),
    };
    ladder.finish(claim, best.1, best.0, form)
}

/// The slope from one pair of levels, if it confirms what is claimed.
fn quick(ladder: &mut Ladder<'_, '_>, claim: f64, above: i32, below: i32, rtol: f64) -> Option<Slope> {
    if below > ladder.scale.bottom {
        return None;
    }
    let pairs = [ladder.at(above), ladder.at(below)];
    if pairs.iter().flatten().any(|s| s.place != Place::Near) {
        return None;
    }
    let quotient = |[a, b]: [Sample; 2]| (b.change - a.change) / (b.step - a.step);
    let (far, near) = (quotient(pairs[0]), quotient(pairs[1]));
    // In this form it does not overflow.
    let value = near + (near - far) / 3.0;
    let even = |[a, b]: [Sample; 2]| (a.change + b.change).abs();
    let (bend, noise) = (even(pairs[1]), pairs[1][0].noise.max(pairs[1][1].noise));
    // The even part of a smooth function falls to a quarter; that of a kink, to a half.
    let steepest = pairs.iter().flatten().map(|s| (s.change / s.step).abs()).fold(0.0, f64::max);
    let is_bent = bend > 8.0 * noise && bend > 1e-4 * steepest * pairs[1][1].step && even(pairs[0]) < 3.0 * bend;
    let agrees = (value - claim).abs() <= rtol * claim.abs().max(value.abs()) && (near - claim).abs() <= 1e-3 * claim.abs();
    // Smaller steps that see nothing do not confirm a claim of nothing where larger ones saw something.
    let sees_less = value == 0.0 && ladder.pairs.values().flatten().any(|s| s.place == Place::Near && s.change != 0.0);
    let is_hidden = noise > 1e-3 * claim.abs() * pairs[1][1].step && claim != 0.0;
    if !value.is_finite() || !agrees || is_bent || sees_less || is_hidden {
        return None;
    }
    // What a fourth-order formula leaves over is below what it changes; rounding is known.
    let error = (rtol * claim.abs()).min((value - near).abs()) + 2.0 * noise / pairs[1][1].step;
    let limit = Limit { value, error, step: pairs[0][1].step };
    Some(ladder.finish(claim, &[], Some(limit), Form::Smooth))
}
