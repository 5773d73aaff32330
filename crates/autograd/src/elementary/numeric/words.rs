//! Primitives that the families share: multiply-adds, polynomials, and pairs of numbers for what needs more bits on the way than one has.

use super::Primitives;

/// a·b + c, rounded once where that is one instruction.
#[inline(always)]
pub(super) fn fma<const FMA: bool>(a: f64, b: f64, c: f64) -> f64 {
    <f64 as Primitives>::fma::<FMA>(a, b, c)
}

/// c₀ + c₁x + c₂x² + …
#[inline(always)]
pub(super) fn polynomial<const FMA: bool, const N: usize>(x: f64, c: &[f64; N]) -> f64 {
    <f64 as Primitives>::polynomial::<FMA, N>(x, c)
}

/// a + b and what rounding took from it (D. Knuth).
#[inline(always)]
pub(super) fn sum(a: f64, b: f64) -> (f64, f64) {
    let s = a + b;
    let t = s - a;
    (s, (a - (s - t)) + (b - t))
}

/// The same for |a| ≥ |b| (T. Dekker 1971).
#[inline(always)]
pub(super) fn ordered_sum(a: f64, b: f64) -> (f64, f64) {
    let s = a + b;
    (s, b - (s - a))
}

/// a·b and what rounding took from it, for factors below 2⁹⁹⁰ whose product is far from underflow.
#[inline(always)]
pub(super) fn product<const FMA: bool>(a: f64, b: f64) -> (f64, f64) {
    let p = a * b;
    if FMA {
        (p, a.mul_add(b, -p))
    } else {
        let ((ah, al), (bh, bl)) = (halves(a), halves(b));
        (p, ((ah * bh - p) + ah * bl + al * bh) + al * bl)
    }
}

/// a as a sum of two numbers of 26 bits each (G. Veltkamp).
#[inline(always)]
fn halves(a: f64) -> (f64, f64) {
    let c = 134_217_729.0 * a;
    let high = c - (c - a);
    (high, a - high)
}

/// The sign bit of x.
#[inline(always)]
pub(super) fn sign(x: f64) -> u64 {
    x.to_bits() & SIGN
}

/// x, negated where the sign bit is set.
#[inline(always)]
pub(super) fn signed(x: f64, sign: u64) -> f64 {
    f64::from_bits(x.to_bits() ^ sign)
}

pub(super) const SIGN: u64 = 1 << 63;

pub(super) mod double {
    use super::product;

    /// a·b + c, rounded once, or nearly so where c is close to −a·b.
    #[inline(always)]
    pub(in super::super) fn exact<const FMA: bool>(a: f64, b: f64, c: f64) -> f64 {
        if FMA {
            a.mul_add(b, c)
        } else {
            let (p, lost) = product::<FMA>(a, b);
            (p + c) + lost
        }
    }
}

pub(super) mod single {
    /// a·b + c, rounded once.
    #[inline(always)]
    pub(in super::super) fn exact<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
        if FMA { a.mul_add(b, c) } else { (f64::from(a) * f64::from(b) + f64::from(c)) as f32 }
    }
}
