//! Vectors of elements, in any instruction set, for loops that the compiler does not find by itself.

#[cfg(target_arch = "x86_64")]
use pulp::x86::{V3, V4};
use pulp::{Arch, NullaryFnOnce, Scalar, Simd};

/// Matrices are transposed in squares of so many elements.
pub(super) const SQUARE: usize = 8;

pub(super) type Square<T> = [[T; SQUARE]; SQUARE];

/// An instruction set, and how it transposes squares.
pub trait Transposes: Simd {
    #[inline(always)]
    fn transpose_f32(self, square: &Square<f32>) -> Square<f32> {
        transposed(square)
    }
    #[inline(always)]
    fn transpose_f64(self, square: &Square<f64>) -> Square<f64> {
        transposed(square)
    }
}

#[inline(always)]
fn transposed<T: Copy>(square: &Square<T>) -> Square<T> {
    let mut to = *square;
    for p in 0..SQUARE {
        for q in 0..SQUARE {
            to[p][q] = square[q][p];
        }
    }
    to
}

impl Transposes for Scalar {}
#[cfg(target_arch = "x86_64")]
impl Transposes for V4 {
    #[inline(always)]
    fn transpose_f32(self, square: &Square<f32>) -> Square<f32> {
        V3::transpose_f32(*self, square)
    }
    #[inline(always)]
    fn transpose_f64(self, square: &Square<f64>) -> Square<f64> {
        V3::transpose_f64(*self, square)
    }
}
/// The compiler does not find these shuffles.
#[cfg(target_arch = "x86_64")]
impl Transposes for V3 {
    #[inline(always)]
    fn transpose_f32(self, square: &Square<f32>) -> Square<f32> {
        let avx = self.avx;
        let [a, b, c, d, e, f, g, h] = [
            pulp::cast(square[0]),
            pulp::cast(square[1]),
            pulp::cast(square[2]),
            pulp::cast(square[3]),
            pulp::cast(square[4]),
            pulp::cast(square[5]),
            pulp::cast(square[6]),
            pulp::cast(square[7]),
        ];
        // Pairs, then fours, of two rows side by side in each half; then the halves.
        let (ab, cd, ef, gh) = (
            [avx._mm256_unpacklo_ps(a, b), avx._mm256_unpackhi_ps(a, b)],
            [avx._mm256_unpacklo_ps(c, d), avx._mm256_unpackhi_ps(c, d)],
            [avx._mm256_unpacklo_ps(e, f), avx._mm256_unpackhi_ps(e, f)],
            [avx._mm256_unpacklo_ps(g, h), avx._mm256_unpackhi_ps(g, h)],
        );
        let mut to = *square;
        for i in 0..2 {
            let first = [avx._mm256_shuffle_ps::<0x44>(ab[i], cd[i]), avx._mm256_shuffle_ps::<0xee>(ab[i], cd[i])];
            let second = [avx._mm256_shuffle_ps::<0x44>(ef[i], gh[i]), avx._mm256_shuffle_ps::<0xee>(ef[i], gh[i])];
            for j in 0..2 {
                to[2 * i + j] = pulp::cast(avx._mm256_permute2f128_ps::<0x20>(first[j], second[j]));
                to[2 * i + j + 4] = pulp::cast(avx._mm256_permute2f128_ps::<0x31>(first[j], second[j]));
            }
        }
        to
    }
    #[inline(always)]
    fn transpose_f64(self, square: &Square<f64>) -> Square<f64> {
        let avx = self.avx;
        let [a, b, c, d, e, f, g, h] = [
            pulp::cast::<_, [_; 2]>(square[0]),
            pulp::cast(square[1]),
            pulp::cast(square[2]),
            pulp::cast(square[3]),
            pulp::cast(square[4]),
            pulp::cast(square[5]),
            pulp::cast(square[6]),
            pulp::cast(square[7]),
        ];
        let mut to = *square;
        // Four squares of four.
        for half in 0..2 {
            let (ab, ef) = (
                [avx._mm256_unpacklo_pd(a[half], b[half]), avx._mm256_unpackhi_pd(a[half], b[half])],
                [avx._mm256_unpacklo_pd(e[half], f[half]), avx._mm256_unpackhi_pd(e[half], f[half])],
            );
            let (cd, gh) = (
                [avx._mm256_unpacklo_pd(c[half], d[half]), avx._mm256_unpackhi_pd(c[half], d[half])],
                [avx._mm256_unpacklo_pd(g[half], h[half]), avx._mm256_unpackhi_pd(g[half], h[half])],
            );
            for j in 0..2 {
                let (left, right) = (avx._mm256_permute2f128_pd::<0x20>(ab[j], cd[j]), avx._mm256_permute2f128_pd::<0x20>(ef[j], gh[j]));
                to[4 * half + j] = pulp::cast([left, right]);
                let (left, right) = (avx._mm256_permute2f128_pd::<0x31>(ab[j], cd[j]), avx._mm256_permute2f128_pd::<0x31>(ef[j], gh[j]));
                to[4 * half + j + 2] = pulp::cast([left, right]);
            }
        }
        to
    }
}

