//! Memory that is used again: what the last owner of a tensor leaves goes to the next one of its size, on the same thread.
//!
//! A fresh large buffer costs more than most loops over it, since the system hands it out page by page and clears each one; and a small
//! one costs as much as an operation on it. The memory kept is bounded, and [`release_memory`](crate::release_memory) gives it back.

use std::{
    cell::RefCell,
    ops::{Deref, DerefMut},
    sync::OnceLock,
};

use triomphe::{Arc, UniqueArc};

use super::{Array, Data, pages::Pages};
use crate::{
    error::{Error, ErrorKind},
    real::Real,
    shape::Shape,
};

/// No thread keeps more bytes than this, for each element type.
const LIMIT: usize = if cfg!(test) { 128 << 20 } else { 1 << 30 };
/// Buffers up to this many elements are rounded up to a power of two, so that they fit each other more often.
const SMALL: usize = 1 << 12;
/// Above this many elements the system is asked first whether it has so much memory.
const LARGE: usize = 1 << 24;
/// Of larger buffers, this many are looked at for one that fits.
const LOOK: usize = 8;
/// So many buffers of a class are kept beyond those that were ever in use at a time: they may be of different lengths.
const MORE: usize = 8;
/// No thread keeps more headers without elements than this.
const HEADERS: usize = 1 << 12;

/// Elements on their way into a tensor, or a kernel's scratch, in the header that the tensor will have. Dropped, both are kept for another.
pub(crate) struct Buffer<T: Real>(
    /// Nothing only while it becomes a tensor or is dropped.
    Option<UniqueArc<Array<T>>>,
);

/// Gives the memory that this thread keeps for tensors to come back to the system.
pub(crate) fn empty() {
    f32::with_pool(|pool| *pool = Pool::new());
    f64::with_pool(|pool| *pool = Pool::new());
}

/// `n` zeros.
///
/// # Errors
/// [`ErrorKind::OutOfMemory`]
pub(crate) fn allocate<T: Real>(n: usize) -> Result<Buffer<T>, Error> {
    let mut buffer = overwritten(n)?;
    buffer.fill(T::ZERO);
    Ok(buffer)
}

/// `n` numbers, any at all, which the caller overwrites.
///
/// # Errors
/// [`ErrorKind::OutOfMemory`]
pub(crate) fn overwritten<T: Real>(n: usize) -> Result<Buffer<T>, Error> {
    let mut kept = Buffer(T::with_pool(|pool| pool.take(n)).flatten());
    if let Some(array) = &mut kept.0 {
        match &mut array.data {
            Data::Own(elements) if elements.len() != n => elements.resize(n, T::ZERO),
            Data::Large(pages) => pages.set_len(n),
            Data::Own(_) | Data::Of(_) => {}
        }
        return Ok(kept);
    }
    if let Some(pages) = Pages::of_zeros(n) {
        return Ok(Buffer(Some(header(&Shape::EMPTY, Data::Large(pages)))));
    }
    let capacity = if n <= SMALL { n.next_power_of_two() } else { n };
    if n > LARGE && Vec::<T>::new().try_reserve_exact(capacity).is_err() {
        return Err(ErrorKind::OutOfMemory { elements: n }.into());
    }
    // The system gives zeros without writing them.
    let mut elements = vec![T::ZERO; capacity];
    elements.truncate(n);
    Ok(elements.into())
}

impl<T: Real> Buffer<T> {
    /// The header with the elements in it, which will be a tensor of some shape.
    pub(super) fn shared(mut self, shape: &Shape) -> Shared<T> {
        if let Some(array) = &mut self.0 {
            array.shape = *shape;
        }
        Shared(self.0.take().map(UniqueArc::shareable))
    }
}

impl<T: Real> From<Vec<T>> for Buffer<T> {
    fn from(elements: Vec<T>) -> Self {
        Buffer(Some(header(&Shape::EMPTY, Data::Own(elements))))
    }
}

impl<T: Real> FromIterator<T> for Buffer<T> {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        let mut elements = elements.into_iter();
        let mut buffer = overwritten(elements.size_hint().0).unwrap_or_else(|_| Vec::new().into());
        match buffer.0.as_mut().map(|array| &mut array.data) {
            Some(Data::Own(own)) => {
                own.clear();
                own.extend(elements);
                buffer
            }
            Some(Data::Large(pages)) => {
                pages.as_mut_slice().iter_mut().zip(elements.by_ref()).for_each(|(to, v)| *to = v);
                // More than they had said there would be.
                match elements.next() {
                    None => buffer,
                    Some(next) => buffer.iter().copied().chain([next]).chain(elements).collect::<Vec<T>>().into(),
                }
            }
            Some(Data::Of(_)) | None => elements.collect::<Vec<T>>().into(),
        }
    }
}

