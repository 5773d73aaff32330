//! The choice of instruction set, made at run time, in one place.

use pulp::{Arch, NullaryFnOnce};

/// A loop that is compiled for several instruction sets. `run` must be `#[inline(always)]`, all the way down.
pub(crate) trait Kernel {
    type Output;
    /// Whether it is compiled for vectors of 512 bits, too. What computes single numbers has no use for them.
    const WIDE: bool = true;
    fn run<const FMA: bool>(self) -> Self::Output;
}

struct WithFma<K>(K);

impl<K: Kernel> NullaryFnOnce for WithFma<K> {
    type Output = K::Output;
    #[inline(always)]
    fn call(self) -> K::Output {
        self.0.run::<true>()
    }
}

/// Runs a kernel with the best instructions that this machine has.
#[inline]
pub(crate) fn dispatch<K: Kernel>(kernel: K) -> K::Output {
    match Arch::new() {
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        Arch::V4(simd) if K::WIDE => simd.vectorize(WithFma(kernel)),
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        Arch::V4(simd) => (*simd).vectorize(WithFma(kernel)),
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        Arch::V3(simd) => simd.vectorize(WithFma(kernel)),
        // Every aarch64 has a fused multiply-add and NEON.
        _ => plain(kernel),
    }
}

/// Runs a kernel without FMA. Functions that need a branch leave out what lies behind it where they are part of a loop of vectors, with FMA, and
/// give NaN; what is NaN is computed again so.
#[cold]
#[inline(never)]
pub(crate) fn complete<K: Kernel>(kernel: K) -> K::Output {
    kernel.run::<false>()
}

#[inline(never)]
fn plain<K: Kernel>(kernel: K) -> K::Output {
    if cfg!(target_arch = "aarch64") { kernel.run::<true>() } else { kernel.run::<false>() }
}