/// An element type, and its vectors in an instruction set.
pub trait Lanes: Sized + Copy {
    type Vector<S: Simd>: Copy;
    /// Whole numbers of the same width.
    type Code: Copy + Default;
    type Codes<S: Simd>: Copy;
    fn lanes<S: Simd>() -> usize;
    /// The whole vectors of a slice.
    fn vectors<S: Simd>(elements: &[Self]) -> &[Self::Vector<S>];
    fn vectors_mut<S: Simd>(elements: &mut [Self]) -> &mut [Self::Vector<S>];
    fn splat<S: Simd>(simd: S, value: Self) -> Self::Vector<S>;
    fn plus<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
    /// a·b + c, rounded once.
    fn mul_add<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>, c: Self::Vector<S>) -> Self::Vector<S>;
    /// What there is of a vector, and zeros after it.
    fn load<S: Simd>(simd: S, elements: &[Self]) -> Self::Vector<S>;
    /// The first elements of a vector, as many as there is room for.
    fn store<S: Simd>(simd: S, elements: &mut [Self], vector: Self::Vector<S>);
    fn total<S: Simd>(simd: S, vector: Self::Vector<S>) -> Self;
    fn transpose<S: Transposes>(simd: S, square: &Square<Self>) -> Square<Self>;
    /// The lowest bits of a whole number.
    fn code(number: usize) -> Self::Code;
    fn number(code: Self::Code) -> usize;
    fn splat_code<S: Simd>(simd: S, code: Self::Code) -> Self::Codes<S>;
    fn codes<S: Simd>(codes: &[Self::Code]) -> &[Self::Codes<S>];
    fn codes_mut<S: Simd>(codes: &mut [Self::Code]) -> &mut [Self::Codes<S>];
    /// The bits of a vector that are set in the codes too.
    fn masked<S: Simd>(simd: S, vector: Self::Vector<S>, bits: Self::Codes<S>) -> Self::Vector<S>;
    /// Where a value is larger than the best, or the first NaN, it and its code; elsewhere the best and its code.
    fn better<S: Simd>(
        simd: S,
        value: (Self::Vector<S>, Self::Codes<S>),
        best: (Self::Vector<S>, Self::Codes<S>),
    ) -> (Self::Vector<S>, Self::Codes<S>);
}