impl<T: Real> Clone for Buffer<T> {
    fn clone(&self) -> Self {
        self.iter().copied().collect()
    }
}

impl<T: Real> std::fmt::Debug for Buffer<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self[..].fmt(f)
    }
}

impl<T: Real> Deref for Buffer<T> {
    type Target = [T];
    #[inline]
    fn deref(&self) -> &[T] {
        self.0.as_ref().map_or(&[], |array| array.data.own())
    }
}

impl<T: Real> DerefMut for Buffer<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        self.0.as_mut().and_then(|array| array.data.own_mut()).unwrap_or_default()
    }
}

impl<'a, T: Real> IntoIterator for &'a Buffer<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a, T: Real> IntoIterator for &'a mut Buffer<T> {
    type Item = &'a mut T;
    type IntoIter = std::slice::IterMut<'a, T>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

impl<T: Real> Drop for Buffer<T> {
    #[inline]
    fn drop(&mut self) {
        if let Some(array) = self.0.take() {
            keep(array);
        }
    }
}

/// Keeps an array for the next buffer, if there is room.
#[inline(never)]
fn keep<T: Real>(mut array: UniqueArc<Array<T>>) {
    // What may take the same way goes first: the owner of the elements, and the buffers of a fact.
    if let Data::Of(_) = array.data {
        array.data = Data::Own(Vec::new());
    }
    array.fact.take();
    // At the end of a thread there is no pool any more: then it is freed.
    T::with_pool(|pool| pool.give(array));
}

/// A header that nobody else can see.
fn header<T: Real>(shape: &Shape, data: Data<T>) -> UniqueArc<Array<T>> {
    match T::with_pool(|pool| pool.headers.pop()).flatten() {
        Some(mut header) => {
            (header.shape, header.data) = (*shape, data);
            header
        }
        None => UniqueArc::new(Array { shape: *shape, data, fact: OnceLock::new() }),
    }
}

/// The header of a tensor and what it points to, shared by its clones. Dropped by the last of them, the header is kept for another.
#[derive(Clone)]
pub(super) struct Shared<T: Real>(
    /// Nothing only while it is being dropped.
    Option<Arc<Array<T>>>,
);

impl<T: Real> Shared<T> {
    /// The elements of `owner` in another shape.
    pub(super) fn of(shape: &Shape, owner: Shared<T>) -> Self {
        Shared(Some(header(shape, Data::Of(owner)).shareable()))
    }

    #[inline]
    pub(super) fn get(&self) -> Option<&Array<T>> {
        self.0.as_deref()
    }

    /// The array, if nobody else can see it. It is about to change: what was found out about it is forgotten.
    pub(super) fn get_mut(&mut self) -> Option<&mut Array<T>> {
        let array = Arc::get_mut(self.0.as_mut()?)?;
        array.fact.take();
        Some(array)
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}

impl<T: Real> Drop for Shared<T> {
    #[inline]
    fn drop(&mut self) {
        if let Some(array) = self.0.take()
            && let Ok(array) = Arc::try_unique(array)
        {
            keep(array);
        }
    }
}

/// What one thread keeps of one element type.
pub(crate) struct Pool<T: Real> {
    /// By the logarithm of the capacity.
    classes: [Class<T>; usize::BITS as usize],
    /// Those without elements.
    headers: Vec<UniqueArc<Array<T>>>,
    bytes: usize,
}

/// Arrays of about the same capacity.
struct Class<T: Real> {
    /// The latest last.
    spare: Vec<UniqueArc<Array<T>>>,
    /// How many are in use, and how many ever were at a time. Tensors of elements that came from elsewhere leave theirs here too, batch after batch:
    /// more than were ever asked for are of no use.
    used: usize,
    most: usize,
}

impl<T: Real> Pool<T> {
    const fn new() -> Self {
        let classes = [const { Class { spare: Vec::new(), used: 0, most: 0 } }; usize::BITS as usize];
        Pool { classes, headers: Vec::new(), bytes: 0 }
    }

    fn take(&mut self, n: usize) -> Option<UniqueArc<Array<T>>> {
        let is_small = n <= SMALL;
        let class = &mut self.classes[if is_small { n.next_power_of_two() } else { n }.ilog2() as usize];
        class.used += 1;
        class.most = class.most.max(class.used);
        let array = if is_small {
            class.spare.pop()?
        } else {
            // A buffer that is much longer would waste memory; one that is a little longer is of the same loop with another batch.
            let fits = |array: &UniqueArc<Array<T>>| (n..=n + n / 8).contains(&array.data.capacity());
            let at = (0..class.spare.len()).rev().take(LOOK).find(|&i| fits(&class.spare[i]))?;
            class.spare.swap_remove(at)
        };
        self.bytes -= bytes::<T>(array.data.capacity());
        Some(array)
    }

