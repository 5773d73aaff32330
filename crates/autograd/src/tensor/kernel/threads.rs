//! Threads: into which parts work is divided, and who does them.
//!
//! The parts depend on the size of the work alone, so that every result has the same bits for any number of threads.

/// Elements of one part, at least: it stays in the second cache.
const PART: usize = 1 << 15;
/// There are no more parts than this, whatever the size.
const MOST: usize = 64;
/// Parts begin at multiples of this many elements.
const GRAIN: usize = 1 << 10;
/// Work of fewer elements is not worth waking the pool for, from a thread that is not in it: that takes some twenty microseconds.
#[cfg(feature = "rayon")]
const FROM_OUTSIDE: usize = 1 << 18;

/// How many elements each part has, of work on so many.
pub(crate) fn part_of(len: usize) -> usize {
    PART.max(len.div_ceil(MOST).next_multiple_of(GRAIN))
}

/// How many rows each part has, of work on so many elements that is divided between rows of `row` elements.
pub(crate) fn rows_of_part(len: usize, row: usize) -> usize {
    (part_of(len) / row.max(1)).max(1)
}

/// Does all parts of work on `len` elements, at the same time where that pays; the results are in the order of the parts. What is done is
/// called through a pointer, so that the sharing is compiled once, and not for every operation.
#[cfg(feature = "rayon")]
pub(crate) fn each<P: Send, R: Send>(len: usize, parts: Vec<P>, run: &(dyn Fn(P) -> R + Sync)) -> Vec<R> {
    use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};
    if parts.len() > 1 && is_worth(len >= FROM_OUTSIDE) {
        parts.into_par_iter().with_max_len(1).map(run).collect()
    } else {
        parts.into_iter().map(run).collect()
    }
}

/// Does all parts of work on `len` elements, one after the other; the results are in the order of the parts.
#[cfg(not(feature = "rayon"))]
pub(crate) fn each<P, R>(_len: usize, parts: Vec<P>, run: &dyn Fn(P) -> R) -> Vec<R> {
    parts.into_iter().map(run).collect()
}

/// Does all parts of work on `len` elements, like [`each`], where they leave nothing behind. A single part needs no memory.
pub(crate) fn all<P: Send>(len: usize, parts: impl Iterator<Item = P>, run: &(dyn Fn(P) + Sync)) {
    if parts.size_hint().1 == Some(1) {
        parts.for_each(run);
    } else {
        each(len, parts.collect(), run);
    }
}

/// Whether there are several threads, and the work is large or this one is of the pool, where sharing costs next to nothing.
pub(crate) fn is_worth(is_large: bool) -> bool {
    #[cfg(feature = "rayon")]
    return (is_large || rayon::current_thread_index().is_some()) && count() > 1;
    #[cfg(not(feature = "rayon"))]
    return is_large && count() > 1;
}

/// The number of threads.
pub(crate) fn count() -> usize {
    #[cfg(feature = "rayon")]
    return rayon::current_num_threads();
    #[cfg(not(feature = "rayon"))]
    return 1;
}

/// Runs a computation inside the pool of threads. Operations on large tensors use all threads anyway; from inside the pool it costs them
/// nanoseconds to do so, from outside some twenty microseconds, so that medium-sized ones are shared too. A whole training step, or a whole
/// loop of them, is what to run here.
///
/// Memory is kept for tensors to come by each thread: what is freed here waits here, and [`release_memory`](crate::release_memory) gives it
/// back from inside. The results are the same to the last bit. Without the feature `rayon` this just runs the computation.
///
/// ```
/// use autograd::{Graph, Tensor, in_pool};
/// let x = Tensor::<f32>::full(0.5, [1000])?;
/// let slope = in_pool(|| {
///     let g = Graph::new();
///     let x = g.variable(&x);
///     x.tanh().sum().backward()?.wrt(x).cloned()
/// })?;
/// assert_eq!(slope.len(), 1000);
/// # Ok::<(), autograd::Error>(())
/// ```
pub fn in_pool<R: Send>(computation: impl FnOnce() -> R + Send) -> R {
    #[cfg(feature = "rayon")]
    if count() > 1 && rayon::current_thread_index().is_none() {
        return rayon::scope(|_| computation());
    }
    computation()
}