macro_rules! lanes {
    ($($t:ident: $vector:ident $lanes:ident $vectors:ident $vectors_mut:ident $splat:ident $add:ident $mul_add:ident $load:ident $store:ident
       $sum:ident $transpose:ident;
       $code:ident $codes:ident $code_vectors:ident $code_vectors_mut:ident $splat_code:ident
       $less_equal:ident $equal:ident $not:ident $and:ident $select:ident $select_code:ident $and_codes:ident;)*) => { $(
        impl Lanes for $t {
            type Vector<S: Simd> = S::$vector;
            type Code = $code;
            type Codes<S: Simd> = S::$codes;
            #[inline(always)]
            fn lanes<S: Simd>() -> usize {
                S::$lanes
            }
            #[inline(always)]
            fn vectors<S: Simd>(elements: &[$t]) -> &[S::$vector] {
                S::$vectors(elements).0
            }
            #[inline(always)]
            fn vectors_mut<S: Simd>(elements: &mut [$t]) -> &mut [S::$vector] {
                S::$vectors_mut(elements).0
            }
            #[inline(always)]
            fn splat<S: Simd>(simd: S, value: $t) -> S::$vector {
                simd.$splat(value)
            }
            #[inline(always)]
            fn plus<S: Simd>(simd: S, a: S::$vector, b: S::$vector) -> S::$vector {
                simd.$add(a, b)
            }
            #[inline(always)]
            fn mul_add<S: Simd>(simd: S, a: S::$vector, b: S::$vector, c: S::$vector) -> S::$vector {
                simd.$mul_add(a, b, c)
            }
            #[inline(always)]
            fn load<S: Simd>(simd: S, elements: &[$t]) -> S::$vector {
                simd.$load(elements)
            }
            #[inline(always)]
            fn store<S: Simd>(simd: S, elements: &mut [$t], vector: S::$vector) {
                simd.$store(elements, vector);
            }
            #[inline(always)]
            fn total<S: Simd>(simd: S, vector: S::$vector) -> $t {
                simd.$sum(vector)
            }
            #[inline(always)]
            fn transpose<S: Transposes>(simd: S, square: &Square<$t>) -> Square<$t> {
                simd.$transpose(square)
            }
            #[inline(always)]
            #[allow(clippy::cast_possible_truncation)]
            fn code(number: usize) -> $code {
                number as $code
            }
            #[inline(always)]
            #[allow(clippy::cast_possible_truncation)]
            fn number(code: $code) -> usize {
                code as usize
            }
            #[inline(always)]
            fn splat_code<S: Simd>(simd: S, code: $code) -> S::$codes {
                simd.$splat_code(code)
            }
            #[inline(always)]
            fn codes<S: Simd>(codes: &[$code]) -> &[S::$codes] {
                S::$code_vectors(codes).0
            }
            #[inline(always)]
            fn codes_mut<S: Simd>(codes: &mut [$code]) -> &mut [S::$codes] {
                S::$code_vectors_mut(codes).0
            }
            #[inline(always)]
            fn masked<S: Simd>(simd: S, vector: S::$vector, bits: S::$codes) -> S::$vector {
                pulp::cast(simd.$and_codes(pulp::cast(vector), bits))
            }
            #[inline(always)]
            fn better<S: Simd>(simd: S, value: (S::$vector, S::$codes), best: (S::$vector, S::$codes)) -> (S::$vector, S::$codes) {
                let is_better = simd.$and(simd.$not(simd.$less_equal(value.0, best.0)), simd.$equal(best.0, best.0));
                (simd.$select(is_better, value.0, best.0), simd.$select_code(is_better, value.1, best.1))
            }
        }
    )* };
}
lanes! {
    f32: f32s F32_LANES as_simd_f32s as_mut_simd_f32s splat_f32s add_f32s mul_add_f32s partial_load_f32s partial_store_f32s
        reduce_sum_f32s transpose_f32;
        u32 u32s as_simd_u32s as_mut_simd_u32s splat_u32s less_than_or_equal_f32s equal_f32s not_m32s and_m32s select_f32s select_u32s and_u32s;
    f64: f64s F64_LANES as_simd_f64s as_mut_simd_f64s splat_f64s add_f64s mul_add_f64s partial_load_f64s partial_store_f64s
        reduce_sum_f64s transpose_f64;
        u64 u64s as_simd_u64s as_mut_simd_u64s splat_u64s less_than_or_equal_f64s equal_f64s not_m64s and_m64s select_f64s select_u64s and_u64s;
}

/// A loop written in vectors. `run` must be `#[inline(always)]`, all the way down.
pub(super) trait Vectorised {
    type Output;
    fn run<S: Transposes>(self, simd: S) -> Self::Output;
}

struct With<S, K>(S, K);

impl<S: Transposes, K: Vectorised> NullaryFnOnce for With<S, K> {
    type Output = K::Output;
    #[inline(always)]
    fn call(self) -> K::Output {
        self.1.run(self.0)
    }
}

/// How many bytes a vector has in such a loop on this machine; 0 if there are none.
pub(super) fn vector_bytes() -> usize {
    match Arch::new() {
        #[cfg(target_arch = "x86_64")]
        Arch::V4(_) => 64,
        #[cfg(target_arch = "x86_64")]
        Arch::V3(_) => 32,
        _ => 0,
    }
}

/// Runs such a loop with the best instructions that this machine has.
pub(super) fn vectorised<K: Vectorised>(kernel: K) -> K::Output {
    match Arch::new() {
        #[cfg(target_arch = "x86_64")]
        Arch::V4(simd) => simd.vectorize(With(simd, kernel)),
        #[cfg(target_arch = "x86_64")]
        Arch::V3(simd) => simd.vectorize(With(simd, kernel)),
        _ => kernel.run(Scalar::new()),
    }
}