    /// Keeps the array; if there are enough already, in place of those that have waited longest.
    fn give(&mut self, array: UniqueArc<Array<T>>) {
        let capacity = array.data.capacity();
        let Some(class) = capacity.checked_ilog2() else {
            if self.headers.len() < HEADERS {
                self.headers.push(array);
            }
            return;
        };
        // A small one that came from elsewhere is counted as the power of two below it.
        let class = &mut self.classes[class as usize];
        class.used = class.used.saturating_sub(1);
        if class.spare.len() >= class.most + MORE {
            self.bytes -= bytes::<T>(class.spare.remove(0).data.capacity());
        }
        let bytes = bytes::<T>(capacity);
        if self.bytes + bytes <= LIMIT {
            self.bytes += bytes;
            class.spare.push(array);
        }
    }
}

/// What an array takes that has room for so many elements.
const fn bytes<T: Real>(capacity: usize) -> usize {
    size_of::<Array<T>>() + capacity * size_of::<T>()
}

/// The element types' pools.
pub(crate) trait Pooled: Sized {
    /// Nothing at the end of a thread, when its pool is gone.
    fn with_pool<R>(f: impl FnOnce(&mut Pool<Self>) -> R) -> Option<R>
    where
        Self: Real;

    /// Bytes that begin where numbers may, read as numbers.
    fn of_bytes(bytes: &[u8]) -> &[Self];

    /// The same, to be changed.
    fn of_bytes_mut(bytes: &mut [u8]) -> &mut [Self];
}

macro_rules! pooled {
    ($($t:ident)*) => { $(
        impl Pooled for $t {
            #[inline]
            fn with_pool<R>(f: impl FnOnce(&mut Pool<$t>) -> R) -> Option<R> {
                thread_local! {
                    static POOL: RefCell<Pool<$t>> = const { RefCell::new(Pool::new()) };
                }
                POOL.try_with(|pool| pool.try_borrow_mut().ok().map(|mut pool| f(&mut pool))).ok().flatten()
            }
            fn of_bytes(bytes: &[u8]) -> &[$t] {
                pulp::bytemuck::try_cast_slice(bytes).unwrap_or_default()
            }
            fn of_bytes_mut(bytes: &mut [u8]) -> &mut [$t] {
                pulp::bytemuck::try_cast_slice_mut(bytes).unwrap_or_default()
            }
        }
    )* };
}
pooled!(f32 f64);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tensor;

    #[test]
    fn a_buffer_is_used_again() {
        for n in [2, 3, 100, SMALL, SMALL + 1, 100_000] {
            let mut first = allocate::<f64>(n).unwrap();
            first.fill(7.0);
            let place = first.as_ptr();
            drop(first);
            let again = allocate::<f64>(n).unwrap();
            assert_eq!(again.as_ptr(), place);
            assert!(again.iter().all(|&v| v == 0.0));
        }
    }

    #[test]
    fn a_tensor_that_others_can_see_is_not_taken_apart() {
        let x = Tensor::<f64>::full(3.0, [10]).unwrap();
        let (y, z) = (x.clone(), x.reshape([2, 5]).unwrap());
        drop(x);
        let _other = Tensor::<f64>::full(4.0, [10]).unwrap();
        drop(y);
        let _another = Tensor::<f64>::full(5.0, [10]).unwrap();
        assert!(z.as_slice().iter().all(|&v| v == 3.0));
    }

    #[test]
    fn elements_from_elsewhere_do_not_pile_up() {
        empty();
        for _ in 0..1000 {
            drop(Buffer::from(vec![1.0f32; 1000]));
        }
        assert!(f32::with_pool(|pool| pool.bytes).unwrap() <= (MORE + 1) * bytes::<f32>(1000));
    }

    #[test]
    fn more_elements_than_an_iterator_had_promised_are_kept() {
        for n in [100u32, 1 << 20] {
            let more = (0..n).chain((0..10).filter(|i| i % 2 == 0));
            let buffer: Buffer<f64> = more.map(f64::from).collect();
            assert_eq!(
                (buffer.len(), buffer[buffer.len() - 6], buffer.last()),
                (usize::try_from(n).unwrap() + 5, f64::from(n - 1), Some(&8.0))
            );
            let copy = buffer.clone();
            assert_eq!(copy[..], buffer[..]);
        }
    }

    #[test]
    fn memory_is_bounded_and_given_back() {
        let kept = || f64::with_pool(|pool| pool.bytes).unwrap();
        let many: Vec<_> = (0..40).map(|_| allocate::<f64>(1 << 19).unwrap()).collect();
        drop(many);
        assert!(kept() <= LIMIT && kept() > LIMIT / 2);
        empty();
        assert_eq!(kept(), 0);
    }
}
